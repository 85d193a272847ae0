//! The snapshot that follows the directory's topic: what ingest and the forwarder look businesses up in.
//!
//! A consumer of its own, without a group, reads the topic from its beginning and then follows it. While Kafka is away
//! the view serves what it has. A value that cannot be read is reported and skipped: the topic is ours and compacted, so
//! the business keeps the value before, and nothing is gained by burying ours among the dead letters.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use futures::{FutureExt, future::BoxFuture};
use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{Consumer, StreamConsumer},
    error::{KafkaError, KafkaResult},
    message::BorrowedMessage,
};
use schemas::Topics;
use tokio::{
    sync::watch,
    task::{AbortHandle, spawn_blocking},
    time::{Instant, sleep_until},
};
use worker::{lost_client::LOOK_EVERY_MS, outage::Callbacks};

use crate::{
    fold::{Fold, Unreadable},
    snapshot::Snapshot,
};

/// The directory has one partition: a change of a business and all before it are seen in one order.
pub(crate) const PARTITION: i32 = 0;
/// How often Kafka is asked again whether it is back.
const PROBE_EVERY: Duration = Duration::from_secs(1);
/// How long one such question may take.
const PROBE_LIMIT: Duration = Duration::from_secs(2);

/// What a worker reports of its view, in health and metrics.
#[derive(Debug)]
pub enum ViewEvent<'a> {
    /// The view has read all there was and follows the topic, for the first time or again.
    Following,
    /// Kafka or the topic is away, with the reason: the view serves what it has.
    Away(&'a str),
    /// A message that cannot be taken over. A business keeps the value before, and a user does not sign in; putting it
    /// again repairs it.
    Unreadable {
        /// Its offset in the directory's topic.
        offset: i64,
        /// What is wrong with it.
        fault: &'a Unreadable,
    },
}

/// All businesses, as of now. Clones follow the same topic; the last one to go ends it.
#[derive(Clone)]
pub struct DirectoryView {
    snapshot: Arc<ArcSwap<Snapshot>>,
    ready: watch::Receiver<bool>,
    _follower: Option<Arc<Follower>>,
}

/// Ends the task that follows the topic.
struct Follower(AbortHandle);

