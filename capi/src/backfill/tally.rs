//! What is counted while a backfill runs.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// How long a trouble is told of after it was last met.
const TOLD: Duration = Duration::from_secs(5);

/// Counts of one run, and of the runs before it that its journals remember.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Lines that the endpoint has, in this run or before.
    pub(crate) accepted: Count,
    /// Lines that were refused, in this run or before.
    pub(crate) refused: Count,
    /// Lines of which nobody knows whether they were taken.
    pub(crate) unknown: Count,
    /// Those of the accepted and refused that were so before this run.
    pub(crate) before: Count,
    /// Calls that were sent once more.
    pub(crate) retried: Count,
    trouble: Mutex<Option<(Instant, String)>>,
}

/// A number that grows.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Tally {
    /// Lines that were answered in this run.
    pub(crate) fn answered_now(&self) -> u64 {
        (self.accepted.get() + self.refused.get()).saturating_sub(self.before.get())
    }

    /// Why it does not go on.
    pub(crate) fn trouble(&self, why: &str) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), why.to_owned()));
    }

    /// Why it does not go on, where it was so a moment ago.
    pub(crate) fn present_trouble(&self) -> Option<String> {
        let trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        trouble.as_ref().filter(|(at, _)| at.elapsed() < TOLD).map(|(_, why)| why.clone())
    }
}
