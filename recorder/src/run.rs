//! The recorder's life: check the world, then batch after batch until asked to end.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use futures::{StreamExt as _, future::try_join_all, stream::FuturesOrdered};
use rdkafka::{ClientConfig, Message as _, consumer::Consumer as _};
use tokio::task::JoinHandle;
use tracing::Instrument as _;
use warehouse::{client::client, verify::verify};
use worker::{
    Worker,
    dead_letters::{DeadLetters, Letter},
    health::Dependency,
    producer::{Patience, ProduceError, Producer},
    topics, trace,
};

use crate::{
    batch::{Batch, Batches, Next, UNDER_WAY},
    consume::{Intake, IntakeFault, Taken, Thread},
    group::{self, Consumer},
    insert::{Abandoned, Inserter, Sink, Table},
    metrics::{self, Buried},
    offsets::Offsets,
    read::Sources,
    rows::Fate,
    settings::RecorderSettings,
};

/// How often ClickHouse is asked whether it is there while no rows come.
const PING_EVERY: Duration = Duration::from_secs(5);
/// How long to stay away after the group refused this member for good.
const REJOIN_AFTER: Duration = Duration::from_secs(3);
/// How long a dead letter waits for company.
const LINGER: Duration = Duration::from_millis(1);
/// Links that a span keeps (`OTEL_SPAN_LINK_COUNT_LIMIT`'s default).
const MOST_LINKS: usize = 128;

/// Runs until the worker is asked to end.
///
/// # Errors
/// Where topics, tables or views are not as they must be, or Kafka's clients cannot go on.
pub async fn run(settings: RecorderSettings, worker: Worker) -> anyhow::Result<()> {
    metrics::describe();
    let (kafka, clickhouse) = (worker.health.dependency("kafka"), worker.health.dependency("clickhouse"));
    let config = settings.kafka.client()?;
    tokio::select! {
        checked = check(&settings, &config, &kafka, &clickhouse) => checked?,
        () = worker.shutdown.requested() => return Ok(()),
    }
    loop {
        let recorder = Recorder::start(&settings, config.clone(), kafka.clone(), clickhouse.clone(), &worker)?;
        match recorder.record().await {
            Err(error) if refused_for_good(&error) => {
                tracing::error!(%error, "the recorder joins its group anew; does another process have the same CAPI_INSTANCE?");
            }
            ended => return ended,
        }
        tokio::select! {
            () = tokio::time::sleep(REJOIN_AFTER) => {}
            () = worker.shutdown.requested() => return Ok(()),
        }
    }
}

/// A static member that was away for longer than its session may be refused for good: its client is dead, the worker is
/// not.
fn refused_for_good(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(IntakeFault::Fatal(_)))
}

/// Both are asked at once: whichever is away is waited for.
async fn check(
    settings: &RecorderSettings,
    config: &ClientConfig,
    kafka: &Dependency,
    clickhouse: &Dependency,
) -> anyhow::Result<()> {
    let (topics, window) = (settings.kafka.topics(), settings.dedup_window.0);
    let topics = async { Ok(topics::verify(config, &topics, Some(window), kafka).await.map(|_| ())?) };
    let tables = async { Ok(verify(&settings.clickhouse, window, clickhouse).await?) };
    tokio::try_join!(topics, tables).map(|_: ((), ())| ())
}

struct Recorder<S = Table> {
    consumer: Arc<Consumer>,
    intake: Thread,
    batches: Batches,
    settler: Arc<Settler<S>>,
    offsets: Offsets,
}

/// Sees to it that every message of a batch is in ClickHouse, or among the dead letters.
struct Settler<S> {
    inserter: Inserter<S>,
    dead_letters: DeadLetters,
}

/// A batch under way: itself again once it is settled.
type Settling = JoinHandle<anyhow::Result<Result<Batch, Abandoned>>>;

