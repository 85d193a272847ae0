//! Everything that may happen next.

mod faults;
mod group;
mod log;
mod meta;
mod work;

use crate::{
    rules::Rule,
    setup::{Fault, Setup},
    world::{Act, Call, Calls, Forwarder, Kind, Life, Record, Role, Stage, World},
};

/// What a step is called in a trace.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Label {
    what: &'static str,
    who: Option<usize>,
    call: Option<Call>,
}

/// A step.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) label: Label,
    /// Faults need not happen: a state from which only they lead on is an end.
    pub(crate) is_fault: bool,
    pub(crate) to: World,
}

/// The steps from one state.
pub(crate) struct Steps<'s> {
    setup: &'s Setup,
    from: World,
    found: Vec<Step>,
}

/// Every step from a state.
pub(crate) fn steps(from: &World, setup: &Setup) -> Vec<Step> {
    let mut steps = Steps { setup, from: *from, found: Vec::new() };
    steps.of_the_group();
    steps.of_the_log();
    steps.faults();
    for forwarder in 0..setup.forwarders {
        steps.of_meta(forwarder);
        steps.of_work(forwarder);
    }
    steps.found
}

/// Something that happens to no forwarder.
fn happens(what: &'static str) -> Label {
    Label { what, who: None, call: None }
}

/// Something that a forwarder does or suffers.
fn does(who: usize, what: &'static str) -> Label {
    Label { what, who: Some(who), call: None }
}

impl Label {
    fn with(self, call: Call) -> Self {
        Self { call: Some(call), ..self }
    }
}

impl std::fmt::Display for Label {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(who) = self.who {
            write!(f, "F{} ", who + 1)?;
        }
        f.write_str(self.what)?;
        match self.call {
            Some(call) => write!(f, " {}", ["A", "B"][usize::from(call)]),
            None => Ok(()),
        }
    }
}

impl Steps<'_> {
    fn go(&mut self, label: Label, change: impl FnOnce(&mut World)) {
        self.push(label, false, change);
    }

    /// A fault happens, if the budget allows it.
    fn fault(&mut self, fault: Fault, label: Label, change: impl FnOnce(&mut World)) {
        if self.from.budget.allows(fault) {
            self.push(label, true, |world| {
                world.budget.spend(fault);
                change(world);
            });
        }
    }

    /// An answer that the budget allows: no end, for the one that waits for it goes on.
    fn answer(&mut self, fault: Fault, label: Label, change: impl FnOnce(&mut World)) {
        if self.from.budget.allows(fault) {
            self.push(label, false, |world| {
                world.budget.spend(fault);
                change(world);
            });
        }
    }

    fn push(&mut self, label: Label, is_fault: bool, change: impl FnOnce(&mut World)) {
        let mut to = self.from;
        change(&mut to);
        for forwarder in &mut to.forwarders {
            forwarder.forget_view(self.setup);
        }
        self.found.push(Step { label, is_fault, to });
    }
}

impl Forwarder {
    /// What was read does not matter until the next reading, where nothing is decided before that.
    fn forget_view(&mut self, setup: &Setup) {
        let needs = |act: &Act| {
            matches!(act.stage, Stage::Sendable { .. } | Stage::ToTier | Stage::Row(_) | Stage::Commit)
                || !setup.keep(Rule::Readback)
        };
        let decides = self.role == Role::Owner && self.acts[..setup.slots()].iter().any(Option::is_none);
        if !decides && !self.acts().any(needs) {
            self.view = None;
        }
    }

    /// Whether it has read a newer claim than its own.
    fn fenced(&self, setup: &Setup) -> bool {
        setup.keep(Rule::Claim) && self.view.is_some_and(|view| view.epoch > self.epoch)
    }
}

impl World {
    /// A forwarder that was just given the partition.
    fn assigned(&self, setup: &Setup) -> Forwarder {
        let given = Forwarder { assigned: true, ..Forwarder::default() };
        if setup.keep(Rule::Claim) {
            let claim = Record { kind: Kind::Claim, slot: 0, late: self.late_day };
            Forwarder { role: Role::Claiming, claim: Some(crate::world::Written::Wire(claim)), ..given }
        } else {
            Forwarder { role: Role::Owner, view: Some(self.log), fetched: setup.uncommitted(self), ..given }
        }
    }

    /// The tenure is over: what is in flight goes on, the rest comes to the next owner.
    fn revoke(&mut self, who: usize) {
        let forwarder = self.forwarders[who];
        let mut left = Forwarder { life: forwarder.life, role: Role::Leaving, ..forwarder };
        (left.assigned, left.fetched, left.done, left.claim) = (false, Calls::default(), Calls::default(), None);
        for act in &mut left.acts {
            *act = act.filter(Act::in_flight);
        }
        let goes_on: Vec<_> = left.on_the_wire().collect();
        forwarder.on_the_wire().filter(|record| !goes_on.contains(record)).for_each(|record| self.wander(record));
        self.forwarders[who] =
            if left.at_rest() { Forwarder { life: left.life, ..Forwarder::default() } } else { left };
    }

    /// Nothing is at work any more for a slot; what is not committed comes again.
    fn drop_act(&mut self, who: usize, slot: usize) {
        let forwarder = &mut self.forwarders[who];
        forwarder.acts[slot] = None;
        if forwarder.role == Role::Leaving && forwarder.at_rest() {
            *forwarder = Forwarder { life: forwarder.life, ..Forwarder::default() };
        }
    }

    fn set_stage(&mut self, who: usize, slot: usize, stage: Stage) {
        if let Some(act) = &mut self.forwarders[who].acts[slot] {
            act.stage = stage;
        }
    }

    /// Meta counts a call.
    fn count(&mut self, call: Call, setup: &Setup) {
        let counted = &mut self.counted[setup.order(call)];
        *counted = (*counted + 1).min(2);
    }

    fn is_up(&self, who: usize) -> bool {
        self.forwarders[who].life == Life::Up
    }
}
