//! What the sandbox has seen and counted.

pub mod credited;
pub mod seen;
pub mod statistics;

use std::{collections::VecDeque, sync::Arc, time::SystemTime};

use self::{
    credited::{Credit, Credited},
    seen::Seen,
    statistics::Statistics,
};
use crate::Sandbox;

/// How many requests are kept with their particulars.
const REQUESTS_KEPT: usize = 20_000;
/// How many events of those requests are kept by name: requests go early where each carries many.
const CARRIED_KEPT: usize = 200_000;

/// Everything that is written down about requests and events.
pub(crate) struct Books {
    pub(crate) credited: Credited,
    pub(crate) statistics: Statistics,
    seen: VecDeque<Seen>,
    /// Events in `seen`.
    carried: usize,
    last_number: u64,
    /// Grows with every reset, so that a request from before it does not disturb the counts after it.
    era: u64,
}

/// A request that has not been answered; leaves the books' in-flight count when dropped, however that comes about.
pub(crate) struct Arrival {
    sandbox: Sandbox,
    dataset: Arc<str>,
    era: u64,
    /// Numbers requests from 1.
    pub(crate) number: u64,
}

/// What became of a request.
pub(crate) struct Settled {
    pub(crate) seen: Seen,
    pub(crate) credits: Vec<Credit>,
    pub(crate) foreign_fields: Vec<String>,
    pub(crate) without_event_id: u64,
}

impl Books {
    pub(crate) fn new(credits_kept: usize) -> Self {
        Self {
            credited: Credited::new(credits_kept),
            statistics: Statistics::new(),
            seen: VecDeque::new(),
            carried: 0,
            last_number: 0,
            era: 0,
        }
    }

    pub(crate) fn clear(&mut self) {
        let era = self.era + 1;
        *self = Self { era, last_number: self.last_number, ..Self::new(self.credited.kept_at_most()) };
    }

    /// Writes down a judged request, before its answer leaves.
    pub(crate) fn settle(&mut self, settled: Settled) {
        self.statistics.settle(&settled);
        for credit in settled.credits {
            self.credited.add(credit);
        }
        self.carried += settled.seen.carried.len();
        self.seen.push_back(settled.seen);
        while (self.seen.len() > REQUESTS_KEPT || self.carried > CARRIED_KEPT)
            && let Some(oldest) = self.seen.pop_front()
        {
            self.carried -= oldest.carried.len();
        }
    }

    /// An answer to this request leaves.
    pub(crate) fn answered(&mut self, number: u64) {
        if let Some(seen) = self.seen.iter_mut().rev().find(|seen| seen.number == number) {
            seen.answered = true;
        }
    }

    /// The last requests, the newest first.
    pub(crate) fn seen(&self) -> impl Iterator<Item = &Seen> {
        self.seen.iter().rev()
    }
}

impl Sandbox {
    pub(crate) fn arrive(&self, dataset: Arc<str>) -> Arrival {
        let mut books = self.books();
        books.last_number += 1;
        books.statistics.arrive(&dataset);
        Arrival { sandbox: self.clone(), dataset, era: books.era, number: books.last_number }
    }
}

impl Drop for Arrival {
    fn drop(&mut self) {
        let mut books = self.sandbox.books();
        if books.era == self.era {
            books.statistics.leave(&self.dataset);
        }
    }
}

/// A moment as people and databases read it.
pub(crate) fn rfc3339(at: SystemTime) -> String {
    humantime::format_rfc3339_millis(at).to_string()
}
