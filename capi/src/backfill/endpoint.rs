//! One call to the endpoint, and what its answer means for the line. Sending has more than two outcomes: that a call was
//! not taken is something else than that nobody knows.

use std::{error::Error as _, time::Duration};

use bytes::Bytes;
use directory::BusinessId;
use ingest::answer::REQUEST_ID;
use reqwest::{
    Response, StatusCode, Url,
    header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER},
};
use schemas::{CallId, Reason};
use serde::Deserialize;

use super::refused::{Refused, Violation};
use crate::failure::Failure;

/// For connecting, name look-up and TLS included.
const CONNECT_TIME: Duration = Duration::from_secs(10);
/// For a whole call: the endpoint itself gives up on its queue after 5 s, and takes a body for 30 s.
const CALL_TIME: Duration = Duration::from_secs(40);
/// An idle connection is given up before a balancer does.
const IDLE: Duration = Duration::from_secs(20);
/// Bytes of an answer that are read.
const LONGEST_ANSWER: usize = 256 * 1024;
/// Where an answer does not say when to come back.
const COME_BACK: Duration = Duration::from_secs(1);
/// The longest that an answer may send us away at once.
const LONGEST_PAUSE: Duration = Duration::from_mins(5);

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const PREFER: HeaderName = HeaderName::from_static("prefer");

/// The endpoint of one business.
pub(crate) struct Endpoint {
    http: reqwest::Client,
    url: Url,
    headers: HeaderMap,
}

/// What an answer means for the line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The event is received, and durable.
    Accepted(CallId),
    /// It is refused, and would be again.
    Refused(Box<Refused>),
    /// It was not taken; it may be, that much later.
    NotNow(Duration),
    /// It may have been taken, or not.
    Unknown {
        /// When to come back, where that was said.
        after: Option<Duration>,
        /// For people.
        why: String,
    },
    /// Nothing of it left.
    Unreached(String),
    /// No line of this backfill will be taken, until someone acts.
    Hopeless(String),
}

impl Endpoint {
    /// The endpoint of `business` below `url`, called with `key`.
    ///
    /// # Errors
    /// Where the key cannot stand in a header, or the machine has no trusted certificates.
    pub(crate) fn new(url: &Url, business: BusinessId, key: &str, connections: usize) -> Result<Self, Failure> {
        let mut key = HeaderValue::from_str(key)
            .map_err(|_| Failure::Usage("the API key holds what no header can carry".to_owned()))?;
        key.set_sensitive(true);
        let json = HeaderValue::from_static("application/json");
        let prefer = HeaderValue::from_static("respond-async");
        let headers = HeaderMap::from_iter([(API_KEY, key), (PREFER, prefer), (CONTENT_TYPE, json)]);
        // The process may have chosen its provider already: then that one serves.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .user_agent(concat!("capi-backfill/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIME)
            .timeout(CALL_TIME)
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(connections)
            .tcp_nodelay(true)
            // HTTP/2 would carry all calls over one connection, to one instance behind a balancer.
            .http1_only()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| Failure::Other(format!("no HTTP client: {error}")))?;
        let mut url = url.clone();
        let path = format!("{}/external/v1/businesses/{business}/conversion_events", url.path().trim_end_matches('/'));
        url.set_path(&path);
        Ok(Self { http, url, headers })
    }

    /// Sends one call.
    pub(crate) async fn send(&self, body: Bytes) -> Answer {
        let request = self.http.post(self.url.clone()).headers(self.headers.clone()).body(body);
        match request.send().await {
            Ok(response) => read(response).await,
            Err(error) if error.is_connect() => Answer::Unreached(told(&error)),
            Err(error) => Answer::Unknown { after: None, why: told(&error) },
        }
    }
}

