//! What the way to Meta measures. Labels are bounded: never a dataset, a business or a text of Meta's.

use std::sync::LazyLock;

use metrics::{Counter, Gauge, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

use super::{answer::Answer, classify::Class, job::Report};

/// Requests to Meta, by `class` of their answer.
const REQUESTS: &str = "capi_forwarder_meta_requests_total";
/// Events in one request.
const EVENTS: &str = "capi_forwarder_meta_request_events";
/// Seconds from the start of a request to the end of its answer, by `class`: failures too.
const SECONDS: &str = "capi_forwarder_meta_request_seconds";
/// Events that left the dispatcher, by `report`.
const REPORTS: &str = "capi_forwarder_meta_reports_total";
/// Events from admission to report.
const HELD: &str = "capi_forwarder_meta_events_held";
/// Datasets with a queue.
const DATASETS: &str = "capi_forwarder_meta_datasets";
/// Times a dataset was closed for a while, by `class` of the cause.
const PAUSES: &str = "capi_forwarder_meta_pauses_total";
/// Datasets that are closed now.
const PAUSED: &str = "capi_forwarder_meta_datasets_paused";
/// Batches that Meta counted short: events of which nobody knows whether Meta has them. Each is worth an alert.
const COUNTED_SHORT: &str = "capi_forwarder_meta_batches_counted_short_total";

/// The metrics of every event, looked up once: by name and labels it takes longer than the counting.
static HELD_NOW: LazyLock<Gauge> = LazyLock::new(|| gauge!(HELD));
static ACCEPTED: LazyLock<Counter> = LazyLock::new(|| counter!(REPORTS, "report" => "accepted"));

/// Names each metric for people. Call once, after the recorder is installed.
pub fn describe() {
    describe_counter!(REQUESTS, "Requests to Meta, by class of their answer");
    describe_histogram!(EVENTS, "Events in one request to Meta");
    describe_histogram!(SECONDS, "Seconds from the start of a request to the end of its answer, by class");
    describe_counter!(REPORTS, "Events that left the dispatcher, by report");
    describe_gauge!(HELD, "Events in the dispatcher, from admission to report");
    describe_gauge!(DATASETS, "Datasets with a queue");
    describe_counter!(PAUSES, "Times a dataset was closed for a while, by class of the cause");
    describe_gauge!(PAUSED, "Datasets that are closed now");
    describe_counter!(COUNTED_SHORT, "Batches of which Meta counted fewer events than were sent");
    begin();
}

/// A counter that appears with its first count shows Prometheus no increase: those that alerts watch begin at zero.
fn begin() {
    use Class::{Blocked, Envelope, OldVersion, Other, Permission, Throttled, Token, Unknown, Wiring};
    for class in [Class::Accepted, Token, Permission, Wiring, Envelope, OldVersion, Other, Throttled, Blocked, Unknown]
    {
        counter!(REQUESTS, "class" => class.as_str()).increment(0);
    }
    for class in [Class::NotSent, Class::Transient, Class::Dropped] {
        counter!(REQUESTS, "class" => class.as_str()).increment(0);
    }
    for report in [Report::TokenUnreadable, Report::NoChannel, Report::Unknown] {
        counter!(REPORTS, "report" => report.as_str()).increment(0);
    }
    counter!(COUNTED_SHORT).increment(0);
    for name in [HELD, DATASETS, PAUSED] {
        gauge!(name).increment(0.0);
    }
}

pub(super) fn answered(answer: &Answer, events: usize) {
    let class = answer.class.as_str();
    counter!(REQUESTS, "class" => class).increment(1);
    histogram!(SECONDS, "class" => class).record(answer.took);
    // At most a request's events.
    #[expect(clippy::cast_precision_loss)]
    histogram!(EVENTS).record(events as f64);
}

pub(super) fn reported(report: &Report) {
    match report {
        Report::Accepted { dropped: false, .. } => ACCEPTED.increment(1),
        other => counter!(REPORTS, "report" => other.as_str()).increment(1),
    }
}

pub(super) fn counted_short() {
    counter!(COUNTED_SHORT).increment(1);
}

/// A number of things that are there now: counted up when made, and down when dropped.
#[derive(Debug)]
pub(super) struct Present(Gauge);

impl Present {
    pub(super) fn event() -> Self {
        Self::in_gauge(HELD_NOW.clone())
    }

    pub(super) fn dataset() -> Self {
        Self::in_gauge(gauge!(DATASETS))
    }

    pub(super) fn pause(class: &'static str) -> Self {
        counter!(PAUSES, "class" => class).increment(1);
        Self::in_gauge(gauge!(PAUSED))
    }

    fn in_gauge(gauge: Gauge) -> Self {
        gauge.increment(1.0);
        Self(gauge)
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}
