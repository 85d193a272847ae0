//! What a merchant reported in one call.

use std::{fmt, str::FromStr};

use bytes::Bytes;
use serde::{Deserialize, Serialize, Serializer, ser::SerializeStruct as _};
use uuid::Uuid;

use crate::Micros;

/// How far the time in a call's id may be from its `received_at`, in milliseconds: both are of one moment.
pub const ID_TIME_SLACK: u64 = 60_000;

/// The identity of a call from the first byte to the last row: a `UUIDv7`, so it carries its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CallId(Uuid);

impl CallId {
    /// A new id, of this moment.
    #[must_use]
    pub fn now() -> Self {
        Self(Uuid::now_v7())
    }

    /// The 16 bytes of the id.
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// The time in the id (RFC 9562), in Unix milliseconds: within [`ID_TIME_SLACK`] of the call's `received_at`.
    pub fn unix_ms(&self) -> u64 {
        self.as_bytes()[..6].iter().fold(0, |millis, byte| millis << 8 | u64::from(*byte))
    }

    /// The id as a UUID.
    pub fn uuid(&self) -> Uuid {
        self.0
    }
}

impl From<Uuid> for CallId {
    fn from(uuid: Uuid) -> Self {
        Self(uuid)
    }
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl FromStr for CallId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// The lane a call came in by: `live` where the caller waits, `backfill` for `Prefer: respond-async`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Lane {
    /// The caller waits for Meta's verdict.
    Live,
    /// The caller was answered 202 as soon as the event was durable.
    Backfill,
}

impl Lane {
    /// The name in columns, metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Backfill => "backfill",
        }
    }
}

/// What a merchant reported, as far as it could be read: whole in an event, in parts in a refused call.
/// Text that is absent is empty. Ingest keeps the fields' rules.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Call {
    /// The call's identity.
    pub call_id: CallId,
    /// When the request arrived, in Unix milliseconds.
    pub received_at: i64,
    /// The business the call stands under; in an event always a UUID in small letters.
    pub business_id: String,
    /// The key's public id; empty where no key was recognised.
    pub api_key_id: String,
    /// `Purchase` or `ViewContent`; anything else only in a refused call.
    pub event_name: String,
    /// Unix seconds of the conversion; in an event always present.
    pub event_time: Option<i64>,
    /// Verbatim from the landing URL.
    pub cnct_tracking_id: String,
    /// Verbatim from the landing URL.
    pub sendout_id: String,
    /// Verbatim from the landing URL; matched byte for byte by Meta.
    pub ctwa_clid: String,
    /// Verbatim from the landing URL.
    pub ad_id: String,
    /// ISO 4217 in capitals.
    pub currency: String,
    /// Order value.
    pub value: Option<Micros>,
    /// The merchant's order reference.
    pub order_id: String,
    /// `product` or `product_group`.
    pub content_type: String,
    /// Product ids.
    pub content_ids: Vec<String>,
    /// Cart size as given.
    pub num_items: Option<i32>,
    /// The order's lines, those without an id left out.
    pub contents: Vec<LineItem>,
    /// The request body as received, cut at [`BODY_KEPT`] bytes.
    pub body: Bytes,
    /// The release of the ingest that took the call; empty in what was written as v1.
    #[serde(default)]
    pub release: String,
}

/// By hand, because a derived one names every field, and the writer of a version refuses a field that its schema lacks.
/// A field that came later is left out where it is empty: then any version takes the call, and one that has the field
/// fills in its default. A field forgotten here has no default, and every message with a call fails to be written.
impl Serialize for Call {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut call = serializer.serialize_struct("Call", 19)?;
        call.serialize_field("call_id", &self.call_id)?;
        call.serialize_field("received_at", &self.received_at)?;
        call.serialize_field("business_id", &self.business_id)?;
        call.serialize_field("api_key_id", &self.api_key_id)?;
        call.serialize_field("event_name", &self.event_name)?;
        call.serialize_field("event_time", &self.event_time)?;
        call.serialize_field("cnct_tracking_id", &self.cnct_tracking_id)?;
        call.serialize_field("sendout_id", &self.sendout_id)?;
        call.serialize_field("ctwa_clid", &self.ctwa_clid)?;
        call.serialize_field("ad_id", &self.ad_id)?;
        call.serialize_field("currency", &self.currency)?;
        call.serialize_field("value", &self.value)?;
        call.serialize_field("order_id", &self.order_id)?;
        call.serialize_field("content_type", &self.content_type)?;
        call.serialize_field("content_ids", &self.content_ids)?;
        call.serialize_field("num_items", &self.num_items)?;
        call.serialize_field("contents", &self.contents)?;
        call.serialize_field("body", &self.body)?;
        if !self.release.is_empty() {
            call.serialize_field("release", &self.release)?;
        }
        call.end()
    }
}

impl Call {
    /// A call of which nothing is known yet but when it arrived: what reading its request starts from.
    #[must_use]
    pub fn blank(call_id: CallId, received_at: i64) -> Self {
        Self {
            call_id,
            received_at,
            business_id: String::new(),
            api_key_id: String::new(),
            event_name: String::new(),
            event_time: None,
            cnct_tracking_id: String::new(),
            sendout_id: String::new(),
            ctwa_clid: String::new(),
            ad_id: String::new(),
            currency: String::new(),
            value: None,
            order_id: String::new(),
            content_type: String::new(),
            content_ids: Vec::new(),
            num_items: None,
            contents: Vec::new(),
            body: Bytes::new(),
            release: String::new(),
        }
    }
}

/// How much of a request body a record keeps, in bytes.
pub const BODY_KEPT: usize = 64 * 1024;

/// One line of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineItem {
    /// Product id.
    pub id: String,
    /// Units.
    pub quantity: Option<i32>,
    /// Price of one unit.
    pub item_price: Option<Micros>,
}
