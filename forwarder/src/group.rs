//! The consumer group: which partitions are ours, and how far their inputs are committed. Range assignment over topics
//! of equal partition counts gives one forwarder an order in every lane and tier.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
    time::Duration,
};

use futures::future::{BoxFuture, FutureExt as _};
use rdkafka::{
    ClientConfig, ClientContext, Offset, Statistics, TopicPartitionList,
    consumer::{
        BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance, StreamConsumer,
        stream_consumer::StreamPartitionQueue,
    },
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
    topic_partition_list::TopicPartitionListElem,
};
use schemas::Topics;
use tokio::{
    sync::mpsc,
    time::{MissedTickBehavior, timeout},
};
use worker::{lost_client::Watch, outage, vital::blocking};

use crate::{inputs::Input, metrics, owner::kafka::Coordinates, tenure::Tenure};

/// How long a forwarder may be silent before its partitions go to others, where the properties file does not say.
const SESSION: &str = "15000";
/// How often offsets are committed.
const COMMIT_EVERY: Duration = Duration::from_millis(200);
/// How long the last commit of a drain may take: a Kafka that is away does not answer it.
const LAST_COMMIT: Duration = Duration::from_secs(2);
/// How long to stay away after the group refused this member for good.
const REJOIN_AFTER: Duration = Duration::from_secs(3);
/// How long one request to the group's coordinator may take before it is tried again.
const COORDINATOR_TIMEOUT: Duration = Duration::from_secs(5);

/// What the group decided.
#[derive(Debug)]
pub enum Change {
    /// These are ours now, and no others.
    Assigned(Vec<Arc<Tenure>>),
    /// These are not ours any more.
    Revoked(Vec<i32>),
}

/// What the group says to an owner that asks whether a partition is still its own (rule 3 of the ledger).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confirmation {
    /// A commit was accepted: it is.
    Accepted,
    /// A commit was refused, or the tenure ended meanwhile: it is not.
    Refused,
}

/// The messages of one input of one partition.
pub struct InputQueue {
    /// The input.
    pub input: Input,
    /// Its messages.
    pub messages: StreamPartitionQueue<Membership>,
}

/// Membership in the group.
pub struct Group {
    /// Replaced where the group refuses the one before for good.
    consumer: RwLock<Arc<StreamConsumer<Membership>>>,
    config: ClientConfig,
    topics: Topics,
    changes: mpsc::UnboundedSender<Change>,
}

