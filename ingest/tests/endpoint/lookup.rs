//! Questions about past calls: who may ask, how often, and what is no question. What is answered is tested over the real
//! engine.

use axum::body::Body;
use http::Request;
use serde_json::json;

use crate::harness::{EXAMPLE, Fixture, Got, path_of};

fn question(path: &str, key: &str) -> Request<Body> {
    Request::get(path).header("X-API-KEY", key).body(Body::empty()).unwrap()
}

async fn ask(fixture: &Fixture, query: &str) -> Got {
    fixture.send(question(&format!("{}?{query}", fixture.path()), &fixture.key)).await
}

#[tokio::test]
async fn while_clickhouse_is_away_questions_wait_and_calls_do_not() {
    let fixture = Fixture::new();
    let got = ask(&fixture, "order_id=ORD-7821").await;
    assert_eq!((got.http, got.reason(), got.header("retry-after")), (503, "UNAVAILABLE", "2"));
    assert!(!got.call_id().is_empty());
    assert_eq!(fixture.post(EXAMPLE).await.http, 200);
}

#[tokio::test]
async fn a_question_leaves_no_record() {
    let fixture = Fixture::new();
    ask(&fixture, "order_id=1").await;
    ask(&fixture, "").await;
    fixture.send(question(&fixture.path(), "wrong")).await;
    assert!(fixture.memory.messages.lock().unwrap().is_empty());
}

#[tokio::test]
async fn who_asks_has_the_key_of_the_business() {
    let fixture = Fixture::new();
    let query = "order_id=1";
    let got = fixture.send(question(&format!("{}?{query}", fixture.path()), "wrong")).await;
    assert_eq!((got.http, got.reason()), (401, "API_KEY_INVALID"));
    let other = path_of("0190a7c2-0000-7000-8000-00000000abcd");
    let got = fixture.send(question(&format!("{other}?{query}"), &fixture.key)).await;
    assert_eq!((got.http, got.reason()), (404, "BUSINESS_NOT_FOUND"));
}

#[tokio::test]
async fn what_is_no_question_is_told_field_by_field() {
    let fixture = Fixture::new();
    let got = ask(&fixture, "call_id=7").await;
    assert_eq!((got.http, got.reason()), (400, "INVALID_FIELDS"));
    let violations = &got.body["details"][1]["field_violations"];
    assert_eq!((&violations[0]["field"], &violations[0]["reason"]), (&json!("call_id"), &json!("FIELD_VALUE")));
}

#[tokio::test(start_paused = true)]
async fn ten_questions_a_second_are_a_businesss_and_its_calls_are_not_counted() {
    let fixture = Fixture::new();
    for _ in 0..20 {
        assert_eq!(fixture.post(EXAMPLE).await.http, 200);
    }
    for _ in 0..10 {
        assert_eq!(ask(&fixture, "").await.http, 400);
    }
    let got = ask(&fixture, "").await;
    assert_eq!((got.http, got.reason(), got.header("retry-after")), (429, "RATE_LIMITED", "1"));
    assert_eq!(fixture.post(EXAMPLE).await.http, 200);
}

#[tokio::test]
async fn an_address_that_fails_is_held_up_here_too() {
    let fixture = Fixture::new();
    for _ in 0..60 {
        assert_eq!(fixture.send(question(&fixture.path(), "wrong")).await.http, 401);
    }
    assert_eq!(fixture.send(question(&fixture.path(), "wrong")).await.http, 429);
    assert_eq!(ask(&fixture, "").await.http, 400, "a valid key is never held up");
}
