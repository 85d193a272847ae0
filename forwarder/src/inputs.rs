//! The inputs of a partition: both lanes and the delay tiers, each read by a task of its own. Back-pressure is the
//! absence of polling: an input reserves for an event before it reads it, so what is in hand is bounded in number and
//! in bytes, and an input that is full holds up no other.

use std::sync::Arc;

use futures::future::{BoxFuture, FutureExt as _, join_all};
use rdkafka::{
    Message as _,
    message::{BorrowedMessage, Headers as _},
};
use schemas::{ConversionEvent, Message as _, OrderKey, Topics, event::VERDICT_PARTITION_HEADER, topics};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tracing::Span;
use worker::outage;

use crate::{
    clock,
    group::{Group, InputQueue},
    metrics,
    owner::kafka::ReadsEvents,
    publish::Publisher,
};

/// Events that one input of one partition may have in hand.
const BUDGET_EVENTS: usize = 2_000;
/// Bytes of events that one input of one partition may have in hand.
const BUDGET_BYTES: usize = 4 << 20;
/// Events that a backfill, and as many that the tiers may have in hand in all partitions of the process: a bound of its
/// memory. By reckoning one is in hand for about half a second, and for about a second where the bad ones of its dataset
/// are searched for: room for some 10,000 a second.
const BUDGET_OF_PROCESS: usize = 12_000;

/// A topic that events come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Input {
    /// Callers wait.
    Live,
    /// Callers do not wait.
    Backfill,
    /// A delay tier, from 1.
    Retry(usize),
}

impl Input {
    /// Every input.
    pub fn all() -> impl Iterator<Item = Self> {
        [Self::Live, Self::Backfill].into_iter().chain((1..=topics::TIERS).map(Self::Retry))
    }

    /// Its topic.
    pub fn topic(self, topics: &Topics) -> String {
        match self {
            Self::Live => topics.events_live(),
            Self::Backfill => topics.events_backfill(),
            Self::Retry(tier) => topics.events_retry(tier),
        }
    }

    /// The name in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Backfill => "backfill",
            Self::Retry(_) => "retry",
        }
    }
}

/// The part of its input's budget that an event has, from the moment it is read until it is done.
#[derive(Debug)]
pub struct Reservation {
    _number: [OwnedSemaphorePermit; 2],
    _bytes: OwnedSemaphorePermit,
}

#[cfg(test)]
impl Reservation {
    /// Of a budget of its own.
    pub(crate) fn free() -> Self {
        let permit = || Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        Self { _number: [permit(), permit()], _bytes: permit() }
    }
}

/// How much of one input of one partition may be in hand.
struct Budget {
    number: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
    /// What all partitions' inputs of this kind share.
    process: Arc<Semaphore>,
}

impl Budget {
    fn new(process: &Arc<Semaphore>) -> Self {
        let (number, bytes) = (Arc::new(Semaphore::new(BUDGET_EVENTS)), Arc::new(Semaphore::new(BUDGET_BYTES)));
        Self { number, bytes, process: process.clone() }
    }

    /// Waits for one event more, before it is read. `None` never happens: a budget does not close.
    async fn one_more(&self) -> Option<[OwnedSemaphorePermit; 2]> {
        let own = self.number.clone().acquire_owned().await.ok()?;
        Some([own, self.process.clone().acquire_owned().await.ok()?])
    }

    /// Waits for the bytes of an event that was read. An event that is larger than the budget takes all of it.
    async fn of_size(&self, number: [OwnedSemaphorePermit; 2], bytes: usize) -> Option<Reservation> {
        let share = u32::try_from(bytes.min(BUDGET_BYTES)).unwrap_or(u32::MAX);
        let bytes = self.bytes.clone().acquire_many_owned(share).await.ok()?;
        Some(Reservation { _number: number, _bytes: bytes })
    }
}

/// Reads the inputs of this process's partitions.
pub struct Inputs {
    group: Arc<Group>,
    publisher: Publisher,
    /// What may be in hand in all partitions, of callers who wait, of backfills and of the tiers: none holds up another. Of
    /// callers who wait only each partition bounds it: two dead datasets could fill a bound that all share.
    budgets: [Arc<Semaphore>; 3],
}

impl Inputs {
    /// What cannot be read goes to the dead letters through `publisher`.
    pub fn new(group: Arc<Group>, publisher: Publisher) -> Self {
        let events = [Semaphore::MAX_PERMITS, BUDGET_OF_PROCESS, BUDGET_OF_PROCESS];
        Self { group, publisher, budgets: events.map(|events| Arc::new(Semaphore::new(events))) }
    }

    fn budget(&self, input: Input) -> Budget {
        let [live, backfill, retry] = &self.budgets;
        Budget::new(match input {
            Input::Live => live,
            Input::Backfill => backfill,
            Input::Retry(_) => retry,
        })
    }
}

