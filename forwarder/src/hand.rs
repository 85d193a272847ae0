//! An event in hand: from the moment it is read until its offset may pass.

use std::sync::Arc;

use schemas::{
    CallId, OrderHash, Reason,
    ledger::{Accepted, Listed},
};

use crate::{
    inputs::Arrived,
    ledger::decide::Candidate,
    meta::Permit,
    tenure::Tenure,
    tiers::{Delay, Spent},
};

/// Names an event in hand within its partition.
pub type Token = u64;

/// An event in hand.
pub struct Hand {
    /// The event as it was read.
    pub arrived: Box<Arrived>,
    /// Its order, as the ledger knows it.
    pub order: OrderHash,
    /// The tenure that read it; only that one may commit it.
    pub tenure: Arc<Tenure>,
    /// What was spent on Meta, tiers included.
    pub spent: Spent,
    /// Where it stands.
    pub stage: Stage,
}

/// Where an event in hand stands.
pub enum Stage {
    /// It waits for a decision: at once, or when its order moves, or when there is room.
    Undecided,
    /// Its intent is written and not yet read back.
    Intended {
        /// The epoch that the intent names.
        epoch: i64,
        /// The list that the intent carries.
        listed: Listed,
        /// Its place in the dataset's queue.
        permit: Permit,
    },
    /// Its intent counts, and it is with the dispatcher.
    Sent {
        /// Offset of the intent.
        intent: i64,
        /// The list that the intent carries.
        listed: Listed,
    },
    /// Its result is written and not yet read back.
    Resulted(End),
    /// What it ends with is on its way to Kafka.
    Settling,
}

/// What the result of an intent means for the event.
#[derive(Clone, Debug)]
pub enum End {
    /// Meta counted it.
    Credited(Accepted),
    /// It failed for good.
    Rejected(Reason),
    /// It waits in a tier.
    Delayed(Delay),
    /// It never left: it may have another intent.
    Unsent,
}

impl Hand {
    /// An event that was just read.
    pub fn new(arrived: Box<Arrived>, tenure: Arc<Tenure>) -> Self {
        let (order, spent) = (arrived.key.hash(), Spent::before(&arrived.event));
        Self { arrived, order, tenure, spent, stage: Stage::Undecided }
    }

    /// The call.
    pub fn call(&self) -> CallId {
        self.arrived.event.call.call_id
    }

    /// What a decision needs to know of it.
    pub fn candidate(&self) -> Candidate {
        let call = &self.arrived.event.call;
        Candidate {
            call: call.call_id,
            received_at: call.received_at,
            event_time: call.event_time.unwrap_or(call.received_at / 1000),
        }
    }
}
