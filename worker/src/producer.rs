//! Writing to Kafka. Every produce names its partition, and every result says one of three things: written, not written,
//! unknown.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use rdkafka::{
    ClientConfig, ClientContext, Statistics,
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
    message::OwnedHeaders,
    producer::{FutureProducer, FutureRecord, Producer as _, future_producer::DeliveryFuture},
    statistics::Broker,
};
use tokio::time::{Instant, sleep};

use crate::{health::Dependency, lost_client::Watch};

/// How long to wait before a full local queue is tried again.
const QUEUE_FULL_PAUSE: Duration = Duration::from_millis(5);
/// Messages that may wait in the local queue.
const QUEUE_MESSAGES: &str = "200000";
/// KiB that may wait in the local queue.
const QUEUE_KBYTES: &str = "131072";

/// How long a message may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// At most this long; after that its outcome is unknown.
    Bounded(Duration),
    /// As long as it takes: it lands, or the process ends for another reason.
    Endless,
}

/// A message on its way.
#[derive(Debug)]
pub struct Outgoing<'a> {
    /// The topic.
    pub topic: &'a str,
    /// The partition.
    pub partition: i32,
    /// The key.
    pub key: &'a [u8],
    /// The payload.
    pub payload: &'a [u8],
    /// The headers.
    pub headers: OwnedHeaders,
}

/// Where a message landed: all in-sync replicas have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
}

/// Why a message was not acknowledged.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ProduceError {
    /// It is definitely not in the log, and would be refused again.
    #[error("not written: {0}")]
    NotWritten(KafkaError),
    /// It may be in the log, or still arrive there.
    #[error("perhaps not written: {0}")]
    Unknown(KafkaError),
    /// The producer can do nothing any more: the process must end.
    #[error("the producer failed for good: {0}")]
    Fatal(KafkaError),
}

/// What became of a message that was offered to the local queue.
pub enum Offered<'a> {
    /// The queue has it.
    Taken(Taken),
    /// There is no room now: here it is again, and what the client says.
    Full(Outgoing<'a>, KafkaError),
    /// It would be refused again.
    Failed(ProduceError),
}

/// A message that the local queue has, on its way whether or not it is waited for.
pub struct Taken {
    delivery: DeliveryFuture,
    producer: Producer,
}

impl Taken {
    /// Waits until all in-sync replicas have it.
    ///
    /// # Errors
    /// Where it was not acknowledged, within the producer's patience.
    pub async fn landed(self) -> Result<Delivered, ProduceError> {
        match self.delivery.await {
            Ok(Ok(delivery)) => Ok(Delivered { partition: delivery.partition, offset: delivery.offset }),
            Ok(Err((error, _message))) => Err(self.producer.failure(error)),
            Err(_gone) => Err(ProduceError::Unknown(KafkaError::Canceled)),
        }
    }
}

/// An idempotent producer that waits for all in-sync replicas.
#[derive(Clone)]
pub struct Producer {
    inner: FutureProducer<Reporter>,
    patience: Patience,
}

impl Producer {
    /// `linger` is how long a message may wait for company; `health` is told whether brokers answer.
    ///
    /// # Errors
    /// Where the configuration is unusable.
    pub fn new(
        mut config: ClientConfig,
        linger: Duration,
        patience: Patience,
        health: Dependency,
    ) -> KafkaResult<Self> {
        let timeout = match patience {
            Patience::Bounded(limit) => limit.as_millis().max(1),
            Patience::Endless => 0,
        };
        config
            .set("acks", "all")
            .set("enable.idempotence", "true")
            .set("compression.type", "lz4")
            .set("linger.ms", linger.as_millis().to_string())
            .set("message.timeout.ms", timeout.to_string())
            .set("queue.buffering.max.messages", QUEUE_MESSAGES)
            .set("queue.buffering.max.kbytes", QUEUE_KBYTES)
            // A producer with nothing to send would not connect again after an outage, and would go on being told as
            // down: and as long as it is, ingest lets in no call that could give it something to send.
            .set("enable.sparse.connections", "false")
            // An idle producer asks something too: it would else be told as up for as long as its brokers hang.
            .set("topic.metadata.refresh.interval.ms", ASK_EVERY.as_millis().to_string())
            .set("statistics.interval.ms", LOOK_EVERY.as_millis().to_string());
        Ok(Self { inner: config.create_with_context(Reporter::new(health))?, patience })
    }

