//! Error bodies: the JSON of `google.rpc.Status`, with `status` for people.

use std::time::Duration;

use http::{HeaderMap, HeaderValue, StatusCode, header};
use schemas::{CallId, FailureStage};
use serde::{Serialize, Serializer, ser::SerializeMap};

use super::whole_seconds;
use crate::{refusal::Refusal, validate::Violation};

/// What kind of failure an answer tells: its HTTP status, and its code in the sense of gRPC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// The call itself is at fault.
    InvalidArgument,
    /// Likewise, by its size.
    TooLarge,
    /// No such business, channel or path.
    NotFound,
    /// Too many calls.
    ResourceExhausted,
    /// No such method on this path.
    MethodNotAllowed(Methods),
    /// Send it again later.
    Unavailable,
    /// No valid key.
    Unauthenticated,
}

/// The methods that a path has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Methods {
    /// Of the endpoint.
    ReportAndAsk,
    /// Of a document.
    Read,
}

impl Methods {
    /// The value of `Allow`.
    fn as_str(self) -> &'static str {
        match self {
            Self::ReportAndAsk => "GET, HEAD, POST",
            Self::Read => "GET, HEAD",
        }
    }
}

impl Status {
    /// The status of the HTTP answer.
    pub fn http(self) -> StatusCode {
        match self {
            Self::InvalidArgument => StatusCode::BAD_REQUEST,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
            Self::MethodNotAllowed(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Unauthenticated => StatusCode::UNAUTHORIZED,
        }
    }

    /// The number and the name of `google.rpc.Code`.
    pub(crate) fn code(self) -> (i32, &'static str) {
        match self {
            Self::InvalidArgument | Self::TooLarge => (3, "INVALID_ARGUMENT"),
            Self::NotFound => (5, "NOT_FOUND"),
            Self::ResourceExhausted => (8, "RESOURCE_EXHAUSTED"),
            Self::MethodNotAllowed(_) => (12, "UNIMPLEMENTED"),
            Self::Unavailable => (14, "UNAVAILABLE"),
            Self::Unauthenticated => (16, "UNAUTHENTICATED"),
        }
    }

    /// Whether the same call may succeed later.
    fn is_retryable(self) -> bool {
        matches!(self, Self::ResourceExhausted | Self::Unavailable)
    }
}

/// An answer that is no success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Its kind.
    pub status: Status,
    /// The `reason` of the `ErrorInfo`.
    pub reason: &'static str,
    /// Where the call failed; `None` where it leaves no record.
    pub stage: Option<FailureStage>,
    /// For people.
    pub message: String,
    /// What Meta said: further metadata.
    pub meta: Vec<(&'static str, String)>,
    /// Every violation of `INVALID_FIELDS`.
    pub violations: Vec<Violation>,
    /// When to come back.
    pub retry_after: Option<Duration>,
}

impl Failure {
    fn unrecorded(status: Status, reason: &'static str, message: &str, retry_after: Option<Duration>) -> Self {
        let (meta, violations) = (Vec::new(), Vec::new());
        Self { status, reason, stage: None, message: message.to_owned(), meta, violations, retry_after }
    }

    /// Not now: overload, or the queue does not take it. An event may have been taken all the same.
    pub fn unavailable(retry_after: Duration) -> Self {
        let message = "The service is unavailable for the moment: send the call again";
        Self::unrecorded(Status::Unavailable, "UNAVAILABLE", message, Some(retry_after))
    }

    /// Over the business's rate limit.
    pub fn rate_limited(retry_after: Duration) -> Self {
        let message = "The business's rate limit is exceeded";
        Self::unrecorded(Status::ResourceExhausted, "RATE_LIMITED", message, Some(retry_after))
    }

    /// Too many calls without a valid key from one client address.
    pub fn too_many_failures(retry_after: Duration) -> Self {
        let message = "Too many calls without a valid API key from this address";
        Self::unrecorded(Status::ResourceExhausted, "RATE_LIMITED", message, Some(retry_after))
    }

    /// More questions about past calls than a business may ask.
    pub fn too_many_lookups(retry_after: Duration) -> Self {
        let message = "Too many questions about past calls";
        Self::unrecorded(Status::ResourceExhausted, "RATE_LIMITED", message, Some(retry_after))
    }

    /// A question about past calls cannot be answered now.
    pub fn no_answer(retry_after: Duration) -> Self {
        let message = "What became of past calls cannot be said for the moment: ask again";
        Self::unrecorded(Status::Unavailable, "UNAVAILABLE", message, Some(retry_after))
    }

