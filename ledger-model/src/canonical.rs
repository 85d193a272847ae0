//! Which states are alike. Offsets matter only by their order, forwarders are alike, and where the calls are alike, so
//! is a state with the two exchanged.

use crate::{
    setup::Setup,
    world::{Act, Call, Calls, Fold, Forwarder, Kind, Offset, Record, Stage, World, Written},
};

/// The state that stands for all that are like this one.
pub(crate) fn canonical(mut world: World, setup: &Setup) -> World {
    let mut used = Used(1);
    world.visit(&mut used);
    if !used.dense() {
        world.visit(&mut Renumber(used.0));
    }
    world.sort(setup);
    if !setup.symmetric() {
        return world;
    }
    let mut exchanged = world;
    exchanged.exchange();
    exchanged.sort(setup);
    world.min(exchanged)
}

/// Sees every offset and every call of a state.
trait Visitor {
    fn offset(&mut self, offset: &mut Offset);
    fn call(&mut self, _: &mut Call) {}
    fn calls(&mut self, _: &mut Calls) {}
}

/// The offsets that occur, a bit each.
struct Used(u64);

impl Used {
    fn dense(&self) -> bool {
        self.0 & (self.0 + 1) == 0
    }
}

impl Visitor for Used {
    fn offset(&mut self, offset: &mut Offset) {
        self.0 |= 1 << *offset;
    }
}

/// Each offset becomes its rank among those that occur.
struct Renumber(u64);

impl Visitor for Renumber {
    fn offset(&mut self, offset: &mut Offset) {
        let below = self.0 & ((1 << *offset) - 1);
        *offset = u8::try_from(below.count_ones()).unwrap();
    }
}

/// A becomes B, and B becomes A.
struct Exchange;

impl Visitor for Exchange {
    fn offset(&mut self, _: &mut Offset) {}

    fn call(&mut self, call: &mut Call) {
        *call = 1 - *call;
    }

    fn calls(&mut self, calls: &mut Calls) {
        calls.0 = calls.0 >> 1 | (calls.0 & 1) << 1;
    }
}

impl World {
    fn visit(&mut self, visitor: &mut impl Visitor) {
        self.log.visit(visitor);
        self.forwarders.iter_mut().for_each(|forwarder| forwarder.visit(visitor));
        self.rows.iter_mut().for_each(|row| visitor.offset(&mut row.rests_on));
        self.wandering.iter_mut().flatten().for_each(|record| record.visit(visitor));
        visitor.calls(&mut self.partly);
        visitor.calls(&mut self.second);
    }

    fn exchange(&mut self) {
        self.visit(&mut Exchange);
        self.committed.reverse();
        self.tier.reverse();
        self.rows.reverse();
    }

    fn sort(&mut self, setup: &Setup) {
        self.forwarders[..setup.forwarders].sort_unstable();
        self.wandering.sort_unstable();
    }
}

impl Fold {
    fn visit(&mut self, visitor: &mut impl Visitor) {
        visitor.offset(&mut self.end);
        visitor.offset(&mut self.epoch);
        for known in self.known.iter_mut().flatten() {
            visitor.offset(&mut known.last);
            visitor.calls(&mut known.listed);
            visit_state(&mut known.accepted, &mut known.open, visitor);
        }
        for (offset, record) in self.void.iter_mut().flatten() {
            visitor.offset(offset);
            record.visit(visitor);
        }
    }
}

fn visit_state(
    accepted: &mut Option<crate::world::Credit>,
    open: &mut Option<crate::world::Open>,
    visitor: &mut impl Visitor,
) {
    if let Some(credit) = accepted {
        visitor.offset(&mut credit.offset);
        visitor.call(&mut credit.call);
    }
    if let Some(open) = open {
        visitor.offset(&mut open.intent);
        visitor.offset(&mut open.epoch);
        visitor.call(&mut open.call);
    }
}

impl Record {
    fn visit(&mut self, visitor: &mut impl Visitor) {
        match &mut self.kind {
            Kind::Claim => {}
            Kind::Intent { epoch, call, overrides, listed } => {
                visitor.offset(epoch);
                visitor.offset(overrides);
                visitor.call(call);
                visitor.calls(listed);
            }
            Kind::Accepted { intent, call, listed } | Kind::Refused { intent, call, listed } => {
                visitor.offset(intent);
                visitor.call(call);
                visitor.calls(listed);
            }
            Kind::State { epoch, after, accepted, open, listed } => {
                visitor.offset(epoch);
                visitor.offset(after);
                visitor.calls(listed);
                visit_state(accepted, open, visitor);
            }
        }
    }
}

impl Forwarder {
    fn visit(&mut self, visitor: &mut impl Visitor) {
        visitor.offset(&mut self.epoch);
        visitor.calls(&mut self.fetched);
        visitor.calls(&mut self.done);
        self.claim.iter_mut().for_each(|written| written.visit(visitor));
        self.view.iter_mut().for_each(|view| view.visit(visitor));
        self.acts.iter_mut().flatten().for_each(|act| act.visit(visitor));
    }
}

impl Act {
    fn visit(&mut self, visitor: &mut impl Visitor) {
        visitor.offset(&mut self.intent);
        visitor.offset(&mut self.rests_on);
        visitor.calls(&mut self.listed);
        if !matches!(self.stage, Stage::Repair(_)) {
            visitor.call(&mut self.call);
        }
        self.written_mut().into_iter().for_each(|written| written.visit(visitor));
    }
}

impl Written {
    fn visit(&mut self, visitor: &mut impl Visitor) {
        match self {
            Self::Wire(record) => record.visit(visitor),
            Self::Landed { offset, .. } => visitor.offset(offset),
        }
    }
}
