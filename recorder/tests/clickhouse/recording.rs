//! The recorder's whole way, and what happens to rows when something on it breaks.

use std::{collections::BTreeMap, time::Duration};

use rdkafka::{Message as _, message::Headers as _};
use schemas::{Call, CallRecord, ConversionEvent, Lane};
use tokio::time::sleep;

use crate::{
    deployment::{Deployment, Running},
    relay::Wire,
    story::{purchase, view},
};

const COUNT: &str = "SELECT conversion_status, count() FROM calls GROUP BY 1 ORDER BY 1";

async fn until_ready(running: &Running, ready: bool) {
    while running.health.readiness().ready != ready {
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn records_and_backfilled_events_become_rows() {
    let deployment = Deployment::new().await;
    let running = deployment.start();
    let waiting = purchase("B-1").call();
    let event = ConversionEvent { call: waiting.clone(), lane: Lane::Backfill, progress: None };
    deployment.backfill(&event).await;
    deployment.record(&purchase("A-1").forwarded()).await;
    let status = "SELECT order_id, conversion_status, http_status, lane FROM calls ORDER BY 1";
    deployment.until(status, &["A-1 forwarded 200 live", "B-1 pending 202 backfill"]).await;
    // The verdict replaces the pending row; reading the event once more does not bring it back.
    let outcome = purchase("").forwarded().outcome;
    deployment.record(&CallRecord { call: waiting, lane: Some(Lane::Backfill), outcome, rests_on: 3 }).await;
    let settled = ["A-1 forwarded 200 live", "B-1 forwarded 200 backfill"];
    deployment.until(status, &settled).await;
    deployment.backfill(&event).await;
    deployment.until_committed().await;
    assert_eq!(deployment.database.ask(status).await, settled);
    until_ready(&running, true).await;
    running.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreadable_message_is_buried_before_its_offset_moves_and_holds_up_nothing() {
    let deployment = Deployment::new().await;
    deployment.produce(&deployment.topics.records(), b"not avro".to_vec()).await;
    deployment.record(&purchase("A-1").forwarded()).await;
    deployment.produce(&deployment.topics.events_backfill(), Vec::new()).await;
    let running = deployment.start();
    deployment.until(COUNT, &["forwarded 1"]).await;
    deployment.until_committed().await;
    let letters = deployment.dead_letters();
    assert_eq!(letters.len(), 2);
    let letter = letters.iter().find(|letter| letter.payload() == Some(b"not avro")).unwrap();
    let headers: BTreeMap<&str, &str> = letter
        .headers()
        .unwrap()
        .iter()
        .map(|header| (header.key, std::str::from_utf8(header.value.unwrap()).unwrap()))
        .collect();
    assert_eq!(headers["dead-letter-topic"], deployment.topics.records());
    assert_eq!(headers["dead-letter-offset"], "0");
    assert!(headers["dead-letter-reason"].contains("Avro"));
    assert_eq!(letter.key(), Some(&b"key"[..]));
    running.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_were_stored_and_not_acknowledged_are_one_to_a_reader() {
    let deployment = Deployment::new().await;
    deployment.relay.set(Wire::BreaksAtTheAnswer);
    for order in 0..200 {
        deployment.record(&purchase(&order.to_string()).forwarded()).await;
    }
    let running = deployment.start();
    deployment.until_committed().await;
    assert_eq!(deployment.relay.get(), Wire::Whole, "the wire did break");
    assert_eq!(deployment.database.ask(COUNT).await, ["forwarded 200"]);
    running.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_whose_insert_breaks_off_are_sent_again() {
    let deployment = Deployment::new().await;
    deployment.relay.set(Wire::BreaksAmongTheRows);
    let body: Vec<u8> = (0..20_000_u32).flat_map(u32::to_be_bytes).take(60_000).collect();
    for order in 0..50 {
        let record = purchase(&order.to_string()).forwarded();
        let call = Call { body: body.iter().map(|byte| byte ^ order).collect(), ..record.call };
        deployment.record(&CallRecord { call, ..record }).await;
    }
    let running = deployment.start();
    deployment.until_committed().await;
    assert_eq!(deployment.relay.get(), Wire::Whole, "the wire did break");
    assert_eq!(deployment.database.ask(COUNT).await, ["forwarded 50"]);
    running.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_clickhouse_is_away_rows_wait_in_kafka_and_memory_is_bounded() {
    let deployment = Deployment::new().await;
    let running = deployment.start();
    until_ready(&running, true).await;
    deployment.relay.set(Wire::Cut);
    // A third more than may be in hand.
    let body: Vec<u8> = vec![b'x'; 60_000];
    for order in 0..1200 {
        let record = purchase(&order.to_string()).forwarded();
        deployment.record(&CallRecord { call: Call { body: body.clone().into(), ..record.call }, ..record }).await;
    }
    until_ready(&running, false).await;
    assert!(running.health.readiness().dependencies["clickhouse"].detail.contains("away"));
    // Long enough for the intake to run full and pause.
    sleep(Duration::from_secs(3)).await;
    assert!(deployment.lag() >= 1200, "nothing is committed that is not stored");
    deployment.relay.set(Wire::Whole);
    deployment.until(COUNT, &["forwarded 1200"]).await;
    deployment.until_committed().await;
    until_ready(&running, true).await;
    running.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_commits_what_is_stored_and_a_kill_loses_nothing() {
    let deployment = Deployment::new().await;
    let running = deployment.start();
    for order in 0..300 {
        deployment.record(&view(&order.to_string()).forwarded()).await;
    }
    // The kill comes while rows are on their way; whatever was not committed comes again.
    running.kill();
    for order in 300..400 {
        deployment.record(&view(&order.to_string()).forwarded()).await;
    }
    let running = deployment.start();
    deployment.until(COUNT, &["forwarded 400"]).await;
    running.drain().await;
    assert_eq!(deployment.lag(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_does_not_wait_for_a_clickhouse_that_is_away() {
    let deployment = Deployment::new().await;
    let running = deployment.start();
    until_ready(&running, true).await;
    deployment.relay.set(Wire::Cut);
    deployment.record(&purchase("A-1").forwarded()).await;
    until_ready(&running, false).await;
    running.drain().await;
    assert_eq!(deployment.lag(), 1);
    deployment.relay.set(Wire::Whole);
    let running = deployment.start();
    deployment.until(COUNT, &["forwarded 1"]).await;
    running.drain().await;
}
