//! A valid call on its way to Meta.

use serde::{Deserialize, Serialize};

use crate::{Call, Lane, MetaError, OrderKey};

/// Header of an event that names the partition of the verdicts topic on which an ingest instance waits.
/// Absent where nobody waits.
pub const VERDICT_PARTITION_HEADER: &str = "verdict-partition";

/// A valid call on its way to Meta: a message of the event lanes and of the delay tiers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConversionEvent {
    /// What the merchant reported.
    pub call: Call,
    /// The lane the call came in by. A replay keeps it, though it travels in the backfill lane.
    pub lane: Lane,
    /// `None` until the event has been in a delay tier.
    pub progress: Option<Progress>,
}

impl ConversionEvent {
    /// The order this event belongs to.
    pub fn order_key(&self) -> OrderKey {
        OrderKey::of(&self.call)
    }
}

/// How far the forwarding came, in the copy of an event that waits in a delay tier.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The tier that holds this copy, from 1.
    pub tier: i32,
    /// When it may be tried again, in Unix milliseconds.
    pub not_before: i64,
    /// Requests to Meta so far.
    pub forward_attempts: i32,
    /// Milliseconds spent on Meta so far.
    pub forward_ms: i64,
    /// Meta's last error; `None` where no answer came.
    pub last_error: Option<MetaError>,
}
