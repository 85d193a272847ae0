//! What ClickHouse has of it, and how it is told.

use clickhouse::{Client, Row};
use schemas::call::ID_TIME_SLACK;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::{Uuid, uuid};

use super::question::Question;

/// Calls that are told, the newest first; an order seldom has more than a few.
pub(crate) const MOST: usize = 100;

/// A call's row, as far as it is told.
#[derive(Clone, Debug, Row, Deserialize)]
pub(super) struct Found {
    #[serde(with = "clickhouse::serde::uuid")]
    call_id: Uuid,
    #[serde(with = "clickhouse::serde::time::datetime64::millis")]
    received_at: OffsetDateTime,
    event_name: String,
    order_id: String,
    conversion_status: String,
    http_status: i32,
    failure_stage: String,
    reason: String,
    error: String,
    meta_http_status: Option<i32>,
    meta_code: Option<i32>,
    meta_error_subcode: Option<i32>,
    meta_error: String,
    forward_reference_id: String,
    forward_attempts: i32,
    possibly_duplicate: bool,
    #[serde(with = "clickhouse::serde::uuid::option")]
    duplicate_of: Option<Uuid>,
}

/// The columns of [`Found`], in order.
const COLUMNS: &str = "call_id, received_at, event_name, order_id, conversion_status, http_status, failure_stage, \
     reason, error, meta_http_status, meta_code, meta_error_subcode, meta_error, forward_reference_id, \
     forward_attempts, possibly_duplicate, duplicate_of";

/// The business's calls that are asked for, the newest first: at most one more than are told.
pub(super) async fn calls(
    client: &Client,
    business: &str,
    question: &Question,
) -> clickhouse::error::Result<Vec<Found>> {
    let select = |filter: &str| {
        let statement = format!(
            "SELECT {COLUMNS} FROM calls WHERE business_id = {{business:String}} AND {filter} \
             ORDER BY received_at DESC, call_id LIMIT {}",
            MOST + 1
        );
        client.query(&statement).param("business", business)
    };
    let query = match question {
        Question::Order(order) => select("order_id = {order:String}").param("order", order),
        // The id has its time: one month's part of the table is read.
        Question::Call(call) => select(
            "call_id = {call:UUID} AND received_at BETWEEN fromUnixTimestamp64Milli({from:UInt64}) \
             AND fromUnixTimestamp64Milli({to:UInt64})",
        )
        .param("call", call.to_string())
        .param("from", call.unix_ms().saturating_sub(ID_TIME_SLACK))
        .param("to", call.unix_ms() + ID_TIME_SLACK),
    };
    query.fetch_all().await
}

/// The body that tells them.
pub(super) fn body(mut found: Vec<Found>) -> Vec<u8> {
    let more = found.len() > MOST;
    found.truncate(MOST);
    let history = History { calls: found.iter().map(Told::from).collect(), more };
    // Texts, numbers and times in structs: there is nothing in it that could fail to be written.
    serde_json::to_vec(&history).unwrap_or_default()
}

/// What became of the calls that were asked for.
#[derive(Serialize)]
struct History<'f> {
    /// The newest first.
    calls: Vec<Told<'f>>,
    /// Whether there are older ones, which are not told.
    more: bool,
}

/// What became of one call. What does not apply is left out.
#[derive(Serialize)]
struct Told<'f> {
    call_id: Uuid,
    #[serde(with = "time::serde::rfc3339")]
    received_at: OffsetDateTime,
    #[serde(skip_serializing_if = "str::is_empty")]
    event_name: &'f str,
    #[serde(skip_serializing_if = "str::is_empty")]
    order_id: &'f str,
    conversion_status: &'f str,
    http_status: i32,
    #[serde(skip_serializing_if = "str::is_empty")]
    failure_stage: &'f str,
    #[serde(skip_serializing_if = "str::is_empty")]
    reason: &'f str,
    #[serde(skip_serializing_if = "str::is_empty")]
    error: &'f str,
    #[serde(skip_serializing_if = "Option::is_none")]
    meta: Option<Meta<'f>>,
    /// Requests to Meta that carried it.
    forward_attempts: i32,
    possibly_duplicate: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    duplicate_of: Option<Uuid>,
}

/// What Meta said last.
#[derive(Serialize)]
struct Meta<'f> {
    #[serde(skip_serializing_if = "Option::is_none")]
    http_status: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_subcode: Option<i32>,
    #[serde(skip_serializing_if = "str::is_empty")]
    error: &'f str,
    #[serde(skip_serializing_if = "str::is_empty")]
    fbtrace_id: &'f str,
}

impl<'f> From<&'f Found> for Told<'f> {
    fn from(found: &'f Found) -> Self {
        Self {
            call_id: found.call_id,
            received_at: found.received_at,
            event_name: &found.event_name,
            order_id: &found.order_id,
            conversion_status: &found.conversion_status,
            http_status: found.http_status,
            failure_stage: &found.failure_stage,
            reason: &found.reason,
            error: &found.error,
            meta: Meta::of(found),
            forward_attempts: found.forward_attempts,
            possibly_duplicate: found.possibly_duplicate,
            duplicate_of: found.duplicate_of,
        }
    }
}

impl<'f> Meta<'f> {
    /// Nothing where Meta has not answered.
    fn of(found: &'f Found) -> Option<Self> {
        found.meta_http_status?;
        Some(Self {
            http_status: found.meta_http_status,
            code: found.meta_code,
            error_subcode: found.meta_error_subcode,
            error: &found.meta_error,
            fbtrace_id: &found.forward_reference_id,
        })
    }
}

/// An answer for the documentation: an order that Meta rejected, corrected and sent again.
pub(crate) fn example() -> Vec<u8> {
    const FIRST: i64 = 1_764_172_800;
    let at = |seconds| OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let corrected = Found {
        call_id: uuid!("019ac001-0000-7000-8000-00000000c0de"),
        received_at: at(FIRST + 90),
        event_name: "Purchase".to_owned(),
        order_id: "ORD-7821".to_owned(),
        conversion_status: "forwarded".to_owned(),
        http_status: 200,
        failure_stage: String::new(),
        reason: String::new(),
        error: String::new(),
        meta_http_status: Some(200),
        meta_code: None,
        meta_error_subcode: None,
        meta_error: String::new(),
        forward_reference_id: "BcDeFg234".to_owned(),
        forward_attempts: 1,
        possibly_duplicate: false,
        duplicate_of: None,
    };
    let title = "Messaging Event Invalid Ctwa Clid";
    let rejected = Found {
        call_id: uuid!("019ac000-0000-7000-8000-00000000c0de"),
        received_at: at(FIRST),
        conversion_status: "rejected".to_owned(),
        http_status: 400,
        failure_stage: "meta_forward".to_owned(),
        reason: "META_REJECTED".to_owned(),
        error: title.to_owned(),
        meta_http_status: Some(400),
        meta_code: Some(100),
        meta_error_subcode: Some(2_804_087),
        meta_error: title.to_owned(),
        forward_reference_id: "AbCdEf123".to_owned(),
        ..corrected.clone()
    };
    body(vec![corrected, rejected])
}
