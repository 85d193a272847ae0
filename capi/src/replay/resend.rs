//! Events on their way into the backfill lane.

use std::time::Duration;

use futures::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use rdkafka::message::OwnedHeaders;
use schemas::{ConversionEvent, Message};
use worker::{
    producer::{Outgoing, ProduceError, Producer},
    settings::KafkaSettings,
    topics::partition_counts,
};

use crate::{failure::Failure, kafka};

/// Events that wait for their acknowledgement: memory stays bounded however many calls are replayed.
const IN_FLIGHT: usize = 500;
/// How long an event waits for company.
const LINGER: Duration = Duration::from_millis(5);

/// The backfill lane, written to.
pub(crate) struct Resend {
    producer: Producer,
    topic: String,
    partitions: i32,
    in_flight: FuturesUnordered<BoxFuture<'static, Result<(), ProduceError>>>,
}

impl Resend {
    pub(crate) async fn to_backfill(settings: &KafkaSettings) -> Result<Self, Failure> {
        settings.write_schemas.settle();
        let (config, topic) = (settings.client()?, settings.topics().events_backfill());
        let counts = partition_counts(&config).await?;
        let partitions = *counts.get(&topic).ok_or_else(|| kafka::not_set_up(&topic))?;
        Ok(Self { producer: kafka::producer(config, LINGER)?, topic, partitions, in_flight: FuturesUnordered::new() })
    }

    /// Sends an event, without a caller who waits for its verdict; how many were acknowledged meanwhile.
    pub(crate) async fn send(&mut self, event: &ConversionEvent) -> Result<u64, Failure> {
        let acknowledged = self.settle(IN_FLIGHT - 1).await?;
        let (producer, topic, key) = (self.producer.clone(), self.topic.clone(), event.order_key());
        let (partition, payload) = (key.hash().partition(self.partitions), event.encode());
        self.in_flight.push(Box::pin(async move {
            let (key, headers) = (key.as_str().as_bytes(), OwnedHeaders::new());
            producer.send(Outgoing { topic: &topic, partition, key, payload: &payload, headers }).await.map(drop)
        }));
        Ok(acknowledged)
    }

    /// Waits for the last acknowledgements; how many there were.
    pub(crate) async fn finish(mut self) -> Result<u64, Failure> {
        self.settle(0).await
    }

    /// Waits until no more than `left` are in flight.
    async fn settle(&mut self, left: usize) -> Result<u64, Failure> {
        let mut acknowledged = 0;
        while self.in_flight.len() > left
            && let Some(sent) = self.in_flight.next().await
        {
            sent.map_err(kafka::not_written)?;
            acknowledged += 1;
        }
        Ok(acknowledged)
    }
}
