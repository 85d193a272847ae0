//! Examples: requests that the service takes, and answers as it gives them.

use std::time::Duration;

use directory::KeyRefusal;
use schemas::{Call, CallId, ConversionStatus, FailureStage, Outcome, Reason};
use serde_json::{Value, json};
use uuid::{Uuid, uuid};

use crate::{
    answer::{Answer, Failure, RECEIVED},
    lookup,
    refusal::Refusal,
    request::Request,
    validate::validate,
};

/// The business of the examples.
pub(super) const BUSINESS: &str = "6f1c1b1e-0d6c-4b7e-9a44-0a4f6f0b7f10";
/// The call of the examples, and when it came.
const CALL: Uuid = uuid!("019ac000-0000-7000-8000-00000000c0de");
const RECEIVED_AT: i64 = 1_764_172_800_000;

/// The purchase of the endpoint's page, as people read it. It has no `event_time`: one that stands in a document is soon
/// older than Meta takes.
pub(super) const PURCHASE: &str = r#"{
  "cnct_tracking_id": "<value from URL>",
  "event_name": "Purchase",
  "sendout_id": "<value from URL>",
  "attribution": {
    "meta_ctwa": {
      "ctwa_clid": "<value from URL>",
      "ad_id": "<value from URL>"
    }
  },
  "payload": {
    "currency": "USD",
    "value": 99.97,
    "order_id": "ORD-7821",
    "content_type": "product",
    "content_ids": ["data-pass-30d", "phone-case-blk"],
    "num_items": 2,
    "contents": [
      { "id": "data-pass-30d", "quantity": 1, "item_price": 49.99 },
      { "id": "phone-case-blk", "quantity": 1, "item_price": 49.98 }
    ]
  }
}"#;

/// A body with more than one fault.
const INVALID: &str = r#"{
    "event_name": "Purchase", "sendout_id": "s", "attribution": {"meta_ctwa": {"ctwa_clid": "c", "ad_id": "a"}},
    "payload": {"currency": "USD", "value": "99.97", "contents": [{"id": "data-pass-30d", "item_price": -1}]}
}"#;

pub(super) fn purchase() -> Value {
    serde_json::from_str(PURCHASE).unwrap_or_default()
}

pub(super) fn view() -> Value {
    json!({
        "cnct_tracking_id": "<value from URL>",
        "event_name": "ViewContent",
        "sendout_id": "<value from URL>",
        "attribution": {"meta_ctwa": {"ctwa_clid": "<value from URL>", "ad_id": "<value from URL>"}},
        "payload": {"content_type": "product", "content_ids": ["data-pass-30d"]},
    })
}

pub(super) fn received() -> Value {
    serde_json::from_str(RECEIVED).unwrap_or_default()
}

pub(super) fn history() -> Value {
    serde_json::from_slice(&lookup::example()).unwrap_or_default()
}

pub(super) fn invalid() -> Value {
    let violations = Request::read(INVALID.as_bytes())
        .map(|request| validate(&request, &mut Call::blank(CallId::from(CALL), RECEIVED_AT)));
    body(&Refusal::invalid(violations.unwrap_or_default()).into())
}

pub(super) fn rejected() -> Value {
    let title = "Messaging Event Invalid Ctwa Clid";
    let outcome = Outcome {
        failure_stage: Some(FailureStage::MetaForward),
        reason: Some(Reason::MetaRejected),
        error: title.to_owned(),
        fbtrace_id: "AbCdEf123".to_owned(),
        meta_http_status: Some(400),
        meta_code: Some(100),
        meta_error_subcode: Some(2_804_087),
        meta_error: title.to_owned(),
        ..Outcome::new(400, ConversionStatus::Rejected)
    };
    match Answer::to_outcome(&outcome) {
        Answer::Failed(failure) => body(&failure),
        Answer::Received { .. } | Answer::Found(_) => Value::Null,
    }
}

pub(super) fn no_question() -> Value {
    lookup::fault_of("").map_or(Value::Null, |violations| body(&Refusal::invalid(violations).into()))
}

pub(super) fn no_key() -> Value {
    body(&Refusal::key(&KeyRefusal::Missing).into())
}

pub(super) fn no_channel() -> Value {
    body(&Refusal::channel_not_configured().into())
}

pub(super) fn too_large() -> Value {
    body(&Refusal::too_large().into())
}

pub(super) fn rate_limited() -> Value {
    body(&Failure::rate_limited(Duration::from_secs(1)))
}

pub(super) fn unavailable() -> Value {
    body(&Failure::unavailable(crate::call::COME_BACK))
}

pub(super) fn too_many_lookups() -> Value {
    body(&Failure::too_many_lookups(Duration::from_secs(1)))
}

pub(super) fn no_answer() -> Value {
    body(&Failure::no_answer(crate::call::COME_BACK))
}

pub(super) fn call_not_found() -> Value {
    body(&Failure::call_not_found())
}

fn body(failure: &Failure) -> Value {
    serde_json::from_slice(&failure.body(CallId::from(CALL))).unwrap_or_default()
}
