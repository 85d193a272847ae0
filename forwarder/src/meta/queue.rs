//! What waits at one dataset: parts of searches first, since their time is shorter, and live events before a backfill's.

use std::{collections::VecDeque, time::Duration};

use schemas::Lane;
use tokio::time::Instant;

use super::{batch::Batch, ticket::Ticket};

/// How long a backfill's events wait for company while another request of their dataset is under way: about as long as
/// Meta takes for one. Nobody waits for them, and a request costs Meta and us far more than one more event in it. Where
/// some are bad it counts double: a batch below its best size tells less of its events for the same request.
const COMPANY: Duration = Duration::from_millis(200);

/// Two lanes, each with batches that are due and events of which nothing is known.
#[derive(Debug, Default)]
pub(super) struct Queue {
    live: Waiting,
    backfill: Waiting,
    /// Batches that wait for their quick retry.
    later: Vec<(Instant, Batch<Ticket>)>,
    /// No later than the first deadline of all events here; `None` where there is none.
    first_deadline: Option<Instant>,
}

#[derive(Debug, Default)]
struct Waiting {
    due: VecDeque<Batch<Ticket>>,
    fresh: VecDeque<Ticket>,
    /// When `fresh` began to wait for its next batch.
    since: Option<Instant>,
}

impl Queue {
    /// An event at the end of its lane.
    pub(super) fn push(&mut self, ticket: Ticket, now: Instant) {
        self.note(ticket.start_by());
        let lane = self.lane(ticket.lane());
        lane.fresh.push_back(ticket);
        lane.since.get_or_insert(now);
    }

    /// Events that were at the front before, in their order.
    pub(super) fn push_back_in_front(&mut self, tickets: Vec<Ticket>, now: Instant) {
        for ticket in tickets.into_iter().rev() {
            self.note(ticket.start_by());
            let lane = self.lane(ticket.lane());
            lane.fresh.push_front(ticket);
            lane.since.get_or_insert(now);
        }
    }

    /// A part of a search, to be sent next.
    pub(super) fn push_due(&mut self, batch: Batch<Ticket>) {
        let Some(first) = batch.events.first() else { return };
        let lane = first.lane();
        self.note_all(&batch);
        self.lane(lane).due.push_back(batch);
    }

    /// A batch whose quick retry is due at `at`.
    pub(super) fn push_later(&mut self, at: Instant, batch: Batch<Ticket>) {
        self.note_all(&batch);
        self.later.push((at, batch));
    }

    /// Moves the retries that are due to where they are sent from.
    pub(super) fn advance(&mut self, now: Instant) {
        let mut at = 0;
        while at < self.later.len() {
            if self.later[at].0 <= now {
                let (_, batch) = self.later.swap_remove(at);
                self.push_due(batch);
            } else {
                at += 1;
            }
        }
    }

    /// What to send next: a batch of one lane, of at most `size` events where nothing is known of them. `alone` is whether
    /// no request of the dataset is under way: a backfill's events wait for company where one is.
    pub(super) fn next(&mut self, size: usize, alone: bool, now: Instant) -> Option<Batch<Ticket>> {
        if let Some(batch) = self.live.due.pop_front() {
            return Some(batch);
        }
        if !self.live.fresh.is_empty() {
            return Some(self.live.take(size, now));
        }
        let due = self.backfill.due.pop_front();
        due.or_else(|| self.backfill.leaves(size, alone, now).then(|| self.backfill.take(size, now)))
    }

    /// Whether something is to be sent now.
    pub(super) fn has_work(&self, size: usize, alone: bool, now: Instant) -> bool {
        let known = [&self.live, &self.backfill].iter().any(|lane| !lane.due.is_empty());
        known || !self.live.fresh.is_empty() || self.backfill.leaves(size, alone, now)
    }

    /// When the backfill's events have waited for company long enough.
    pub(super) fn company_until(&self) -> Option<Instant> {
        self.backfill.since.map(|since| since + COMPANY)
    }

    /// Whether nothing waits at all.
    pub(super) fn is_empty(&self) -> bool {
        [&self.live, &self.backfill].iter().all(|lane| lane.due.is_empty() && lane.fresh.is_empty())
            && self.later.is_empty()
    }

    /// When the next quick retry is due.
    pub(super) fn next_retry(&self) -> Option<Instant> {
        self.later.iter().map(|(at, _)| *at).min()
    }

    /// No later than the first deadline of all that waits.
    pub(super) fn first_deadline(&self) -> Option<Instant> {
        self.first_deadline
    }

    /// Takes out every event that `is_over`. A batch that loses one is no longer what its answer was to be about: what is
    /// left of it is as good as fresh.
    pub(super) fn take_out(&mut self, now: Instant, is_over: impl Fn(&Ticket) -> bool) -> Vec<Ticket> {
        let mut over = Vec::new();
        let mut fresh = Vec::new();
        self.first_deadline = None;
        let mut lanes = std::mem::take(self);
        // To be looked through is no reason to wait for longer.
        let since = lanes.backfill.since.unwrap_or(now);
        let later = std::mem::take(&mut lanes.later).into_iter().map(|(at, batch)| (Some(at), batch));
        let due = lanes.live.due.drain(..).chain(lanes.backfill.due.drain(..)).map(|batch| (None, batch));
        for (at, batch) in due.chain(later) {
            match at {
                _ if batch.all().any(&is_over) => fresh.extend(batch.into_all()),
                Some(at) => self.push_later(at, batch),
                None => self.push_due(batch),
            }
        }
        fresh.extend(lanes.live.fresh);
        fresh.extend(lanes.backfill.fresh);
        for ticket in fresh {
            if is_over(&ticket) { over.push(ticket) } else { self.push(ticket, since) }
        }
        over
    }

    fn lane(&mut self, lane: Lane) -> &mut Waiting {
        match lane {
            Lane::Live => &mut self.live,
            Lane::Backfill => &mut self.backfill,
        }
    }

    fn note(&mut self, start_by: Instant) {
        self.first_deadline = Some(self.first_deadline.map_or(start_by, |first| first.min(start_by)));
    }

    fn note_all(&mut self, batch: &Batch<Ticket>) {
        if let Some(first) = batch.all().map(Ticket::start_by).min() {
            self.note(first);
        }
    }
}

impl Waiting {
    /// Whether a batch of these events is to leave: it is full, or nothing else is under way, or they have waited enough.
    fn leaves(&self, size: usize, alone: bool, now: Instant) -> bool {
        let waited = self.since.is_some_and(|since| now >= since + COMPANY);
        self.fresh.len() >= size || (!self.fresh.is_empty() && (alone || waited))
    }

    fn take(&mut self, size: usize, now: Instant) -> Batch<Ticket> {
        let batch = Batch::fresh(self.fresh.drain(..size.min(self.fresh.len())).collect());
        self.since = (!self.fresh.is_empty()).then_some(now);
        batch
    }
}