impl Group {
    /// Joins the group. Partitions come paused; what the group decides comes through the channel.
    ///
    /// # Errors
    /// Where the configuration is unusable.
    pub fn join(
        mut config: ClientConfig,
        topics: &Topics,
        instance: Option<&str>,
    ) -> KafkaResult<(Arc<Self>, mpsc::UnboundedReceiver<Change>)> {
        let (changes, receiver) = mpsc::unbounded_channel();
        config
            .set("group.id", topics.group("forwarder"))
            .set("partition.assignment.strategy", "range")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "earliest")
            .set("fetch.wait.max.ms", "100")
            .set("fetch.queue.backoff.ms", "10")
            // For each input of each partition: a tenth of a second's events of a partition that carries thousands.
            .set("queued.min.messages", "500")
            .set("queued.max.messages.kbytes", "512")
            .set("fetch.message.max.bytes", "262144")
            .set("statistics.interval.ms", "5000");
        if config.get("session.timeout.ms").is_none() {
            config.set("session.timeout.ms", SESSION);
        }
        if let Some(instance) = instance {
            config.set("group.instance.id", instance);
        }
        let consumer = RwLock::new(subscribe(&config, topics, &changes)?);
        Ok((Arc::new(Self { consumer, config, topics: topics.clone(), changes }), receiver))
    }

    fn consumer(&self) -> Arc<StreamConsumer<Membership>> {
        self.consumer.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Serves the group's callbacks for as long as the worker lives. Every message has a queue of its own, so none comes
    /// this way; one that did would be skipped by its frontier, and the process must not go on.
    pub async fn serve(&self) -> KafkaError {
        loop {
            match self.consumer().recv().await {
                Ok(_message) => return KafkaError::Canceled,
                Err(KafkaError::MessageConsumptionFatal(error)) => self.rejoin(error).await,
                Err(error) => outage::log_unless_away(&error, "the group"),
            }
        }
    }

    /// The client is dead for good: a static member that was away for longer than its session, or whose name another
    /// process has taken. Its tenures end, and a new client joins.
    async fn rejoin(&self, error: RDKafkaErrorCode) {
        tracing::error!(
            %error,
            "the group refuses this member for good, and it joins anew; does another process have the same CAPI_INSTANCE?"
        );
        self.consumer().context().revoked();
        tokio::time::sleep(REJOIN_AFTER).await;
        match subscribe(&self.config, &self.topics, &self.changes) {
            Ok(consumer) => *self.consumer.write().unwrap_or_else(PoisonError::into_inner) = consumer,
            Err(error) => tracing::error!(%error, "cannot join the group anew"),
        }
    }

    /// Commits what is ready, a few times a second, for as long as the worker lives.
    pub async fn commit_regularly(&self) {
        let mut tick = tokio::time::interval(COMMIT_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            let consumer = self.consumer();
            let ready = consumer.context().ready();
            if ready.count() > 0 && !consumer.assignment_lost() {
                blocking(move || commit(&consumer, &ready)).await;
            }
        }
    }

    /// Commits what is ready and waits for the answer: the last act of a drain.
    async fn commit_last(&self) {
        let consumer = self.consumer();
        let ready = consumer.context().ready();
        if ready.count() == 0 {
            return;
        }
        let commit = tokio::task::spawn_blocking(move || consumer.commit(&ready, CommitMode::Sync));
        if !matches!(timeout(LAST_COMMIT, commit).await, Ok(Ok(Ok(())))) {
            tracing::warn!("the last commit failed: the events behind it are read again");
        }
    }

    /// Asks the group whether a tenure is still alive, by a commit of what is committed already.
    async fn ask(&self, tenure: &Arc<Tenure>) -> Confirmation {
        while tenure.is_live() {
            let (consumer, asked) = (self.consumer(), self.inputs_of(tenure.partition));
            match blocking(move || recommit(&consumer, asked)).await {
                Ok(()) if tenure.is_live() => {
                    // What a regular commit brought forward meanwhile was taken back by this one.
                    self.consumer().context().uncommitted();
                    return Confirmation::Accepted;
                }
                Err(error) if refuses(&error) => return Confirmation::Refused,
                Err(error) => {
                    tracing::warn!(%error, partition = tenure.partition, "the group cannot confirm a claim now");
                    tokio::time::sleep(COMMIT_EVERY).await;
                }
                Ok(()) => return Confirmation::Refused,
            }
        }
        Confirmation::Refused
    }

    /// The queues of a partition's inputs. Nothing flows before [`Group::resume`].
    pub fn queues(&self, partition: i32) -> Vec<InputQueue> {
        let consumer = self.consumer();
        let queue = |input: Input| {
            let messages = consumer.split_partition_queue(&input.topic(&self.topics), partition)?;
            Some(InputQueue { input, messages })
        };
        Input::all().filter_map(queue).collect()
    }

    /// Lets the events of a partition flow.
    pub fn resume(&self, partition: i32) {
        if let Err(error) = self.consumer().resume(&self.inputs_of(partition)) {
            // It went away meanwhile: whoever has it resumes it.
            tracing::debug!(%error, partition, "cannot resume a partition");
        }
    }

    fn inputs_of(&self, partition: i32) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        for input in Input::all() {
            list.add_partition(&input.topic(&self.topics), partition);
        }
        list
    }
}

impl Coordinates for Group {
    /// By a commit of what is committed already.
    fn confirm<'a>(&'a self, tenure: &'a Arc<Tenure>) -> BoxFuture<'a, Confirmation> {
        self.ask(tenure).boxed()
    }

    fn advance(&self, tenure: &Arc<Tenure>, input: Input, offset: i64) {
        self.consumer().context().lock().advance(tenure, input, offset);
    }

    /// The last act of a drain.
    fn commit_now(&self) -> BoxFuture<'_, ()> {
        self.commit_last().boxed()
    }
}

fn subscribe(
    config: &ClientConfig,
    topics: &Topics,
    changes: &mpsc::UnboundedSender<Change>,
) -> KafkaResult<Arc<StreamConsumer<Membership>>> {
    let membership = Membership {
        changes: changes.clone(),
        topics: topics.clone(),
        state: Mutex::default(),
        brokers: Watch::default(),
    };
    let consumer: StreamConsumer<Membership> = config.create_with_context(membership)?;
    let inputs: Vec<String> = Input::all().map(|input| input.topic(topics)).collect();
    consumer.subscribe(&inputs.iter().map(String::as_str).collect::<Vec<_>>())?;
    Ok(Arc::new(consumer))
}

/// Commits, and waits for the answer: of an asynchronous commit the client library tells no outcome
/// (`a_commit_that_failed_is_made_up_for`).
fn commit(consumer: &StreamConsumer<Membership>, ready: &TopicPartitionList) {
    if let Err(error) = consumer.commit(ready, CommitMode::Sync) {
        metrics::commit_failed();
        tracing::warn!(%error, "a commit failed");
        consumer.context().uncommitted();
    }
}

/// Commits what is committed, or the beginning.
fn recommit(consumer: &StreamConsumer<Membership>, asked: TopicPartitionList) -> KafkaResult<()> {
    let mut committed = consumer.committed_offsets(asked, COORDINATOR_TIMEOUT)?;
    for (topic, partition) in
        committed.to_topic_map().into_iter().filter(|(_, at)| *at == Offset::Invalid).map(|(of, _)| of)
    {
        committed.set_partition_offset(&topic, partition, Offset::Offset(0))?;
    }
    consumer.commit(&committed, CommitMode::Sync)
}

