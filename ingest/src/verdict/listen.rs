//! Listening for verdicts: one partition of their topic, from its end on.

use std::{io, sync::Arc, thread, time::Duration};

use rdkafka::{
    ClientConfig, Message as _, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::{KafkaError, KafkaResult},
    message::BorrowedMessage,
};
use schemas::{CallId, Message, Topics, Verdict};
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use super::Waiters;
use crate::metrics;

/// How long Kafka may take to say where a partition ends.
const PLACE_TIME: Duration = Duration::from_secs(5);
/// How often the thread looks whether it is to end.
const POLL_TIME: Duration = Duration::from_millis(250);

/// A consumer at the end of one partition of the verdicts topic. It belongs to no group: every instance reads the
/// partition that it chose, alone or with others, and remembers nothing of it.
pub struct Listener {
    consumer: BaseConsumer,
    partition: i32,
}

impl Listener {
    /// Chooses one of the `partitions` of the topic, and takes its place at the end of it. The place is an offset, known
    /// before the first caller waits: "the end", looked up later, could pass over a verdict.
    ///
    /// # Errors
    /// Where Kafka does not answer.
    pub async fn place(config: &ClientConfig, topics: &Topics, partitions: i32) -> KafkaResult<Self> {
        let (config, topic, group) = (config.clone(), topics.verdicts(), topics.group("ingest"));
        spawn_blocking(move || place(config, &topic, &group, any_of(partitions)))
            .await
            .map_err(|_| KafkaError::Canceled)?
    }

    /// The partition that verdicts for this instance are to be sent to.
    pub fn partition(&self) -> i32 {
        self.partition
    }

    /// Hands every verdict to its waiter, on a thread of its own, until `stop` is cancelled.
    ///
    /// # Errors
    /// Where no thread can be started.
    pub fn run(self, waiters: Arc<Waiters>, stop: CancellationToken) -> io::Result<()> {
        thread::Builder::new().name("verdicts".into()).spawn(move || {
            while !stop.is_cancelled() {
                match self.consumer.poll(POLL_TIME) {
                    None => {}
                    Some(Ok(message)) => deliver(&waiters, &message),
                    // The client goes on by itself. Who waits meanwhile is told that the event is pending.
                    Some(Err(fault)) => tracing::warn!(%fault, "verdicts cannot be read"),
                }
            }
        })?;
        Ok(())
    }
}

fn place(mut config: ClientConfig, topic: &str, group: &str, partition: i32) -> KafkaResult<Listener> {
    // A client wants a group's name even where it joins none.
    config.set("group.id", group).set("enable.auto.commit", "false").set("auto.offset.reset", "latest");
    let consumer: BaseConsumer = config.create()?;
    let (_, end) = consumer.fetch_watermarks(topic, partition, PLACE_TIME)?;
    let mut assignment = TopicPartitionList::new();
    assignment.add_partition_offset(topic, partition, Offset::Offset(end))?;
    consumer.assign(&assignment)?;
    Ok(Listener { consumer, partition })
}

/// A verdict that cannot be read is counted and thrown away, not buried: the call's row tells its outcome all the same,
/// and every instance on this partition would bury it again.
fn deliver(waiters: &Waiters, message: &BorrowedMessage<'_>) {
    match Verdict::decode(message.payload().unwrap_or_default()) {
        Ok(verdict) => waiters.deliver(verdict),
        Err(fault) => {
            metrics::unreadable("verdicts");
            tracing::error!(partition = message.partition(), offset = message.offset(), %fault, "unreadable verdict");
        }
    }
}

/// One of `partitions`, at random: the end of a `UUIDv7` is.
fn any_of(partitions: i32) -> i32 {
    let [.., a, b, c, d] = *CallId::now().as_bytes();
    let slot = u32::from_be_bytes([a, b, c, d]) % partitions.max(1).unsigned_abs();
    i32::try_from(slot).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_partition_is_chosen_at_times() {
        let mut chosen = [0; 4];
        for _ in 0..400 {
            chosen[usize::try_from(any_of(4)).unwrap()] += 1;
        }
        assert!(chosen.iter().all(|times| *times > 0), "{chosen:?}");
        assert_eq!(any_of(1), 0);
    }
}
