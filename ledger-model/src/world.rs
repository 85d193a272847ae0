//! The states of the model. Everything is small and `Copy`, for there are millions of them: a call is a number, a set of
//! calls a byte, and an offset a byte that matters only by its order ([`crate::canonical`]).

/// One of the two calls: 0 is A, 1 is B.
pub(crate) type Call = u8;
/// A place in the orders topic; 0 is before everything.
pub(crate) type Offset = u8;

/// The most forwarders there are.
pub(crate) const FORWARDERS: usize = 3;
/// The most ledger slots there are: an order in a partition.
pub(crate) const SLOTS: usize = 2;

/// A set of calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Calls(pub(crate) u8);

impl Calls {
    pub(crate) fn has(self, call: Call) -> bool {
        self.0 & (1 << call) != 0
    }

    pub(crate) fn with(self, call: Call) -> Self {
        Self(self.0 | (1 << call))
    }

    pub(crate) fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = Call> {
        (0..2).filter(move |call| self.has(*call))
    }
}

/// The credit of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Credit {
    pub(crate) offset: Offset,
    pub(crate) call: Call,
    /// Whether it was given after the window ([`World::late_day`]).
    pub(crate) late: bool,
}

/// An intent without a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Open {
    pub(crate) intent: Offset,
    pub(crate) epoch: Offset,
    pub(crate) call: Call,
}

/// What the ledger knows of an order: the production `Order`, small.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Known {
    pub(crate) accepted: Option<Credit>,
    pub(crate) open: Option<Open>,
    pub(crate) listed: Calls,
    pub(crate) last: Offset,
    pub(crate) late: bool,
}

/// A record of the orders topic. `late` is its time: within the window, or after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Record {
    pub(crate) kind: Kind,
    pub(crate) slot: u8,
    pub(crate) late: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Kind {
    Claim,
    Intent { epoch: Offset, call: Call, overrides: Offset, listed: Calls },
    Accepted { intent: Offset, call: Call, listed: Calls },
    Refused { intent: Offset, call: Call, listed: Calls },
    State { epoch: Offset, after: Offset, accepted: Option<Credit>, open: Option<Open>, listed: Calls },
}

/// The fold of the log: what `Ledger` holds, and what an owner notes of void records beside it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Fold {
    /// The offset of the last record.
    pub(crate) end: Offset,
    pub(crate) epoch: Offset,
    pub(crate) known: [Option<Known>; SLOTS],
    /// The last record of the key, where it is void.
    pub(crate) void: [Option<(Offset, Record)>; SLOTS],
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Life {
    #[default]
    Up,
    Stopped,
    Dead,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Role {
    #[default]
    Idle,
    Claiming,
    Owner,
    /// Not the owner any more; its calls in flight go on.
    Leaving,
}

/// A record that its writer waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Written {
    /// On its way to the log.
    Wire(Record),
    /// In the log, and not yet read back: its writer is stopped.
    Landed { offset: Offset, counts: bool },
}

/// A forwarder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Forwarder {
    pub(crate) life: Life,
    /// Whether the group takes it for the owner.
    pub(crate) assigned: bool,
    pub(crate) role: Role,
    pub(crate) epoch: Offset,
    pub(crate) claim: Option<Written>,
    /// The ledger as last read; `None` while it does not matter.
    pub(crate) view: Option<Fold>,
    /// The calls that were fetched from the lanes, and those of them that are done.
    pub(crate) fetched: Calls,
    pub(crate) done: Calls,
    /// What is at work for each ledger slot.
    pub(crate) acts: [Option<Act>; SLOTS],
}

