//! What goes back to the caller.

use std::time::Duration;

use axum::{body::Body, response::Response};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use schemas::{CallId, ConversionStatus};

mod failure;
mod meta;

pub use failure::{Failure, Methods, Status};

/// Says on every 2xx where the event stands: `forwarded`, `duplicate` or `pending`.
pub const CONVERSION_STATUS: HeaderName = HeaderName::from_static("conversion-status");
/// RFC 7240: which preference was honoured.
pub const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");
/// The call's id, on every answer.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The whole body of a success.
pub(crate) const RECEIVED: &str = r#"{"events_received":1}"#;

/// What was decided about a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The event is received: durable, and as far on its way as the status says.
    Received {
        /// Whether the caller asked not to wait: 202, else 200.
        deferred: bool,
        /// Where the event stands.
        status: ConversionStatus,
    },
    /// What became of past calls, as JSON.
    Found(Vec<u8>),
    /// Anything else.
    Failed(Box<Failure>),
}

impl Answer {
    /// The answer to a final outcome, or to one that is still pending.
    pub fn to_outcome(outcome: &schemas::Outcome) -> Self {
        match outcome.conversion_status {
            status @ (ConversionStatus::Forwarded | ConversionStatus::Duplicate | ConversionStatus::Pending) => {
                Self::Received { deferred: false, status }
            }
            ConversionStatus::Rejected | ConversionStatus::Refused => Failure::by_meta(outcome).into(),
        }
    }

    /// The HTTP status.
    pub fn http(&self) -> StatusCode {
        match self {
            Self::Received { deferred: true, .. } => StatusCode::ACCEPTED,
            Self::Received { deferred: false, .. } | Self::Found(_) => StatusCode::OK,
            Self::Failed(failure) => failure.status.http(),
        }
    }

    /// The name of the answer in metrics and logs: a status of the conversion, or the reason of a failure.
    pub fn outcome(&self) -> &'static str {
        match self {
            Self::Received { status, .. } => status.as_str(),
            Self::Found(_) => "found",
            Self::Failed(failure) => failure.reason,
        }
    }

    /// The response to the call `call_id`.
    pub fn into_response(self, call_id: CallId) -> Response {
        let http = self.http();
        let mut headers = HeaderMap::new();
        if let Ok(call_id) = HeaderValue::try_from(call_id.to_string()) {
            headers.insert(REQUEST_ID, call_id);
        }
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let body = match self {
            Self::Received { status, .. } => {
                headers.insert(CONVERSION_STATUS, HeaderValue::from_static(status.as_str()));
                Body::from(RECEIVED)
            }
            Self::Found(body) => Body::from(body),
            Self::Failed(failure) => {
                failure.headers(&mut headers);
                Body::from(failure.body(call_id))
            }
        };
        let mut response = Response::new(body);
        *response.status_mut() = http;
        *response.headers_mut() = headers;
        response
    }
}

impl From<Failure> for Answer {
    fn from(failure: Failure) -> Self {
        Self::Failed(Box::new(failure))
    }
}

/// A delay in whole seconds, rounded up: a caller that comes back too early is refused again.
fn whole_seconds(delay: Duration) -> u64 {
    delay.as_secs() + u64::from(delay.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests;