impl Drop for Follower {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl DirectoryView {
    /// Starts to follow the directory; needs a tokio runtime. `config` names the brokers; `report` is called from the
    /// following task and must not block; `spawn` starts that task, and may watch over it: without it the view grows old
    /// and nobody is told.
    ///
    /// # Errors
    /// Where the client's configuration is wrong. That Kafka is away is no error, but a report.
    pub fn start(
        config: &ClientConfig,
        topics: &Topics,
        report: impl Fn(ViewEvent<'_>) + Send + Sync + 'static,
        spawn: impl FnOnce(BoxFuture<'static, ()>) -> AbortHandle,
    ) -> KafkaResult<Self> {
        let topic = topics.directory();
        let consumer = Arc::new(from_beginning(config, topics)?);
        let snapshot = Arc::new(ArcSwap::from_pointee(Snapshot::default()));
        let (became_ready, ready) = watch::channel(false);
        let following = Following {
            topic,
            consumer,
            ahead: Fold::default(),
            published: Arc::clone(&snapshot),
            ready: became_ready,
            away: None,
            report,
        };
        let task = spawn(following.run().boxed());
        Ok(Self { snapshot, ready, _follower: Some(Arc::new(Follower(task))) })
    }

    /// Waits until all that stood in the topic at the start has been read.
    pub async fn ready(&self) {
        // The sender goes only with the last view, so that an error cannot come while this one is held.
        let _ = self.ready.clone().wait_for(|ready| *ready).await;
    }

    /// Whether [`DirectoryView::ready`] would return at once.
    pub fn is_ready(&self) -> bool {
        *self.ready.borrow()
    }

    /// All businesses at this moment: hold it for one call, not longer.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }
}

/// A view of what never changes: for tests of what stands on it.
impl From<Snapshot> for DirectoryView {
    fn from(snapshot: Snapshot) -> Self {
        let (_, ready) = watch::channel(true);
        Self { snapshot: Arc::new(ArcSwap::from_pointee(snapshot)), ready, _follower: None }
    }
}

/// A consumer of the directory's topic, placed at its beginning. It says when it has reached the end.
pub(crate) fn from_beginning(config: &ClientConfig, topics: &Topics) -> KafkaResult<StreamConsumer<Callbacks>> {
    let mut config = config.clone();
    config
        // librdkafka polls no consumer without a group; nothing is committed, and no group is joined.
        .set("group.id", topics.group("directory"))
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .set("auto.offset.reset", "earliest")
        // The defaults take up to ten seconds to find a broker that has come back.
        .set("reconnect.backoff.max.ms", "1000")
        // A topic that is not there is told after this, and not taken for one on its way for half a minute.
        .set("topic.metadata.propagation.max.ms", "1000")
        // The end of the topic is known when a fetch comes back empty.
        .set("fetch.wait.max.ms", "50")
        .set("statistics.interval.ms", LOOK_EVERY_MS);
    let consumer: StreamConsumer<Callbacks> = config.create_with_context(Callbacks::default())?;
    let mut start = TopicPartitionList::new();
    // Not `Offset::Beginning`, which waits half a second to ask a leader; where 0 is gone, the reset above finds the first.
    start.add_partition_offset(&topics.directory(), PARTITION, Offset::Offset(0))?;
    consumer.assign(&start)?;
    Ok(consumer)
}

/// The task behind a view.
struct Following<R> {
    topic: String,
    consumer: Arc<StreamConsumer<Callbacks>>,
    /// What has been read, published or not.
    ahead: Fold,
    published: Arc<ArcSwap<Snapshot>>,
    ready: watch::Sender<bool>,
    /// When Kafka is asked next, where something went wrong.
    away: Option<Instant>,
    report: R,
}

/// What one poll of the consumer gave.
enum Step {
    Taken,
    End,
    Fault(KafkaError),
}

impl<R: Fn(ViewEvent<'_>) + Send + Sync + 'static> Following<R> {
    async fn run(mut self) {
        let consumer = Arc::clone(&self.consumer);
        loop {
            let polled = tokio::select! {
                polled = consumer.recv() => polled,
                () = next_probe(self.away) => {
                    self.probe().await;
                    continue;
                }
            };
            let mut end = self.step(polled);
            // What has arrived together is published together: a bulk load is one change, not thousands.
            while let Some(polled) = consumer.recv().now_or_never() {
                end |= self.step(polled);
            }
            if end || *self.ready.borrow() {
                self.publish(end);
            }
        }
    }

    /// Takes one poll in; true at the end of the topic.
    fn step(&mut self, polled: KafkaResult<BorrowedMessage<'_>>) -> bool {
        match self.take(polled) {
            Step::Taken => false,
            Step::End => true,
            Step::Fault(error) => {
                if self.away.is_none() {
                    tracing::warn!(%error, "the directory may be out of reach; what was read is served on");
                    self.away = Some(Instant::now());
                }
                false
            }
        }
    }

    fn take(&mut self, polled: KafkaResult<BorrowedMessage<'_>>) -> Step {
        let message = match polled {
            Ok(message) => message,
            Err(KafkaError::PartitionEOF(_)) => return Step::End,
            Err(error) => return Step::Fault(error),
        };
        if let Err(fault) = self.ahead.apply(&message) {
            let offset = message.offset();
            tracing::error!(offset, %fault, "a value of the directory cannot be read; a business keeps its last one");
            (self.report)(ViewEvent::Unreadable { offset, fault: &fault });
        }
        Step::Taken
    }

    fn publish(&self, end: bool) {
        self.published.store(Arc::new(self.ahead.snapshot().clone()));
        if end && !self.ready.send_replace(true) {
            tracing::info!(businesses = self.ahead.snapshot().len(), "the directory has been read");
            (self.report)(ViewEvent::Following);
        }
    }

    /// Asks Kafka for the topic's offsets: an error event alone does not say whether the topic is out of reach, and
    /// nothing says when it is back but an answer.
    async fn probe(&mut self) {
        let (consumer, topic) = (Arc::clone(&self.consumer), self.topic.clone());
        let asked = spawn_blocking(move || consumer.fetch_watermarks(&topic, PARTITION, PROBE_LIMIT)).await;
        match asked {
            Ok(Ok(_)) => {
                self.away = None;
                if *self.ready.borrow() {
                    (self.report)(ViewEvent::Following);
                }
            }
            Ok(Err(error)) => self.still_away(&error.to_string()),
            Err(error) => self.still_away(&error.to_string()),
        }
    }

    fn still_away(&mut self, why: &str) {
        self.away = Some(Instant::now() + PROBE_EVERY);
        (self.report)(ViewEvent::Away(why));
    }
}

async fn next_probe(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
