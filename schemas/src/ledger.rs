//! The records of the order ledger. What they do to an order is the forwarder's fold; here is only what they hold.
//! Every record but [`Claim`] has the order as its key and carries the order's list, so that the last one is enough.

mod listed;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{CallId, DecodeError, Message, codec};

pub use listed::Listed;

/// Key of every [`Claim`], so that compaction keeps the last one.
pub const CLAIM_KEY: &str = "claim";

/// A forwarder takes a partition over; the record's offset is the partition's epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// Tells one's own claim from another's.
    pub claim_id: Uuid,
    /// The claiming forwarder, for people.
    pub instance: String,
    /// The partition count P of the topics that share the order key.
    pub partitions: i32,
    /// The deduplication window, in milliseconds.
    pub window_ms: i64,
    /// When it was written, in Unix milliseconds.
    pub at: i64,
}

/// A call is about to be sent to Meta.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// Offset of the writer's claim.
    pub epoch: i64,
    /// The call to be sent.
    pub call: CallId,
    /// Offset of the open intent, or of the expired acceptance, that this one replaces; 0 for none.
    pub overrides: i64,
    /// The order's list.
    pub listed: Listed,
    /// When it was written, in Unix milliseconds.
    pub at: i64,
}

/// Meta counted the call of an intent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// Offset of the intent.
    pub intent: i64,
    /// The credited call.
    pub call: CallId,
    /// The order's list.
    pub listed: Listed,
    /// When Meta accepted it, in Unix milliseconds.
    pub at: i64,
    /// 1; `None` where a batch was counted only in part.
    pub events_received: Option<i32>,
    /// Meta's trace id.
    pub fbtrace_id: String,
    /// HTTP status of Meta's answer.
    pub http_status: i32,
    /// Requests to Meta that carried the call.
    pub forward_attempts: i32,
    /// Milliseconds spent on Meta.
    pub forward_ms: i64,
}

/// The request of an intent was definitely not counted, or never left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// Offset of the intent.
    pub intent: i64,
    /// The call.
    pub call: CallId,
    /// The order's list.
    pub listed: Listed,
    /// When it was refused, in Unix milliseconds.
    pub at: i64,
}

/// The whole state of an order, written by the partition's owner after a void record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Offset of the writer's claim.
    pub epoch: i64,
    /// Offset of the void record that this repairs. Had a record of the order counted after it, this one would take
    /// that back: it is then void itself.
    pub after: i64,
    /// The open intent, if any.
    pub open: Option<OpenIntent>,
    /// The credit, if any.
    pub accepted: Option<Acceptance>,
    /// The order's list.
    pub listed: Listed,
    /// When it was written, in Unix milliseconds.
    pub at: i64,
}

/// An intent without a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenIntent {
    /// Its offset.
    pub intent: i64,
    /// Its writer's epoch.
    pub epoch: i64,
    /// Its call.
    pub call: CallId,
}

/// The credit of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acceptance {
    /// Offset of the [`Accepted`] record.
    pub offset: i64,
    /// The credited call.
    pub call: CallId,
    /// When Meta accepted it, in Unix milliseconds.
    pub at: i64,
}

/// Any record of the orders topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LedgerRecord {
    /// See [`Claim`].
    Claim(Claim),
    /// See [`Intent`].
    Intent(Intent),
    /// See [`Accepted`].
    Accepted(Accepted),
    /// See [`Refused`].
    Refused(Refused),
    /// See [`State`].
    State(State),
}

impl LedgerRecord {
    /// Avro, single-object encoding.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Claim(record) => record.encode(),
            Self::Intent(record) => record.encode(),
            Self::Accepted(record) => record.encode(),
            Self::Refused(record) => record.encode(),
            Self::State(record) => record.encode(),
        }
    }

    /// Reads a record by the schema that its fingerprint names.
    ///
    /// # Errors
    /// Where the bytes are none of these records, or are cut.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        match codec::name_of(bytes)? {
            Intent::NAME => Intent::decode(bytes).map(Self::Intent),
            Accepted::NAME => Accepted::decode(bytes).map(Self::Accepted),
            Refused::NAME => Refused::decode(bytes).map(Self::Refused),
            State::NAME => State::decode(bytes).map(Self::State),
            Claim::NAME => Claim::decode(bytes).map(Self::Claim),
            other => Err(DecodeError::WrongMessage { expected: "a ledger record", found: other }),
        }
    }
}
