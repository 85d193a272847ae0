//! Records land in the log and are read back; compaction leaves the last of each key.

use super::{Steps, does, happens};
use crate::{
    rules::Rule,
    setup::{Setup, Shape},
    world::{Calls, End, Forwarder, Life, Record, Role, SLOTS, Stage, Status, World, Written},
};

impl Steps<'_> {
    pub(super) fn of_the_log(&mut self) {
        for who in 0..self.setup.forwarders {
            self.lands(who);
            if self.from.is_up(who) {
                self.reads_on(who);
            }
        }
        self.wandering();
        self.compaction();
        self.the_window_passes();
    }

    /// What is on the wire lands even while its process is stopped: the broker has it.
    fn lands(&mut self, who: usize) {
        let (setup, forwarder) = (self.setup, self.from.forwarders[who]);
        if let Some(Written::Wire(record)) = forwarder.claim {
            self.go(does(who, "has its claim land"), |world| {
                let written = world.land(&record, setup);
                world.forwarders[who].claim = Some(written);
                world.read_claim_if_up(who, setup);
            });
        }
        for slot in 0..SLOTS {
            let Some(act) = forwarder.acts[slot] else { continue };
            let Some(Written::Wire(record)) = act.written() else { continue };
            self.go(does(who, landing(act.stage)).with(act.call), |world| {
                let landed = world.land(&record, setup);
                if let Some(written) = world.forwarders[who].acts[slot].as_mut().and_then(|act| act.written_mut()) {
                    *written = landed;
                }
                if world.is_up(who) {
                    world.read_back(who, slot, setup);
                }
            });
        }
    }

    /// A process that was stopped reads what landed meanwhile; any process may read further at any time.
    fn reads_on(&mut self, who: usize) {
        let (setup, forwarder) = (self.setup, self.from.forwarders[who]);
        if let Some(Written::Landed { .. }) = forwarder.claim {
            self.go(does(who, "reads its claim"), |world| world.read_claim_if_up(who, setup));
        }
        for slot in 0..SLOTS {
            let Some(act) = forwarder.acts[slot] else { continue };
            if let Some(Written::Landed { .. }) = act.written() {
                self.go(does(who, "reads its record of").with(act.call), |world| world.read_back(who, slot, setup));
            }
        }
        let could_matter = forwarder.acts[..setup.slots()]
            .iter()
            .any(|act| act.is_none_or(|act| matches!(act.stage, Stage::Sendable { .. })));
        let behind = forwarder.view.is_some_and(|view| view != self.from.log);
        if behind && could_matter && setup.keep(Rule::Readback) {
            self.go(does(who, "reads on"), |world| world.forwarders[who].view = Some(world.log));
        }
    }

    /// A record that outlived its process lands or is lost.
    fn wandering(&mut self) {
        let setup = self.setup;
        for (at, record) in self.from.wandering.into_iter().enumerate() {
            let Some(record) = record else { continue };
            self.go(happens("a late record lands"), |world| {
                world.wandering[at] = None;
                world.land(&record, setup);
            });
            self.go(happens("a late record is lost"), |world| world.wandering[at] = None);
        }
    }

    /// A void record that is the last of its key would be all that is left of the order. With the rules kept it is never
    /// so old.
    fn compaction(&mut self) {
        let repaired_first = self.setup.keep(Rule::Repair) && self.setup.keep(Rule::Lag);
        let owned = self
            .from
            .forwarders
            .iter()
            .any(|forwarder| forwarder.life != Life::Dead && matches!(forwarder.role, Role::Owner | Role::Leaving));
        if !repaired_first && !owned && self.from.log.void.iter().any(Option::is_some) {
            self.go(happens("compaction leaves only the last record of each key"), |world| {
                world.log = world.log.compacted();
            });
        }
    }

    /// The window of a call that is done with passes, and the next call of its order is received. No process is stopped
    /// for four weeks with a call in hand: its copy in a tier would become a duplicate of the next credit.
    fn the_window_passes(&mut self) {
        let from = &self.from;
        let at_work = from.forwarders.iter().any(|forwarder| !forwarder.at_rest());
        let settled = from.committed[0] > 0 && from.tier == [0, 0];
        if self.setup.shape == Shape::Window && !from.late_day && settled && !at_work {
            self.go(happens("the window passes"), |world| {
                world.late_day = true;
                // A process that is stopped fetches it when it continues.
                for forwarder in world.forwarders.iter_mut().filter(|forwarder| forwarder.role == Role::Owner) {
                    forwarder.fetched = forwarder.fetched.with(1);
                }
            });
        }
    }
}

fn landing(stage: Stage) -> &'static str {
    match stage {
        Stage::Intended(_) => "has its intent land for",
        Stage::Resulted(End::Credited, _) => "has its acceptance land of",
        Stage::Resulted(..) => "has its refusal land of",
        _ => "has its repair land",
    }
}

impl World {
    fn land(&mut self, record: &Record, setup: &Setup) -> Written {
        let counts = self.log.append(record, setup);
        self.torn |= counts && !self.log.is_restored_by(record);
        Written::Landed { offset: self.log.end, counts }
    }

    /// Rule 3: only a claim that the group confirms makes an owner.
    fn read_claim_if_up(&mut self, who: usize, setup: &Setup) {
        let forwarder = self.forwarders[who];
        let Some(Written::Landed { offset, .. }) = forwarder.claim else { return };
        if forwarder.life != Life::Up {
            return;
        }
        self.forwarders[who] = if setup.keep(Rule::Confirm) && !forwarder.assigned {
            Forwarder::default()
        } else {
            let (fetched, view) = (setup.uncommitted(self), Some(self.log));
            Forwarder {
                role: Role::Owner,
                epoch: offset,
                claim: None,
                fetched,
                done: Calls::default(),
                view,
                ..forwarder
            }
        };
    }

    /// An own record was read back: it has effect if it counts.
    fn read_back(&mut self, who: usize, slot: usize, setup: &Setup) {
        let Some(act) = self.forwarders[who].acts[slot] else { return };
        let Some(Written::Landed { offset, counts }) = act.written() else { return };
        let intended = matches!(act.stage, Stage::Intended(_));
        let trusted = !setup.keep(Rule::Readback) && intended;
        if !trusted {
            self.forwarders[who].view = Some(self.log);
        }
        let counts = counts || trusted || (!setup.keep(Rule::Rows) && !intended);
        let Some(stage) = next(act.stage, counts, self.forwarders[who].role) else { return self.drop_act(who, slot) };
        if let Some(act) = &mut self.forwarders[who].acts[slot] {
            act.stage = stage;
            if intended { act.intent = offset } else { act.rests_on = offset }
        }
    }
}

/// What an own record leads to; `None`: nothing comes of it.
fn next(stage: Stage, counts: bool, role: Role) -> Option<Stage> {
    match stage {
        _ if !counts => None,
        Stage::Intended(_) => Some(Stage::Sendable { alone: false, bad: false }),
        Stage::Resulted(End::Credited, _) => Some(Stage::Row(Status::Forwarded)),
        Stage::Resulted(End::Rejected, _) => Some(Stage::Row(Status::Rejected)),
        Stage::Resulted(End::Delayed, _) => (role == Role::Owner).then_some(Stage::ToTier),
        _ => None,
    }
}
