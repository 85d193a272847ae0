//! The checks before Meta, their order, and the record that each refusal leaves.

use axum::body::Body;
use bytes::Bytes;
use futures::{StreamExt, stream};
use http::{Method, Request};
use schemas::{ConversionStatus, FailureStage, Reason, order::partition_of_call};
use uuid::{Uuid, Version};

use crate::harness::{EXAMPLE, Fixture, Got, PARTITIONS, Setup, path_of};

fn post(path: &str, key: Option<&str>, body: &str) -> Request<Body> {
    let request = Request::post(path);
    let request = match key {
        Some(key) => request.header("x-Api-Key", key),
        None => request,
    };
    request.body(Body::from(body.to_owned())).unwrap()
}

fn told(got: &Got) -> (u16, &str, &str) {
    (got.http, got.reason(), got.stage())
}

#[tokio::test]
async fn every_answer_names_its_call() {
    let fixture = Fixture::new();
    let path = fixture.path();
    let requests = [
        fixture.call().header("x-request-id", "mine").body(Body::from(EXAMPLE)).unwrap(),
        post(&path, None, EXAMPLE),
        post(&path, Some(&fixture.key), "{}"),
        post("/", None, ""),
        Request::get(path.as_str()).body(Body::empty()).unwrap(),
    ];
    for request in requests {
        let got = fixture.send(request).await;
        let id: Uuid = got.call_id().parse().unwrap();
        assert_eq!(id.get_version(), Some(Version::SortRand));
        if got.http != 200 {
            assert_eq!(got.body["details"][0]["metadata"]["call_id"], got.call_id());
        }
    }
}