/// Whether the group says no, rather than nothing.
fn refuses(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{Fatal, FencedInstanceId, IllegalGeneration, RebalanceInProgress, UnknownMemberId};
    matches!(
        error.rdkafka_error_code(),
        Some(IllegalGeneration | UnknownMemberId | FencedInstanceId | RebalanceInProgress | Fatal)
    )
}

/// The group's callbacks. They run in [`Group::serve`], inside a poll, and only note what happened.
pub struct Membership {
    changes: mpsc::UnboundedSender<Change>,
    topics: Topics,
    state: Mutex<State>,
    brokers: Watch,
}

#[derive(Default)]
struct State {
    tenures: HashMap<i32, Arc<Tenure>>,
    ready: BTreeMap<(i32, Input), (i64, Arc<Tenure>)>,
    /// Inputs whose ready offset was not handed to the group yet.
    dirty: BTreeSet<(i32, Input)>,
}

impl State {
    fn advance(&mut self, tenure: &Arc<Tenure>, input: Input, offset: i64) {
        let place = (tenure.partition, input);
        self.ready.insert(place, (offset, tenure.clone()));
        self.dirty.insert(place);
    }
}

impl Membership {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The offsets to commit, of tenures that live.
    fn ready(&self) -> TopicPartitionList {
        let mut state = self.lock();
        let mut list = TopicPartitionList::new();
        for place in std::mem::take(&mut state.dirty) {
            if let Some((offset, tenure)) = state.ready.get(&place).filter(|(_, tenure)| tenure.is_live()) {
                let topic = place.1.topic(&self.topics);
                let added = list.add_partition_offset(&topic, tenure.partition, Offset::Offset(*offset));
                debug_assert!(added.is_ok(), "an offset that was read can be committed");
            }
        }
        list
    }

    /// A commit failed: what is ready has to be handed over again.
    fn uncommitted(&self) {
        let mut state = self.lock();
        state.dirty = state.ready.keys().copied().collect();
    }

    fn assigned(&self, list: &TopicPartitionList) {
        let partitions: BTreeSet<i32> = list.elements().iter().map(TopicPartitionListElem::partition).collect();
        let tenures: Vec<_> = partitions.into_iter().map(|partition| Arc::new(Tenure::new(partition))).collect();
        let mut state = self.lock();
        state.ready.clear();
        state.dirty.clear();
        state.tenures = tenures.iter().map(|tenure| (tenure.partition, tenure.clone())).collect();
        drop(state);
        self.tell(Change::Assigned(tenures));
    }

    fn revoked(&self) {
        let tenures = std::mem::take(&mut self.lock().tenures);
        tenures.values().for_each(|tenure| tenure.revoke());
        self.tell(Change::Revoked(tenures.into_keys().collect()));
    }

    fn tell(&self, change: Change) {
        // Nobody listens only when the worker is ending.
        let _ = self.changes.send(change);
    }
}

impl ClientContext for Membership {
    fn stats_raw(&self, statistics: &[u8]) {
        if let Some(statistics) = self.brokers.look(statistics) {
            self.stats(statistics);
        }
    }

    fn stats(&self, statistics: Statistics) {
        let behind = |input: Input| {
            let topic = statistics.topics.get(&input.topic(&self.topics));
            let partitions = topic.into_iter().flat_map(|topic| topic.partitions.values());
            partitions.map(|partition| partition.consumer_lag.max(0)).sum::<i64>()
        };
        metrics::lag(Input::Live, behind(Input::Live));
        metrics::lag(Input::Backfill, behind(Input::Backfill));
        let tiers = Input::all().filter(|input| matches!(input, Input::Retry(_)));
        metrics::lag(Input::Retry(1), tiers.map(behind).sum());
    }

    /// An outage is one change of health; a line for every attempt to connect would bury it.
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "Kafka client");
    }
}

impl ConsumerContext for Membership {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Revoke(_) = rebalance {
            // The last moment at which these offsets are accepted; without it the events behind them come again. A
            // static member that commits after its session is refused for good.
            let ready = self.ready();
            if ready.count() > 0
                && !consumer.assignment_lost()
                && let Err(error) = consumer.commit(&ready, CommitMode::Async)
            {
                tracing::debug!(%error, "no commit at a revocation");
            }
            self.revoked();
        }
    }

    fn post_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(list) => {
                // Nothing is consumed before the claim is confirmed (rule 3 of the ledger).
                if let Err(error) = consumer.pause(list) {
                    tracing::error!(%error, "cannot pause what was assigned");
                }
                metrics::rebalanced();
                self.assigned(list);
            }
            Rebalance::Revoke(_) => {}
            Rebalance::Error(error) => {
                tracing::warn!(%error, "the rebalance failed");
                self.revoked();
            }
        }
    }
}

#[cfg(test)]
mod tests;
