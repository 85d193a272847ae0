//! What the console counts. Every name begins with `capi_console_`; every label has a bounded set of values.

use std::time::Duration;

use axum::http::StatusCode;
use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use worker::server::Counted;

const PAGES: &str = "capi_console_pages_total";
const PAGE_SECONDS: &str = "capi_console_page_seconds";
const QUERIES: &str = "capi_console_queries_total";
const QUERY_SECONDS: &str = "capi_console_query_seconds";
const SIGN_INS: &str = "capi_console_sign_ins_total";
const UNREADABLE: &str = "capi_console_unreadable_total";
const CONNECTIONS: &str = "capi_console_connections";
const MADE_WAY: &str = "capi_console_connections_made_way_total";

/// What connections are counted as.
pub const ADDRESS: Counted = Counted { connections: CONNECTIONS, made_way: MADE_WAY };

/// Gives every metric its help text, and begins at zero those that are watched.
pub fn describe() {
    describe_counter!(PAGES, "Answers, by route and HTTP status");
    describe_histogram!(PAGE_SECONDS, Unit::Seconds, "From a request to its answer, by route");
    describe_counter!(QUERIES, "Questions to ClickHouse, by whether they were answered, away or refused");
    describe_histogram!(QUERY_SECONDS, Unit::Seconds, "How long ClickHouse took to answer");
    describe_counter!(SIGN_INS, "Attempts to sign in, by how they ended");
    describe_counter!(UNREADABLE, "Messages of the directory that could not be read");
    describe_gauge!(CONNECTIONS, "Open connections");
    describe_counter!(MADE_WAY, "Quiet connections that were asked to make way for new ones, there being no room left");
    gauge!(CONNECTIONS).increment(0.0);
    counter!(MADE_WAY).increment(0);
    counter!(UNREADABLE).increment(0);
    for outcome in ["answered", "away", "refused", "busy"] {
        counter!(QUERIES, "outcome" => outcome).increment(0);
    }
    for end in [SignIn::Done, SignIn::Refused, SignIn::TooOften] {
        counter!(SIGN_INS, "outcome" => end.as_str()).increment(0);
    }
}

/// A page was answered. `route` is the pattern that matched, and so one of a few.
pub fn answered(route: String, status: StatusCode, took: Duration) {
    histogram!(PAGE_SECONDS, "route" => route.clone()).record(took);
    counter!(PAGES, "route" => route, "http_status" => status.as_str().to_owned()).increment(1);
}

/// ClickHouse was asked.
pub fn queried(outcome: &'static str, took: Duration) {
    counter!(QUERIES, "outcome" => outcome).increment(1);
    histogram!(QUERY_SECONDS).record(took);
}

/// How an attempt to sign in ended.
#[derive(Clone, Copy, Debug)]
pub enum SignIn {
    /// A session began.
    Done,
    /// Name and password do not belong together.
    Refused,
    /// There were too many before it.
    TooOften,
}

impl SignIn {
    fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::TooOften => "too_often",
        }
    }
}

/// Somebody tried to sign in.
pub fn sign_in(end: SignIn) {
    counter!(SIGN_INS, "outcome" => end.as_str()).increment(1);
}

/// A message of the directory could not be read.
pub fn unreadable() {
    counter!(UNREADABLE).increment(1);
}
