//! What goes into the dispatcher and what comes out.

use std::{
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use schemas::{ConversionEvent, MetaError};
use tokio::{sync::oneshot, time::Instant};

use super::{answer::Answer, classify::Class};

/// One event under an intent that counts (rule 8 of the ledger).
#[derive(Debug)]
pub struct Job {
    /// The event.
    pub event: Arc<ConversionEvent>,
    /// Read-back of the intent + 5 s: no request that carries the event starts after it.
    pub start_by: Instant,
    /// False once the partition is revoked or a newer claim was read: no request that carries the event starts then.
    pub may_send: Arc<AtomicBool>,
    /// The span of the event: the request's span belongs to it, or links to it where it carries several events.
    pub span: tracing::Span,
    /// Where the outcome goes, exactly once.
    pub done: oneshot::Sender<Settled>,
}

/// What became of a job.
#[derive(Clone, Debug, PartialEq)]
pub enum Report {
    /// Meta counted the event. With `dropped`, it counted fewer events than the batch held, and nobody knows which.
    Accepted {
        /// Meta's answer.
        answer: Arc<Answer>,
        /// Whether the batch was counted short.
        dropped: bool,
    },
    /// The event went alone, and a 200 did not count it.
    Dropped {
        /// Meta's answer.
        answer: Arc<Answer>,
    },
    /// Meta said no for good. The answer's class and error say why.
    Rejected {
        /// Meta's answer to this event alone, or to a batch whose fault is shared by all of it.
        answer: Arc<Answer>,
    },
    /// The business had no channel at the time of sending.
    NoChannel,
    /// The business has a channel, but its token cannot be decrypted with the keys that this process has.
    TokenUnreadable,
    /// The event passed 7 days before a request could carry it (again).
    TooOld,
    /// Definitely not counted, and not to be tried again before `after`: throttled, blocked, transient or not sent.
    Retry {
        /// Of the last request, or of the one that closed the dataset.
        class: Class,
        /// Until the dataset is worth another try.
        after: Duration,
    },
    /// A request that carried the event may have been counted, and none after it settled the matter.
    Unknown,
    /// Its time ran out, or it was fenced, or its channel changed, before a request settled it; definitely not counted.
    NotStarted,
}

impl Report {
    /// The name in metrics.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Accepted { dropped: false, .. } => "accepted",
            Self::Accepted { dropped: true, .. } => "counted_short",
            Self::Dropped { .. } => "dropped",
            Self::Rejected { .. } => "rejected",
            Self::NoChannel => "no_channel",
            Self::TokenUnreadable => "token_unreadable",
            Self::TooOld => "too_old",
            Self::Retry { .. } => "retry",
            Self::Unknown => "unknown",
            Self::NotStarted => "not_started",
        }
    }
}

/// A report, and what it took.
#[derive(Clone, Debug, PartialEq)]
pub struct Settled {
    /// What became of the event.
    pub report: Report,
    /// Requests that carried it.
    pub attempts: u32,
    /// Time those requests took together.
    pub spent: Duration,
    /// Whether an earlier request of this intent had an unknown outcome, whatever the report says: rule 8's reason for
    /// the call to join the list.
    pub had_unknown: bool,
    /// Meta's last error; `None` where none of its answers was one.
    pub last_error: Option<MetaError>,
}
