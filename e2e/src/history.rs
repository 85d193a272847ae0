//! What was done to a deployment, with times: the causes that the checker looks for, and the schedule that a report shows.

use std::{
    fmt,
    time::{SystemTime, UNIX_EPOCH},
};

/// Something that was done to a worker, or to what it stands on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What.
    pub deed: Deed,
    /// To whom: a worker by the name that its claims carry.
    pub of: String,
    /// From when, in Unix milliseconds: not after it began.
    pub from: i64,
    /// Until when: not before it was over.
    pub until: i64,
}

/// What may be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// `kill -9` of a worker.
    Killed,
    /// SIGSTOP, until SIGCONT.
    Frozen,
    /// SIGTERM, until the worker's end.
    Drained,
    /// The same, and it left calls in flight to whoever is next, as its log says: its own time for them was over.
    DrainLeftCalls,
    /// The same, and its end was no success: not even its process's time was enough.
    DrainRanOut,
    /// `kill -9` of Kafka, until it is back; or SIGSTOP, until it goes on.
    KafkaKilled,
    /// `kill -9` of ClickHouse, until it is back.
    ClickHouseKilled,
    /// The line to Meta was cut: the moment, not the time without one, for then no request leaves.
    LineCut,
    /// Meta's stand-in was told to misbehave. What became of each request is in its own log.
    MetaOutage,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} … {} {:?} {}", self.from, self.until, self.deed, self.of)
    }
}

/// Now, in Unix milliseconds.
pub fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