    /// No call of the business is what was asked for.
    pub fn call_not_found() -> Self {
        let message = "No such call of this business; a call is found within seconds of its answer";
        Self::unrecorded(Status::NotFound, "CALL_NOT_FOUND", message, None)
    }

    /// Nothing lives on this path.
    pub fn path_not_found() -> Self {
        Self::unrecorded(Status::NotFound, "PATH_NOT_FOUND", "There is nothing at this path", None)
    }

    /// The endpoint takes `POST`, and `GET` for what became of it.
    pub fn method_not_allowed() -> Self {
        let message = "Conversion events are reported with POST, and what became of them is asked with GET";
        let status = Status::MethodNotAllowed(Methods::ReportAndAsk);
        Self::unrecorded(status, "METHOD_NOT_ALLOWED", message, None)
    }

    /// A document is only read.
    pub fn only_read() -> Self {
        let status = Status::MethodNotAllowed(Methods::Read);
        Self::unrecorded(status, "METHOD_NOT_ALLOWED", "This is read with GET", None)
    }

    /// The JSON body.
    pub(crate) fn body(&self, call_id: CallId) -> Vec<u8> {
        let (code, status) = self.status.code();
        let mut details = vec![Detail::ErrorInfo {
            reason: self.reason,
            domain: "capi",
            metadata: Metadata { failure: self, call_id },
        }];
        if !self.violations.is_empty() {
            let field_violations = self.violations.iter().map(FieldViolation::from).collect();
            details.push(Detail::BadRequest { field_violations });
        }
        if let Some(delay) = self.retry_after {
            details.push(Detail::RetryInfo { retry_delay: format!("{}s", whole_seconds(delay)) });
        }
        let body = Body { code, status, message: &self.message, details };
        // Texts and numbers in structs: there is nothing in it that could fail to be written.
        serde_json::to_vec(&body).unwrap_or_default()
    }

    /// The headers that go with it.
    pub(super) fn headers(&self, headers: &mut HeaderMap) {
        if let Some(delay) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(whole_seconds(delay)));
        }
        match self.status {
            Status::Unauthenticated => {
                // RFC 9110, 11.6.1: a 401 names a scheme. There is no registered one for a key in a header.
                let challenge = HeaderValue::from_static(r#"ApiKey realm="capi", header="X-API-KEY""#);
                headers.insert(header::WWW_AUTHENTICATE, challenge);
            }
            Status::MethodNotAllowed(methods) => {
                headers.insert(header::ALLOW, HeaderValue::from_static(methods.as_str()));
            }
            _ => {}
        }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self {
            status: refusal.status,
            reason: refusal.reason.as_str(),
            stage: Some(refusal.stage),
            message: refusal.message,
            meta: Vec::new(),
            violations: refusal.violations,
            retry_after: None,
        }
    }
}

#[derive(Serialize)]
struct Body<'f> {
    code: i32,
    status: &'static str,
    message: &'f str,
    details: Vec<Detail<'f>>,
}

#[derive(Serialize)]
#[serde(tag = "@type")]
enum Detail<'f> {
    #[serde(rename = "type.googleapis.com/google.rpc.ErrorInfo")]
    ErrorInfo { reason: &'static str, domain: &'static str, metadata: Metadata<'f> },
    #[serde(rename = "type.googleapis.com/google.rpc.BadRequest")]
    BadRequest { field_violations: Vec<FieldViolation<'f>> },
    #[serde(rename = "type.googleapis.com/google.rpc.RetryInfo")]
    RetryInfo { retry_delay: String },
}

#[derive(Serialize)]
struct FieldViolation<'f> {
    field: &'f str,
    description: &'f str,
    reason: &'static str,
}

impl<'f> From<&'f Violation> for FieldViolation<'f> {
    fn from(violation: &'f Violation) -> Self {
        Self { field: &violation.field, description: &violation.description, reason: violation.reason.as_str() }
    }
}

/// The metadata of an `ErrorInfo`: its values are strings, and what is not known is left out.
struct Metadata<'f> {
    failure: &'f Failure,
    call_id: CallId,
}

impl Serialize for Metadata<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if let Some(stage) = self.failure.stage {
            map.serialize_entry("failure_stage", stage.as_str())?;
        }
        for (key, value) in &self.failure.meta {
            map.serialize_entry(key, value)?;
        }
        map.serialize_entry("call_id", &self.call_id.to_string())?;
        map.serialize_entry("retryable", if self.failure.status.is_retryable() { "true" } else { "false" })?;
        map.end()
    }
}
