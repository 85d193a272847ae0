//! The task of one dataset: takes what waits, sends it, and follows up on the answers.

use std::{sync::Arc, time::Duration};

use futures::future::{FusedFuture as _, FutureExt as _, OptionFuture};
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Instant, sleep_until},
};
use tracing::Instrument as _;

use super::{
    answer::Answer,
    batch::Batch,
    classify::{Class, Fault},
    concurrency::Concurrency,
    dispatcher::{Dataset, Shared},
    job::Report,
    metrics,
    prepare::{Prepared, prepare},
    queue::Queue,
    refusals::Refusals,
    slots::Slot,
    span::request_span,
    ticket::Ticket,
};

/// How often events that wait are asked whether they may still be sent: a fence gives no other notice.
const SWEEP: Duration = Duration::from_millis(500);

/// How often what waits is searched for what is over: deadlines lie close together.
const GRAIN: Duration = Duration::from_millis(20);

/// Above this share of a limit, in per cent, a dataset is slowed down as if it had been throttled.
const NEARLY_FULL: u32 = 90;

/// Runs until the dataset has been without work for the idle time and has nothing to remember.
pub(super) async fn run(shared: Arc<Shared>, dataset: Arc<Dataset>, jobs: mpsc::UnboundedReceiver<Ticket>) {
    let concurrency = Concurrency::new(shared.limits.dataset_requests.min(shared.slots.of_one_dataset()));
    let task = Task {
        shared,
        dataset,
        jobs,
        queue: Queue::default(),
        requests: JoinSet::new(),
        concurrency,
        refusals: Refusals::default(),
        swept: Instant::now(),
    };
    task.run().await;
}

struct Task {
    shared: Arc<Shared>,
    dataset: Arc<Dataset>,
    jobs: mpsc::UnboundedReceiver<Ticket>,
    queue: Queue,
    /// Requests on their way, each with what it carries.
    requests: JoinSet<(Batch<Ticket>, Answer)>,
    concurrency: Concurrency,
    refusals: Refusals,
    swept: Instant,
}

impl Task {
    async fn run(mut self) {
        let mut arrived = Vec::new();
        let mut slot = None;
        // Kept from round to round: whoever asked first for one of the process's slots gets it first.
        let mut asking = OptionFuture::default();
        loop {
            self.sweep();
            self.start(slot.take());
            let wants_slot = self.may_start_more();
            if !wants_slot {
                asking = OptionFuture::default();
            } else if asking.is_terminated() {
                asking = Some(self.shared.slots.clone().wait().boxed().fuse()).into();
            }
            let wake = self.wake();
            tokio::select! {
                _ = self.jobs.recv_many(&mut arrived, 1024) => {
                    let now = Instant::now();
                    arrived.drain(..).for_each(|ticket| self.queue.push(ticket, now));
                }
                Some(ended) = self.requests.join_next() => match ended {
                    Ok((batch, answer)) => self.answered(batch, answer),
                    // Its tickets have reported themselves as unknown.
                    Err(error) => tracing::error!(%error, "a request's task failed"),
                },
                free = &mut asking, if wants_slot => slot = free.flatten(),
                () = sleep_until(wake) => if self.is_idle() && self.shared.retire(&self.dataset) {
                    return;
                },
            }
        }
    }

    fn is_idle(&mut self) -> bool {
        self.queue.is_empty() && self.requests.is_empty() && !self.refusals.goes_singly(Instant::now())
    }

    /// When to look again though nothing happens.
    fn wake(&self) -> Instant {
        let now = Instant::now();
        if self.queue.is_empty() {
            return now + self.shared.limits.idle;
        }
        let opens = self.dataset.gate().closed_until(now).map(|(until, _)| until);
        // One tick after the deadline: at the deadline itself a request may still start.
        let tick = Duration::from_millis(1);
        let deadline = self.queue.first_deadline().map(|first| (first + tick).max(self.swept + GRAIN));
        // Once they have waited enough, only a slot is missing.
        let company = self.queue.company_until().filter(|until| *until > now);
        let next = [opens, deadline, self.queue.next_retry(), company].into_iter().flatten().min();
        next.map_or(now + SWEEP, |next| next.clamp(now, now + SWEEP))
    }

    /// Reports what cannot be sent any more: its time is over, it is fenced, or its dataset opens too late for it.
    fn sweep(&mut self) {
        let now = Instant::now();
        self.queue.advance(now);
        let closed = self.dataset.gate().closed_until(now);
        let due = self.queue.first_deadline().is_some_and(|first| closed.map_or(now, |(until, _)| until) > first);
        if now < self.swept + if due { GRAIN } else { SWEEP } {
            return;
        }
        self.swept = now;
        let earliest = closed.map_or(now, |(until, _)| until);
        let closed = closed.map(|(until, class)| (class, until - now));
        for ticket in self.queue.take_out(now, |ticket| !ticket.may_start(earliest)) {
            ticket.give_up(closed);
        }
    }

    fn may_start_more(&mut self) -> bool {
        let now = Instant::now();
        let slots = self.dataset.gate().slots(now, self.concurrency.limit());
        let size = self.refusals.batch_size(now);
        self.requests.len() < slots && self.queue.has_work(size, self.requests.is_empty(), now)
    }

