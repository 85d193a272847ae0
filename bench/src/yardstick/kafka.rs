//! Kafka's clients with the settings that the workers' own have, where those make a difference.

use std::{thread, time::Duration};

use anyhow::{Context as _, ensure};
use rdkafka::{
    ClientConfig, Message as _, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    producer::{FutureProducer, FutureRecord},
    types::RDKafkaErrorCode,
};
use tokio::time::{Instant, sleep};

use super::Surroundings;

/// How long Kafka may take to say where a topic ends.
const PATIENCE: Duration = Duration::from_secs(10);
/// While the local queue is full.
const PAUSE: Duration = Duration::from_millis(1);

fn client(around: &Surroundings) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &around.brokers).set("socket.nagle.disable", "true");
    config
}

/// A producer that waits for all in-sync replicas.
pub(super) fn producer(around: &Surroundings) -> anyhow::Result<FutureProducer> {
    let mut config = client(around);
    config.set("acks", "all").set("enable.idempotence", "true");
    config.set("compression.type", "lz4").set("linger.ms", around.linger_ms.to_string());
    config.set("queue.buffering.max.messages", "200000").set("queue.buffering.max.kbytes", "131072");
    Ok(config.create()?)
}

/// Writes a message, and waits until it is acknowledged. Its key is how it begins: a compacted topic takes none without.
pub(super) async fn write(
    producer: &FutureProducer,
    topic: &str,
    partition: i32,
    payload: &[u8],
) -> anyhow::Result<()> {
    let key = payload.get(..8).unwrap_or(payload);
    let mut record = FutureRecord::to(topic).partition(partition).key(key).payload(payload);
    let delivery = loop {
        match producer.send_result(record) {
            Ok(delivery) => break delivery,
            Err((error, back)) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull) => {
                record = back;
                sleep(PAUSE).await;
            }
            Err((error, _)) => return Err(error.into()),
        }
    };
    delivery.await?.map(|_| ()).map_err(|(error, _)| error.into())
}

/// Every partition of a topic, at its end.
fn ends(consumer: &BaseConsumer, topic: &str) -> anyhow::Result<TopicPartitionList> {
    let metadata = consumer.fetch_metadata(Some(topic), PATIENCE)?;
    let mut ends = TopicPartitionList::new();
    let topic_now = metadata.topics().first().context("no such topic")?;
    ensure!(topic_now.error().is_none() && !topic_now.partitions().is_empty(), "{topic} is not there yet");
    for partition in topic_now.partitions() {
        let (_, end) = consumer.fetch_watermarks(topic, partition.id(), PATIENCE)?;
        ends.add_partition_offset(topic, partition.id(), Offset::Offset(end))?;
    }
    Ok(ends)
}

/// Reads what comes to a topic from now on, in every partition, on a thread of its own.
pub(super) async fn read(
    around: &Surroundings,
    topic: &str,
    each: impl Fn(i32, &[u8]) + Send + 'static,
) -> anyhow::Result<()> {
    let mut config = client(around);
    config.set("group.id", "bench").set("enable.auto.commit", "false").set("fetch.wait.max.ms", "100");
    let (scout, began): (BaseConsumer, _) = (config.create()?, Instant::now());
    let assignment = loop {
        match ends(&scout, topic) {
            Ok(ends) => break ends,
            // A topic that was just made has no leaders yet.
            Err(error) if began.elapsed() > PATIENCE => return Err(error),
            Err(_) => sleep(PAUSE).await,
        }
    };
    // A client that saw the topic without leaders asks no one for its messages for minutes: a new one has not seen it.
    let consumer: BaseConsumer = config.create()?;
    consumer.assign(&assignment)?;
    thread::Builder::new().name(topic.to_owned()).spawn(move || {
        loop {
            match consumer.poll(PATIENCE) {
                Some(Ok(message)) => each(message.partition(), message.payload().unwrap_or_default()),
                // It comes right by itself, or the run stands still.
                Some(Err(error)) => super::complain(&error.into()),
                None => {}
            }
        }
    })?;
    Ok(())
}
