//! Kafka, asked from the outside: messages of nobody's making, put straight into a topic, and how far a group is.

use std::time::Duration;

use anyhow::{Context as _, anyhow};
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    producer::{FutureProducer, FutureRecord},
    topic_partition_list::TopicPartitionListElem,
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

/// How long Kafka may take for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many messages of a partition a group has not committed yet.
///
/// # Errors
/// Where Kafka does not answer, or the group has committed nothing there.
pub async fn behind(brokers: &str, group: &str, topic: &str, partition: i32) -> anyhow::Result<i64> {
    let consumer: BaseConsumer =
        ClientConfig::new().set("bootstrap.servers", brokers).set("group.id", group).create()?;
    let mut asked = TopicPartitionList::new();
    asked.add_partition(topic, partition);
    let topic = topic.to_owned();
    let answer = tokio::task::spawn_blocking(move || {
        let committed = consumer.committed_offsets(asked, PATIENCE)?;
        let (_, end) = consumer.fetch_watermarks(&topic, partition, PATIENCE)?;
        anyhow::Ok((committed.elements().first().map(TopicPartitionListElem::offset), end))
    });
    match answer.await?? {
        (Some(Offset::Offset(committed)), end) => Ok(end - committed),
        _ => None.context("the group has committed nothing"),
    }
}
