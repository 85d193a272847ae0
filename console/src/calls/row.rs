//! Rows of the view `calls`, as pages read them.

use schemas::{CallId, FailureStage};
use serde::{Deserialize, Deserializer, de::Error as _};

use crate::{money::Amount, when::Moment};

/// What a list says of each call.
pub(crate) const SUMMARY: [&str; 11] = [
    "call_id",
    "toUnixTimestamp64Milli(received_at) AS received_ms",
    "http_status",
    "conversion_status",
    "reason",
    "error",
    "event_name",
    "order_id",
    "ad_id",
    "currency",
    "ifNull(toString(value), '') AS amount",
];

/// A call in a list.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Listed {
    #[serde(deserialize_with = "call_id")]
    pub(crate) call_id: CallId,
    pub(crate) received_ms: Moment,
    pub(crate) http_status: i32,
    pub(crate) conversion_status: String,
    pub(crate) reason: String,
    pub(crate) error: String,
    pub(crate) event_name: String,
    pub(crate) order_id: String,
    pub(crate) ad_id: String,
    pub(crate) currency: String,
    pub(crate) amount: Amount,
}

/// All that is known of one call.
pub(super) const WHOLE: [&str; 35] = [
    "call_id",
    "toUnixTimestamp64Milli(received_at) AS received_ms",
    "toUnixTimestamp64Milli(recorded_at) AS recorded_ms",
    "api_key_id",
    "http_status",
    "conversion_status",
    "failure_stage",
    "reason",
    "error",
    "event_name",
    "toUnixTimestamp(event_time) AS event_s",
    "cnct_tracking_id",
    "sendout_id",
    "ctwa_clid",
    "ad_id",
    "currency",
    "ifNull(toString(value), '') AS amount",
    "order_id",
    "content_type",
    "content_ids",
    "num_items",
    "`contents.id` AS item_ids",
    "`contents.quantity` AS quantities",
    "arrayMap(price -> ifNull(toString(price), ''), `contents.item_price`) AS prices",
    "events_received",
    "forward_reference_id",
    "meta_http_status",
    "meta_code",
    "meta_error_subcode",
    "meta_error",
    "duplicate_of",
    "lane",
    "forward_attempts, possibly_duplicate",
    "forward_ms, total_ms",
    "body",
];

/// A call's whole row.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Whole {
    #[serde(deserialize_with = "call_id")]
    pub(super) call_id: CallId,
    pub(super) received_ms: Moment,
    pub(super) recorded_ms: Moment,
    pub(super) api_key_id: String,
    pub(super) http_status: i32,
    pub(super) conversion_status: String,
    pub(super) failure_stage: String,
    pub(super) reason: String,
    pub(super) error: String,
    pub(super) event_name: String,
    pub(super) event_s: Option<i64>,
    pub(super) cnct_tracking_id: String,
    pub(super) sendout_id: String,
    pub(super) ctwa_clid: String,
    pub(super) ad_id: String,
    pub(super) currency: String,
    pub(super) amount: Amount,
    pub(super) order_id: String,
    pub(super) content_type: String,
    pub(super) content_ids: Vec<String>,
    pub(super) num_items: Option<i32>,
    pub(super) item_ids: Vec<String>,
    pub(super) quantities: Vec<Option<i32>>,
    pub(super) prices: Vec<Amount>,
    pub(super) events_received: Option<i32>,
    pub(super) forward_reference_id: String,
    pub(super) meta_http_status: Option<i32>,
    pub(super) meta_code: Option<i32>,
    pub(super) meta_error_subcode: Option<i32>,
    pub(super) meta_error: String,
    pub(super) duplicate_of: Option<String>,
    pub(super) lane: String,
    pub(super) forward_attempts: i32,
    pub(super) possibly_duplicate: bool,
    pub(super) forward_ms: Option<i64>,
    pub(super) total_ms: i64,
    pub(super) body: String,
}

impl Whole {
    /// When the conversion was.
    pub(super) fn event_at(&self) -> Option<Moment> {
        self.event_s.map(|seconds| Moment::of(seconds.saturating_mul(1000)))
    }

    /// The stage where it failed.
    pub(super) fn stage(&self) -> Option<FailureStage> {
        FailureStage::ALL.into_iter().find(|stage| stage.as_str() == self.failure_stage)
    }
}

fn call_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<CallId, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
}