#[tokio::test]
async fn what_is_no_call_leaves_no_record() {
    let fixture = Fixture::new();
    for path in ["/", "/external/v1/businesses", &format!("{}/", fixture.path())] {
        let got = fixture.send(post(path, Some(&fixture.key), EXAMPLE)).await;
        assert_eq!(told(&got), (404, "PATH_NOT_FOUND", ""), "{path}");
    }
    for method in [Method::PATCH, Method::PUT, Method::OPTIONS, Method::DELETE] {
        let request = Request::builder().method(method.clone()).uri(fixture.path()).body(Body::empty()).unwrap();
        let got = fixture.send(request).await;
        assert_eq!(told(&got), (405, "METHOD_NOT_ALLOWED", ""), "{method}");
        assert_eq!(got.header("allow"), "GET, HEAD, POST");
    }
    assert!(fixture.memory.messages.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_call_without_a_valid_key_is_recorded_without_its_body() {
    let fixture = Fixture::new();
    let wrong = format!("{}x", fixture.key);
    for (key, reason) in
        [(None, "API_KEY_MISSING"), (Some(""), "API_KEY_MISSING"), (Some(wrong.as_str()), "API_KEY_INVALID")]
    {
        fixture.memory.messages.lock().unwrap().clear();
        let path = path_of(&fixture.business.to_uppercase());
        let got = fixture.send(post(&path, key, EXAMPLE)).await;
        assert_eq!(told(&got), (401, reason, "authentication"));
        assert!(got.header("www-authenticate").contains("X-API-KEY"));
        let record = fixture.record_of(&got);
        assert_eq!((record.call.business_id, record.call.api_key_id), (fixture.business.clone(), String::new()));
        assert_eq!((record.call.body.len(), record.call.event_name), (0, String::new()));
        assert_eq!(record.outcome.failure_stage, Some(FailureStage::Authentication));
        assert_eq!(record.outcome.error, got.body["message"]);
    }
    let twice = fixture.call().header("X-API-KEY", &fixture.key).body(Body::from(EXAMPLE)).unwrap();
    assert_eq!(fixture.send(twice).await.reason(), "API_KEY_INVALID");
}

#[tokio::test]
async fn a_key_that_is_no_longer_live_names_itself() {
    let fixture = Fixture::with(Setup { change: |entry| entry.keys[0].revoked_at = Some(1), ..Setup::default() });
    let got = fixture.post(EXAMPLE).await;
    assert_eq!(told(&got), (401, "API_KEY_REVOKED", "authentication"));
    assert_eq!(fixture.record_of(&got).call.api_key_id, fixture.key_id);
}

#[tokio::test]
async fn an_asked_id_that_is_no_uuid_is_kept_cut() {
    let fixture = Fixture::new();
    let got = fixture.send(post(&path_of(&"X".repeat(100)), None, "")).await;
    assert_eq!(fixture.record_of(&got).call.business_id, "X".repeat(64));
}

#[tokio::test]
async fn no_one_can_find_out_which_businesses_exist() {
    let mut bodies = Vec::new();
    for (asked, disabled) in
        [(Some("shop"), false), (Some("00000000-0000-0000-0000-000000000001"), false), (None, true)]
    {
        let change =
            if disabled { |entry: &mut directory::BusinessEntry| entry.enabled = false } else { |_: &mut _| () };
        let fixture = Fixture::with(Setup { change, ..Setup::default() });
        let asked = asked.unwrap_or(&fixture.business);
        let mut got = fixture.send(post(&path_of(asked), Some(&fixture.key), EXAMPLE)).await;
        assert_eq!(told(&got), (404, "BUSINESS_NOT_FOUND", "business_lookup"));
        let record = fixture.record_of(&got);
        assert_eq!((&record.call.business_id, &record.call.api_key_id), (&fixture.business, &fixture.key_id));
        assert!(record.outcome.error.ends_with(asked), "{}", record.outcome.error);
        assert_eq!((record.call.order_id.as_str(), &record.call.body[..]), ("ORD-7821", EXAMPLE.as_bytes()));
        got.body["details"][0]["metadata"]["call_id"].take();
        bodies.push(got.body);
    }
    assert!(bodies.iter().all(|body| *body == bodies[0]), "{bodies:?}");
}

#[tokio::test]
async fn ids_are_found_in_any_case() {
    let fixture = Fixture::new();
    let got = fixture.send(post(&path_of(&fixture.business.to_uppercase()), Some(&fixture.key), EXAMPLE)).await;
    assert_eq!(got.http, 200);
    assert_eq!(fixture.events("live")[0].call.business_id, fixture.business);
}

#[tokio::test]
async fn without_a_channel_there_is_no_way_to_meta() {
    let fixture = Fixture::with(Setup { change: |entry| entry.channel = None, ..Setup::default() });
    let got = fixture.post("{").await;
    assert_eq!(told(&got), (404, "WHATSAPP_CHANNEL_NOT_CONFIGURED", "channel_lookup"));
    let record = fixture.record_of(&got);
    assert_eq!((&record.call.body[..], record.outcome.http_status), (&b"{"[..], 404));
}

#[tokio::test]
async fn the_first_check_that_fails_answers() {
    let change = |entry: &mut directory::BusinessEntry| (entry.enabled, entry.channel) = (false, None);
    let fixture = Fixture::with(Setup { change, ..Setup::default() });
    let huge = "x".repeat(300_000);
    assert_eq!(fixture.send(post(&fixture.path(), Some("x"), &huge)).await.http, 401);
    assert_eq!(fixture.post(huge.clone()).await.reason(), "BUSINESS_NOT_FOUND");
    let fixture = Fixture::with(Setup { change: |entry| entry.channel = None, ..Setup::default() });
    assert_eq!(fixture.post(huge).await.reason(), "WHATSAPP_CHANNEL_NOT_CONFIGURED");
}

#[tokio::test]
async fn a_body_that_is_no_request_is_recorded_as_it_came() {
    for body in ["", "[]", "{\"payload\":{\"value\":1,\"value\":1}}", "{\"a\":"] {
        let fixture = Fixture::new();
        let got = fixture.post(body).await;
        assert_eq!(told(&got), (400, "MALFORMED_JSON", "payload_mapping"), "{body}");
        let record = fixture.record_of(&got);
        assert_eq!((record.call.body, record.lane), (body.as_bytes().to_vec().into(), None));
        assert_eq!(record.outcome.conversion_status, ConversionStatus::Refused);
        assert_eq!(record.outcome.error, got.body["message"]);
    }
}

#[tokio::test]
async fn content_encodings_are_refused_and_content_types_are_not() {
    let fixture = Fixture::new();
    let gzip = fixture.call().header("content-encoding", "gzip").body(Body::from(EXAMPLE)).unwrap();
    assert_eq!(fixture.send(gzip).await.reason(), "MALFORMED_JSON");
    for (name, value) in
        [("content-type", "text/plain"), ("content-encoding", "identity"), ("content-type", "multipart/x")]
    {
        let request = fixture.call().header(name, value).body(Body::from(EXAMPLE)).unwrap();
        assert_eq!(fixture.send(request).await.http, 200, "{name}: {value}");
    }
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_and_its_beginning_kept() {
    let fixture = Fixture::new();
    let got = fixture.post(format!("{EXAMPLE}{}", " ".repeat(256 * 1024 - EXAMPLE.len()))).await;
    assert_eq!(got.http, 200, "256 KiB are no more than the limit");
    fixture.memory.messages.lock().unwrap().clear();
    let got = fixture.post("x".repeat(256 * 1024 + 1)).await;
    assert_eq!((told(&got), &got.body["code"]), ((413, "BODY_TOO_LARGE", "payload_mapping"), &3.into()));
    let record = fixture.record_of(&got);
    assert_eq!((record.call.body.len(), record.outcome.reason), (64 * 1024, Some(Reason::BodyTooLarge)));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stops_coming_is_a_refused_call() {
    let fixture = Fixture::new();
    let stalled = stream::iter([Ok::<_, std::io::Error>(Bytes::from("{\"a\""))]).chain(stream::pending());
    let got = fixture.post(Body::from_stream(stalled)).await;
    assert_eq!(told(&got), (400, "MALFORMED_JSON", "payload_mapping"));
    assert_eq!(fixture.record_of(&got).call.body, "{\"a\"");
}

#[tokio::test]
async fn invalid_fields_are_listed_and_the_rest_is_recorded() {
    let fixture = Fixture::new();
    let body = EXAMPLE.replace("99.97", "\"99.97\"").replace("\"USD\"", "null");
    let got = fixture.post(body).await;
    assert_eq!(told(&got), (400, "INVALID_FIELDS", "payload_mapping"));
    let violations = got.body["details"][1]["field_violations"].as_array().unwrap();
    let listed: Vec<_> = violations.iter().map(|violation| (&violation["field"], &violation["reason"])).collect();
    let (currency, value) = (("payload.currency", "FIELD_REQUIRED"), ("payload.value", "FIELD_TYPE"));
    assert_eq!(listed, [(&currency.0.into(), &currency.1.into()), (&value.0.into(), &value.1.into())]);
    let call = fixture.record_of(&got).call;
    assert_eq!((call.order_id.as_str(), call.contents.len(), call.value), ("ORD-7821", 2, None));
}

#[tokio::test]
async fn a_record_lies_where_its_call_belongs() {
    let fixture = Fixture::new();
    let got = fixture.post("{}").await;
    let message = &fixture.messages("t.records")[0];
    assert_eq!(message.key, got.call_id().as_bytes());
    assert_eq!(message.partition, partition_of_call(fixture.record_of(&got).call.call_id, PARTITIONS));
    assert_eq!(message.verdict_partition, None);
}
