//! The row of a call, as ClickHouse takes it: one struct whose fields are the columns, in order.

use clickhouse::Row;
use schemas::{CallId, CallRecord, ConversionEvent, ConversionStatus, FailureStage, Lane, Micros, Outcome, Reason};
use serde::{Serialize, Serializer};
use uuid::Uuid;

/// A row of `call_records`. The types are those of the columns; the client checks them against the table's.
#[derive(Clone, Debug, PartialEq, Row, Serialize)]
pub struct CallRow {
    #[serde(with = "clickhouse::serde::uuid")]
    call_id: Uuid,
    received_at: i64,
    recorded_at: i64,
    business_id: String,
    api_key_id: String,
    http_status: i32,
    conversion_status: &'static str,
    success: bool,
    failure_stage: &'static str,
    reason: &'static str,
    error: String,
    event_name: String,
    event_time: Option<u32>,
    cnct_tracking_id: String,
    sendout_id: String,
    ctwa_clid: String,
    ad_id: String,
    currency: String,
    value: Option<Decimal>,
    order_id: String,
    content_type: String,
    content_ids: Vec<String>,
    num_items: Option<i32>,
    #[serde(rename = "contents.id")]
    contents_id: Vec<String>,
    #[serde(rename = "contents.quantity")]
    contents_quantity: Vec<Option<i32>>,
    #[serde(rename = "contents.item_price")]
    contents_item_price: Vec<Option<Decimal>>,
    events_received: Option<i32>,
    forward_reference_id: String,
    meta_http_status: Option<i32>,
    meta_code: Option<i32>,
    meta_error_subcode: Option<i32>,
    meta_error: String,
    #[serde(with = "clickhouse::serde::uuid::option")]
    duplicate_of: Option<Uuid>,
    lane: &'static str,
    forward_attempts: i32,
    possibly_duplicate: bool,
    forward_ms: Option<i64>,
    total_ms: i64,
    #[serde(serialize_with = "raw")]
    body: Vec<u8>,
    version: u64,
    release: String,
}

/// `Decimal(38, 6)`: a count of millionths in 128 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(crate) struct Decimal(i128);

impl From<Micros> for Decimal {
    fn from(amount: Micros) -> Self {
        Self(i128::from(amount.millionths()))
    }
}

/// A body is bytes, and need not be UTF-8.
fn raw<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bytes(bytes)
}

impl CallRow {
    /// The row of a record. `recorded_at` is now, in Unix milliseconds.
    pub fn new(record: CallRecord, recorded_at: i64) -> Self {
        let version = record.version();
        let CallRecord { call, lane, outcome, .. } = record;
        let mut row = Self {
            call_id: call.call_id.uuid(),
            received_at: call.received_at,
            recorded_at,
            business_id: call.business_id,
            api_key_id: call.api_key_id,
            http_status: outcome.http_status,
            conversion_status: outcome.conversion_status.as_str(),
            success: outcome.conversion_status.is_success(),
            failure_stage: outcome.failure_stage.map_or("", FailureStage::as_str),
            reason: outcome.reason.map_or("", Reason::as_str),
            error: outcome.error,
            event_name: call.event_name,
            // A refused call may hold any number; what the column cannot hold was no time either.
            event_time: call.event_time.and_then(|seconds| seconds.try_into().ok()),
            cnct_tracking_id: call.cnct_tracking_id,
            sendout_id: call.sendout_id,
            ctwa_clid: call.ctwa_clid,
            ad_id: call.ad_id,
            currency: call.currency,
            value: call.value.map(Decimal::from),
            order_id: call.order_id,
            content_type: call.content_type,
            content_ids: call.content_ids,
            num_items: call.num_items,
            contents_id: Vec::with_capacity(call.contents.len()),
            contents_quantity: Vec::with_capacity(call.contents.len()),
            contents_item_price: Vec::with_capacity(call.contents.len()),
            events_received: outcome.events_received,
            forward_reference_id: outcome.fbtrace_id,
            meta_http_status: outcome.meta_http_status,
            meta_code: outcome.meta_code,
            meta_error_subcode: outcome.meta_error_subcode,
            meta_error: outcome.meta_error,
            duplicate_of: outcome.duplicate_of.map(|call: CallId| call.uuid()),
            lane: lane.map_or("", Lane::as_str),
            forward_attempts: outcome.forward_attempts,
            possibly_duplicate: outcome.possibly_duplicate,
            forward_ms: outcome.forward_ms,
            total_ms: outcome.total_ms,
            body: call.body.into(),
            version,
            release: call.release,
        };
        for item in call.contents {
            row.contents_id.push(item.id);
            row.contents_quantity.push(item.quantity);
            row.contents_item_price.push(item.item_price.map(Decimal::from));
        }
        row
    }

