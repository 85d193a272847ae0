//! One call, from its head to its answer.

use std::{
    net::IpAddr,
    time::{Duration, SystemTime},
};

use axum::{body::Body, response::Response};
use http::{HeaderValue, header, request::Parts};
use schemas::{Call, CallId, CallRecord, FailureStage};
use tokio::time::Instant;
use tracing::Span;

use crate::{
    answer::{Answer, Failure, PREFERENCE_APPLIED},
    auth, body,
    metrics::{self, InFlight},
    publish::NotDurable,
    refusal::Refusal,
    service::{Pipeline, Service},
};

mod check;
mod forward;
mod lasting;

use check::Stop;
pub use check::fill;
pub(crate) use lasting::Lasting;

/// When a caller that is told 503 may come back.
pub const COME_BACK: Duration = Duration::from_secs(2);

/// When and from where a request came.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// The call's identity.
    pub call_id: CallId,
    /// Unix milliseconds.
    pub received_at: i64,
    /// The same moment, for measuring.
    pub at: Instant,
    /// The other end of the connection.
    pub peer: IpAddr,
}

impl Arrival {
    /// This moment.
    pub fn now(peer: IpAddr) -> Self {
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self { call_id: CallId::now(), received_at: millis(since_epoch), at: Instant::now(), peer }
    }

    fn elapsed_ms(&self) -> i64 {
        millis(self.at.elapsed())
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// What a call comes to.
struct Settled {
    answer: Answer,
    /// The preference that was honoured.
    applied: Option<String>,
}

impl From<Failure> for Settled {
    fn from(failure: Failure) -> Self {
        Self { answer: failure.into(), applied: None }
    }
}

/// Nobody knows whether the queue has it: the caller sends it again.
impl From<NotDurable> for Settled {
    fn from(_: NotDurable) -> Self {
        Failure::unavailable(COME_BACK).into()
    }
}

/// Answers a call for the business that its path asks for.
pub async fn answer(service: &Service, arrival: Arrival, asked: &str, head: &Parts, body: Body) -> Response {
    let _in_flight = InFlight::begin();
    let settled = match service.admit(&body) {
        Ok((pipeline, _permit)) => Walk { service, pipeline, arrival, asked, head }.settle(body).await,
        Err(overload) => {
            metrics::overloaded(overload);
            drain(head, body).await;
            Failure::unavailable(COME_BACK).into()
        }
    };
    let applied = settled.applied.and_then(|applied| HeaderValue::try_from(applied).ok());
    let mut response = respond(arrival, settled.answer);
    if let Some(applied) = applied {
        response.headers_mut().insert(PREFERENCE_APPLIED, applied);
    }
    response
}

/// The response, counted and logged.
pub fn respond(arrival: Arrival, answer: Answer) -> Response {
    let (http, outcome, elapsed) = (answer.http(), answer.outcome(), arrival.at.elapsed());
    metrics::answered(http, outcome, elapsed);
    let (http_status, total_ms) = (http.as_u16(), millis(elapsed));
    Span::current().record("http_status", http_status).record("outcome", outcome);
    if http.is_server_error() {
        // The only trace of a call that leaves no record and may still have to be looked for.
        tracing::info!(http_status, outcome, total_ms, "answered");
    } else {
        tracing::debug!(http_status, outcome, total_ms, "answered");
    }
    answer.into_response(arrival.call_id)
}

/// Makes room for an answer that does not need the body. A caller that waits to be asked for it has sent none.
pub async fn drain(head: &Parts, body: Body) {
    if !head.headers.contains_key(header::EXPECT) {
        body::drain(body).await;
    }
}

/// The way of one call through the checks.
struct Walk<'s> {
    service: &'s Service,
    pipeline: &'s Pipeline,
    arrival: Arrival,
    /// The business in the path.
    asked: &'s str,
    head: &'s Parts,
}

impl Walk<'_> {
    async fn settle(&self, body: Body) -> Settled {
        let mut call = Call::blank(self.arrival.call_id, self.arrival.received_at);
        env!("CARGO_PKG_VERSION").clone_into(&mut call.release);
        match self.check(body, &mut call).await {
            Ok(()) => self.forward(call).await.unwrap_or_else(Settled::from),
            Err(Stop::Unrecorded(failure)) => failure.into(),
            Err(Stop::Refused(refusal)) => match self.record_refusal(&refusal, call).await {
                Ok(()) => Failure::from(refusal).into(),
                Err(not_durable) => not_durable.into(),
            },
        }
    }

    /// The record of a refused call, durable before its answer leaves.
    async fn record_refusal(&self, refusal: &Refusal, call: Call) -> Result<(), NotDurable> {
        let mut outcome = refusal.outcome(self.arrival.elapsed_ms());
        if refusal.stage == FailureStage::BusinessLookup {
            // The row stands under the key's own business, and the answer does not tell: here is what was asked for.
            outcome.error = format!("{}: {}", outcome.error, auth::recorded_id(self.asked));
        }
        self.pipeline.publisher.record(&CallRecord { call, lane: None, outcome, rests_on: 0 }).await
    }
}
