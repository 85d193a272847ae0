//! What a run is about: which calls there are, how many forwarders, which faults may happen, and which rule is off.

use schemas::{OrderHash, order::partition_of_call};

use crate::{
    production,
    rules::{Rule, Rules},
    world::{Call, Calls, SLOTS, World},
};

/// A fault that a budget allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// `kill -9`.
    Crash,
    /// A process is stopped, maybe past its session, and continued: a zombie.
    Stop,
    /// The group moves the partition.
    Move,
    /// An answer that never comes, counted or not.
    Unknown,
    Reject,
    Throttle,
    /// The producer gives a record up, which may land later.
    TimeOut,
    /// The operator replays a rejected call.
    Replay,
    /// A batch of which Meta counts fewer events than it has.
    Partly,
}

/// How often each fault may still happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Budget([u8; 9]);

impl Budget {
    pub(crate) fn of(faults: &[Fault]) -> Self {
        let mut budget = Self::default();
        faults.iter().for_each(|fault| budget.0[*fault as usize] += 1);
        budget
    }

    pub(crate) fn allows(&self, fault: Fault) -> bool {
        self.0[fault as usize] > 0
    }

    pub(crate) fn spend(&mut self, fault: Fault) {
        self.0[fault as usize] -= 1;
    }
}

/// Which calls there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Two calls of one order, in different lanes.
    OneOrder,
    /// The same, with two partitions that one forwarder has at a time; each has a ledger of its own.
    Partitions,
    /// Two orders, one call each, one after the other in one lane; a request may carry both.
    Batch,
    /// Two calls of one order, the second received when the window of the first is over.
    Window,
}

/// A run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup {
    pub(crate) shape: Shape,
    pub(crate) forwarders: usize,
    pub(crate) budget: Budget,
    pub(crate) rules: Rules,
}

impl Setup {
    pub(crate) fn new(shape: Shape, faults: &[Fault]) -> Self {
        Self { shape, forwarders: 2, budget: Budget::of(faults), rules: Rules::default() }
    }

    pub(crate) fn with_forwarders(self, forwarders: usize) -> Self {
        Self { forwarders, ..self }
    }

    pub(crate) fn without(self, rule: Rule) -> Self {
        Self { rules: Rules { off: Some(rule) }, ..self }
    }

    pub(crate) fn keep(&self, rule: Rule) -> bool {
        self.rules.keep(rule)
    }

    pub(crate) fn start(&self) -> World {
        let mut world = World { budget: self.budget, ..World::default() };
        world.log.end = 1;
        world
    }

    /// How many ledger slots are in use.
    pub(crate) fn slots(&self) -> usize {
        if matches!(self.shape, Shape::Partitions | Shape::Batch) { SLOTS } else { 1 }
    }

    /// Whether A and B are alike.
    pub(crate) fn symmetric(&self) -> bool {
        self.shape == Shape::OneOrder
    }

    /// Whether one request may carry both calls.
    pub(crate) fn batches(&self) -> bool {
        self.shape == Shape::Batch
    }

    /// The order that Meta should count a call for. After the window it is another.
    pub(crate) fn order(&self, call: Call) -> usize {
        usize::from(matches!(self.shape, Shape::Batch | Shape::Window) && call == 1)
    }

    pub(crate) fn calls_of(&self, order: usize) -> Calls {
        (0..2).filter(|call| self.order(*call) == order).fold(Calls::default(), Calls::with)
    }

    /// The ledger that a call is decided by: that of its order, in the partition that its copy lies in.
    pub(crate) fn slot(&self, call: Call, tiered: bool) -> usize {
        match self.shape {
            Shape::OneOrder | Shape::Window => 0,
            Shape::Batch => usize::from(call),
            Shape::Partitions => self.partition(call, tiered),
        }
    }

    /// Rule 1, and the slip that breaks it: a copy whose number is that of the call and not of the order.
    fn partition(&self, call: Call, tiered: bool) -> usize {
        let partition = if tiered && !self.keep(Rule::Partition) {
            partition_of_call(production::call_id(call), 2)
        } else {
            OrderHash::of(production::ORDER).partition(2)
        };
        usize::try_from(partition).unwrap()
    }

    /// The lane that a call lies in, and its offset there.
    pub(crate) fn place(&self, call: Call) -> (usize, u8) {
        if self.shape == Shape::Batch { (0, call) } else { (usize::from(call), 0) }
    }

    /// Whether a call was received when the window of the other was over.
    pub(crate) fn received_late(&self, call: Call) -> bool {
        self.shape == Shape::Window && call == 1
    }

    /// The calls that a new owner finds in the lanes.
    pub(crate) fn uncommitted(&self, world: &World) -> Calls {
        let waits = |call: &Call| {
            let (lane, offset) = self.place(*call);
            offset >= world.committed[lane] && (world.late_day || !self.received_late(*call))
        };
        (0..2).filter(waits).fold(Calls::default(), Calls::with)
    }
}
