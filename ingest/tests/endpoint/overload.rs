//! 503: send it again.

use axum::body::Body;
use capi_ingest::admission::Capacity;
use futures::poll;
use http::Request;
use tokio::time::Instant;

use crate::harness::{EXAMPLE, Fixture, Got, Mood, Setup};

fn is_unavailable(got: &Got) -> bool {
    let retry = got.body["details"][1]["retry_delay"].as_str() == Some("2s") && got.header("retry-after") == "2";
    (got.http, got.reason(), &got.body["code"]) == (503, "UNAVAILABLE", &14.into()) && retry
}

#[tokio::test(start_paused = true)]
async fn nothing_is_done_for_a_call_that_is_not_let_in() {
    let capacity = Capacity { calls: 1, body_bytes: 1 << 20 };
    let fixture = Fixture::with(Setup { capacity, forwarder: Box::new(|_| None), ..Setup::default() });
    let mut first = Box::pin(fixture.post(EXAMPLE));
    while fixture.waiters.is_empty() {
        assert!(poll!(&mut first).is_pending());
        tokio::task::yield_now().await;
    }
    let no_key = Request::post(fixture.path()).body(Body::empty()).unwrap();
    assert!(is_unavailable(&fixture.send(no_key).await), "before the key is looked at");
    assert!(fixture.records().is_empty());
    assert_eq!(first.await.http, 200);
    assert_eq!(fixture.post("{}").await.http, 400, "there is room again");
}

#[tokio::test]
async fn until_the_queue_is_known_nothing_is_taken() {
    let fixture = Fixture::closed(Setup::default());
    assert!(is_unavailable(&fixture.post(EXAMPLE).await));
    fixture.open();
    assert_eq!(fixture.post(EXAMPLE).await.http, 200);
    fixture.queue.down("no broker answers");
    assert!(is_unavailable(&fixture.post(EXAMPLE).await));
    fixture.queue.up();
    assert_eq!(fixture.post(EXAMPLE).await.http, 200);
    assert_eq!(fixture.events("live").len(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_event_that_is_not_acknowledged_in_five_seconds_is_unavailable() {
    for mood in [Mood::Hangs, Mood::Refuses] {
        for prefer in ["", "respond-async", "wait=0"] {
            let fixture = Fixture::new();
            fixture.mood("", mood);
            let began = Instant::now();
            let request = fixture.call().header("prefer", prefer).body(Body::from(EXAMPLE)).unwrap();
            let got = fixture.send(request).await;
            assert!(is_unavailable(&got), "{got:?}");
            assert_eq!(began.elapsed().as_secs(), if mood == Mood::Hangs { 5 } else { 0 });
            assert!(fixture.waiters.is_empty());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_whose_record_is_not_durable_is_unavailable() {
    for mood in [Mood::Hangs, Mood::Refuses] {
        let fixture = Fixture::new();
        fixture.mood("records", mood);
        assert!(is_unavailable(&fixture.post("{}").await));
        let no_key = Request::post(fixture.path()).body(Body::empty()).unwrap();
        assert!(is_unavailable(&fixture.send(no_key).await));
    }
}

#[tokio::test(start_paused = true)]
async fn a_pending_answer_whose_row_is_not_durable_is_unavailable() {
    let fixture = Fixture::with(Setup { forwarder: Box::new(|_| None), ..Setup::default() });
    fixture.mood("records", Mood::Hangs);
    assert!(is_unavailable(&fixture.post(EXAMPLE).await));
    assert_eq!(fixture.events("live").len(), 1, "the event may be forwarded all the same");
}

#[tokio::test]
async fn a_call_that_panics_is_unavailable_and_stops_no_other() {
    let fixture = Fixture::new();
    fixture.mood("", Mood::Panics);
    assert!(is_unavailable(&fixture.post(EXAMPLE).await));
    fixture.mood("", Mood::Acknowledges);
    assert_eq!(fixture.post(EXAMPLE).await.http, 200);
    assert!(fixture.waiters.is_empty());
}
