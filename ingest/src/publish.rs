//! Onto the queue: events on their way to Meta, and the records of calls that go no further.

use std::time::Duration;

use futures::future::BoxFuture;
use schemas::{CallRecord, ConversionEvent, Lane, Message, Topics, order::partition_of_call};

use tokio::time::timeout;
use tracing::Instrument;

use crate::metrics;

mod kafka;

pub use kafka::KafkaQueue;

/// How long the queue may take to acknowledge a message.
pub const PRODUCE_TIME: Duration = Duration::from_secs(5);

/// A message for a partition of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Append {
    /// Name of the topic.
    pub topic: String,
    /// Partition, chosen by its key (rule 1 of the ledger).
    pub partition: i32,
    /// Key.
    pub key: Vec<u8>,
    /// Avro.
    pub payload: Vec<u8>,
    /// Where the verdict is waited for; `None` where nobody waits.
    pub verdict_partition: Option<i32>,
}

/// The queue did not acknowledge a message in time. It may be in there all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the queue did not acknowledge the message")]
pub struct NotDurable;

/// What the messages are appended to.
pub trait Queue: Send + Sync + 'static {
    /// Appends a message; done once all in-sync replicas have it.
    fn append(&self, message: Append) -> BoxFuture<'_, Result<(), NotDurable>>;
}

/// Appends what ingest writes to the right partitions.
pub struct Publisher {
    queue: Box<dyn Queue>,
    topics: Topics,
    partitions: i32,
    verdict_partition: i32,
}

impl Publisher {
    /// `partitions` is P, the partition count of the topics that ingest writes to; `verdict_partition` is where this
    /// instance listens.
    pub fn new(queue: Box<dyn Queue>, topics: Topics, partitions: i32, verdict_partition: i32) -> Self {
        Self { queue, topics, partitions, verdict_partition }
    }

    /// Makes an event durable. Only then may a 2xx leave, and Meta be called (invariant 1;
    /// `an_event_is_durable_before_its_answer`).
    ///
    /// # Errors
    /// Where that is not known in time: the event may be forwarded all the same.
    pub async fn event(&self, event: &ConversionEvent, is_awaited: bool) -> Result<(), NotDurable> {
        let key = event.order_key();
        let (topic, lane) = match event.lane {
            Lane::Live => (self.topics.events_live(), "events.live"),
            Lane::Backfill => (self.topics.events_backfill(), "events.backfill"),
        };
        let message = Append {
            topic,
            partition: key.hash().partition(self.partitions),
            key: key.as_str().into(),
            payload: event.encode(),
            verdict_partition: is_awaited.then_some(self.verdict_partition),
        };
        self.append(message, lane).await
    }

    /// Makes the record of a call durable, before its answer leaves.
    ///
    /// # Errors
    /// Where that is not known in time.
    pub async fn record(&self, record: &CallRecord) -> Result<(), NotDurable> {
        let call_id = record.call.call_id;
        let message = Append {
            topic: self.topics.records(),
            partition: partition_of_call(call_id, self.partitions),
            key: call_id.to_string().into_bytes(),
            payload: record.encode(),
            verdict_partition: None,
        };
        self.append(message, "records").await
    }

    async fn append(&self, message: Append, topic: &'static str) -> Result<(), NotDurable> {
        // The queue's own limit begins only once there is room for the message.
        let appending = timeout(PRODUCE_TIME, self.queue.append(message));
        // For traces alone: no line is written in it that does not name the topic itself.
        let span = tracing::debug_span!("publish", topic, otel.kind = "producer");
        let appended = appending.instrument(span).await.unwrap_or(Err(NotDurable));
        if appended.is_err() {
            metrics::produce_failed(topic);
        }
        appended
    }
}
