//! A job inside the dispatcher: its place, what it went through, and the promise of exactly one report.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use schemas::{ConversionEvent, Lane, MetaError};
use tokio::{sync::oneshot, time::Instant};

use crate::age::is_too_old;

use super::{
    answer::Answer,
    classify::Class,
    dispatcher::Permit,
    job::{Job, Report, Settled},
    metrics,
};

/// A job with its permit. However it ends, even by a panic or the end of the runtime, it sends its report when it goes
/// (test `a_ticket_that_is_lost_reports_what_is_known`).
#[derive(Debug)]
pub(super) struct Ticket {
    pub(super) event: Arc<ConversionEvent>,
    pub(super) span: tracing::Span,
    start_by: Instant,
    may_send: Arc<AtomicBool>,
    /// `None` once the report is sent.
    done: Option<oneshot::Sender<Settled>>,
    /// Gives the place back after the report.
    permit: Permit,
    attempts: u32,
    spent: Duration,
    had_unknown: bool,
    /// Whether a request that carries it is on its way.
    in_flight: bool,
    last: Option<Class>,
    last_error: Option<MetaError>,
}

impl Ticket {
    pub(super) fn new(job: Job, permit: Permit) -> Self {
        let Job { event, start_by, may_send, span, done } = job;
        Self {
            event,
            span,
            start_by,
            may_send,
            done: Some(done),
            permit,
            attempts: 0,
            spent: Duration::ZERO,
            had_unknown: false,
            in_flight: false,
            last: None,
            last_error: None,
        }
    }

    /// The lane it travels in.
    pub(super) fn lane(&self) -> Lane {
        self.permit.lane()
    }

    /// No request that carries it may start after this.
    pub(super) fn start_by(&self) -> Instant {
        self.start_by
    }

    /// Whether a request that carries it may start at `at`, as far as is known now (rule 8).
    pub(super) fn may_start(&self, at: Instant) -> bool {
        at <= self.start_by && self.may_send.load(Ordering::Acquire)
    }

    /// Whether Meta would refuse it for its age.
    pub(super) fn is_too_old(&self, now_ms: i64) -> bool {
        self.event.call.event_time.is_some_and(|time| is_too_old(time, now_ms))
    }

    /// Requests that carried it.
    pub(super) fn attempts(&self) -> u32 {
        self.attempts
    }

    /// A request that carries it leaves.
    pub(super) fn leaves(&mut self) {
        self.attempts += 1;
        self.in_flight = true;
    }

    /// The answer to its request is here; `lone` where no other event was in it.
    pub(super) fn answered(&mut self, answer: &Answer, lone: bool) {
        self.in_flight = false;
        self.spent += answer.took;
        self.last = Some(answer.class);
        self.had_unknown |= answer.class == Class::Unknown;
        // What a batch was refused for may be another event's fault, and must not stand in this one's record.
        if answer.error.is_some() && (lone || !answer.class.is_definite_rejection()) {
            self.last_error.clone_from(&answer.error);
        }
    }

    /// Its own verdict.
    pub(super) fn settle(mut self, report: Report) {
        self.report(report);
    }

    /// It cannot be sent (again) under its intent: what is known of it decides. `after` is how long its dataset is closed,
    /// and why, where it is.
    pub(super) fn give_up(mut self, closed: Option<(Class, Duration)>) {
        let report = self.unfinished(closed);
        self.report(report);
    }

    fn unfinished(&self, closed: Option<(Class, Duration)>) -> Report {
        if self.had_unknown || self.in_flight {
            return Report::Unknown;
        }
        match (self.last.filter(|class| class.is_retryable()), closed) {
            (Some(class), None) => Report::Retry { class, after: Duration::ZERO },
            (class, Some((cause, after))) => Report::Retry { class: class.unwrap_or(cause), after },
            (None, None) => Report::NotStarted,
        }
    }

    fn report(&mut self, report: Report) {
        let Some(done) = self.done.take() else { return };
        metrics::reported(&report);
        if let Report::Rejected { answer } = &report {
            self.last_error.clone_from(&answer.error);
        }
        let settled = Settled {
            report,
            attempts: self.attempts,
            spent: self.spent,
            had_unknown: self.had_unknown || self.in_flight,
            last_error: self.last_error.take(),
        };
        // Nobody waits any more where the worker is on its way down; the open intent tells the next owner all it needs.
        let _ = done.send(settled);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let report = self.unfinished(None);
        self.report(report);
    }
}
