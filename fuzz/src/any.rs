//! Any call, outcome and message that the types allow, whether or not a worker would ever write it.

use arbitrary::{Arbitrary, Result, Unstructured};
use schemas::{
    Call, CallId, CallRecord, ConversionEvent, ConversionStatus, FailureStage, Lane, LineItem, MetaError, Micros,
    Outcome, Reason, Verdict, event::Progress,
};
use uuid::Uuid;

const STATUSES: [ConversionStatus; 5] = [
    ConversionStatus::Forwarded,
    ConversionStatus::Duplicate,
    ConversionStatus::Pending,
    ConversionStatus::Rejected,
    ConversionStatus::Refused,
];
const STAGES: [FailureStage; 5] = [
    FailureStage::Authentication,
    FailureStage::BusinessLookup,
    FailureStage::ChannelLookup,
    FailureStage::PayloadMapping,
    FailureStage::MetaForward,
];
const REASONS: [Reason; 5] =
    [Reason::ApiKeyMissing, Reason::InvalidFields, Reason::EventTooOld, Reason::MetaRejected, Reason::MetaDropped];

fn id(u: &mut Unstructured<'_>) -> Result<CallId> {
    Ok(Uuid::from_u128(u128::arbitrary(u)?).into())
}

fn amount(u: &mut Unstructured<'_>) -> Result<Micros> {
    Ok(Micros::new(u.int_in_range(0..=Micros::MAX.millionths())?).unwrap_or(Micros::MAX))
}

fn maybe<T>(u: &mut Unstructured<'_>, some: fn(&mut Unstructured<'_>) -> Result<T>) -> Result<Option<T>> {
    if bool::arbitrary(u)? { some(u).map(Some) } else { Ok(None) }
}

fn items<T>(u: &mut Unstructured<'_>, item: fn(&mut Unstructured<'_>) -> Result<T>) -> Result<Vec<T>> {
    let count = u.int_in_range(0..=8)?;
    (0..count).map(|_| item(u)).collect()
}

fn line(u: &mut Unstructured<'_>) -> Result<LineItem> {
    Ok(LineItem { id: String::arbitrary(u)?, quantity: Option::arbitrary(u)?, item_price: maybe(u, amount)? })
}

/// What a merchant may have reported.
pub fn call(u: &mut Unstructured<'_>) -> Result<Call> {
    Ok(Call {
        call_id: id(u)?,
        received_at: i64::arbitrary(u)?,
        business_id: String::arbitrary(u)?,
        api_key_id: String::arbitrary(u)?,
        event_name: String::arbitrary(u)?,
        event_time: Option::arbitrary(u)?,
        cnct_tracking_id: String::arbitrary(u)?,
        sendout_id: String::arbitrary(u)?,
        ctwa_clid: String::arbitrary(u)?,
        ad_id: String::arbitrary(u)?,
        currency: String::arbitrary(u)?,
        value: maybe(u, amount)?,
        order_id: String::arbitrary(u)?,
        content_type: String::arbitrary(u)?,
        content_ids: Vec::arbitrary(u)?,
        num_items: Option::arbitrary(u)?,
        contents: items(u, line)?,
        body: Vec::arbitrary(u)?.into(),
        release: String::arbitrary(u)?,
    })
}

fn outcome(u: &mut Unstructured<'_>) -> Result<Outcome> {
    Ok(Outcome {
        http_status: i32::arbitrary(u)?,
        conversion_status: *u.choose(&STATUSES)?,
        failure_stage: maybe(u, |u| u.choose(&STAGES).copied())?,
        reason: maybe(u, |u| u.choose(&REASONS).copied())?,
        error: String::arbitrary(u)?,
        events_received: Option::arbitrary(u)?,
        fbtrace_id: String::arbitrary(u)?,
        meta_http_status: Option::arbitrary(u)?,
        meta_code: Option::arbitrary(u)?,
        meta_error_subcode: Option::arbitrary(u)?,
        meta_error: String::arbitrary(u)?,
        duplicate_of: maybe(u, id)?,
        forward_attempts: i32::arbitrary(u)?,
        possibly_duplicate: bool::arbitrary(u)?,
        forward_ms: Option::arbitrary(u)?,
        total_ms: i64::arbitrary(u)?,
    })
}

fn meta_error(u: &mut Unstructured<'_>) -> Result<MetaError> {
    Ok(MetaError {
        http_status: i32::arbitrary(u)?,
        code: Option::arbitrary(u)?,
        subcode: Option::arbitrary(u)?,
        message: String::arbitrary(u)?,
        fbtrace_id: String::arbitrary(u)?,
    })
}

fn progress(u: &mut Unstructured<'_>) -> Result<Progress> {
    Ok(Progress {
        tier: i32::arbitrary(u)?,
        not_before: i64::arbitrary(u)?,
        forward_attempts: i32::arbitrary(u)?,
        forward_ms: i64::arbitrary(u)?,
        last_error: maybe(u, meta_error)?,
    })
}

fn lane(u: &mut Unstructured<'_>) -> Result<Lane> {
    Ok(if bool::arbitrary(u)? { Lane::Live } else { Lane::Backfill })
}

/// Any event.
pub fn event(u: &mut Unstructured<'_>) -> Result<ConversionEvent> {
    Ok(ConversionEvent { call: call(u)?, lane: lane(u)?, progress: maybe(u, progress)? })
}

/// Any record.
pub fn record(u: &mut Unstructured<'_>) -> Result<CallRecord> {
    Ok(CallRecord { outcome: outcome(u)?, lane: maybe(u, lane)?, rests_on: i64::arbitrary(u)?, call: call(u)? })
}

/// Any verdict.
pub fn verdict(u: &mut Unstructured<'_>) -> Result<Verdict> {
    Ok(Verdict { call_id: id(u)?, outcome: outcome(u)? })
}
