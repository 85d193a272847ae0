//! What the forwarder writes to Kafka: ledger records, rows, verdicts, tier copies, dead letters. Nothing is given up: a
//! message lands, or the process ends.

use std::sync::Arc;

use futures::future::{FutureExt as _, ready};
use rdkafka::{
    Message as _,
    message::{BorrowedMessage, Header, OwnedHeaders},
};
use schemas::{
    CallRecord, ConversionEvent, LedgerRecord, Message as _, OrderKey, Progress, Topics, Verdict,
    event::VERDICT_PARTITION_HEADER, order::partition_of_call,
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::Span;
use worker::{
    dead_letters::{DeadLetters, Letter},
    producer::{Offered, Outgoing, ProduceError, Producer},
    trace,
    vital::Vital,
};

use crate::{
    metrics,
    owner::kafka::{Landing, Writes},
};

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
    /// The names of the topics that every event is written to.
    orders: String,
    records: String,
    /// P.
    partitions: i32,
    halt: CancellationToken,
    /// Records of the ledger on their way.
    ledger: mpsc::UnboundedSender<Landing>,
}

impl Publisher {
    /// `producer` must be without a time-out (rule 2 of the ledger); `halt` ends the worker when it fails for good.
    pub fn new(producer: Producer, topics: Topics, partitions: i32, halt: CancellationToken, vital: &Vital) -> Self {
        let dead_letters = DeadLetters::new(producer.clone(), &topics);
        let (ledger, on_the_way) = mpsc::unbounded_channel();
        vital.spawn("ledger", see_them_land(on_the_way));
        let (orders, records) = (topics.orders(), topics.records());
        Self(Arc::new(Shared { producer, dead_letters, topics, orders, records, partitions, halt, ledger }))
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

/// Nobody waits for a record of the ledger but by reading it back. One that can never be written tells the worker to halt,
/// as soon as those before it have landed.
async fn see_them_land(mut on_the_way: mpsc::UnboundedReceiver<Landing>) {
    while let Some(landing) = on_the_way.recv().await {
        let _ = landing.await;
    }
}

impl Writes for Publisher {
    fn ledger(&self, partition: i32, key: &[u8], record: &LedgerRecord) {
        let landing = self.0.write(&self.0.orders, partition, key, &record.encode(), OwnedHeaders::new());
        // Whoever sees them land goes with the last publisher.
        let _ = self.0.ledger.send(landing);
    }

    fn record(&self, record: &CallRecord, span: &Span) -> Landing {
        let (call, headers) = (record.call.call_id, trace::inject(OwnedHeaders::new(), span));
        let partition = partition_of_call(call, self.0.partitions);
        self.0.write(&self.0.records, partition, call.to_string().as_bytes(), &record.encode(), headers)
    }

    fn verdict(&self, partition: i32, verdict: &Verdict, span: &Span) -> Landing {
        let (key, headers) = (verdict.call_id.to_string(), trace::inject(OwnedHeaders::new(), span));
        self.0.write(&self.0.topics.verdicts(), partition, key.as_bytes(), &verdict.encode(), headers)
    }

    fn tier(&self, partition: i32, copy: TierCopy, span: &Span) -> Landing {
        let topic = self.0.topics.events_retry(usize::try_from(copy.progress.tier).unwrap_or(1));
        let event =
            ConversionEvent { call: copy.event.call.clone(), lane: copy.event.lane, progress: Some(copy.progress) };
        let mut headers = trace::inject(OwnedHeaders::new(), span);
        if let Some(waits) = copy.verdict_partition {
            headers = headers.insert(Header { key: VERDICT_PARTITION_HEADER, value: Some(&waits.to_string()) });
        }
        self.0.write(&topic, partition, copy.key.as_str().as_bytes(), &event.encode(), headers)
    }
}

impl Shared {
    /// Hands a message to the local queue, now where that has room: no task for each.
    fn write(
        self: &Arc<Self>,
        topic: &str,
        partition: i32,
        key: &[u8],
        payload: &[u8],
        headers: OwnedHeaders,
    ) -> Landing {
        let shared = Arc::clone(self);
        match self.producer.offer(Outgoing { topic, partition, key, payload, headers }) {
            Offered::Taken(taken) => async move { shared.seen(taken.landed().await.map(drop)) }.boxed(),
            Offered::Failed(error) => ready(self.seen(Err(error))).boxed(),
            Offered::Full(message, _) => {
                let (topic, key, payload) = (topic.to_owned(), key.to_vec(), payload.to_vec());
                let headers = message.headers;
                async move {
                    let message = Outgoing { topic: &topic, partition, key: &key, payload: &payload, headers };
                    shared.seen(shared.producer.send(message).await.map(drop))
                }
                .boxed()
            }
        }
    }

    fn seen(&self, written: Result<(), ProduceError>) -> Result<(), Broken> {
        written.map_err(|error| self.broke(&error))
    }

    fn broke(&self, error: &ProduceError) -> Broken {
        tracing::error!(%error, "a message cannot be written to Kafka, ever: the worker ends");
        self.halt.cancel();
        Broken
    }
}
