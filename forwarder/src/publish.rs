//! What the forwarder writes to Kafka: ledger records, rows, verdicts, tier copies, dead letters. Nothing is given up: a
//! message lands, or the process ends.

use std::sync::Arc;

use futures::future::{BoxFuture, FutureExt as _};
use rdkafka::{
    Message as _,
    message::{BorrowedMessage, Header, OwnedHeaders},
};
use schemas::{
    CallRecord, ConversionEvent, LedgerRecord, Message as _, OrderKey, Progress, Topics, Verdict,
    event::VERDICT_PARTITION_HEADER, order::partition_of_call,
};
use tokio_util::sync::CancellationToken;
use tracing::Span;
use worker::{
    dead_letters::{DeadLetters, Letter},
    producer::{Outgoing, ProduceError, Producer},
    trace,
    vital::Vital,
};

use crate::{metrics, owner::kafka::Writes};

/// The producer can do nothing any more.
#[derive(Debug, thiserror::Error)]
#[error("the Kafka producer failed for good")]
pub struct Broken;

/// The copy of an event that waits in a tier.
pub struct TierCopy {
    /// The event as it came.
    pub event: Arc<ConversionEvent>,
    /// Its order.
    pub key: OrderKey,
    /// The partition of the verdicts topic on which somebody may still wait.
    pub verdict_partition: Option<i32>,
    /// How far it came.
    pub progress: Progress,
}

/// Writes to Kafka. Clones share everything.
#[derive(Clone)]
pub struct Publisher(Arc<Shared>);

struct Shared {
    producer: Producer,
    dead_letters: DeadLetters,
    topics: Topics,
    /// P.
    partitions: i32,
    halt: CancellationToken,
    vital: Vital,
}

impl Publisher {
    /// `producer` must be without a time-out (rule 2 of the ledger); `halt` ends the worker when it fails for good.
    pub fn new(producer: Producer, topics: Topics, partitions: i32, halt: CancellationToken, vital: Vital) -> Self {
        let dead_letters = DeadLetters::new(producer.clone(), &topics);
        Self(Arc::new(Shared { producer, dead_letters, topics, partitions, halt, vital }))
    }

    /// Buries a message that nobody can read, and returns once that is acknowledged.
    pub async fn bury(&self, message: &BorrowedMessage<'_>, reason: &str) -> Result<(), Broken> {
        metrics::buried();
        tracing::error!(
            reason,
            topic = message.topic(),
            partition = message.partition(),
            offset = message.offset(),
            "a message goes to the dead letters"
        );
        let buried = self.0.dead_letters.bury(Letter::of(message, reason)).await;
        buried.map_err(|error| self.0.broke(&error))
    }
}

impl Writes for Publisher {
    fn ledger(&self, partition: i32, key: Vec<u8>, record: &LedgerRecord) {
        let (shared, payload) = (self.0.clone(), record.encode());
        self.0.vital.spawn("ledger", async move {
            let topic = shared.topics.orders();
            // Where it fails, the worker is told to halt.
            let _ = shared.land(&topic, partition, &key, &payload, OwnedHeaders::new()).await;
        });
    }

    fn record<'a>(&'a self, record: &'a CallRecord, span: &'a Span) -> BoxFuture<'a, Result<(), Broken>> {
        self.0.record(record, span).boxed()
    }

    fn verdict<'a>(
        &'a self,
        partition: i32,
        verdict: &'a Verdict,
        span: &'a Span,
    ) -> BoxFuture<'a, Result<(), Broken>> {
        self.0.verdict(partition, verdict, span).boxed()
    }

    fn tier<'a>(&'a self, partition: i32, copy: TierCopy, span: &'a Span) -> BoxFuture<'a, Result<(), Broken>> {
        self.0.tier(partition, copy, span).boxed()
    }
}

impl Shared {
    async fn record(&self, record: &CallRecord, span: &Span) -> Result<(), Broken> {
        let call = record.call.call_id;
        let partition = partition_of_call(call, self.partitions);
        let headers = trace::inject(OwnedHeaders::new(), span);
        self.land(&self.topics.records(), partition, call.to_string().as_bytes(), &record.encode(), headers).await
    }

    async fn verdict(&self, partition: i32, verdict: &Verdict, span: &Span) -> Result<(), Broken> {
        let headers = trace::inject(OwnedHeaders::new(), span);
        let key = verdict.call_id.to_string();
        self.land(&self.topics.verdicts(), partition, key.as_bytes(), &verdict.encode(), headers).await
    }

    async fn tier(&self, partition: i32, copy: TierCopy, span: &Span) -> Result<(), Broken> {
        let topic = self.topics.events_retry(usize::try_from(copy.progress.tier).unwrap_or(1));
        let event =
            ConversionEvent { call: copy.event.call.clone(), lane: copy.event.lane, progress: Some(copy.progress) };
        let mut headers = trace::inject(OwnedHeaders::new(), span);
        if let Some(waits) = copy.verdict_partition {
            headers = headers.insert(Header { key: VERDICT_PARTITION_HEADER, value: Some(&waits.to_string()) });
        }
        self.land(&topic, partition, copy.key.as_str().as_bytes(), &event.encode(), headers).await
    }

    async fn land(
        &self,
        topic: &str,
        partition: i32,
        key: &[u8],
        payload: &[u8],
        headers: OwnedHeaders,
    ) -> Result<(), Broken> {
        let outgoing = Outgoing { topic, partition, key, payload, headers };
        self.producer.send(outgoing).await.map(|_| ()).map_err(|error| self.broke(&error))
    }

    fn broke(&self, error: &ProduceError) -> Broken {
        tracing::error!(%error, "a message cannot be written to Kafka, ever: the worker ends");
        self.halt.cancel();
        Broken
    }
}
