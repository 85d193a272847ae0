//! One request to Meta and its answer. Sending has three outcomes, not two: answered, not sent, unknown.

use std::{error::Error as _, time::Duration};

use bytes::Bytes;
use reqwest::{
    Response, Url,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue},
};
use tokio::time::Instant;

use super::{answer::Answer, classify::Class, usage::Usage};

/// Bytes of an answer that are read; Meta's own take a few hundred.
const LONGEST_ANSWER: usize = 256 * 1024;

/// An idle connection is given up before Meta or a balancer does: a request that meets the closing has an unknown outcome.
const IDLE: Duration = Duration::from_secs(20);

/// How a connection that died in silence is found before every request on it runs into its time-out (HTTP/2 only).
const PING: Duration = Duration::from_secs(10);

/// How to reach Meta.
#[derive(Clone, Debug)]
pub struct ClientSettings {
    /// Graph's address, such as `https://graph.facebook.com`; `http` is for a sandbox.
    pub url: Url,
    /// For connecting, name look-up and TLS included. Short: nothing was sent, so giving up costs nothing.
    pub connect_timeout: Duration,
    /// For a whole request, from its start to the end of the answer. Giving up leaves an unknown outcome.
    pub timeout: Duration,
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ClientFault {
    /// An address that no path can be added to. It is not repeated: a secret may stand in it.
    #[error("Meta's address must be http or https, without query and fragment")]
    Url,
    /// No TLS, or no trusted certificates.
    #[error("no HTTP client: {0}")]
    Tls(#[from] reqwest::Error),
}

/// The `Authorization` of a channel. Its debug form hides the token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bearer(HeaderValue);

impl Bearer {
    /// From an access token; `None` where it holds what no header can carry.
    pub fn new(token: &str) -> Option<Self> {
        let mut value = HeaderValue::try_from(format!("Bearer {token}")).ok()?;
        value.set_sensitive(true);
        Some(Self(value))
    }

    fn token(&self) -> &str {
        self.0.to_str().ok().and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default()
    }
}

/// A connection pool to Meta.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    url: Url,
}

impl Client {
    /// A pool without connections yet.
    ///
    /// # Errors
    /// Where the address is of no use, or the machine has no trusted certificates.
    pub fn new(settings: ClientSettings) -> Result<Self, ClientFault> {
        let ClientSettings { url, connect_timeout, timeout } = settings;
        if !matches!(url.scheme(), "http" | "https") || url.query().is_some() || url.fragment().is_some() {
            return Err(ClientFault::Url);
        }
        // The process may have chosen its provider already: then that one serves.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .user_agent(concat!("connectly-capi/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(connect_timeout)
            .timeout(timeout)
            .pool_idle_timeout(IDLE)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(PING)
            .http2_keep_alive_timeout(PING)
            .http2_adaptive_window(true)
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            // Every request is started by the dispatcher, within its intent's time, and is counted: none by the library.
            .retry(reqwest::retry::never())
            .build()?;
        Ok(Self { http, url })
    }

    /// Where the events of a dataset go.
    pub fn endpoint(&self, graph_version: &str, dataset_id: &str) -> Url {
        let mut url = self.url.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend([graph_version, dataset_id, "events"]);
        }
        url
    }

    /// Sends one request of `sent` events. `clicks` are their click ids, which the answer may echo.
    pub async fn post<'s>(
        &self,
        endpoint: &Url,
        bearer: &'s Bearer,
        body: Bytes,
        sent: usize,
        clicks: impl IntoIterator<Item = &'s str>,
    ) -> Answer {
        let start = Instant::now();
        let request = self
            .http
            .post(endpoint.clone())
            .header(AUTHORIZATION, bearer.0.clone())
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .body(body);
        let mut answer = match request.send().await {
            Ok(response) => {
                let (status, usage) = (response.status().as_u16(), Usage::of(response.headers()));
                let body = read_bounded(response).await;
                Answer::read(status, usage, &body, sent, clicks.into_iter().chain([bearer.token()]))
            }
            Err(error) => Answer::none(without_answer(&error), chain(&error.without_url())),
        };
        answer.took = start.elapsed();
        answer
    }
}

/// Reads no more than [`LONGEST_ANSWER`], and stops. A longer body, or one that breaks off, is returned as it came: it is
/// no JSON then, and the status decides.
async fn read_bounded(mut response: Response) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        let room = LONGEST_ANSWER - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if chunk.len() > room {
            break;
        }
    }
    body
}

/// Whether anything may have left. Only what surely did not is `NotSent`: no connection, or a request that the library
/// hands back untouched (hyper calls it cancelled: its connection closed before the first byte was written). All else,
/// time-outs among it, is `Unknown` (tests `a_refused_port_is_not_sent`, `a_reset_after_sending_is_unknown`).
fn without_answer(error: &reqwest::Error) -> Class {
    let untouched =
        causes(error).any(|cause| cause.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_canceled));
    if error.is_connect() || error.is_builder() || untouched { Class::NotSent } else { Class::Unknown }
}

/// An error with its causes, for the log: the outermost alone says "error sending request".
fn chain(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    for cause in causes(error) {
        text.push_str(": ");
        text.push_str(&cause.to_string());
    }
    text
}

fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
    std::iter::successors(error.source(), |cause| <dyn std::error::Error>::source(*cause))
}

#[cfg(test)]
mod tests;
