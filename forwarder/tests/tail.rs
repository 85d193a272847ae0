//! Fetching a credit again, over librdkafka's mock cluster.

#![expect(clippy::unwrap_used, reason = "a test: also what is not inside a test function")]

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use capi_forwarder::{owner::kafka::ReadsLedger as _, tail::Tail};
use rdkafka::{
    ClientConfig,
    mocking::MockCluster,
    producer::{DefaultProducerContext, FutureProducer, FutureRecord},
};
use schemas::{
    CallId, LedgerRecord, Topics,
    ledger::{Accepted, Listed},
};
use tokio::time::sleep;
use worker::vital::Vital;

/// What was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn lines(&self) -> Vec<String> {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).lines().map(str::to_owned).collect()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn credit() -> Accepted {
    Accepted {
        intent: 0,
        call: CallId::now(),
        listed: Listed::default(),
        at: 0,
        events_received: Some(1),
        fbtrace_id: "trace".into(),
        http_status: 200,
        forward_attempts: 1,
        forward_ms: 1,
    }
}

/// With one credit, at offset 0.
async fn cluster() -> (MockCluster<'static, DefaultProducerContext>, Tail, Accepted) {
    let (mock, topics, credit) = (MockCluster::new(1).unwrap(), Topics::new("test"), credit());
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", mock.bootstrap_servers()).set("reconnect.backoff.max.ms", "100");
    let orders = topics.orders();
    mock.create_topic(&orders, 1, 1).unwrap();
    let payload = LedgerRecord::Accepted(credit.clone()).encode();
    let record = FutureRecord::to(&orders).partition(0).key("k").payload(&payload);
    config.create::<FutureProducer>().unwrap().send(record, None).await.unwrap();
    (mock, Tail::start(&config, &topics, &Vital::default()).unwrap(), credit)
}

#[tokio::test]
async fn a_credit_is_waited_for_in_peace_while_kafka_is_away() {
    let (mock, tail, credit) = cluster().await;
    let log = Log::default();
    let sink = log.clone();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::DEBUG).with_ansi(false);
    subscriber.with_writer(move || sink.clone()).init();
    mock.broker_down(1).unwrap();
    let since = Instant::now();
    let (found, ()) = tokio::join!(tail.accepted_at(0, 0), async {
        // Longer than one try lasts.
        sleep(Duration::from_secs(7)).await;
        mock.broker_up(1).unwrap();
    });
    let tries = log.lines().iter().filter(|line| line.contains("a credit")).count();
    assert_eq!(found, Some(credit));
    assert!((1..=since.elapsed().as_secs() + 2).contains(&(tries as u64)), "{tries} in {:?}", since.elapsed());
    assert!(!log.lines().iter().any(|line| line.contains("WARN")), "{:?}", log.lines());
}

#[tokio::test]
async fn what_is_no_credit_any_more_is_not_found() {
    let (_mock, tail, credit) = cluster().await;
    assert_eq!(tail.accepted_at(0, 0).await, Some(credit));
    // Behind the end, the client begins at the first: compaction would have taken it to the next.
    assert_eq!(tail.accepted_at(0, 7).await, None);
}
