//! What ingest counts. Every name begins with `capi_ingest_`; every label has a bounded set of values.

use std::time::Duration;

use http::StatusCode;
use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use worker::server::Counted;

use crate::admission::Overload;

const CALLS: &str = "capi_ingest_calls_total";
const CALL_SECONDS: &str = "capi_ingest_call_seconds";
const LOOKUPS: &str = "capi_ingest_lookups_total";
const LOOKUP_SECONDS: &str = "capi_ingest_lookup_seconds";
const IN_FLIGHT: &str = "capi_ingest_calls_in_flight";
const WAITERS: &str = "capi_ingest_waiters";
const VERDICTS: &str = "capi_ingest_verdicts_total";
const LIMITED: &str = "capi_ingest_limited_total";
const OVERLOADS: &str = "capi_ingest_overloads_total";
const PRODUCE_FAILURES: &str = "capi_ingest_produce_failures_total";
const UNREADABLE: &str = "capi_ingest_unreadable_total";
const CONNECTIONS: &str = "capi_ingest_connections";
const MADE_WAY: &str = "capi_ingest_connections_made_way_total";

/// What connections on the public address are counted as.
pub const PUBLIC_ADDRESS: Counted = Counted { connections: CONNECTIONS, made_way: MADE_WAY };

/// Gives every metric its help text, and begins those that alerts watch at zero: a counter that appears with its first
/// count shows Prometheus no increase.
pub fn describe() {
    begin();
    describe_counter!(CALLS, "Answers, by HTTP status and by outcome: a conversion status, or the reason of a failure");
    describe_histogram!(CALL_SECONDS, Unit::Seconds, "From a request's arrival to its answer, by outcome");
    describe_counter!(
        LOOKUPS,
        "Answers about past calls, by HTTP status and by outcome: found, or the reason of a failure"
    );
    describe_histogram!(LOOKUP_SECONDS, Unit::Seconds, "From a question about past calls to its answer, by outcome");
    describe_gauge!(IN_FLIGHT, "Calls in flight");
    describe_gauge!(WAITERS, "Callers that wait for a verdict");
    describe_counter!(VERDICTS, "Verdicts seen on this instance's partition, by whether a caller here waited for them");
    describe_counter!(
        LIMITED,
        "Requests over a limit, by whose: calls or lookups of a business, or a client address that fails"
    );
    describe_counter!(OVERLOADS, "Calls not let in, by what there was too much of or what was not ready");
    describe_counter!(PRODUCE_FAILURES, "Messages that the queue did not acknowledge in time, by topic");
    describe_counter!(UNREADABLE, "Messages that could not be read, by topic");
    describe_gauge!(CONNECTIONS, "Open connections on the public address");
    describe_counter!(MADE_WAY, "Quiet connections that were asked to make way for new ones, there being no room left");
}

fn begin() {
    for gauge in [gauge!(IN_FLIGHT), gauge!(WAITERS), gauge!(CONNECTIONS)] {
        gauge.increment(0.0);
    }
    counter!(MADE_WAY).increment(0);
    for (http, outcome) in
        [("200", "forwarded"), ("200", "pending"), ("401", "API_KEY_INVALID"), ("503", "UNAVAILABLE")]
    {
        counter!(CALLS, "http_status" => http, "outcome" => outcome).increment(0);
    }
    for (http, outcome) in [("200", "found"), ("404", "CALL_NOT_FOUND"), ("503", "UNAVAILABLE")] {
        counter!(LOOKUPS, "http_status" => http, "outcome" => outcome).increment(0);
    }
    for awaited in ["true", "false"] {
        counter!(VERDICTS, "awaited" => awaited).increment(0);
    }
    for limit in ["business", "client", "lookups"] {
        counter!(LIMITED, "limit" => limit).increment(0);
    }
    for of in ["calls", "body_bytes", "not_ready"] {
        counter!(OVERLOADS, "of" => of).increment(0);
    }
    for topic in ["events.live", "events.backfill", "records"] {
        counter!(PRODUCE_FAILURES, "topic" => topic).increment(0);
    }
    for topic in ["verdicts", "directory"] {
        counter!(UNREADABLE, "topic" => topic).increment(0);
    }
}

/// A call was answered.
pub fn answered(http: StatusCode, outcome: &'static str, elapsed: Duration) {
    counter!(CALLS, "http_status" => http.as_str().to_owned(), "outcome" => outcome).increment(1);
    histogram!(CALL_SECONDS, "outcome" => outcome).record(elapsed);
}

/// A question about past calls was answered.
pub fn looked_up(http: StatusCode, outcome: &'static str, elapsed: Duration) {
    counter!(LOOKUPS, "http_status" => http.as_str().to_owned(), "outcome" => outcome).increment(1);
    histogram!(LOOKUP_SECONDS, "outcome" => outcome).record(elapsed);
}

/// A call is in flight while this is held.
pub struct InFlight(());

impl InFlight {
    /// From now on.
    pub fn begin() -> Self {
        gauge!(IN_FLIGHT).increment(1.0);
        Self(())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        gauge!(IN_FLIGHT).decrement(1.0);
    }
}

/// So many callers more wait.
pub fn waiters(more: f64) {
    gauge!(WAITERS).increment(more);
}

/// A verdict came, and somebody waited for it or not.
pub fn verdict(awaited: bool) {
    counter!(VERDICTS, "awaited" => if awaited { "true" } else { "false" }).increment(1);
}

/// Whose limit a call is over.
#[derive(Clone, Copy, Debug)]
pub enum Limit {
    /// A business's rate.
    Business,
    /// The failures of a client address.
    Client,
    /// A business's questions about past calls.
    Lookups,
}

/// A call was over a limit.
pub fn limited(limit: Limit) {
    let limit = match limit {
        Limit::Business => "business",
        Limit::Client => "client",
        Limit::Lookups => "lookups",
    };
    counter!(LIMITED, "limit" => limit).increment(1);
}

/// There was no room for a call.
pub fn overloaded(overload: Overload) {
    let of = match overload {
        Overload::Calls => "calls",
        Overload::BodyBytes => "body_bytes",
        Overload::NotReady => "not_ready",
    };
    counter!(OVERLOADS, "of" => of).increment(1);
}

/// The queue did not acknowledge a message in time.
pub fn produce_failed(topic: &'static str) {
    counter!(PRODUCE_FAILURES, "topic" => topic).increment(1);
}

/// A message could not be read.
pub fn unreadable(topic: &'static str) {
    counter!(UNREADABLE, "topic" => topic).increment(1);
}
