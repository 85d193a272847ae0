//! A value of the directory: a business, its channel and its API keys. The directory's crate gives it meaning.

use serde::{Deserialize, Serialize};

/// A business with its channel and its keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Business {
    /// UUID in small letters.
    pub business_id: String,
    /// For people.
    pub name: String,
    /// A disabled business is answered like an unknown one.
    pub enabled: bool,
    /// Calls a second; `None` for no limit.
    pub rate_limit: Option<i32>,
    /// `None` where no channel is configured.
    pub channel: Option<Channel>,
    /// Live, expired and revoked keys.
    pub keys: Vec<ApiKey>,
}

/// The WhatsApp Cloud channel of a business.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Channel {
    /// WhatsApp Business Account id.
    pub waba_id: String,
    /// Dataset that receives the events.
    pub dataset_id: String,
    /// Encrypted access token, bound to the business id.
    #[serde(with = "serde_bytes")]
    pub access_token: Vec<u8>,
    /// Graph version such as `v26.0`; `None` for the forwarder's.
    pub graph_version: Option<String>,
    /// Meta's `partner_agent`.
    pub partner_agent: Option<String>,
    /// Meta's `test_event_code`; such events count all the same.
    pub test_event_code: Option<String>,
    /// Requests at once to this dataset; `None` for the forwarder's default.
    pub max_concurrency: Option<i32>,
}

/// An API key, without its plaintext.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKey {
    /// Public part, base62.
    pub key_id: String,
    /// For people.
    pub name: String,
    /// SHA-256 of the plaintext key.
    #[serde(with = "serde_bytes")]
    pub digest: [u8; 32],
    /// None means full access.
    pub scopes: Vec<String>,
    /// Unix milliseconds.
    pub created_at: i64,
    /// Unix milliseconds; `None` for no expiry.
    pub expires_at: Option<i64>,
    /// Unix milliseconds; `None` while it is live.
    pub revoked_at: Option<i64>,
}
