//! The queue is Kafka.

use futures::{FutureExt, future::BoxFuture};
use rdkafka::message::{Header, OwnedHeaders};
use schemas::event::VERDICT_PARTITION_HEADER;
use tokio_util::sync::CancellationToken;
use tracing::Span;
use worker::{
    producer::{Outgoing, ProduceError, Producer},
    trace,
};

use super::{Append, NotDurable, Queue};

/// A producer that waits for all in-sync replicas, for a bounded time.
pub struct KafkaQueue {
    producer: Producer,
    failed: CancellationToken,
}

impl KafkaQueue {
    /// `failed` is cancelled where the producer can do nothing any more: the process has to start anew.
    pub fn new(producer: Producer, failed: CancellationToken) -> Self {
        Self { producer, failed }
    }

    async fn send(&self, message: Append) -> Result<(), NotDurable> {
        let outgoing = Outgoing {
            topic: &message.topic,
            partition: message.partition,
            key: &message.key,
            payload: &message.payload,
            headers: headers(message.verdict_partition),
        };
        let Err(fault) = self.producer.send(outgoing).await else { return Ok(()) };
        tracing::warn!(topic = message.topic, partition = message.partition, %fault, "not acknowledged");
        if matches!(fault, ProduceError::Fatal(_)) {
            self.failed.cancel();
        }
        Err(NotDurable)
    }
}

impl Queue for KafkaQueue {
    fn append(&self, message: Append) -> BoxFuture<'_, Result<(), NotDurable>> {
        self.send(message).boxed()
    }
}

/// The trace goes on with the message, and the forwarder learns where the verdict is waited for.
fn headers(verdict_partition: Option<i32>) -> OwnedHeaders {
    let headers = trace::inject(OwnedHeaders::new(), &Span::current());
    match verdict_partition {
        None => headers,
        Some(partition) => {
            headers.insert(Header { key: VERDICT_PARTITION_HEADER, value: Some(&partition.to_string()) })
        }
    }
}