    /// Starts as many requests as may be under way. `slot` is one of the process's that was waited for.
    fn start(&mut self, mut slot: Option<Slot>) {
        while self.may_start_more() {
            let taken = slot.take().or_else(|| self.shared.slots.take());
            let Some(taken) = taken else { return };
            slot = self.start_one(taken);
        }
    }

    /// Takes everything that waits, as far as one request holds it: a live event never waits for company, and a lone one
    /// of a backfill leaves at once too. Gives the slot back where nothing is left to send.
    fn start_one(&mut self, slot: Slot) -> Option<Slot> {
        let now = Instant::now();
        let size = self.refusals.batch_size(now);
        let Some(batch) = self.queue.next(size, self.requests.is_empty(), now) else { return Some(slot) };
        let now_ms = (self.shared.limits.clock)();
        let Prepared { request, back } = prepare(batch, &self.dataset.key, &*self.shared.channels, now, now_ms);
        self.queue.push_back_in_front(back, now);
        let Some((request, mut batch, channel)) = request else { return Some(slot) };
        let most = channel.route.max_concurrency.unwrap_or(self.shared.limits.dataset_requests);
        self.concurrency.set_most(most.min(self.shared.slots.of_one_dataset()));
        batch.events.iter_mut().for_each(Ticket::leaves);
        let span = request_span(&self.dataset.key, &batch.events);
        let wire = Arc::clone(&self.shared.wire);
        self.requests.spawn(
            async move {
                let answer = slot.hold(wire.send(request)).await;
                super::span::answered(&answer, batch.events.len());
                (batch, answer)
            }
            .instrument(span),
        );
        None
    }

    fn answered(&mut self, mut batch: Batch<Ticket>, answer: Answer) {
        let now = Instant::now();
        metrics::answered(&answer, batch.events.len());
        let lone = batch.events.len() == 1;
        batch.events.iter_mut().for_each(|ticket| ticket.answered(&answer, lone));
        self.dataset.gate().observe(answer.class, answer.usage.regain, batch.retries.is_fresh(), now);
        self.regulate(&answer);
        match (answer.class, answer.class.fault()) {
            (Class::Accepted, _) => self.accepted(batch, &Arc::new(answer), now),
            (Class::Dropped, _) => self.counted_short(batch, &Arc::new(answer), now),
            (_, Some(fault)) => self.rejected(batch, &Arc::new(answer), fault, now),
            (_, None) => self.retry(batch, now),
        }
    }

    fn regulate(&mut self, answer: &Answer) {
        let nearly_full = answer.usage.percent.is_some_and(|percent| percent >= NEARLY_FULL);
        if answer.class == Class::Throttled || nearly_full {
            self.concurrency.throttled();
        } else if !answer.class.is_retryable() {
            self.concurrency.succeeded();
        }
    }

    fn accepted(&mut self, batch: Batch<Ticket>, answer: &Arc<Answer>, now: Instant) {
        self.refusals.accepted(batch.events.len());
        let (accepted, next) = batch.accepted(self.refusals.batch_size(now));
        for ticket in accepted {
            ticket.settle(Report::Accepted { answer: Arc::clone(answer), dropped: false });
        }
        if let Some(next) = next {
            self.queue.push_due(next);
        }
    }

    /// Of a batch that was counted short nobody knows which event is missing: all are taken for accepted, none is sent
    /// again, and the dataset goes singly for a while. A single event has its name already.
    fn counted_short(&mut self, batch: Batch<Ticket>, answer: &Arc<Answer>, now: Instant) {
        let lone = batch.events.len() == 1;
        self.refusals.accepted(batch.events.len());
        if !lone {
            tracing::error!(
                dataset = %self.dataset.key.dataset_id, sent = batch.events.len(), counted = answer.events_received,
                fbtrace_id = %answer.fbtrace_id, "Meta counted fewer events than were sent"
            );
            metrics::counted_short();
            self.refusals.counted_short(now);
        }
        let (counted, next) = batch.accepted(self.refusals.batch_size(now));
        for ticket in counted {
            let answer = Arc::clone(answer);
            ticket.settle(if lone { Report::Dropped { answer } } else { Report::Accepted { answer, dropped: true } });
        }
        if let Some(next) = next {
            self.queue.push_due(next);
        }
    }

    fn rejected(&mut self, batch: Batch<Ticket>, answer: &Arc<Answer>, fault: Fault, now: Instant) {
        if batch.events.len() == 1 && fault != Fault::Request {
            self.refusals.rejected();
        }
        let rejection = batch.rejected(answer, fault, self.refusals.batch_size(now));
        for (ticket, answer) in rejection.verdicts {
            ticket.settle(Report::Rejected { answer });
        }
        if let Some(next) = rejection.next {
            self.queue.push_due(next);
        }
        self.queue.push_back_in_front(rejection.released, now);
    }

    /// A quick retry, as long as there are some left; otherwise the events go, with what is known of them. One whose time
    /// ends before the retry is told so by [`Task::sweep`].
    fn retry(&mut self, mut batch: Batch<Ticket>, now: Instant) {
        let closed = self.dataset.gate().closed_until(now);
        if let Some(wait) = batch.retries.next() {
            let opens = closed.map_or(now, |(until, _)| until);
            self.queue.push_later((now + wait).max(opens), batch);
            return;
        }
        let released = batch.dissolve();
        self.queue.push_back_in_front(released, now);
        for ticket in batch.events {
            ticket.give_up(closed.map(|(until, class)| (class, until - now)));
        }
    }
}
