//! A topic from the outside: filled at once, and watched while it fills.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, bail};
use futures::{StreamExt as _, stream};
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    producer::{FutureProducer, FutureRecord},
};
use tokio::{
    task::spawn_blocking,
    time::{Instant, sleep},
};

use crate::sample;

/// How long Kafka may take for an answer.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long a run may stand still before it is given up.
const STANDSTILL: Duration = Duration::from_mins(1);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Messages that are not acknowledged yet, while a topic is filled.
const AHEAD: usize = 20_000;

/// A message for a topic that is filled.
pub struct Filling {
    /// Its partition.
    pub partition: i32,
    /// Its key.
    pub key: Vec<u8>,
    /// What it holds.
    pub payload: Vec<u8>,
}

/// Writes these messages; done once all of them are acknowledged.
///
/// # Errors
/// Where one is not.
pub async fn fill(brokers: &str, topic: &str, messages: impl Iterator<Item = Filling>) -> anyhow::Result<()> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers).set("linger.ms", "20").set("compression.type", "lz4");
    config.set("queue.buffering.max.messages", "100000").set("batch.size", "1000000");
    let producer: FutureProducer = config.create()?;
    let write = |message: Filling| {
        let producer = producer.clone();
        async move {
            let record = FutureRecord::to(topic).partition(message.partition).key(&message.key);
            let sent = producer.send(record.payload(&message.payload), PATIENCE).await;
            sent.map(|_| ()).map_err(|(error, _)| error)
        }
    };
    let mut written = stream::iter(messages).map(write).buffer_unordered(AHEAD);
    while let Some(result) = written.next().await {
        result?;
    }
    Ok(())
}

/// How far a topic is.
#[derive(Clone)]
pub struct Watch {
    consumer: Arc<BaseConsumer>,
    topic: String,
    partitions: i32,
}

impl Watch {
    /// Of a topic.
    ///
    /// # Errors
    /// Where Kafka does not answer.
    pub async fn over(brokers: &str, topic: String) -> anyhow::Result<Self> {
        let consumer: BaseConsumer =
            ClientConfig::new().set("bootstrap.servers", brokers).set("group.id", "bench").create()?;
        spawn_blocking(move || {
            let metadata = consumer.fetch_metadata(Some(&topic), PATIENCE)?;
            let partitions = metadata.topics().first().context("no such topic")?.partitions().len();
            Ok(Self { consumer: Arc::new(consumer), topic, partitions: i32::try_from(partitions)? })
        })
        .await?
    }

    /// Messages written so far, in all partitions.
    ///
    /// # Errors
    /// Where Kafka does not answer.
    pub async fn written(&self) -> anyhow::Result<u64> {
        let watch = self.clone();
        let sum = spawn_blocking(move || {
            let end = |partition| watch.consumer.fetch_watermarks(&watch.topic, partition, PATIENCE);
            (0..watch.partitions).map(|partition| end(partition).map(|(_, end)| end)).sum::<Result<i64, _>>()
        });
        Ok(u64::try_from(sum.await??)?)
    }

    /// Waits until so many more messages are there than `from`.
    ///
    /// # Errors
    /// Where they do not come.
    pub async fn grows(&self, from: u64, by: u64) -> anyhow::Result<Progress> {
        progress(by, async || Ok(self.written().await?.saturating_sub(from))).await
    }

    /// Reads the topic from its beginning to its present end, as fast as Kafka's client can, and looks at nothing; the
    /// time that it took.
    ///
    /// # Errors
    /// Where Kafka does not answer.
    pub async fn read_through(&self, brokers: &str) -> anyhow::Result<Duration> {
        let (messages, watch, brokers) = (self.written().await?, self.clone(), brokers.to_owned());
        spawn_blocking(move || watch.read(messages, &brokers)).await?
    }

    fn read(&self, messages: u64, brokers: &str) -> anyhow::Result<Duration> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", brokers).set("group.id", "bench").set("enable.auto.commit", "false");
        let consumer: BaseConsumer = config.create()?;
        let mut assignment = TopicPartitionList::new();
        for partition in 0..self.partitions {
            assignment.add_partition_offset(&self.topic, partition, Offset::Beginning)?;
        }
        let began = Instant::now();
        consumer.assign(&assignment)?;
        let mut bytes = 0;
        for _ in 0..messages {
            let message = consumer.poll(PATIENCE).context("a topic that ends too early")??;
            bytes += message.payload_len();
        }
        std::hint::black_box(bytes);
        Ok(began.elapsed())
    }
}

/// How a count grew: moments, and how many there were.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    seen: Vec<(Duration, u64)>,
}

/// Looks at a count until it is `total`.
///
/// # Errors
/// Where it stands still, or cannot be looked at.
pub async fn progress(total: u64, count: impl AsyncFn() -> anyhow::Result<u64>) -> anyhow::Result<Progress> {
    let (began, mut moved, mut progress) = (Instant::now(), Instant::now(), Progress::default());
    loop {
        let now = count().await?;
        if progress.seen.last().is_none_or(|(_, before)| now > *before) {
            moved = Instant::now();
        }
        progress.seen.push((began.elapsed(), now));
        if now >= total {
            return Ok(progress);
        }
        if moved.elapsed() > STANDSTILL {
            bail!("it stands still at {now} of {total}");
        }
        sleep(LOOK_EVERY).await;
    }
}

impl Progress {
    /// The rate between a tenth and nine tenths of the work, a second: neither the start nor the last straggler counts.
    pub fn rate(&self) -> f64 {
        let Some((_, total)) = self.seen.last() else { return f64::NAN };
        let reaches = |count: u64| self.seen.iter().find(|(_, seen)| *seen >= count);
        match (reaches(total.div_ceil(10)), reaches(total * 9 / 10)) {
            (Some((from, first)), Some((until, last))) if until > from => {
                sample::rate(last - first, until.saturating_sub(*from))
            }
            _ => self.seen.last().map_or(f64::NAN, |(took, total)| sample::rate(*total, *took)),
        }
    }

    /// How long all of it took.
    pub fn took(&self) -> Duration {
        self.seen.last().map_or(Duration::ZERO, |(took, _)| *took)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    fn seconds(seen: &[(u64, u64)]) -> Progress {
        Progress { seen: seen.iter().map(|(at, count)| (Duration::from_secs(*at), *count)).collect() }
    }

    #[test]
    fn neither_the_start_nor_the_end_counts() {
        let progress = seconds(&[(0, 0), (9, 0), (10, 100), (11, 300), (12, 500), (13, 900), (30, 1000)]);
        assert!((progress.rate() - 800.0 / 3.0).abs() < 1e-9);
        assert_eq!(progress.took(), Duration::from_secs(30));
    }

    #[test]
    fn what_comes_at_once_counts_from_the_beginning() {
        assert!((seconds(&[(0, 0), (2, 1000)]).rate() - 500.0).abs() < 1e-9);
        assert!(seconds(&[]).rate().is_nan());
    }

    #[tokio::test(start_paused = true)]
    async fn a_count_that_stands_still_is_given_up() {
        let count = AtomicU64::new(0);
        let grown = progress(50, async || Ok(count.fetch_add(10, Ordering::Relaxed))).await.unwrap();
        assert_eq!(grown.seen.last().map(|(_, count)| *count), Some(50));
        let error = progress(50, async || Ok(7)).await.unwrap_err();
        assert_eq!(error.to_string(), "it stands still at 7 of 50");
    }
}
