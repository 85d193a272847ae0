//! A recorder in this process, over topics and a database of its own.

use std::time::Duration;

use capi_recorder::settings::RecorderSettings;
use clap::Parser as _;
use rdkafka::{
    ClientConfig, Message as _, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer as _},
    message::OwnedMessage,
    producer::{FutureProducer, FutureRecord},
};
use schemas::{
    CallRecord, ConversionEvent, Message as _, Topics,
    topics::{Partitions, TopicSpec},
};
use tokio::{task::JoinHandle, time::sleep};
use worker::{Worker, health::Health, shutdown::Shutdown, vital::Vital};

use crate::{
    database::{Database, WINDOW, env},
    relay::Relay,
};

/// Partitions of the topics that share the order key.
const PARTITIONS: i32 = 3;

/// Topics, a database, and the wire between them.
pub(crate) struct Deployment {
    pub(crate) topics: Topics,
    pub(crate) database: Database,
    pub(crate) relay: Relay,
    prefix: String,
    producer: FutureProducer,
}

/// A recorder that runs.
pub(crate) struct Running {
    pub(crate) health: Health,
    shutdown: Shutdown,
    run: JoinHandle<anyhow::Result<()>>,
}

impl Running {
    /// Asks it to end, and returns when it has.
    pub(crate) async fn drain(self) {
        self.shutdown.request();
        self.run.await.unwrap().unwrap();
    }

    /// Ends it as `kill -9` does: nothing more is committed.
    pub(crate) fn kill(self) {
        self.run.abort();
    }
}

impl Deployment {
    pub(crate) async fn new() -> Self {
        let database = Database::new().await;
        let prefix = database.settings.clickhouse_database.as_str().to_owned();
        let topics = Topics::new(prefix.clone());
        create(&topics).await;
        let relay = Relay::to(&env("CAPI_CLICKHOUSE_URL")).await;
        Self { topics, database, relay, prefix, producer: kafka().create().unwrap() }
    }

    pub(crate) fn start(&self) -> Running {
        let database = self.database.settings.clickhouse_database.as_str();
        let settings = RecorderSettings::parse_from([
            "capi-recorder",
            "--kafka-brokers",
            &env("CAPI_KAFKA_BROKERS"),
            "--topic-prefix",
            &self.prefix,
            "--clickhouse-url",
            &self.relay.url,
            "--clickhouse-database",
            database,
        ]);
        let shutdown = Shutdown::default();
        let health = Health::new(shutdown.clone());
        let worker = Worker { shutdown: shutdown.clone(), health: health.clone(), vital: Vital::default() };
        Running { health, shutdown, run: tokio::spawn(capi_recorder::run(settings, worker)) }
    }

    pub(crate) async fn record(&self, record: &CallRecord) {
        self.produce(&self.topics.records(), record.encode()).await;
    }

    pub(crate) async fn backfill(&self, event: &ConversionEvent) {
        self.produce(&self.topics.events_backfill(), event.encode()).await;
    }

    /// To a partition by its content.
    pub(crate) async fn produce(&self, topic: &str, payload: Vec<u8>) {
        let sum: u32 = payload.iter().map(|byte| u32::from(*byte)).sum();
        let partition = i32::try_from(sum).unwrap() % PARTITIONS;
        let record = FutureRecord::to(topic).partition(partition).key("key").payload(&payload);
        self.producer.send(record, None).await.unwrap();
    }

    /// Asks until the answer is this one. `make test` bounds the whole run.
    pub(crate) async fn until(&self, query: &str, expected: &[&str]) {
        while self.database.ask(query).await != expected {
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Messages of these topics that the group has not committed.
    pub(crate) fn lag(&self) -> i64 {
        let consumer: BaseConsumer = kafka().set("group.id", self.topics.group("recorder")).create().unwrap();
        let mut ours = TopicPartitionList::new();
        for topic in [self.topics.records(), self.topics.events_backfill()] {
            for partition in 0..PARTITIONS {
                ours.add_partition(&topic, partition);
            }
        }
        let committed = consumer.committed_offsets(ours, Duration::from_secs(10)).unwrap();
        let behind = committed.elements().into_iter().map(|element| {
            let (_, high) =
                consumer.fetch_watermarks(element.topic(), element.partition(), Duration::from_secs(10)).unwrap();
            match element.offset() {
                Offset::Offset(offset) => high - offset,
                _ => high,
            }
        });
        behind.sum()
    }

    /// Waits until the group has committed all.
    pub(crate) async fn until_committed(&self) {
        while self.lag() > 0 {
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// The dead letters, oldest first.
    pub(crate) fn dead_letters(&self) -> Vec<OwnedMessage> {
        let consumer: BaseConsumer = kafka().set("group.id", "none").create().unwrap();
        let topic = self.topics.dead_letters();
        let (_, high) = consumer.fetch_watermarks(&topic, 0, Duration::from_secs(10)).unwrap();
        let mut all = TopicPartitionList::new();
        all.add_partition_offset(&topic, 0, Offset::Beginning).unwrap();
        consumer.assign(&all).unwrap();
        let mut letters = Vec::new();
        while letters.last().map_or(0, |letter: &OwnedMessage| letter.offset() + 1) < high {
            if let Some(letter) = consumer.poll(Duration::from_secs(1)) {
                letters.push(letter.unwrap().detach());
            }
        }
        letters
    }
}

fn kafka() -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", env("CAPI_KAFKA_BROKERS"));
    config
}

async fn create(topics: &Topics) {
    fn new_topic(spec: &TopicSpec) -> NewTopic<'_> {
        let count = match spec.partitions {
            Partitions::PerOrder => PARTITIONS,
            Partitions::PerInstance | Partitions::One => 1,
        };
        let topic = NewTopic::new(&spec.name, count, TopicReplication::Fixed(1));
        spec.settings.iter().fold(topic, |topic, (name, value)| topic.set(name, value))
    }
    let specs = topics.specs(WINDOW);
    let new: Vec<_> = specs.iter().map(new_topic).collect();
    let admin: AdminClient<DefaultClientContext> = kafka().create().unwrap();
    for created in admin.create_topics(&new, &AdminOptions::new()).await.unwrap() {
        created.unwrap();
    }
}