    /// Writes a message: waits for room in the local queue, then until all in-sync replicas have it.
    ///
    /// # Errors
    /// Where it was not acknowledged, within the producer's patience.
    pub async fn send(&self, mut message: Outgoing<'_>) -> Result<Delivered, ProduceError> {
        let began = Instant::now();
        loop {
            match self.offer(message) {
                Offered::Taken(taken) => return taken.landed().await,
                Offered::Full(again, _) if self.has_patience(began) => message = again,
                Offered::Full(_, error) => return Err(self.failure(error)),
                Offered::Failed(error) => return Err(error),
            }
            sleep(QUEUE_FULL_PAUSE).await;
        }
    }

    /// Offers a message to the local queue, and waits for nothing.
    pub fn offer<'a>(&self, message: Outgoing<'a>) -> Offered<'a> {
        let Outgoing { topic, partition, key, payload, headers } = message;
        let record = FutureRecord::to(topic).partition(partition).key(key).payload(payload).headers(headers);
        match self.inner.send_result(record) {
            Ok(delivery) => Offered::Taken(Taken { delivery, producer: self.clone() }),
            Err((error, again)) if queue_full(&error) => {
                let headers = again.headers.unwrap_or_default();
                Offered::Full(Outgoing { topic, partition, key, payload, headers }, error)
            }
            Err((error, _)) => Offered::Failed(self.failure(error)),
        }
    }

    fn has_patience(&self, began: Instant) -> bool {
        match self.patience {
            Patience::Bounded(limit) => began.elapsed() < limit,
            Patience::Endless => true,
        }
    }

    fn failure(&self, error: KafkaError) -> ProduceError {
        if self.inner.client().fatal_error().is_some() {
            return ProduceError::Fatal(error);
        }
        match error.rdkafka_error_code() {
            Some(code) if is_refusal(code) => ProduceError::NotWritten(error),
            Some(RDKafkaErrorCode::Fatal) => ProduceError::Fatal(error),
            _ => ProduceError::Unknown(error),
        }
    }

    /// Messages that are not acknowledged yet.
    pub fn in_flight(&self) -> usize {
        usize::try_from(self.inner.in_flight_count()).unwrap_or_default()
    }

    /// Waits for what is not acknowledged yet, for `limit` at most.
    pub async fn flush(&self, limit: Duration) {
        let until = Instant::now() + limit;
        while self.in_flight() > 0 && Instant::now() < until {
            sleep(QUEUE_FULL_PAUSE).await;
        }
    }
}

fn queue_full(error: &KafkaError) -> bool {
    error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull)
}

/// Whether the message definitely did not and will not arrive.
fn is_refusal(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode::{
        InvalidMessage, InvalidMessageSize, InvalidRecord, InvalidTopic, MessageBatchTooLarge, MessageSizeTooLarge,
        PolicyViolation, PurgeQueue, QueueFull, TopicAuthorizationFailed, UnknownPartition, UnknownTopic,
        UnknownTopicOrPartition,
    };
    matches!(
        code,
        InvalidMessage
            | InvalidMessageSize
            | InvalidRecord
            | InvalidTopic
            | MessageBatchTooLarge
            | MessageSizeTooLarge
            | PolicyViolation
            | PurgeQueue
            | QueueFull
            | TopicAuthorizationFailed
            | UnknownPartition
            | UnknownTopic
            | UnknownTopicOrPartition
    )
}

/// How often the client looks at its brokers.
pub const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often a producer asks its brokers for what they have, with nothing to send too.
const ASK_EVERY: Duration = Duration::from_secs(5);
/// After so many looks in a row at a broker that owes an answer and says nothing, it hangs. Its connection stays up for
/// half a minute more: a worker that goes by that alone is sent calls that it cannot take.
const HANGS: u32 = 5;

/// Tells a health entry whether brokers answer: the client looks once a second. A client that asks nothing is owed
/// nothing: one whose brokers hang is found out by what it has asked, and so each has something to ask all the time.
pub struct Reporter {
    health: Dependency,
    /// What the client complained of last.
    complaint: Mutex<String>,
    /// By connection, the looks in a row at which it owed an answer and had said nothing since the look before.
    silent: Mutex<HashMap<String, u32>>,
    brokers: Watch,
}

impl Reporter {
    /// Tells this entry.
    pub fn new(health: Dependency) -> Self {
        Self { health, complaint: Mutex::default(), silent: Mutex::default(), brokers: Watch::default() }
    }

    /// Whether a broker answers, at this look.
    fn answers(&self, broker: &Broker) -> bool {
        // The way to a group's coordinator is one more entry, with the number of the broker that it leads to.
        let is_up = broker.nodeid >= 0 && broker.source != "logical" && broker.state == "UP";
        // In microseconds. A request that has only just left is no sign, however long nothing came before it.
        let owes =
            broker.waitresp_cnt > 0 && u128::try_from(broker.rxidle).is_ok_and(|idle| idle >= LOOK_EVERY.as_micros());
        let mut silent = self.silent.lock().unwrap_or_else(PoisonError::into_inner);
        let looks = silent.entry(broker.name.clone()).or_default();
        *looks = if is_up && owes { looks.saturating_add(1) } else { 0 };
        is_up && *looks < HANGS
    }
}