    /// The row of an event that nobody waits for: it is `pending` from the moment it is durable, whether or not a
    /// forwarder runs. It rests on no ledger record, so whatever a forwarder says replaces it.
    pub fn pending(event: ConversionEvent, recorded_at: i64) -> Self {
        // A replay travels in the backfill lane and keeps the lane, and the answer, that its call had.
        let http_status = match event.lane {
            Lane::Live => 200,
            Lane::Backfill => 202,
        };
        let outcome = Outcome::new(http_status, ConversionStatus::Pending);
        let record = CallRecord { call: event.call, lane: Some(event.lane), outcome, rests_on: 0 };
        Self::new(record, recorded_at)
    }

    /// The call that the row is about.
    pub fn call_id(&self) -> Uuid {
        self.call_id
    }

    /// Where the call stands, as the column says it.
    pub fn conversion_status(&self) -> &'static str {
        self.conversion_status
    }
}

#[cfg(test)]
mod tests {
    use schemas::{Call, LineItem};
    use warehouse::schema::{CALLS_COLUMNS, TABLE_ONLY_COLUMNS};

    use super::*;

    fn call() -> Call {
        Call { event_time: Some(1_746_480_000), ..Call::blank(CallId::now(), 1_746_480_000_123) }
    }

    fn record(call: Call) -> CallRecord {
        CallRecord { call, lane: None, outcome: Outcome::new(400, ConversionStatus::Refused), rests_on: 0 }
    }

    #[test]
    fn the_fields_are_the_columns_in_order() {
        let columns: Vec<_> = CALLS_COLUMNS.iter().map(|(name, _)| *name).chain(["version", "release"]).collect();
        assert_eq!(CallRow::COLUMN_NAMES, columns.as_slice());
        assert_eq!(TABLE_ONLY_COLUMNS[0].0, "version");
    }

    #[test]
    fn a_backfilled_event_is_pending_until_a_forwarder_speaks() {
        let event = ConversionEvent { call: call(), lane: Lane::Backfill, progress: None };
        let row = CallRow::pending(event.clone(), 7);
        assert_eq!((row.conversion_status, row.http_status, row.lane, row.version), ("pending", 202, "backfill", 0));
        assert!(!row.success && row.failure_stage.is_empty());
        let replayed = CallRow::pending(ConversionEvent { lane: Lane::Live, ..event }, 7);
        assert_eq!((replayed.http_status, replayed.lane), (200, "live"));
    }

    /// What a forwarder says takes the place of the pending row only where the table's key is the same.
    #[test]
    fn every_row_of_a_call_has_the_key_of_the_call() {
        let call = Call { business_id: "shop".into(), ..call() };
        let key = |row: CallRow| (row.business_id, row.received_at, row.call_id);
        let of_call = ("shop".to_owned(), call.received_at, call.call_id.uuid());
        let event = ConversionEvent { call: call.clone(), lane: Lane::Backfill, progress: None };
        assert_eq!(key(CallRow::pending(event, call.received_at + 9)), of_call);
        let said = CallRecord { rests_on: 7, ..record(call.clone()) };
        assert_eq!(key(CallRow::new(said, call.received_at + 9)), of_call);
    }

    #[test]
    fn contents_stand_side_by_side() {
        let item = |id: &str, quantity, price| LineItem {
            id: id.into(),
            quantity,
            item_price: Option::map(price, |price| Micros::new(price).unwrap()),
        };
        let contents = vec![item("a", Some(2), Some(49_990_000)), item("b", None, None)];
        let row = CallRow::new(record(Call { contents, ..call() }), 7);
        assert_eq!(row.contents_id, ["a", "b"]);
        assert_eq!(row.contents_quantity, [Some(2), None]);
        assert_eq!(row.contents_item_price, [Some(Decimal(49_990_000)), None]);
    }

    #[test]
    fn a_time_that_the_column_cannot_hold_is_absent() {
        for (given, kept) in [(Some(1_746_480_000_000), None), (Some(-1), None), (None, None), (Some(7), Some(7))] {
            assert_eq!(CallRow::new(record(Call { event_time: given, ..call() }), 7).event_time, kept);
        }
    }
}
