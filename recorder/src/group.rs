//! Membership in the recorder's consumer group: which offsets may be committed, and how far behind we are.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use rdkafka::{
    ClientConfig, ClientContext, Offset, Statistics, TopicPartitionList,
    consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerContext, Rebalance},
    error::{KafkaError, KafkaResult},
};
use schemas::Topics;
use worker::{
    health::Dependency,
    lost_client::Watch,
    producer::{LOOK_EVERY, Reporter},
};

use crate::{metrics, read::Sources};

/// Bytes of an answer to a fetch, as they lie in Kafka. A batch of messages that is larger comes by itself.
const FETCHED: &str = "262144";
/// How long Kafka may take to say how far behind we are: the thread that asks has to poll as well.
const ASK_LIMIT: Duration = Duration::from_secs(1);

/// The consumer, polled by one thread and committed by another.
pub(crate) type Consumer = BaseConsumer<Group>;

/// What the group's callbacks leave behind.
pub(crate) struct Group {
    /// A consumer has always asked for something, so that a broker that hangs is missed: the producer of dead letters is
    /// silent for days.
    brokers: Reporter,
    /// Whether it can come back at all.
    watch: Watch,
    /// Counts assignments: an offset that was read in an earlier one may be another member's by now.
    tenure: AtomicU64,
    /// A commit failed, and no later one made up for it.
    behind: AtomicBool,
    /// What is to be committed soon.
    wanted: Mutex<Option<TopicPartitionList>>,
    /// Commits go one after the other: an earlier one that came later would take back what a later one brought forward.
    turn: Mutex<()>,
    /// An assignment came since it was last asked: its partitions are not paused.
    assigned: AtomicBool,
    /// Nothing is fetched, and what the client knows of the topics' ends is what it knew when that began.
    pauses: AtomicBool,
}

impl Group {
    fn new(health: Dependency) -> Self {
        Self {
            brokers: Reporter::new(health),
            watch: Watch::default(),
            tenure: AtomicU64::default(),
            behind: AtomicBool::default(),
            wanted: Mutex::default(),
            turn: Mutex::default(),
            assigned: AtomicBool::default(),
            pauses: AtomicBool::default(),
        }
    }

    /// The current tenure. Changes only within a poll.
    pub(crate) fn tenure(&self) -> u64 {
        self.tenure.load(Ordering::Acquire)
    }

    /// Whether the last commit failed.
    pub(crate) fn is_behind(&self) -> bool {
        self.behind.load(Ordering::Acquire)
    }

    /// From now on the client's own look at the lag is, or is not, to be believed.
    pub(crate) fn pauses(&self, pauses: bool) {
        self.pauses.store(pauses, Ordering::Release);
    }

    /// Whether partitions were assigned since this was last asked.
    pub(crate) fn newly_assigned(&self) -> bool {
        self.assigned.swap(false, Ordering::AcqRel)
    }
}

/// Joins the group.
///
/// # Errors
/// Where the configuration is unusable.
pub(crate) fn join(
    mut config: ClientConfig,
    topics: &Topics,
    sources: &Sources,
    instance: Option<&str>,
    health: Dependency,
) -> KafkaResult<Consumer> {
    config
        .set("group.id", topics.group("recorder"))
        .set("partition.assignment.strategy", "range")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "earliest")
        .set("fetch.wait.max.ms", "100")
        // What waits in the client counts against nobody's budget. An answer of a broker comes on top of it, and is up to
        // ten times as large once it is unpacked. It is never less than the largest message, as far as the client knows.
        .set("queued.max.messages.kbytes", "2048")
        .set("fetch.max.bytes", FETCHED)
        .set("fetch.message.max.bytes", FETCHED)
        .set("message.max.bytes", FETCHED)
        // A client that had enough asks for more after so long, by default after a whole second.
        .set("fetch.queue.backoff.ms", "5")
        // A member without partitions would else be connected to nobody but its coordinator.
        .set("enable.sparse.connections", "false")
        .set("statistics.interval.ms", LOOK_EVERY.as_millis().to_string());
    if let Some(instance) = instance {
        config.set("group.instance.id", instance);
    }
    let consumer: Consumer = config.create_with_context(Group::new(health))?;
    consumer.subscribe(&sources.names())?;
    // Known before the client has looked for the first time.
    sources.names().iter().for_each(|topic| metrics::lag(topic, 0));
    Ok(consumer)
}

/// Asks Kafka how far behind the partitions of this member are, and tells it.
///
/// # Errors
/// Where Kafka does not answer soon.
pub(crate) fn ask_lag(consumer: &Consumer) -> KafkaResult<()> {
    let committed = consumer.committed_offsets(consumer.assignment()?, ASK_LIMIT)?;
    let mut behind: HashMap<String, i64> = HashMap::new();
    for partition in committed.elements() {
        let (first, end) = consumer.fetch_watermarks(partition.topic(), partition.partition(), ASK_LIMIT)?;
        let at = if let Offset::Offset(at) = partition.offset() { at } else { first };
        *behind.entry(partition.topic().to_owned()).or_default() += end - at;
    }
    behind.iter().for_each(|(topic, messages)| metrics::lag(topic, *messages));
    Ok(())
}

