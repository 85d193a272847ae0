//! What a valid call comes to: the wait for its verdict, and what it prefers instead.

use std::{sync::Arc, time::Duration};

use axum::body::Body;
use capi_ingest::verdict::DRAIN_WAIT;
use futures::poll;
use schemas::{ConversionStatus, FailureStage, Lane, Outcome, Reason, Verdict};
use tokio::time::{Instant, sleep};

use crate::harness::{EXAMPLE, Fixture, Got, Mood, PARTITIONS, Setup, VERDICT_PARTITION, forwarded};

/// One whose forwarder says nothing by itself.
fn silent() -> Fixture {
    Fixture::with(Setup { forwarder: Box::new(|_| None), ..Setup::default() })
}

async fn prefer(fixture: &Fixture, preference: &str) -> Got {
    fixture.send(fixture.call().header("prefer", preference).body(Body::from(EXAMPLE)).unwrap()).await
}

fn told(got: &Got) -> (u16, &str, &str) {
    (got.http, got.header("conversion-status"), got.header("preference-applied"))
}

#[tokio::test]
async fn a_forwarded_event_is_received() {
    let fixture = Fixture::new();
    let got = fixture.post(EXAMPLE).await;
    assert_eq!((told(&got), got.body.to_string().as_str()), ((200, "forwarded", ""), r#"{"events_received":1}"#));
    assert!(fixture.records().is_empty(), "its record is the forwarder's");
    let message = &fixture.messages("t.events.live")[0];
    let event = &fixture.events("live")[0];
    assert_eq!(message.key, format!("{}:Purchase:ORD-7821", fixture.business).as_bytes());
    assert_eq!(message.partition, event.order_key().hash().partition(PARTITIONS));
    assert_eq!(message.verdict_partition, Some(VERDICT_PARTITION));
    assert_eq!((event.lane, &event.progress), (Lane::Live, &None));
    assert_eq!((event.call.call_id.to_string().as_str(), &event.call.api_key_id), (got.call_id(), &fixture.key_id));
    assert_eq!(event.call.event_time, Some(event.call.received_at / 1000));
    assert_eq!(event.call.body, EXAMPLE.as_bytes());
}

#[tokio::test]
async fn an_event_without_an_order_is_an_order_of_its_own() {
    let fixture = Fixture::new();
    let got = fixture.post(EXAMPLE.replace("ORD-7821", " ")).await;
    assert_eq!(fixture.messages("t.events.live")[0].key, got.call_id().as_bytes());
}

#[tokio::test]
async fn an_event_is_durable_before_its_answer() {
    let fixture = Fixture::new();
    fixture.mood("events.live", Mood::Refuses);
    assert_eq!(fixture.post(EXAMPLE).await.http, 503);
    fixture.mood("events.backfill", Mood::Refuses);
    assert_eq!(prefer(&fixture, "respond-async").await.http, 503);
}

#[tokio::test]
async fn other_verdicts_are_told() {
    let outcome = |status, reason, error: &str| Outcome {
        failure_stage: Some(FailureStage::MetaForward),
        reason,
        error: error.into(),
        meta_error: error.into(),
        ..Outcome::new(400, status)
    };
    let duplicate = Box::new(|_: &_| Some(Outcome::new(200, ConversionStatus::Duplicate)));
    let got = Fixture::with(Setup { forwarder: duplicate, ..Setup::default() }).post(EXAMPLE).await;
    assert_eq!(told(&got), (200, "duplicate", ""));
    let rejected =
        move |_: &_| Some(outcome(ConversionStatus::Rejected, Some(Reason::MetaRejected), "Clique inválido"));
    let fixture = Fixture::with(Setup { forwarder: Box::new(rejected), ..Setup::default() });
    let got = prefer(&fixture, "wait=5").await;
    assert_eq!(told(&got), (400, "", "wait=5"));
    assert_eq!((got.reason(), got.stage()), ("META_REJECTED", "meta_forward"));
    assert_eq!(got.body["message"], "Meta rejected the event: Clique inválido");
    assert!(fixture.records().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_runs_out_leaves_a_pending_row() {
    let fixture = silent();
    let began = Instant::now();
    let got = fixture.post(EXAMPLE).await;
    assert_eq!((told(&got), began.elapsed().as_secs()), ((200, "pending", ""), 10));
    let record = fixture.record_of(&got);
    assert_eq!((record.lane, record.outcome.conversion_status), (Some(Lane::Live), ConversionStatus::Pending));
    assert_eq!((record.outcome.http_status, record.outcome.total_ms), (200, 10_000));
    assert_eq!((record.outcome.failure_stage, record.call.order_id.as_str()), (None, "ORD-7821"));
    assert!(fixture.waiters.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_caller_may_wait_less_and_never_more() {
    for (preference, seconds, applied) in [
        ("wait=3", 3, "wait=3"),
        ("wait=99", 10, "wait=10"),
        ("wait=0", 0, "wait=0"),
        ("wait=soon", 10, ""),
        ("handling=lenient", 10, ""),
    ] {
        let fixture = silent();
        let began = Instant::now();
        let got = prefer(&fixture, preference).await;
        assert_eq!((told(&got), began.elapsed().as_secs()), ((200, "pending", applied), seconds), "{preference}");
        fixture.record_of(&got);
    }
}

#[tokio::test]
async fn who_does_not_wait_asks_for_no_verdict() {
    let fixture = Fixture::new();
    assert_eq!(told(&prefer(&fixture, "wait=0").await), (200, "pending", "wait=0"));
    assert_eq!(fixture.messages("t.events.live")[0].verdict_partition, None);
}

#[tokio::test]
async fn a_deferred_event_takes_the_backfill_lane() {
    let fixture = Fixture::new();
    let got = prefer(&fixture, "wait=5, respond-async").await;
    assert_eq!(
        (told(&got), got.body.to_string().as_str()),
        ((202, "pending", "respond-async"), r#"{"events_received":1}"#)
    );
    assert_eq!(fixture.messages("t.events.backfill")[0].verdict_partition, None);
    assert_eq!(fixture.events("backfill")[0].lane, Lane::Backfill);
    assert!(fixture.records().is_empty(), "its pending row is the recorder's");
    assert!(fixture.events("live").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_verdict_that_comes_while_the_pending_row_is_written_is_told() {
    let fixture = Arc::new(silent());
    fixture.mood("records", Mood::Hangs);
    let caller = Arc::clone(&fixture);
    let call = tokio::spawn(async move { caller.post(EXAMPLE).await });
    sleep(Duration::from_secs(12)).await;
    let call_id = fixture.events("live")[0].call.call_id;
    fixture.waiters.deliver(Verdict { call_id, outcome: forwarded() });
    assert_eq!(told(&call.await.unwrap()), (200, "forwarded", ""));
}

#[tokio::test(start_paused = true)]
async fn a_call_goes_on_when_its_caller_has_gone() {
    let fixture = silent();
    let mut call = Box::pin(fixture.post(EXAMPLE));
    while fixture.waiters.is_empty() {
        assert!(poll!(&mut call).is_pending());
        tokio::task::yield_now().await;
    }
    drop(call);
    sleep(Duration::from_secs(11)).await;
    assert_eq!(fixture.records()[0].outcome.conversion_status, ConversionStatus::Pending);
}

#[tokio::test(start_paused = true)]
async fn a_drain_lets_callers_wait_no_longer_than_it_may_last() {
    let fixture = silent();
    let began = Instant::now();
    let (got, ()) = tokio::join!(fixture.post(EXAMPLE), async {
        sleep(Duration::from_millis(1)).await;
        fixture.drain.cancel();
    });
    assert_eq!(told(&got), (200, "pending", ""));
    assert!(began.elapsed() <= DRAIN_WAIT + Duration::from_millis(1));
}
