//! What surrounds the events: version, token, content type, the JSON of the body.

use std::{collections::HashMap, sync::Arc};

use axum::{body::Bytes, extract::rejection::BytesRejection};
use http::{HeaderMap, StatusCode, Uri, header};
use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use crate::{
    behaviour::{Behaviour, catalogue},
    books::seen::Carried,
};

/// Versions that answer, as of November 2026: v25.0 lives to July 2028, v26.0 is current.
const OLDEST_VERSION: u32 = 25;
const NEWEST_VERSION: u32 = 26;
/// The most events of one request.
const MAX_EVENTS: usize = 1_000;
/// Fields beside `data` that a sender of ours may use.
const KNOWN_FIELDS: [&str; 3] = ["data", "partner_agent", "test_event_code"];

/// A request as it came, before anything is known of it.
pub(super) struct Request {
    pub(super) version: String,
    pub(super) dataset: Arc<str>,
    token_in_url: bool,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
}

/// The events of a request whose envelope is sound.
pub(super) struct Envelope<'a> {
    pub(super) data: Vec<&'a RawValue>,
    pub(super) foreign_fields: Vec<String>,
}

/// The fields of an object, unread. A field that is `null` is absent.
#[derive(Deserialize)]
pub(super) struct Fields<'a>(#[serde(borrow)] HashMap<String, &'a RawValue>);

impl<'a> Fields<'a> {
    pub(super) fn read(json: &'a RawValue) -> Option<Self> {
        serde_json::from_str(json.get()).ok()
    }

    pub(super) fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.0.get(name).copied().filter(|value| value.get() != "null")
    }

    /// A field that has to be a string: `Ok(None)` where it is absent.
    pub(super) fn text(&self, name: &str) -> Result<Option<String>, serde_json::Error> {
        self.get(name).map(|value| serde_json::from_str(value.get())).transpose()
    }

    /// Names that are not in `known`, under `path`.
    pub(super) fn foreign<'b>(&'b self, path: &'b str, known: &'b [&str]) -> impl Iterator<Item = String> + 'b {
        self.0.keys().filter(|name| !known.contains(&name.as_str())).map(move |name| {
            let name: String = name.chars().take(64).collect();
            format!("{path}{name}")
        })
    }
}

impl Request {
    pub(super) fn new(
        version: String,
        dataset: Arc<str>,
        uri: &Uri,
        headers: HeaderMap,
        body: Result<Bytes, BytesRejection>,
    ) -> Self {
        let token_in_url = uri.query().is_some_and(|query| query.contains("access_token"));
        Self { version, dataset, token_in_url, headers, body }
    }

    pub(super) fn header_names(&self) -> Vec<String> {
        self.headers.keys().map(ToString::to_string).collect()
    }

    pub(super) fn body_len(&self) -> usize {
        self.body.as_ref().map_or(0, Bytes::len)
    }

    /// The bearer token; empty where there is none.
    pub(super) fn token(&self) -> &str {
        let header = self.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
        match header.split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
            _ => "",
        }
    }

    /// Tells tokens apart without giving one away.
    pub(super) fn token_fingerprint(&self) -> Arc<str> {
        let digest = Sha256::digest(self.token().as_bytes());
        let start = digest.iter().take(6).fold(0_u64, |start, byte| start << 8 | u64::from(*byte));
        format!("{start:012x}").into()
    }

    /// The events by name, whatever else is wrong with the request.
    pub(super) fn carried(&self) -> Vec<Carried> {
        #[derive(Deserialize)]
        struct Data {
            data: Vec<Carried>,
        }
        let body = self.body.as_deref().unwrap_or_default();
        serde_json::from_slice(body).map(|Data { data }| data).unwrap_or_default()
    }

    /// Checks all but the events, in the order in which the Graph API gets to them.
    pub(super) fn envelope(&self) -> Result<Envelope<'_>, &'static Behaviour> {
        self.check_version()?;
        if self.token_in_url {
            return Err(self.token_outside_header());
        }
        if self.token().is_empty() {
            return Err(&catalogue::NO_TOKEN);
        }
        let json = self.json()?;
        let fields: Fields<'_> = serde_json::from_str(json).map_err(|_| &catalogue::BAD_DATA)?;
        if fields.get("access_token").is_some() {
            return Err(self.token_outside_header());
        }
        let data = fields.get("data").ok_or(&catalogue::BAD_DATA)?;
        let data: Vec<&RawValue> = serde_json::from_str(data.get()).map_err(|_| &catalogue::BAD_DATA)?;
        match data.len() {
            0 => Err(&catalogue::EMPTY_DATA),
            1..=MAX_EVENTS => Ok(Envelope { data, foreign_fields: fields.foreign("", &KNOWN_FIELDS).collect() }),
            _ => Err(&catalogue::TOO_MANY_EVENTS),
        }
    }

    /// Meta takes a token as a parameter too; a sender of ours must not give it that way.
    fn token_outside_header(&self) -> &'static Behaviour {
        tracing::error!(dataset = %self.dataset, "an access token came outside the Authorization header");
        &catalogue::TOKEN_IN_URL
    }

    fn check_version(&self) -> Result<(), &'static Behaviour> {
        let major = self.version.strip_prefix('v').and_then(|version| version.strip_suffix(".0"));
        match major.and_then(|major| major.parse::<u32>().ok()) {
            Some(OLDEST_VERSION..=NEWEST_VERSION) => Ok(()),
            Some(..OLDEST_VERSION) => Err(&catalogue::OLD_VERSION),
            _ => Err(&catalogue::UNKNOWN_PATH),
        }
    }

    /// The body as text. Sent as anything but JSON, the Graph API looks for form fields and finds no `data`.
    fn json(&self) -> Result<&str, &'static Behaviour> {
        let body = self.body.as_ref().map_err(|fault| match fault.status() {
            StatusCode::PAYLOAD_TOO_LARGE => &catalogue::TOO_LARGE,
            _ => &catalogue::BAD_DATA,
        })?;
        let content_type = self.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        if !content_type.is_some_and(|value| value.to_ascii_lowercase().starts_with("application/json")) {
            return Err(&catalogue::BAD_DATA);
        }
        std::str::from_utf8(body).map_err(|_| &catalogue::BAD_DATA)
    }
}