impl ClientContext for Reporter {
    fn stats_raw(&self, statistics: &[u8]) {
        if let Some(statistics) = self.brokers.look(statistics) {
            self.stats(statistics);
        }
    }

    fn stats(&self, statistics: Statistics) {
        // Each is looked at, so that each is counted.
        let answering = statistics.brokers.values().filter(|broker| self.answers(broker)).count();
        if answering > 0 {
            self.health.up();
        } else {
            let complaint = self.complaint.lock().unwrap_or_else(PoisonError::into_inner);
            let colon = if complaint.is_empty() { "" } else { ": " };
            self.health.down(format!("no broker answers{colon}{complaint}"));
        }
    }

    /// An outage is one change of health, which tells why; a line for every attempt to connect would bury it.
    fn error(&self, error: KafkaError, reason: &str) {
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::Fatal) => tracing::error!(reason, "the Kafka client failed for good"),
            // It says how many brokers are away; the complaints before it say why.
            Some(RDKafkaErrorCode::AllBrokersDown) => {}
            _ => {
                tracing::debug!(%error, reason, "Kafka client");
                reason.clone_into(&mut self.complaint.lock().unwrap_or_else(PoisonError::into_inner));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rdkafka::{
        mocking::MockCluster,
        producer::DefaultProducerContext,
        types::{RDKafkaApiKey, RDKafkaRespErr},
    };
    use tokio::{task::JoinSet, time::timeout};

    use super::*;
    use crate::health::Health;

    type Cluster = MockCluster<'static, DefaultProducerContext>;

    /// One broker with the topic `t` of one partition.
    fn cluster() -> Cluster {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("t", 1, 1).unwrap();
        cluster
    }

    fn producer(cluster: &Cluster, patience: Patience) -> Producer {
        producer_of(cluster, patience, &Health::default())
    }

    fn producer_of(cluster: &Cluster, patience: Patience, health: &Health) -> Producer {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", cluster.bootstrap_servers());
        config.set("reconnect.backoff.max.ms", "100");
        Producer::new(config, Duration::ZERO, patience, health.dependency("kafka")).unwrap()
    }

    /// Waits until it is so; a minute without it is a failure.
    async fn until(what: &str, so: impl Fn() -> bool) {
        let waiting = async {
            while !so() {
                sleep(Duration::from_millis(10)).await;
            }
        };
        assert!(timeout(Duration::from_mins(1), waiting).await.is_ok(), "never: {what}");
    }

    fn message(payload: &[u8]) -> Outgoing<'_> {
        Outgoing { topic: "t", partition: 0, key: b"k", payload, headers: OwnedHeaders::new() }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_message_is_written_where_its_partition_says() {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("t", 3, 1).unwrap();
        let producer = producer(&cluster, Patience::Bounded(Duration::from_secs(10)));
        let delivered = producer.send(Outgoing { partition: 2, ..message(b"x") }).await.unwrap();
        assert_eq!((delivered.partition, delivered.offset), (2, 0));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_time_out_is_unknown_and_never_not_written() {
        let cluster = cluster();
        let producer = producer(&cluster, Patience::Bounded(Duration::from_millis(300)));
        cluster.broker_down(1).unwrap();
        assert!(matches!(producer.send(message(b"x")).await, Err(ProduceError::Unknown(_))));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn without_a_time_out_a_message_lands_when_the_broker_is_back() {
        let cluster = cluster();
        let producer = producer(&cluster, Patience::Endless);
        cluster.broker_down(1).unwrap();
        let (sent, ()) = tokio::join!(producer.send(message(b"x")), async {
            sleep(Duration::from_millis(500)).await;
            cluster.broker_up(1).unwrap();
        });
        assert!(sent.is_ok());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_is_too_large_is_not_written() {
        let cluster = cluster();
        let producer = producer(&cluster, Patience::Endless);
        let large = vec![0; 2_000_000];
        assert!(matches!(producer.send(message(&large)).await, Err(ProduceError::NotWritten(_))));
    }

    /// One answer of the broker to each message, on a cluster of its own: librdkafka remembers some of them.
    async fn answered(error: RDKafkaRespErr) -> Result<Delivered, ProduceError> {
        let cluster = cluster();
        let producer = producer(&cluster, Patience::Bounded(Duration::from_secs(10)));
        cluster.request_errors(RDKafkaApiKey::Produce, &[error]);
        producer.send(message(b"x")).await
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_a_broker_refuses_is_not_written() {
        use RDKafkaRespErr::{
            RD_KAFKA_RESP_ERR_INVALID_RECORD as INVALID, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE as TOO_LARGE,
            RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED as FORBIDDEN,
        };
        for refusal in [INVALID, TOO_LARGE, FORBIDDEN] {
            match answered(refusal).await {
                Err(ProduceError::NotWritten(error)) => assert_eq!(error.rdkafka_error_code(), Some(refusal.into())),
                other => panic!("{refusal:?}: {other:?}"),
            }
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_a_broker_may_have_lost_is_tried_again() {
        use RDKafkaRespErr::{
            RD_KAFKA_RESP_ERR__TRANSPORT as CUT, RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND as ALONE,
        };
        for mishap in [CUT, ALONE] {
            let sent = answered(mishap).await;
            assert!(sent.is_ok(), "{mishap:?}: {sent:?}");
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn health_follows_the_brokers() {
        let (cluster, health) = (cluster(), Health::default());
        let _producer = producer_of(&cluster, Patience::Endless, &health);
        until("ready", || health.readiness().ready).await;
        cluster.broker_down(1).unwrap();
        until("not ready", || !health.readiness().ready).await;
        let detail = health.readiness().dependencies["kafka"].detail.clone();
        assert!(detail.starts_with("no broker answers"), "{detail}");
        cluster.broker_up(1).unwrap();
        until("ready", || health.readiness().ready).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_broker_that_hangs_is_away_and_comes_back() {
        let (cluster, health) = (cluster(), Health::default());
        let producer = producer_of(&cluster, Patience::Endless, &health);
        producer.send(message(b"x")).await.unwrap();
        until("ready", || health.readiness().ready).await;
        // Its connections stay as they are, and it says nothing.
        cluster.broker_round_trip_time(1, Duration::from_secs(12)).unwrap();
        let hanging = tokio::spawn({
            let producer = producer.clone();
            async move { producer.send(message(b"y")).await }
        });
        until("not ready", || !health.readiness().ready).await;
        assert!(!hanging.is_finished(), "it is not ready, and yet it was answered");
        cluster.broker_round_trip_time(1, Duration::ZERO).unwrap();
        until("ready", || health.readiness().ready).await;
        assert!(hanging.await.unwrap().is_ok());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_broker_that_hangs_while_nothing_is_sent_is_away_and_comes_back() {
        let (cluster, health) = (cluster(), Health::default());
        let _idle = producer_of(&cluster, Patience::Endless, &health);
        until("ready", || health.readiness().ready).await;
        cluster.broker_round_trip_time(1, Duration::from_secs(40)).unwrap();
        until("not ready", || !health.readiness().ready).await;
        cluster.broker_round_trip_time(1, Duration::ZERO).unwrap();
        until("ready", || health.readiness().ready).await;
    }

    /// What the client says of a broker at one look.
    fn look(owed: i64, idle: Duration) -> Broker {
        let rxidle = i64::try_from(idle.as_micros()).unwrap();
        Broker { nodeid: 1, state: "UP".into(), waitresp_cnt: owed, rxidle, ..Broker::default() }
    }

    #[test]
    fn silence_counts_only_where_an_answer_is_owed_look_after_look() {
        let reporter = Reporter::new(Health::default().dependency("kafka"));
        let (quiet, busy) = (Duration::from_mins(1), Duration::from_millis(300));
        // Nothing to do for a minute, and a request just now; answers that take a moment each.
        for broker in [look(0, quiet), look(1, quiet), look(1, busy), look(9, busy), look(9, busy), look(9, busy)] {
            assert!(reporter.answers(&broker));
        }
        let hung: Vec<_> = (0..6).map(|_| reporter.answers(&look(1, quiet))).collect();
        assert_eq!(hung, [true, true, true, true, false, false]);
        assert!(reporter.answers(&look(0, busy)));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_full_queue_is_waited_for() {
        /// A few more than the queue has room for.
        const MESSAGES: usize = 140;
        let (cluster, large) = (cluster(), Arc::new(vec![0; 990_000]));
        let producer = producer(&cluster, Patience::Endless);
        cluster.broker_down(1).unwrap();
        let mut sends = JoinSet::new();
        for _ in 0..MESSAGES {
            let (producer, large) = (producer.clone(), large.clone());
            sends.spawn(async move { producer.send(message(&large)).await });
        }
        until("the queue is full", || producer.in_flight() >= 130).await;
        sleep(Duration::from_millis(50)).await;
        assert!(producer.in_flight() < MESSAGES, "all were taken: the queue has no bound");
        cluster.broker_up(1).unwrap();
        let landed = sends.join_all().await;
        assert!(landed.iter().all(Result::is_ok));
    }
}
