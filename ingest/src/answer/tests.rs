//! Every kind of answer, body and headers.

use axum::body::to_bytes;
use directory::KeyRefusal;
use schemas::{FailureStage, Outcome, Reason};
use serde_json::{Value, json};

use super::*;
use crate::{
    refusal::Refusal,
    request::Malformed,
    validate::{FieldReason, Violation},
};

struct Sent {
    call_id: CallId,
    http: u16,
    headers: http::HeaderMap,
    body: Value,
}

async fn send(answer: impl Into<Answer>) -> Sent {
    let call_id = CallId::now();
    let (head, body) = answer.into().into_response(call_id).into_parts();
    let body = serde_json::from_slice(&to_bytes(body, usize::MAX).await.unwrap()).unwrap();
    assert_eq!(head.headers[header::CONTENT_TYPE], "application/json");
    Sent { call_id, http: head.status.as_u16(), headers: head.headers, body }
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        Failure::from(refusal).into()
    }
}

/// The one `ErrorInfo`, with its metadata less the call's id, which is checked here.
fn error_info(sent: &Sent) -> (Value, Value) {
    let infos: Vec<_> =
        sent.body["details"].as_array().unwrap().iter().filter(|detail| is(detail, "ErrorInfo")).collect();
    assert_eq!(infos.len(), 1, "{}", sent.body);
    assert_eq!(infos[0]["domain"], "capi");
    let mut metadata = infos[0]["metadata"].clone();
    assert_eq!(metadata.as_object_mut().unwrap().remove("call_id"), Some(json!(sent.call_id.to_string())));
    (infos[0]["reason"].clone(), metadata)
}

fn is(detail: &Value, kind: &str) -> bool {
    detail["@type"] == format!("type.googleapis.com/google.rpc.{kind}")
}

#[tokio::test]
async fn a_success_says_nothing_else() {
    for (deferred, status, http) in [
        (false, ConversionStatus::Forwarded, 200),
        (false, ConversionStatus::Duplicate, 200),
        (false, ConversionStatus::Pending, 200),
        (true, ConversionStatus::Pending, 202),
    ] {
        let sent = send(Answer::Received { deferred, status }).await;
        assert_eq!((sent.http, sent.body), (http, json!({"events_received": 1})));
        assert_eq!(sent.headers[CONVERSION_STATUS], status.as_str());
    }
}

#[tokio::test]
async fn metas_rejection_is_told_as_the_contract_shows_it() {
    let outcome = Outcome {
        failure_stage: Some(FailureStage::MetaForward),
        reason: Some(Reason::MetaRejected),
        error: "Messaging Event Invalid Ctwa Clid".into(),
        meta_error: "Messaging Event Invalid Ctwa Clid".into(),
        meta_code: Some(100),
        meta_error_subcode: Some(2_804_087),
        fbtrace_id: "A1".into(),
        ..Outcome::new(400, ConversionStatus::Rejected)
    };
    let sent = send(Answer::to_outcome(&outcome)).await;
    let expected = json!({
        "code": 3, "status": "INVALID_ARGUMENT", "message": "Meta rejected the event: Messaging Event Invalid Ctwa Clid",
        "details": [{
            "@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "META_REJECTED", "domain": "capi",
            "metadata": {
                "failure_stage": "meta_forward", "meta_error": "Messaging Event Invalid Ctwa Clid", "meta_code": "100",
                "meta_error_subcode": "2804087", "fbtrace_id": "A1", "call_id": sent.call_id.to_string(), "retryable": "false"
            }
        }]
    });
    assert_eq!((sent.http, sent.body), (400, expected));
}

#[tokio::test]
async fn other_ends_at_meta_leave_out_what_is_not_known() {
    for reason in [Reason::MetaDropped, Reason::EventTooOld, Reason::WhatsappChannelNotConfigured] {
        let outcome = Outcome {
            failure_stage: Some(FailureStage::MetaForward),
            reason: Some(reason),
            error: "What happened".into(),
            ..Outcome::new(400, ConversionStatus::Rejected)
        };
        let sent = send(Answer::to_outcome(&outcome)).await;
        assert_eq!((sent.http, &sent.body["message"]), (400, &json!("What happened")));
        let metadata = json!({"failure_stage": "meta_forward", "retryable": "false"});
        assert_eq!(error_info(&sent), (json!(reason.as_str()), metadata));
    }
}