impl Recorder {
    fn start(
        settings: &RecorderSettings,
        config: ClientConfig,
        kafka: Dependency,
        clickhouse: Dependency,
        worker: &Worker,
    ) -> anyhow::Result<Self> {
        let topics = settings.kafka.topics();
        let producer =
            Producer::new(config.clone(), LINGER, Patience::Endless, worker.health.dependency("dead-letters"))?;
        let sources = Sources::new(&topics);
        let consumer = Arc::new(group::join(config, &topics, &sources, settings.instance.as_deref(), kafka)?);
        let (taken, intake) = Intake::start(consumer.clone(), worker.shutdown.clone())?;
        let table = Table::new(client(&settings.clickhouse));
        let inserter = Inserter::new(table, sources, clickhouse, worker.shutdown.clone());
        Ok(Self {
            consumer,
            intake,
            batches: Batches::new(taken, worker.shutdown.clone()),
            settler: Arc::new(Settler { inserter, dead_letters: DeadLetters::new(producer, &topics) }),
            offsets: Offsets::default(),
        })
    }
}

impl<S: Sink + Send + Sync + 'static> Recorder<S> {
    async fn record(mut self) -> anyhow::Result<()> {
        let (mut under_way, mut ends) = (FuturesOrdered::<Settling>::new(), false);
        loop {
            let next = self.batches.next(PING_EVERY, !under_way.is_empty());
            tokio::select! {
                biased;
                Some(settled) = under_way.next() => {
                    if self.advance(settled??)? == Err(Abandoned) {
                        break;
                    }
                }
                next = next, if !ends && under_way.len() < UNDER_WAY => match next {
                    Next::Batch(batch) => under_way.push_back(tokio::spawn(self.settler.clone().settle(batch))),
                    Next::Idle => self.rest().await?,
                    Next::End => ends = true,
                },
                else => break,
            }
        }
        self.leave().await
    }

    /// What there is to do while no rows come.
    async fn rest(&self) -> anyhow::Result<()> {
        self.settler.inserter.ping().await;
        if self.consumer.context().is_behind() {
            self.commit_soon()?;
        }
        Ok(())
    }

    /// The last commit is waited for, and the group is left.
    async fn leave(self) -> anyhow::Result<()> {
        let Self { consumer, intake, offsets, batches, .. } = self;
        // Without a receiver the thread ends, whatever it waits for.
        drop(batches);
        let left = tokio::task::spawn_blocking(move || {
            intake.join()?;
            group::commit_last(&consumer, &offsets.to_commit(consumer.context().tenure())?);
            Ok(())
        });
        left.await?
    }

    /// Batches end in the order in which they left, so an offset passes no message that is not settled.
    fn advance(&mut self, settled: Result<Batch, Abandoned>) -> anyhow::Result<Result<(), Abandoned>> {
        let Ok(batch) = settled else { return Ok(Err(Abandoned)) };
        self.offsets.advance(&batch.taken, self.consumer.context().tenure());
        self.commit_soon()?;
        Ok(Ok(()))
    }

    fn commit_soon(&self) -> anyhow::Result<()> {
        group::commit_soon(&self.consumer, self.offsets.to_commit(self.consumer.context().tenure())?);
        Ok(())
    }
}

impl<S: Sink> Settler<S> {
    /// Every message of the batch is in ClickHouse or among the dead letters, acknowledged, before its offset moves
    /// (invariant 9, and what makes redelivery the worst that can happen).
    async fn settle(self: Arc<Self>, batch: Batch) -> anyhow::Result<Result<Batch, Abandoned>> {
        let span = span_of(&batch);
        let fates = match self.inserter.insert(&batch.taken).instrument(span.clone()).await {
            Ok(fates) => fates,
            Err(abandoned) => return Ok(Err(abandoned)),
        };
        let buried = batch.taken.iter().zip(&fates).map(|(taken, fate)| self.bury(taken, fate));
        try_join_all(buried).instrument(span).await.context("a dead letter cannot be written")?;
        let stored = fates.iter().filter_map(Fate::stored);
        metrics::batch(stored.clone().count(), batch.bytes, batch.oldest());
        metrics::rows(stored);
        Ok(Ok(batch))
    }

