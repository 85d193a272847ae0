//! Kafka, asked from the outside: messages of nobody's making, put straight into a topic, topics that
//! are lost, and how far a group is.

use anyhow::{Context as _, anyhow};
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions},
    client::DefaultClientContext,
    consumer::{BaseConsumer, CommitMode, Consumer as _},
    error::KafkaError,
    message::OwnedMessage,
    metadata::MetadataTopic,
    producer::{FutureProducer, FutureRecord},
    topic_partition_list::TopicPartitionListElem,
};

use crate::{
    event::fresh,
    wait::{self, PATIENCE},
};

/// Writes a message, and says at which offset it lies.
///
/// # Errors
/// Where Kafka does not take it.
pub async fn write(brokers: &str, topic: &str, partition: i32, key: &[u8], payload: &[u8]) -> anyhow::Result<i64> {
    let producer: FutureProducer = ClientConfig::new().set("bootstrap.servers", brokers).create()?;
    let message = FutureRecord::to(topic).partition(partition).key(key).payload(payload);
    let delivered = producer.send(message, PATIENCE).await.map_err(|(error, _)| anyhow!(error))?;
    Ok(delivered.offset)
}

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

/// Deletes topics, with all that is in them, and waits until they are gone.
///
/// # Errors
/// Where Kafka does not do so.
pub async fn delete(brokers: &str, topics: &[&str]) -> anyhow::Result<()> {
    let config = ClientConfig::new().set("bootstrap.servers", brokers).clone();
    let admin: AdminClient<DefaultClientContext> = config.create()?;
    for deleted in admin.delete_topics(topics, &AdminOptions::new().operation_timeout(Some(PATIENCE))).await? {
        deleted.map_err(|(topic, error)| anyhow!("{topic}: {error}"))?;
    }
    let consumer: BaseConsumer = config.create()?;
    wait::until("the end of topics", async || {
        let known = consumer.fetch_metadata(None, PATIENCE)?;
        Ok(known.topics().iter().all(|topic| !topics.contains(&topic.name())).then_some(()))
    })
    .await
}

/// Commits an offset in every partition of a topic, once the group has no members any more.
///
/// # Errors
/// Where it still has some after a while, or Kafka does not answer.
pub async fn commit(brokers: &str, group: &str, topic: &str, offset: i64) -> anyhow::Result<()> {
    let consumer: BaseConsumer =
        ClientConfig::new().set("bootstrap.servers", brokers).set("group.id", group).create()?;
    let metadata = consumer.fetch_metadata(Some(topic), PATIENCE)?;
    let mut offsets = TopicPartitionList::new();
    for partition in metadata.topics().iter().flat_map(MetadataTopic::partitions) {
        offsets.add_partition_offset(topic, partition.id(), Offset::Offset(offset))?;
    }
    let commit = async || Ok(consumer.commit(&offsets, CommitMode::Sync).is_ok().then_some(()));
    wait::until(&format!("{group} to be without members"), commit).await
}

/// Every message of the topics whose names begin so, each partition's from its beginning to its end.
///
/// # Errors
/// Where Kafka does not answer, or falls silent.
pub fn messages(brokers: &str, prefix: &str) -> anyhow::Result<Vec<OwnedMessage>> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", fresh("e2e-reader"))
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .create()?;
    let mut partitions = TopicPartitionList::new();
    for topic in
        consumer.fetch_metadata(None, PATIENCE)?.topics().iter().filter(|topic| topic.name().starts_with(prefix))
    {
        for partition in topic.partitions() {
            partitions.add_partition_offset(topic.name(), partition.id(), Offset::Beginning)?;
        }
    }
    consumer.assign(&partitions)?;
    let (mut ends, mut messages) = (0, Vec::new());
    while ends < partitions.count() {
        match consumer.poll(PATIENCE).context("Kafka is silent")? {
            Err(KafkaError::PartitionEOF(_)) => ends += 1,
            message => messages.push(message?.detach()),
        }
    }
    Ok(messages)
}