#[tokio::test]
async fn refusals_tell_their_stage() {
    let invalid = vec![Violation {
        field: "payload.value".into(),
        reason: FieldReason::FieldRequired,
        description: "is required".into(),
    }];
    let cases = [
        (Refusal::key(&KeyRefusal::Missing), 401, 16, "UNAUTHENTICATED", "authentication", "API_KEY_MISSING"),
        (Refusal::key(&KeyRefusal::Invalid), 401, 16, "UNAUTHENTICATED", "authentication", "API_KEY_INVALID"),
        (Refusal::business_not_found(), 404, 5, "NOT_FOUND", "business_lookup", "BUSINESS_NOT_FOUND"),
        (Refusal::channel_not_configured(), 404, 5, "NOT_FOUND", "channel_lookup", "WHATSAPP_CHANNEL_NOT_CONFIGURED"),
        (Refusal::too_large(), 413, 3, "INVALID_ARGUMENT", "payload_mapping", "BODY_TOO_LARGE"),
        (Refusal::malformed(&Malformed::Empty), 400, 3, "INVALID_ARGUMENT", "payload_mapping", "MALFORMED_JSON"),
        (Refusal::invalid(invalid), 400, 3, "INVALID_ARGUMENT", "payload_mapping", "INVALID_FIELDS"),
    ];
    for (refusal, http, code, status, stage, reason) in cases {
        let sent = send(refusal.clone()).await;
        assert_eq!((sent.http, &sent.body["code"], &sent.body["status"]), (http, &json!(code), &json!(status)));
        assert_eq!(sent.body["message"], refusal.message);
        assert_eq!(error_info(&sent), (json!(reason), json!({"failure_stage": stage, "retryable": "false"})));
        assert_eq!(sent.headers.contains_key(header::WWW_AUTHENTICATE), http == 401);
        let outcome = refusal.outcome(7);
        assert_eq!((outcome.http_status, outcome.conversion_status), (i32::from(http), ConversionStatus::Refused));
        assert_eq!((outcome.error, outcome.total_ms), (refusal.message, 7));
    }
}

#[tokio::test]
async fn violations_are_all_listed() {
    let violation = |at: usize| Violation {
        field: format!("payload.contents[{at}].id"),
        reason: FieldReason::FieldTooLong,
        description: "must be short".into(),
    };
    let sent = send(Refusal::invalid((0..5).map(violation).collect())).await;
    let bad_request = &sent.body["details"][1];
    assert!(is(bad_request, "BadRequest"));
    let listed = bad_request["field_violations"].as_array().unwrap();
    assert_eq!(listed.len(), 5);
    let expected =
        json!({"field": "payload.contents[4].id", "description": "must be short", "reason": "FIELD_TOO_LONG"});
    assert_eq!(listed[4], expected);
    assert!(sent.body["message"].as_str().unwrap().ends_with("; and 2 more"), "{}", sent.body);
}

#[tokio::test]
async fn what_may_be_tried_again_says_when() {
    let after = Duration::from_millis(1500);
    for (failure, http, code, reason) in [
        (Failure::unavailable(after), 503, 14, "UNAVAILABLE"),
        (Failure::rate_limited(after), 429, 8, "RATE_LIMITED"),
        (Failure::too_many_failures(after), 429, 8, "RATE_LIMITED"),
    ] {
        let sent = send(failure).await;
        assert_eq!((sent.http, &sent.body["code"]), (http, &json!(code)));
        assert_eq!(error_info(&sent), (json!(reason), json!({"retryable": "true"})));
        assert_eq!(sent.headers[header::RETRY_AFTER], "2");
        let retry = &sent.body["details"][1];
        assert!(is(retry, "RetryInfo") && retry["retry_delay"] == "2s", "{retry}");
    }
}

#[tokio::test]
async fn what_is_not_the_endpoint_has_the_same_shape() {
    let path = send(Failure::path_not_found()).await;
    assert_eq!((path.http, &path.body["code"], &path.body["status"]), (404, &json!(5), &json!("NOT_FOUND")));
    assert_eq!(error_info(&path), (json!("PATH_NOT_FOUND"), json!({"retryable": "false"})));
    let method = send(Failure::method_not_allowed()).await;
    assert_eq!((method.http, &method.body["code"], &method.body["status"]), (405, &json!(12), &json!("UNIMPLEMENTED")));
    assert_eq!(error_info(&method).0, "METHOD_NOT_ALLOWED");
    assert_eq!(method.headers[header::ALLOW], "GET, HEAD, POST");
}
