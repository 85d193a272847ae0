//! The mock cluster that the tests stand on.

use std::{sync::Arc, time::Duration};

use capi_directory::{DirectoryView, Snapshot, Store, ViewEvent};
use rdkafka::{
    ClientConfig, Message as _, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    message::{Header, OwnedHeaders},
    mocking::MockCluster,
    producer::{DefaultProducerContext, FutureProducer, FutureRecord},
    util::Timeout,
};
use schemas::Topics;
use tokio::{
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
    time::timeout,
};

pub(crate) struct Cluster {
    pub(crate) mock: MockCluster<'static, DefaultProducerContext>,
    pub(crate) config: ClientConfig,
    pub(crate) topics: Topics,
}

impl Cluster {
    pub(crate) fn start() -> Self {
        let mock = MockCluster::new(1).unwrap();
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", mock.bootstrap_servers());
        let topics = Topics::new("test");
        mock.create_topic(&topics.directory(), 1, 1).unwrap();
        Self { mock, config, topics }
    }

    pub(crate) fn store(&self) -> Store {
        Store::open(&self.config, &self.topics).unwrap()
    }

    pub(crate) fn view(&self) -> (DirectoryView, UnboundedReceiver<String>) {
        let (sender, events) = unbounded_channel();
        let report = move |event: ViewEvent<'_>| {
            let _ = sender.send(match event {
                ViewEvent::Following => "following".to_owned(),
                ViewEvent::Away(_) => "away".to_owned(),
                ViewEvent::Unreadable { offset, .. } => format!("unreadable {offset}"),
            });
        };
        (
            DirectoryView::start(&self.config, &self.topics, report, |task| tokio::spawn(task).abort_handle()).unwrap(),
            events,
        )
    }

    pub(crate) async fn write(&self, key: &str, payload: Option<&[u8]>) {
        self.write_from(None, key, payload).await;
    }

    /// As a command writes that made its value from the one at `base`.
    pub(crate) async fn write_from(&self, base: Option<i64>, key: &str, payload: Option<&[u8]>) {
        let producer: FutureProducer = self.config.create().unwrap();
        let topic = self.topics.directory();
        let base = base.map(|base| base.to_string());
        let header = base.as_ref().map(|base| Header { key: "base-offset", value: Some(base) });
        let headers = header.map(|header| OwnedHeaders::new().insert(header));
        let record = FutureRecord { payload, headers, ..FutureRecord::<_, [u8]>::to(&topic).key(key).partition(0) };
        producer.send(record, Timeout::Never).await.unwrap();
    }
}

/// The first snapshot of which `holds` is true; a minute without one is a failure.
pub(crate) async fn until(view: &DirectoryView, holds: impl Fn(&Snapshot) -> bool) -> Arc<Snapshot> {
    let found = async {
        loop {
            let snapshot = view.snapshot();
            if holds(&snapshot) {
                return snapshot;
            }
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_mins(1), found).await.unwrap()
}

/// All messages of the directory's topic, by their payloads.
pub(crate) fn messages(cluster: &Cluster) -> Vec<Vec<u8>> {
    let mut config = cluster.config.clone();
    let config = config.set("group.id", "test").set("enable.partition.eof", "true");
    let consumer: BaseConsumer = config.create().unwrap();
    let mut start = TopicPartitionList::new();
    start.add_partition_offset(&cluster.topics.directory(), 0, Offset::Offset(0)).unwrap();
    consumer.assign(&start).unwrap();
    let polled = std::iter::from_fn(|| consumer.poll(Timeout::Never));
    let messages = polled.map_while(|polled| polled.ok().map(|message| message.payload().unwrap_or_default().to_vec()));
    messages.collect()
}