/// A call at work, or a repair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Act {
    pub(crate) stage: Stage,
    pub(crate) call: Call,
    /// Whether it came from a tier.
    pub(crate) tiered: bool,
    /// Whether the process was stopped meanwhile: whoever holds does not wait for it.
    pub(crate) stopped: bool,
    pub(crate) intent: Offset,
    pub(crate) listed: Calls,
    /// What its row rests on.
    pub(crate) rests_on: Offset,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// Its intent is written.
    Intended(Written),
    /// Its intent was read back. `bad`: it is known to Meta as the bad event of a batch.
    Sendable {
        alone: bool,
        bad: bool,
    },
    AtMeta {
        together: bool,
        bad: bool,
    },
    Answered(Answer),
    /// Its result is written.
    Resulted(End, Written),
    ToTier,
    Row(Status),
    Commit,
    /// A repair is written.
    Repair(Written),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Answer {
    Counted,
    Unknown,
    Rejected,
    Throttled,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum End {
    Credited,
    Rejected,
    Delayed,
    Unsent,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Status {
    #[default]
    None,
    Pending,
    Forwarded,
    Duplicate,
    Rejected,
}

/// The row that a reader of the table sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Row {
    pub(crate) status: Status,
    pub(crate) rests_on: Offset,
    pub(crate) marked: bool,
}

/// A whole state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct World {
    pub(crate) log: Fold,
    pub(crate) forwarders: [Forwarder; FORWARDERS],
    /// The committed offset of each lane.
    pub(crate) committed: [u8; 2],
    /// How many copies of each call wait in a tier.
    pub(crate) tier: [u8; 2],
    pub(crate) rows: [Row; 2],
    /// What Meta counted of each order: nothing, once, or more.
    pub(crate) counted: [u8; 2],
    /// Accepted in a batch that was counted in part: whether Meta has it, nobody knows.
    pub(crate) partly: Calls,
    /// Calls that were sent when Meta may have had their order already.
    pub(crate) second: Calls,
    /// Slots at which a fault struck while an intent was unresolved.
    pub(crate) cause: u8,
    /// Records that outlived their process.
    pub(crate) wandering: [Option<Record>; 3],
    /// Whether the window of the first call is over.
    pub(crate) late_day: bool,
    /// Whether the last record of a key ever told less than the ledger.
    pub(crate) torn: bool,
    /// The faults that may still happen.
    pub(crate) budget: crate::setup::Budget,
}

impl Act {
    pub(crate) fn new(stage: Stage, call: Call, tiered: bool) -> Self {
        Self { stage, call, tiered, stopped: false, intent: 0, listed: Calls::default(), rests_on: 0 }
    }

    /// Whether Meta may have, or get, its request.
    pub(crate) fn in_flight(&self) -> bool {
        !matches!(self.stage, Stage::ToTier | Stage::Row(_) | Stage::Commit | Stage::Repair(_))
    }

    /// Whether its intent may still get a result from this process.
    pub(crate) fn may_resolve(&self) -> bool {
        self.in_flight() && !matches!(self.stage, Stage::Resulted(_, Written::Landed { .. }))
    }

    pub(crate) fn written(&self) -> Option<Written> {
        match self.stage {
            Stage::Intended(written) | Stage::Resulted(_, written) | Stage::Repair(written) => Some(written),
            _ => None,
        }
    }

    pub(crate) fn written_mut(&mut self) -> Option<&mut Written> {
        match &mut self.stage {
            Stage::Intended(written) | Stage::Resulted(_, written) | Stage::Repair(written) => Some(written),
            _ => None,
        }
    }
}

impl Forwarder {
    pub(crate) fn acts(&self) -> impl Iterator<Item = &Act> {
        self.acts.iter().flatten()
    }

    pub(crate) fn at_rest(&self) -> bool {
        self.acts().next().is_none()
    }

    /// The records that it has on the wire.
    pub(crate) fn on_the_wire(&self) -> impl Iterator<Item = Record> {
        let written = self.acts().filter_map(Act::written).chain(self.claim);
        written.filter_map(|written| match written {
            Written::Wire(record) => Some(record),
            Written::Landed { .. } => None,
        })
    }
}

impl World {
    /// A record goes on without its process.
    pub(crate) fn wander(&mut self, record: Record) {
        if let Some(free) = self.wandering.iter_mut().find(|place| place.is_none()) {
            *free = Some(record);
        }
        self.wandering.sort_unstable();
    }
}
