//! How many, how large, how it went.

use std::{collections::BTreeMap, time::SystemTime};

use serde::{Deserialize, Serialize};

use super::{Settled, rfc3339};

/// How many datasets have counts of their own; the rest share [`OTHER_DATASETS`].
const DATASETS_KEPT: usize = 10_000;
/// The common entry of the datasets beyond the first ten thousand.
pub const OTHER_DATASETS: &str = "(others)";
/// How many names of fields that have no business here are kept.
const FOREIGN_FIELDS_KEPT: usize = 100;
/// The outcome that stands for a token outside its header.
const TOKEN_OUTSIDE_HEADER: &str = "token-in-url";

/// The counts since the start or the last reset.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Statistics {
    /// Since when, RFC 3339.
    pub since: String,
    /// Of all datasets.
    #[serde(flatten)]
    pub all: Tally,
    /// Number of requests by the number of events in them.
    pub requests_by_events: BTreeMap<usize, u64>,
    /// What a sender of ours must never do.
    pub alarms: Alarms,
    /// Of each dataset.
    pub datasets: BTreeMap<String, Tally>,
}

/// Counts of one dataset or of all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Requests read, whatever became of them.
    pub requests: u64,
    /// Events in the requests that could be read.
    pub events: u64,
    /// Events that were counted.
    pub credited: u64,
    /// Requests that have no answer yet.
    pub in_flight: u64,
    /// The most that were in flight at once.
    pub in_flight_peak: u64,
    /// Requests by the name of the behaviour that answered, `-counted` included.
    pub outcomes: BTreeMap<String, u64>,
}

/// What Meta would let pass, or punish later, but a sender of ours must never do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alarms {
    /// Requests with an access token in the URL or in the body.
    pub token_outside_header: u64,
    /// Events without an `event_id`.
    pub without_event_id: u64,
    /// Fields that are not part of the wire, by path, with the number of times seen.
    pub foreign_fields: BTreeMap<String, u64>,
}

impl Statistics {
    pub(crate) fn new() -> Self {
        Self {
            since: rfc3339(SystemTime::now()),
            all: Tally::default(),
            requests_by_events: BTreeMap::new(),
            alarms: Alarms::default(),
            datasets: BTreeMap::new(),
        }
    }

    pub(crate) fn arrive(&mut self, dataset: &str) {
        self.all.arrive();
        self.of(dataset).arrive();
    }

    pub(crate) fn leave(&mut self, dataset: &str) {
        self.all.leave();
        self.of(dataset).leave();
    }

    pub(crate) fn settle(&mut self, settled: &Settled) {
        self.all.settle(settled);
        self.of(&settled.seen.dataset).settle(settled);
        if settled.seen.events > 0 {
            *self.requests_by_events.entry(settled.seen.events).or_default() += 1;
        }
        self.alarms.settle(settled);
    }

    fn of(&mut self, dataset: &str) -> &mut Tally {
        let known = self.datasets.contains_key(dataset);
        let name = if known || self.datasets.len() < DATASETS_KEPT { dataset } else { OTHER_DATASETS };
        self.datasets.entry(name.to_owned()).or_default()
    }
}

impl Tally {
    fn arrive(&mut self) {
        self.requests += 1;
        self.in_flight += 1;
        self.in_flight_peak = self.in_flight_peak.max(self.in_flight);
    }

    fn leave(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    fn settle(&mut self, settled: &Settled) {
        self.events += settled.seen.events as u64;
        self.credited += settled.credits.len() as u64;
        *self.outcomes.entry(settled.seen.outcome.clone()).or_default() += 1;
    }
}

impl Alarms {
    fn settle(&mut self, settled: &Settled) {
        self.token_outside_header += u64::from(settled.seen.outcome == TOKEN_OUTSIDE_HEADER);
        self.without_event_id += settled.without_event_id;
        for field in &settled.foreign_fields {
            if let Some(times) = self.foreign_fields.get_mut(field) {
                *times += 1;
            } else if self.foreign_fields.len() < FOREIGN_FIELDS_KEPT {
                self.foreign_fields.insert(field.clone(), 1);
            }
        }
    }
}