impl ReadsEvents for Inputs {
    fn read(&self, partition: i32, to: mpsc::UnboundedSender<Arrival>) -> BoxFuture<'_, ()> {
        async move {
            let read = |queue: InputQueue| read(self.budget(queue.input), queue, &self.publisher, to.clone());
            let inputs = join_all(self.group.queues(partition).into_iter().map(read));
            self.group.resume(partition);
            inputs.await;
        }
        .boxed()
    }
}

/// What an input hands over, in the order of its offsets.
#[derive(Debug)]
pub enum Arrival {
    /// An event that is due.
    Event(Box<Arrived>),
    /// A message that nobody can read lies in the dead letters; its offset is done.
    Buried {
        /// Where it came from.
        input: Input,
        /// Its offset.
        offset: i64,
    },
}

/// An event, as it was read.
#[derive(Debug)]
pub struct Arrived {
    /// Where it came from.
    pub input: Input,
    /// Its offset.
    pub offset: i64,
    /// The event.
    pub event: Arc<ConversionEvent>,
    /// Its order.
    pub key: OrderKey,
    /// The partition of the verdicts topic on which somebody waits.
    pub verdict_partition: Option<i32>,
    /// Its size on the wire.
    pub bytes: usize,
    /// The call's span here, which continues the producer's.
    pub span: Span,
    /// Given back when the event is done.
    pub reservation: Reservation,
}

/// Reads one input until the receiver is gone: the budget, the message, its due time, then the hand-over.
async fn read(budget: Budget, queue: InputQueue, publisher: &Publisher, to: mpsc::UnboundedSender<Arrival>) {
    loop {
        let Some(number) = budget.one_more().await else { return };
        let message = match queue.messages.recv().await {
            Ok(message) => message,
            Err(error) => {
                outage::log_unless_away(&error, queue.input.as_str());
                continue;
            }
        };
        let size = message.payload_len() + message.key_len();
        let Some(reservation) = budget.of_size(number, size).await else { return };
        let Some(arrival) = arrival(queue.input, &message, reservation, publisher).await else { return };
        if let Arrival::Event(arrived) = &arrival {
            wait_until_due(&arrived.event).await;
        }
        if to.send(arrival).is_err() {
            return;
        }
    }
}

async fn arrival(
    input: Input,
    message: &BorrowedMessage<'_>,
    reservation: Reservation,
    publisher: &Publisher,
) -> Option<Arrival> {
    let event = match ConversionEvent::decode(message.payload().unwrap_or_default()) {
        Ok(event) => Arc::new(event),
        Err(error) => {
            // Invariant 9: buried and acknowledged before the offset can move.
            publisher.bury(message, &error.to_string()).await.ok()?;
            return Some(Arrival::Buried { input, offset: message.offset() });
        }
    };
    metrics::event_received(input);
    let span = tracing::info_span!("forward", call_id = %event.call.call_id, lane = event.lane.as_str());
    worker::trace::continue_from(&span, message.headers());
    Some(Arrival::Event(Box::new(Arrived {
        input,
        offset: message.offset(),
        key: event.order_key(),
        event,
        verdict_partition: verdict_partition(message),
        bytes: message.payload_len(),
        span,
        reservation,
    })))
}

fn verdict_partition(message: &BorrowedMessage<'_>) -> Option<i32> {
    let header = message.headers()?.iter().find(|header| header.key == VERDICT_PARTITION_HEADER)?;
    std::str::from_utf8(header.value?).ok()?.parse().ok()
}

