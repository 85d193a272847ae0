//! Messages of nobody's making, put straight into a topic.

use std::time::Duration;

use anyhow::anyhow;
use rdkafka::{
    ClientConfig,
    producer::{FutureProducer, FutureRecord},
};

/// Writes a message, and says at which offset it lies.
///
/// # Errors
/// Where Kafka does not take it.
pub async fn write(brokers: &str, topic: &str, partition: i32, key: &[u8], payload: &[u8]) -> anyhow::Result<i64> {
    let producer: FutureProducer = ClientConfig::new().set("bootstrap.servers", brokers).create()?;
    let message = FutureRecord::to(topic).partition(partition).key(key).payload(payload);
    let delivered = producer.send(message, Duration::from_secs(10)).await.map_err(|(error, _)| anyhow!(error))?;
    Ok(delivered.offset)
}
