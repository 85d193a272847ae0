//! What waits at one dataset: parts of searches first, since their time is shorter, and live events before a backfill's.

use std::collections::VecDeque;

use schemas::Lane;
use tokio::time::Instant;

use super::{batch::Batch, ticket::Ticket};

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
}

impl Queue {
    /// An event at the end of its lane.
    pub(super) fn push(&mut self, ticket: Ticket) {
        self.note(ticket.start_by());
        self.lane(ticket.lane()).fresh.push_back(ticket);
    }

    /// Events that were at the front before, in their order.
    pub(super) fn push_back_in_front(&mut self, tickets: Vec<Ticket>) {
        for ticket in tickets.into_iter().rev() {
            self.note(ticket.start_by());
            self.lane(ticket.lane()).fresh.push_front(ticket);
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

    /// What to send next: a batch of one lane, of at most `size` events where nothing is known of them.
    pub(super) fn next(&mut self, size: usize) -> Option<Batch<Ticket>> {
        [&mut self.live, &mut self.backfill].into_iter().find_map(|lane| {
            lane.due.pop_front().or_else(|| {
                let events: Vec<_> = lane.fresh.drain(..size.min(lane.fresh.len())).collect();
                (!events.is_empty()).then(|| Batch::fresh(events))
            })
        })
    }

    /// Whether something could be sent now.
    pub(super) fn has_work(&self) -> bool {
        [&self.live, &self.backfill].iter().any(|lane| !lane.due.is_empty() || !lane.fresh.is_empty())
    }

    /// Whether nothing waits at all.
    pub(super) fn is_empty(&self) -> bool {
        !self.has_work() && self.later.is_empty()
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
    pub(super) fn take_out(&mut self, is_over: impl Fn(&Ticket) -> bool) -> Vec<Ticket> {
        let mut over = Vec::new();
        let mut fresh = Vec::new();
        self.first_deadline = None;
        let mut lanes = std::mem::take(self);
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
            if is_over(&ticket) { over.push(ticket) } else { self.push(ticket) }
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