async fn wait_until_due(event: &ConversionEvent) {
    if let Some(progress) = &event.progress {
        tokio::time::sleep(clock::until(progress.not_before)).await;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rdkafka::{
        ClientConfig, Offset, TopicPartitionList,
        consumer::{Consumer as _, StreamConsumer},
        mocking::MockCluster,
        producer::{DefaultProducerContext, FutureProducer, FutureRecord},
    };
    use schemas::{Call, CallId, Lane, Progress};
    use tokio::time::timeout;
    use tokio_util::sync::CancellationToken;
    use worker::{
        health::Health,
        producer::{Patience, Producer},
        vital::Vital,
    };

    use super::*;
    use crate::{owner::kafka::Writes as _, publish::TierCopy};

    const A_WHILE: Duration = Duration::from_mins(1);

    async fn reserve(budget: &Budget, bytes: usize) -> Option<Reservation> {
        let taken = async { budget.of_size(budget.one_more().await?, bytes).await };
        timeout(A_WHILE, taken).await.ok().flatten()
    }

    /// Of a process that has none beside it.
    fn budget() -> Budget {
        Budget::new(&Arc::new(Semaphore::new(BUDGET_OF_PROCESS)))
    }

    #[tokio::test(start_paused = true)]
    async fn the_inputs_of_one_kind_are_bounded_in_all_partitions() {
        let process = Arc::new(Semaphore::new(3));
        let [one, other] = [Budget::new(&process), Budget::new(&process)];
        let mut reserved = Vec::new();
        for budget in [&one, &other, &one] {
            reserved.push(reserve(budget, 1).await.unwrap());
        }
        assert!(reserve(&other, 1).await.is_none());
        reserved.pop();
        assert!(reserve(&other, 1).await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn an_input_is_bounded_in_events_and_holds_up_no_other() {
        let (budget, other) = (budget(), budget());
        let mut reserved = Vec::new();
        for _ in 0..BUDGET_EVENTS {
            reserved.push(reserve(&budget, 1).await.unwrap());
        }
        assert!(reserve(&budget, 1).await.is_none());
        assert!(reserve(&other, 1).await.is_some());
        reserved.pop();
        assert!(reserve(&budget, 1).await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn an_input_is_bounded_in_bytes_and_takes_an_event_of_any_size() {
        let budget = budget();
        let large = reserve(&budget, 2 * BUDGET_BYTES).await.unwrap();
        assert!(reserve(&budget, 1).await.is_none());
        drop(large);
        assert!(reserve(&budget, BUDGET_BYTES).await.is_some());
    }

    /// Kafka with the topics of one partition each, and a publisher to it.
    fn kafka(topics: &Topics) -> (MockCluster<'static, DefaultProducerContext>, ClientConfig, Publisher) {
        let cluster = MockCluster::new(1).unwrap();
        let events = Input::all().map(|input| input.topic(topics));
        events.chain([topics.dead_letters()]).for_each(|topic| cluster.create_topic(&topic, 1, 1).unwrap());
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", cluster.bootstrap_servers()).set("reconnect.backoff.max.ms", "100");
        let health = Health::default().dependency("kafka");
        let producer = Producer::new(config.clone(), Duration::ZERO, Patience::Endless, health).unwrap();
        let publisher = Publisher::new(producer, topics.clone(), 1, CancellationToken::new(), &Vital::default());
        (cluster, config, publisher)
    }

    fn reader(config: &ClientConfig, topic: &str) -> StreamConsumer {
        let consumer: StreamConsumer = config.clone().set("group.id", "test").create().unwrap();
        let mut from = TopicPartitionList::new();
        from.add_partition_offset(topic, 0, Offset::Offset(0)).unwrap();
        consumer.assign(&from).unwrap();
        consumer
    }

    /// Invariant 9: a message that nobody can read is handed over, and its offset may pass, once its letter is there.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn garbage_is_handed_over_once_its_letter_is_acknowledged() {
        let topics = Topics::new("test");
        let (cluster, config, publisher) = kafka(&topics);
        let live = topics.events_live();
        let garbage = FutureRecord::to(&live).partition(0).key("k").payload("no Avro");
        config.create::<FutureProducer>().unwrap().send(garbage, None).await.unwrap();
        let consumer = reader(&config, &live);
        let message = consumer.recv().await.unwrap();
        cluster.broker_down(1).unwrap();
        let mut handed_over = std::pin::pin!(arrival(Input::Live, &message, Reservation::free(), &publisher));
        let waited = timeout(Duration::from_secs(2), &mut handed_over).await;
        assert!(waited.is_err(), "it did not wait for the letter");
        cluster.broker_up(1).unwrap();
        assert!(matches!(handed_over.await, Some(Arrival::Buried { input: Input::Live, offset: 0 })));
    }

    /// Its row tells of the lane it came in, and whoever still waits hears of it.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn an_event_comes_back_from_a_tier_as_it_went_in() {
        let topics = Topics::new("test");
        let (_cluster, config, publisher) = kafka(&topics);
        let consumer = reader(&config, &topics.events_retry(2));
        for (lane, verdict_partition) in [(Lane::Live, Some(7)), (Lane::Backfill, None)] {
            let call = Call { order_id: "a".into(), ..Call::blank(CallId::now(), 5) };
            let event = Arc::new(ConversionEvent { call, lane, progress: None });
            let key = event.order_key();
            let progress = Progress { tier: 2, not_before: 9, forward_attempts: 3, forward_ms: 40, last_error: None };
            let copy =
                TierCopy { event: event.clone(), key: key.clone(), verdict_partition, progress: progress.clone() };
            publisher.tier(0, copy, &Span::none()).await.unwrap();
            let message = timeout(A_WHILE, consumer.recv()).await.unwrap().unwrap();
            assert_eq!(message.key(), Some(key.as_str().as_bytes()));
            let arrival = arrival(Input::Retry(2), &message, Reservation::free(), &publisher).await;
            let Some(Arrival::Event(back)) = arrival else { panic!("{arrival:?}") };
            let went = ConversionEvent { progress: Some(progress), ..Arc::unwrap_or_clone(event) };
            assert_eq!((&*back.event, back.verdict_partition, &back.key), (&went, verdict_partition, &key));
        }
    }
}