/// What went wrong, without the address, and with what lies behind it.
fn told(error: &reqwest::Error) -> String {
    let mut source = error.source();
    while let Some(inner) = source.and_then(std::error::Error::source) {
        source = Some(inner);
    }
    match source {
        _ if error.is_timeout() => "no answer in time".to_owned(),
        Some(source) => source.to_string(),
        None => "the connection failed".to_owned(),
    }
}

async fn read(mut response: Response) -> Answer {
    let (status, headers) = (response.status(), response.headers().clone());
    let mut body = Vec::new();
    // A body that breaks off is judged by what came of it: the status is there.
    while let Ok(Some(piece)) = response.chunk().await {
        body.extend_from_slice(&piece);
        if body.len() > LONGEST_ANSWER {
            break;
        }
    }
    judge(status, &headers, &body)
}

/// What an answer means (contract, sections 1 and 2).
fn judge(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Answer {
    let call = headers.get(REQUEST_ID).and_then(|id| id.to_str().ok()?.parse::<CallId>().ok());
    let error = ErrorBody::read(body);
    match (status, call) {
        (StatusCode::TOO_MANY_REQUESTS, _) => Answer::NotNow(pause(headers, &error).unwrap_or(COME_BACK)),
        (StatusCode::REQUEST_TIMEOUT, _) => Answer::Unknown { after: None, why: error.told(status) },
        (status, _) if status.is_server_error() => {
            Answer::Unknown { after: pause(headers, &error), why: error.told(status) }
        }
        (StatusCode::ACCEPTED | StatusCode::OK, Some(call)) => Answer::Accepted(call),
        (status, Some(call)) if error.is_of_the_call() => Answer::Refused(Box::new(error.refused(status, call))),
        (status, _) => Answer::Hopeless(error.told(status)),
    }
}

/// `Retry-After`, else the answer's `RetryInfo`.
fn pause(headers: &HeaderMap, error: &ErrorBody) -> Option<Duration> {
    let header = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
    let seconds: u64 = header.or_else(|| error.retry_delay.as_deref()?.strip_suffix('s')?.parse().ok())?;
    Some(Duration::from_secs(seconds).min(LONGEST_PAUSE))
}

/// What is read of an error body.
#[derive(Debug, Default)]
struct ErrorBody {
    message: String,
    reason: String,
    violations: Vec<Violation>,
    retry_delay: Option<String>,
}

impl ErrorBody {
    fn read(body: &[u8]) -> Self {
        #[derive(Deserialize)]
        struct Status {
            message: String,
            #[serde(default)]
            details: Vec<Detail>,
        }
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Detail {
            reason: String,
            field_violations: Vec<Violation>,
            retry_delay: Option<String>,
        }
        let Ok(status) = serde_json::from_slice::<Status>(body) else { return Self::default() };
        let mut read = Self { message: status.message, ..Self::default() };
        for detail in status.details {
            read.reason.push_str(&detail.reason);
            read.violations.extend(detail.field_violations);
            read.retry_delay = read.retry_delay.or(detail.retry_delay);
        }
        read
    }

    /// Whether the call itself is at fault. The key, the business or the channel would refuse all others too.
    fn is_of_the_call(&self) -> bool {
        let faults = [Reason::MalformedJson, Reason::BodyTooLarge, Reason::InvalidFields];
        faults.iter().any(|fault| fault.as_str() == self.reason)
    }

    fn refused(self, status: StatusCode, call: CallId) -> Refused {
        let Self { message, reason, violations, .. } = self;
        Refused { status: Some(status.as_u16()), reason, message, violations, call: Some(call) }
    }

    /// For people.
    fn told(&self, status: StatusCode) -> String {
        if self.message.is_empty() {
            return format!("HTTP {status}, and not as the endpoint answers: is the address right?");
        }
        format!("{} ({})", self.message, status.as_u16())
    }
}

#[cfg(test)]
mod tests {
    use ingest::{answer::Failure, refusal::Refusal};
    use reqwest::header::HeaderName;

    use super::*;

    /// What the endpoint's own answer means.
    fn meant(failure: Failure) -> Answer {
        let response = ingest::answer::Answer::from(failure).into_response(CallId::now());
        let (parts, body) = response.into_parts();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let body = runtime.block_on(axum_body(body));
        judge(parts.status, &parts.headers, &body)
    }

    async fn axum_body(body: impl http_body_util::BodyExt<Data = Bytes, Error: std::fmt::Debug>) -> Bytes {
        body.collect().await.unwrap().to_bytes()
    }

    fn headers(name: HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, value.parse().unwrap())])
    }

    #[test]
    fn a_call_at_fault_is_refused_with_all_that_is_wrong() {
        let mut call = schemas::Call::blank(CallId::now(), 0);
        let refusal = ingest::call::fill(br#"{"event_name":"Refund"}"#, &mut call).unwrap_err();
        let count = refusal.violations.len();
        let Answer::Refused(refused) = meant(refusal.into()) else { panic!("not refused") };
        assert_eq!((refused.status, refused.reason.as_str()), (Some(400), "INVALID_FIELDS"));
        assert!(count > 3 && refused.violations.len() == count && refused.call.is_some(), "{refused:?}");
        assert!(matches!(meant(Refusal::too_large().into()), Answer::Refused(refused) if refused.status == Some(413)));
    }

    #[test]
    fn what_refuses_every_call_ends_the_backfill() {
        let hopeless = |failure: Failure| match meant(failure) {
            Answer::Hopeless(why) => why,
            other => panic!("{other:?}"),
        };
        assert_eq!(hopeless(Refusal::key(&directory::KeyRefusal::Invalid).into()), "The API key is not valid (401)");
        assert!(hopeless(Refusal::business_not_found().into()).contains("Business not found"));
        assert!(hopeless(Refusal::channel_not_configured().into()).contains("channel"));
        assert!(hopeless(Failure::path_not_found()).contains("404"));
        let elsewhere = judge(StatusCode::OK, &HeaderMap::new(), b"<html>");
        assert!(matches!(elsewhere, Answer::Hopeless(why) if why.contains("address")));
        let moved = judge(StatusCode::MOVED_PERMANENTLY, &HeaderMap::new(), b"");
        assert!(matches!(moved, Answer::Hopeless(_)));
    }

    #[test]
    fn what_may_have_been_taken_is_told_apart_from_what_was_not() {
        let seconds = Duration::from_secs;
        assert_eq!(meant(Failure::rate_limited(seconds(3))), Answer::NotNow(seconds(3)));
        let after = |answer| match answer {
            Answer::Unknown { after, .. } => after,
            other => panic!("{other:?}"),
        };
        assert_eq!(after(meant(Failure::unavailable(seconds(2)))), Some(seconds(2)));
        assert_eq!(after(judge(StatusCode::BAD_GATEWAY, &HeaderMap::new(), b"<html>")), None);
        let accepted = headers(REQUEST_ID, "0190a2b4-0000-7000-8000-000000000001");
        assert!(matches!(judge(StatusCode::ACCEPTED, &accepted, b"{}"), Answer::Accepted(_)));
    }

    #[test]
    fn the_pause_is_the_headers_else_the_bodys_and_bounded() {
        let body = ErrorBody::read(br#"{"message":"m","details":[{"@type":"t","retry_delay":"7s"}]}"#);
        assert_eq!(pause(&headers(RETRY_AFTER, "3"), &body), Some(Duration::from_secs(3)));
        assert_eq!(pause(&headers(RETRY_AFTER, "Wed, 21 Oct 2026 07:28:00 GMT"), &body), Some(Duration::from_secs(7)));
        assert_eq!(pause(&headers(RETRY_AFTER, "86400"), &body), Some(LONGEST_PAUSE));
        assert_eq!(pause(&HeaderMap::new(), &ErrorBody::default()), None);
    }
}