    async fn bury(&self, Taken { message, .. }: &Taken, fate: &Fate) -> Result<(), ProduceError> {
        let (why, cause) = match fate {
            Fate::Stored(_) => return Ok(()),
            Fate::Unreadable(why) => (why, Buried::Unreadable),
            Fate::Refused(why) => (why, Buried::Refused),
        };
        let (topic, partition, offset) = (message.topic(), message.partition(), message.offset());
        tracing::error!(topic, partition, offset, why, ?cause, "a message is buried");
        self.dead_letters.bury(Letter::of(message, why)).await?;
        metrics::dead_letter(cause);
        Ok(())
    }
}

/// The span of a batch, linked to the spans that its messages came from.
fn span_of(batch: &Batch) -> tracing::Span {
    let span = tracing::info_span!("record", rows = batch.taken.len());
    for taken in batch.taken.iter().take(MOST_LINKS) {
        trace::link(&span, taken.message.headers());
    }
    span
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use rdkafka::{
        Offset, TopicPartitionList,
        consumer::BaseConsumer,
        mocking::{MockCluster, MockCoordinator},
        producer::{DefaultProducerContext, FutureProducer, FutureRecord},
    };
    use schemas::{Call, CallId, CallRecord, ConversionStatus, Message as _, Outcome, Topics};
    use tokio::{
        sync::Notify,
        time::{sleep, timeout},
    };
    use uuid::Uuid;
    use worker::{health::Health, shutdown::Shutdown, vital::Vital};

    use super::*;
    use warehouse::Fault;

    use crate::rows::Rows;

    /// The group and the recorder's topics are at the first broker, the dead letters at the second.
    fn cluster(topics: &Topics) -> MockCluster<'static, DefaultProducerContext> {
        let cluster = MockCluster::new(2).unwrap();
        cluster.coordinator(MockCoordinator::Group(topics.group("recorder")), 1).unwrap();
        let places = [(topics.records(), 1), (topics.events_backfill(), 1), (topics.dead_letters(), 2)];
        for (topic, broker) in places {
            cluster.create_topic(&topic, 1, 1).unwrap();
            cluster.partition_leader(&topic, 0, Some(broker)).unwrap();
        }
        cluster
    }

    /// What the group has committed of the records.
    async fn committed(config: &ClientConfig, topics: &Topics) -> Option<i64> {
        let (mut config, topic) = (config.clone(), topics.records());
        config.set("group.id", topics.group("recorder"));
        let asked = tokio::task::spawn_blocking(move || {
            let consumer: BaseConsumer = config.create().unwrap();
            let mut list = TopicPartitionList::new();
            list.add_partition(&topic, 0);
            let committed = consumer.committed_offsets(list, Duration::from_secs(30)).unwrap();
            committed.find_partition(&topic, 0).unwrap().offset()
        });
        match asked.await.unwrap() {
            Offset::Offset(offset) => Some(offset),
            _ => None,
        }
    }

    /// Stores nothing: every row is at fault.
    struct Refusing;

    impl Sink for Refusing {
        async fn ping(&self) -> Result<(), Fault> {
            Ok(())
        }

        async fn store(&self, _: &mut Rows<'_>, _: Uuid) -> Result<(), Fault> {
            Err(Fault::Rows("Code: 117".into()))
        }
    }

    fn record(body: Vec<u8>) -> Vec<u8> {
        let (call, outcome) = (Call::blank(CallId::now(), 1), Outcome::new(200, ConversionStatus::Forwarded));
        CallRecord { call: Call { body: body.into(), ..call }, lane: None, outcome, rests_on: 1 }.encode()
    }

    /// A recorder, its ClickHouse, and what ends it.
    fn start(config: &ClientConfig) -> (Recorder, Dependency, Shutdown) {
        let settings = RecorderSettings::parse_from(["capi-recorder", "--topic-prefix", "test"]);
        let shutdown = Shutdown::default();
        let health = Health::new(shutdown.clone());
        let (kafka, clickhouse) = (health.dependency("kafka"), health.dependency("clickhouse"));
        let worker = Worker { shutdown: shutdown.clone(), health, vital: Vital::default() };
        let started = Recorder::start(&settings, config.clone(), kafka, clickhouse.clone(), &worker).unwrap();
        (started, clickhouse, shutdown)
    }

    fn with_sink<S: Sink>(
        started: Recorder,
        sink: S,
        sources: Sources,
        clickhouse: Dependency,
        shutdown: Shutdown,
    ) -> Recorder<S> {
        let Recorder { consumer, intake, batches, settler, offsets } = started;
        let inserter = Inserter::new(sink, sources, clickhouse, shutdown);
        let settler = Arc::new(Settler { inserter, dead_letters: settler.dead_letters.clone() });
        Recorder { consumer, intake, batches, settler, offsets }
    }

    /// Invariant 9: as long as the dead letter is not acknowledged, the offset stays.
    async fn an_offset_stays_with(payload: &[u8]) {
        let topics = Topics::new("test");
        let (cluster, records) = (cluster(&topics), topics.records());
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", cluster.bootstrap_servers()).set("reconnect.backoff.max.ms", "100");
        let producer: FutureProducer = config.create().unwrap();
        let message = FutureRecord::to(&records).partition(0).key("k").payload(payload);
        producer.send(message, None).await.unwrap();
        cluster.broker_down(2).unwrap();

        let (started, clickhouse, shutdown) = start(&config);
        let mut recorder = with_sink(started, Refusing, Sources::new(&topics), clickhouse, shutdown.clone());
        let batch = loop {
            if let Next::Batch(batch) = recorder.batches.next(PING_EVERY, false).await {
                break batch;
            }
        };
        let mut settling = std::pin::pin!(recorder.settler.clone().settle(batch));
        let waited = timeout(Duration::from_secs(2), &mut settling).await;
        assert!(waited.is_err(), "it did not wait for the letter");
        assert_eq!(committed(&config, &topics).await, None);
        cluster.broker_up(2).unwrap();
        assert_eq!(recorder.advance(settling.await.unwrap()).unwrap(), Ok(()));
        let passed = async {
            while committed(&config, &topics).await != Some(1) {
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(Duration::from_mins(1), passed).await.unwrap();
        shutdown.request();
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn an_offset_stays_without_the_letter_of_a_message_that_nobody_can_read() {
        an_offset_stays_with(b"no Avro").await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn an_offset_stays_without_the_letter_of_a_row_that_clickhouse_refuses() {
        an_offset_stays_with(&record(vec![])).await;
    }

    /// Stores every batch at once but the first, which waits to be let go.
    struct Holding {
        later: Notify,
        go: Notify,
    }

    impl Sink for Arc<Holding> {
        async fn ping(&self) -> Result<(), Fault> {
            Ok(())
        }

        async fn store(&self, rows: &mut Rows<'_>, _: Uuid) -> Result<(), Fault> {
            if rows.messages.first().is_some_and(|taken| taken.message.offset() == 0) {
                self.go.notified().await;
            } else {
                self.later.notify_one();
            }
            Ok(())
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn no_offset_passes_a_batch_that_is_still_under_way() {
        const MESSAGES: i64 = 100;
        let topics = Topics::new("test");
        let (cluster, records) = (cluster(&topics), topics.records());
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", cluster.bootstrap_servers());
        let producer: FutureProducer = config.create().unwrap();
        let payload = record(vec![b'x'; 10_000]);
        for _ in 0..MESSAGES {
            producer.send(FutureRecord::to(&records).partition(0).key("k").payload(&payload), None).await.unwrap();
        }
        let holding = Arc::new(Holding { later: Notify::new(), go: Notify::new() });
        let (started, clickhouse, shutdown) = start(&config);
        let mut recorder = with_sink(started, holding.clone(), Sources::new(&topics), clickhouse, shutdown.clone());
        // Ten of them make a batch.
        recorder.batches.full = 100_000;
        let recording = tokio::spawn(recorder.record());
        holding.later.notified().await;
        sleep(Duration::from_secs(1)).await;
        assert_eq!(committed(&config, &topics).await, None, "the later batch was stored first");
        holding.go.notify_one();
        let passed = async {
            while committed(&config, &topics).await != Some(MESSAGES) {
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(Duration::from_mins(2), passed).await.unwrap();
        shutdown.request();
        recording.await.unwrap().unwrap();
    }
}
