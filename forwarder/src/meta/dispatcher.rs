//! The dispatcher: a queue for each dataset, shared by all partitions of the process, so that a slow or dead dataset
//! delays no other (invariant 6; tests `a_dead_dataset_delays_no_other`, `what_is_over_a_share_is_not_let_in`).

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use schemas::Lane;
use tokio::{sync::mpsc, time::Instant};
use worker::vital::Vital;

use super::{
    channel::{Channels, DatasetKey},
    dataset,
    gate::{Admission, Gate},
    job::{Job, Report},
    metrics::Present,
    share::{Place, Room, Share},
    slots::Slots,
    ticket::Ticket,
    wire::Wire,
};

/// How much may be going on at once.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Events of one dataset, from admission to report.
    pub dataset: Room,
    /// Events of the process, from admission to report.
    pub process: Room,
    /// Requests at once to one dataset, where its channel does not say; at most half of the process's.
    pub dataset_requests: u32,
    /// Requests at once of the process, without those that have become slow, which may be as many.
    pub process_requests: usize,
    /// How long a dataset's queue is kept without work.
    pub idle: Duration,
    /// Now, in Unix milliseconds: the one place where the time of day enters, for the events' age.
    pub clock: fn() -> i64,
}

impl Limits {
    /// Room for 20,000 events a second at 200 ms, and for a merchant's backfill within 50 MB.
    pub fn new(clock: fn() -> i64) -> Self {
        Self {
            dataset: Room { events: 10_000, bytes: 24 << 20 },
            process: Room { events: 40_000, bytes: 64 << 20 },
            dataset_requests: 32,
            process_requests: 512,
            idle: Duration::from_mins(1),
            clock,
        }
    }
}

/// Why an event is not let in. No intent is to be written then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OverShare {
    /// The room of its dataset, or of the process, is full: a healthy Meta makes room within a moment.
    Full,
    /// Its dataset is closed by a throttle, a block or the breaker.
    Paused {
        /// How long until it is worth another try.
        retry_after: Duration,
    },
}

/// The way to Meta. Clones share everything.
#[derive(Clone)]
pub struct Dispatcher(Arc<Shared>);

/// What all datasets share.
pub(super) struct Shared {
    pub(super) wire: Arc<dyn Wire>,
    pub(super) channels: Arc<dyn Channels>,
    pub(super) limits: Limits,
    pub(super) slots: Slots,
    room: Arc<Share>,
    vital: Vital,
    datasets: Mutex<HashMap<DatasetKey, Arc<Dataset>>>,
}

/// What admission and a dataset's task share.
#[derive(Debug)]
pub(super) struct Dataset {
    pub(super) key: DatasetKey,
    room: Arc<Share>,
    gate: Mutex<Gate>,
    jobs: mpsc::UnboundedSender<Ticket>,
    _counted: Present,
}

/// Leave to submit one event; gives its place back when dropped.
#[derive(Debug)]
pub struct Permit {
    lane: Lane,
    business_id: String,
    /// `None` where the business had no channel at admission.
    seat: Option<Seat>,
}

#[derive(Debug)]
struct Seat {
    dataset: Arc<Dataset>,
    probe: bool,
    _places: [Place; 2],
    _counted: Present,
}

impl Dispatcher {
    /// A dispatcher without datasets. Its tasks run on the runtime that calls [`Dispatcher::admit`].
    pub fn new(wire: impl Wire, channels: impl Channels, limits: Limits, vital: Vital) -> Self {
        Self(Arc::new(Shared {
            wire: Arc::new(wire),
            channels: Arc::new(channels),
            slots: Slots::new(limits.process_requests),
            room: Share::new(limits.process),
            limits,
            vital,
            datasets: Mutex::default(),
        }))
    }

    /// Asks for room for an event of `bytes`, before its intent is written. `lane` is the one it travels in: a backfill
    /// may fill three quarters of a room. A business without a channel is let in, and told so by the report.
    ///
    /// # Errors
    /// Where the event is over its dataset's share, or the dataset is closed.
    pub fn admit(&self, business_id: &str, lane: Lane, bytes: usize) -> Result<Permit, OverShare> {
        let route = self.0.channels.route(business_id);
        let seat = route.map(|route| self.0.seat(route.key, lane, bytes)).transpose()?;
        Ok(Permit { lane, business_id: business_id.to_owned(), seat })
    }

    /// Hands an event over. Never blocks; the report comes through [`Job::done`].
    pub fn submit(&self, permit: Permit, job: Job) {
        let jobs = permit.seat.as_ref().map(|seat| seat.dataset.jobs.clone());
        let has_channel = jobs.is_some() || self.0.channels.route(&permit.business_id).is_some();
        let ticket = Ticket::new(job, permit);
        match jobs {
            // Should the dataset's task be gone, the ticket comes back and reports itself.
            Some(jobs) => drop(jobs.send(ticket)),
            None if has_channel => ticket.settle(Report::NotStarted),
            None => ticket.settle(Report::NoChannel),
        }
    }

    /// Events from admission to report.
    pub fn held(&self) -> usize {
        self.0.room.events()
    }
}

impl Shared {
    /// A seat is taken under the registry's lock: a dataset without seats can then be removed without losing one.
    fn seat(self: &Arc<Self>, key: DatasetKey, lane: Lane, bytes: usize) -> Result<Seat, OverShare> {
        let mut datasets = self.registry();
        let dataset = match datasets.entry(key) {
            Entry::Occupied(entry) => Arc::clone(entry.get()),
            Entry::Vacant(entry) => {
                let (jobs, queue) = mpsc::unbounded_channel();
                let dataset = Arc::new(Dataset {
                    key: entry.key().clone(),
                    room: Share::new(self.limits.dataset),
                    gate: Mutex::default(),
                    jobs,
                    _counted: Present::dataset(),
                });
                let task = dataset::run(Arc::clone(self), Arc::clone(&dataset), queue);
                self.vital.spawn("dataset", task);
                Arc::clone(entry.insert(dataset))
            }
        };
        // The gate comes first: a closed dataset says so even where it is full, for its events should not wait for room.
        let probe = match dataset.gate().admit(Instant::now()) {
            Admission::Free => false,
            Admission::Probe => true,
            Admission::Closed(retry_after) => return Err(OverShare::Paused { retry_after }),
        };
        let room = || Some([dataset.room.take(lane, bytes)?, self.room.take(lane, bytes)?]);
        let Some(places) = room() else {
            if probe {
                dataset.gate().probe_ended();
            }
            return Err(OverShare::Full);
        };
        Ok(Seat { dataset, probe, _places: places, _counted: Present::event() })
    }

    /// Removes a dataset that nobody has a seat at and that has nothing to remember. False where it must stay.
    pub(super) fn retire(&self, dataset: &Dataset) -> bool {
        let mut datasets = self.registry();
        let idle = dataset.room.events() == 0 && dataset.gate().is_at_rest(Instant::now());
        if idle {
            datasets.remove(&dataset.key);
        }
        idle
    }

    fn registry(&self) -> MutexGuard<'_, HashMap<DatasetKey, Arc<Dataset>>> {
        self.datasets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Dataset {
    /// Held for a few instructions, never across an await.
    pub(super) fn gate(&self) -> MutexGuard<'_, Gate> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit {
    /// The permit of a business without a channel.
    #[cfg(test)]
    pub(super) fn without_a_seat(lane: Lane) -> Self {
        Self { lane, business_id: String::new(), seat: None }
    }

    pub(super) fn lane(&self) -> Lane {
        self.lane
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if self.probe {
            self.dataset.gate().probe_ended();
        }
    }
}

#[cfg(test)]
mod tests;