/// Commits these offsets soon, on a thread of its own: each is the next to be read. The client library tells no outcome of
/// its own asynchronous commits.
pub(crate) fn commit_soon(consumer: &Arc<Consumer>, offsets: TopicPartitionList) {
    let replaced = lock(&consumer.context().wanted).replace(offsets);
    // Where one waits for its turn already, it takes these.
    if replaced.is_none() {
        let consumer = consumer.clone();
        tokio::task::spawn_blocking(move || {
            let _turn = lock(&consumer.context().turn);
            let wanted = lock(&consumer.context().wanted).take();
            wanted.iter().for_each(|offsets| commit(&consumer, offsets));
        });
    }
}

/// Commits these offsets, and nothing after them. Blocks until they are answered.
pub(crate) fn commit_last(consumer: &Consumer, offsets: &TopicPartitionList) {
    let _turn = lock(&consumer.context().turn);
    drop(lock(&consumer.context().wanted).take());
    commit(consumer, offsets);
}

fn commit(consumer: &Consumer, offsets: &TopicPartitionList) {
    if offsets.count() == 0 {
        return;
    }
    let committed = consumer.commit(offsets, CommitMode::Sync);
    metrics::commit(committed.is_ok());
    consumer.context().behind.store(committed.is_err(), Ordering::Release);
    if let Err(error) = committed {
        tracing::warn!(%error, "a commit failed: the rows behind it may come again");
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ClientContext for Group {
    fn stats_raw(&self, statistics: &[u8]) {
        if let Some(statistics) = self.watch.look(statistics) {
            self.stats(statistics);
        }
    }

    fn stats(&self, statistics: Statistics) {
        let fetched = !self.pauses.load(Ordering::Acquire);
        for (name, topic) in statistics.topics.iter().filter(|_| fetched) {
            let behind = topic.partitions.values().map(|partition| partition.consumer_lag).filter(|lag| *lag >= 0);
            metrics::lag(name, behind.sum());
        }
        self.brokers.stats(statistics);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.brokers.error(error, reason);
    }
}

impl ConsumerContext for Group {
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(partitions) => tracing::info!(count = partitions.count(), "partitions assigned"),
            Rebalance::Revoke(partitions) => tracing::info!(count = partitions.count(), "partitions revoked"),
            Rebalance::Error(error) => tracing::warn!(%error, "rebalance"),
        }
        self.tenure.fetch_add(1, Ordering::AcqRel);
    }

    fn post_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if matches!(rebalance, Rebalance::Assign(_)) {
            self.assigned.store(true, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::{
        mocking::MockCluster,
        types::{RDKafkaApiKey, RDKafkaRespErr},
    };
    use tokio::time::{sleep, timeout};
    use worker::{health::Health, vital::blocking};

    use super::*;

    async fn until(mut holds: impl AsyncFnMut() -> bool) {
        let waited = async {
            while !holds().await {
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(Duration::from_mins(2), waited).await.unwrap();
    }

    /// Where the records' offset is to be, or is.
    fn at(topics: &Topics, offset: Offset) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&topics.records(), 0, offset).unwrap();
        list
    }

    async fn committed(consumer: &Arc<Consumer>, topics: &Topics) -> Offset {
        let (consumer, asked) = (consumer.clone(), at(topics, Offset::Invalid));
        let committed = blocking(move || consumer.committed_offsets(asked, Duration::from_mins(1)).unwrap()).await;
        committed.elements()[0].offset()
    }

    /// Of a topic that is quiet no later commit would make up for it: whoever rests asks for one while it is behind.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_commit_that_failed_leaves_the_group_behind_until_one_succeeds() {
        let (cluster, topics) = (MockCluster::new(1).unwrap(), Topics::new("test"));
        let sources = Sources::new(&topics);
        sources.names().iter().for_each(|topic| cluster.create_topic(topic, 1, 1).unwrap());
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", cluster.bootstrap_servers());
        let health = Health::default().dependency("kafka");
        let consumer = Arc::new(join(config, &topics, &sources, None, health).unwrap());
        until(async || {
            let polled = consumer.clone();
            blocking(move || polled.poll(Duration::from_millis(100)).is_none()).await;
            consumer.context().newly_assigned()
        })
        .await;
        let refusal = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED];
        cluster.request_errors(RDKafkaApiKey::OffsetCommit, &refusal);
        commit_soon(&consumer, at(&topics, Offset::Offset(5)));
        until(async || consumer.context().is_behind()).await;
        assert_eq!(committed(&consumer, &topics).await, Offset::Invalid);
        commit_soon(&consumer, at(&topics, Offset::Offset(5)));
        until(async || committed(&consumer, &topics).await == Offset::Offset(5)).await;
        until(async || !consumer.context().is_behind()).await;
        // The last one stands, however many are asked for before it.
        (6..100).for_each(|offset| commit_soon(&consumer, at(&topics, Offset::Offset(offset))));
        let last = consumer.clone();
        let list = at(&topics, Offset::Offset(100));
        blocking(move || commit_last(&last, &list)).await;
        sleep(Duration::from_millis(200)).await;
        assert_eq!(committed(&consumer, &topics).await, Offset::Offset(100));
    }
}
