//! Listening for verdicts: one partition of their topic, from its end on.

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig, Message as _, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::{KafkaError, KafkaResult},
    message::BorrowedMessage,
};
use schemas::{CallId, Message, Topics, Verdict};
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;
use worker::{health::Dependency, lost_client::LOOK_EVERY_MS, outage, vital::Vital};

use super::{Waiters, standing::Standing};
use crate::metrics;

/// How long Kafka may take to say where a partition ends.
const PLACE_TIME: Duration = Duration::from_secs(5);
/// How long Kafka may take to answer the thread that listens: nobody is heard meanwhile.
const ANSWER_TIME: Duration = Duration::from_secs(2);
/// How often the thread looks whether it is to end.
const POLL_TIME: Duration = Duration::from_millis(250);

/// A consumer at the end of one partition of the verdicts topic. It belongs to no group: every instance reads the
/// partition that it chose, alone or with others, and remembers nothing of it.
pub struct Listener {
    consumer: BaseConsumer<outage::Callbacks>,
    topic: String,
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

    /// Hands every verdict to its waiter, on a thread of its own, until `stop` is cancelled. Says in `health` whether it
    /// can; who waits while it cannot is told that the event is pending. Without the thread every caller would wait in vain:
    /// the worker ends with it.
    ///
    /// # Errors
    /// Where no thread can be started.
    pub fn run(
        self,
        waiters: Arc<Waiters>,
        health: Dependency,
        stop: CancellationToken,
        vital: &Vital,
    ) -> io::Result<()> {
        let mut standing = Standing::new(health, Instant::now());
        vital.thread("verdicts", move || {
            while !stop.is_cancelled() {
                match self.consumer.poll(POLL_TIME) {
                    None => {}
                    Some(Ok(message)) => deliver(&waiters, &message),
                    // The client goes on by itself.
                    Some(Err(fault)) => {
                        outage::log_unless_away(&fault, "verdicts");
                        standing.doubt();
                    }
                }
                standing.look(Instant::now(), || self.ask());
            }
        })
    }

    fn ask(&self) -> KafkaResult<()> {
        self.consumer.fetch_watermarks(&self.topic, self.partition, ANSWER_TIME).map(|_| ())
    }
}

fn place(mut config: ClientConfig, topic: &str, group: &str, partition: i32) -> KafkaResult<Listener> {
    // A client wants a group's name even where it joins none.
    config.set("group.id", group).set("enable.auto.commit", "false").set("auto.offset.reset", "latest");
    config.set("statistics.interval.ms", LOOK_EVERY_MS);
    let consumer: BaseConsumer<_> = config.create_with_context(outage::Callbacks::default())?;
    let (_, end) = consumer.fetch_watermarks(topic, partition, PLACE_TIME)?;
    let mut assignment = TopicPartitionList::new();
    assignment.add_partition_offset(topic, partition, Offset::Offset(end))?;
    consumer.assign(&assignment)?;
    Ok(Listener { consumer, topic: topic.to_owned(), partition })
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
    use rdkafka::{
        mocking::MockCluster,
        producer::{FutureProducer, FutureRecord},
        types::{RDKafkaApiKey, RDKafkaRespErr},
    };
    use schemas::{ConversionStatus, Outcome};
    use worker::health::Health;

    use super::*;

    async fn until(holds: impl Fn() -> bool) {
        let waited = async {
            while !holds() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_mins(2), waited).await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn verdicts_are_down_while_kafka_is_away_and_up_when_it_is_back() {
        let (cluster, topics) = (MockCluster::new(1).unwrap(), Topics::new("test"));
        cluster.create_topic(&topics.verdicts(), 2, 1).unwrap();
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", cluster.bootstrap_servers()).set("reconnect.backoff.max.ms", "100");
        let health = Health::default().dependency("verdicts");
        let listener = Listener::place(&config, &topics, 2).await.unwrap();
        let stop = CancellationToken::new();
        listener.run(Arc::default(), health.clone(), stop.clone(), &Vital::default()).unwrap();
        assert!(health.is_up());
        cluster.broker_down(1).unwrap();
        until(|| !health.is_up()).await;
        cluster.broker_up(1).unwrap();
        until(|| health.is_up()).await;
        stop.cancel();
    }

    /// Whoever waits from the moment that a place is taken is heard, also where Kafka is slow to say where the end is: asked
    /// only after that, it would name the place behind the verdict.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_verdict_right_after_the_place_was_taken_is_not_passed_over() {
        use RDKafkaRespErr::{RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE, RD_KAFKA_RESP_ERR_NO_ERROR};
        let (cluster, topics) = (MockCluster::new(1).unwrap(), Topics::new("test"));
        cluster.create_topic(&topics.verdicts(), 1, 1).unwrap();
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", cluster.bootstrap_servers());
        let producer: FutureProducer = config.create().unwrap();
        // The two questions of a place are answered; who asks anew waits for a moment.
        let answers = [[RD_KAFKA_RESP_ERR_NO_ERROR; 2], [RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE; 2]].concat();
        cluster.request_errors(RDKafkaApiKey::ListOffsets, &answers);
        let listener = Listener::place(&config, &topics, 1).await.unwrap();
        let (waiters, call_id) = (Arc::new(Waiters::default()), CallId::now());
        let mut waiter = waiters.register(call_id);
        let verdict = Verdict { call_id, outcome: Outcome::new(200, ConversionStatus::Forwarded) };
        let (topic, payload) = (topics.verdicts(), verdict.encode());
        let message = FutureRecord::<(), _>::to(&topic).partition(0).payload(&payload);
        producer.send(message, None).await.unwrap();
        let (stop, health) = (CancellationToken::new(), Health::default().dependency("verdicts"));
        listener.run(waiters, health, stop.clone(), &Vital::default()).unwrap();
        let heard = tokio::time::timeout(Duration::from_mins(1), waiter.verdict()).await;
        assert!(heard.expect("it was passed over").is_some());
        stop.cancel();
    }

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
