//! Reads the orders topic: every forwarder that holds a partition follows that partition's log, its own records
//! included. One consumer outside any group, polled on a thread of its own.

use std::{
    collections::HashMap,
    sync::{Arc, mpsc as std_mpsc},
    time::{Duration, Instant},
};

use futures::future::{BoxFuture, FutureExt as _};
use rdkafka::{
    ClientConfig, Message as _, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
    message::BorrowedMessage,
};
use schemas::{DecodeError, LedgerRecord, Topics, ledger::Accepted};
use tokio::{
    sync::{Semaphore, mpsc},
    time::sleep,
};

use worker::{
    lost_client::LOOK_EVERY_MS,
    outage,
    vital::{Vital, blocking},
};

use crate::owner::kafka::ReadsLedger;

/// Records that may be read ahead of the fold.
const READ_AHEAD: usize = 512;
/// How long one poll waits: the longest a command waits for the thread.
const POLL: Duration = Duration::from_millis(10);
/// How long one try to fetch a record by its offset may take.
const FETCH_LIMIT: Duration = Duration::from_secs(5);
/// How long after a fetch that failed the next one begins: most often Kafka is away.
const FETCH_AGAIN: Duration = Duration::from_secs(1);
/// Credits fetched at once: each fetch has a client of its own, and a replay after a crash asks for thousands.
const FETCHES: usize = 8;
/// Bytes of an answer to a fetch, as they lie in Kafka: unpacked, and a message at a time, they take twenty times as much.
const FETCHED: &str = "262144";

/// A record of the orders topic, as it was read.
#[derive(Debug)]
pub struct LedgerRead {
    /// Its offset.
    pub offset: i64,
    /// Its key.
    pub key: Vec<u8>,
    /// What it holds.
    pub record: Result<LedgerRecord, DecodeError>,
}

enum Command {
    Follow { partition: i32, from: i64, to: mpsc::Sender<LedgerRead> },
    Leave { partition: i32 },
}

/// The reader of the orders topic. It ends with the last handle.
pub struct Tail {
    commands: std_mpsc::Sender<Command>,
    config: ClientConfig,
    topic: String,
    fetches: Arc<Semaphore>,
}

impl Tail {
    /// Starts the thread.
    ///
    /// # Errors
    /// Where the configuration is unusable.
    pub fn start(config: &ClientConfig, topics: &Topics, vital: &Vital) -> KafkaResult<Self> {
        let config = reader_config(config, topics);
        let consumer = config.create_with_context::<_, BaseConsumer<_>>(outage::Callbacks::default())?;
        let topic = topics.orders();
        let (commands, receiver) = std_mpsc::channel();
        let reader = Reader { consumer, topic: topic.clone(), followers: HashMap::new() };
        vital.thread("ledger-tail", move || reader.run(&receiver)).map_err(|error| thread_failed(&error))?;
        Ok(Self { commands, config, topic, fetches: Arc::new(Semaphore::new(FETCHES)) })
    }

    fn command(&self, command: Command) {
        if self.commands.send(command).is_err() {
            tracing::error!("the reader of the orders topic is gone");
        }
    }

    /// Fetches the credit at an offset again, with Meta's answer, which memory does not keep. `None` where compaction
    /// took it; a Kafka that is away is waited for.
    async fn fetch_accepted(&self, partition: i32, offset: i64) -> Option<Accepted> {
        let _turn = self.fetches.acquire().await.ok()?;
        let mut reader = None;
        loop {
            let error = match self.fetch(&mut reader, partition, offset).await {
                Ok(found) => return found,
                Err(error) => error,
            };
            outage::log_unless_away(&error, "a credit");
            sleep(FETCH_AGAIN).await;
        }
    }

    /// One try, with the client of the tries before.
    async fn fetch(
        &self,
        reader: &mut Option<Arc<BaseConsumer<outage::Callbacks>>>,
        partition: i32,
        offset: i64,
    ) -> KafkaResult<Option<Accepted>> {
        let consumer = match reader {
            Some(consumer) => Arc::clone(consumer),
            None => Arc::clone(reader.insert(Arc::new(placed(&self.config, &self.topic, partition, offset)?))),
        };
        blocking(move || credit(&consumer, offset)).await
    }
}

impl ReadsLedger for Tail {
    /// A slow receiver holds up the other partitions: it must only fold.
    fn follow(&self, partition: i32, from: i64) -> mpsc::Receiver<LedgerRead> {
        let (to, reads) = mpsc::channel(READ_AHEAD);
        self.command(Command::Follow { partition, from, to });
        reads
    }

    fn leave(&self, partition: i32) {
        self.command(Command::Leave { partition });
    }

    fn accepted_at(&self, partition: i32, offset: i64) -> BoxFuture<'_, Option<Accepted>> {
        self.fetch_accepted(partition, offset).boxed()
    }
}

fn reader_config(config: &ClientConfig, topics: &Topics) -> ClientConfig {
    let mut config = config.clone();
    config
        // librdkafka wants a group name to assign partitions; nothing joins it.
        .set("group.id", topics.group("forwarder.ledger"))
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "earliest")
        .set("fetch.wait.max.ms", "50")
        .set("fetch.queue.backoff.ms", "5")
        // What is read ahead is memory that a restore leaves behind: this much keeps the fold busy. An answer is never less
        // than the largest message, as far as the client knows.
        .set("queued.max.messages.kbytes", "2048")
        .set("fetch.max.bytes", FETCHED)
        .set("fetch.message.max.bytes", FETCHED)
        .set("message.max.bytes", FETCHED)
        .set("statistics.interval.ms", LOOK_EVERY_MS);
    config
}

fn thread_failed(error: &std::io::Error) -> KafkaError {
    KafkaError::ClientCreation(error.to_string())
}

/// A client that reads on from one place.
fn placed(
    config: &ClientConfig,
    topic: &str,
    partition: i32,
    offset: i64,
) -> KafkaResult<BaseConsumer<outage::Callbacks>> {
    let consumer = config.create_with_context::<_, BaseConsumer<_>>(outage::Callbacks::default())?;
    consumer.assign(&place(topic, partition, offset)?)?;
    Ok(consumer)
}

/// The credit that is read next; `None` where it is another record: compaction took this one. The client tells each of
/// its attempts to connect: they are passed over, or it would be long back before the last of them is read.
fn credit(consumer: &BaseConsumer<outage::Callbacks>, offset: i64) -> KafkaResult<Option<Accepted>> {
    let (end, mut error) = (Instant::now() + FETCH_LIMIT, RDKafkaErrorCode::OperationTimedOut);
    while let Some(polled) = consumer.poll(end.saturating_duration_since(Instant::now())) {
        match polled {
            Ok(message) => return Ok(accepted(&message).filter(|_| message.offset() == offset)),
            Err(fault) => error = fault.rdkafka_error_code().unwrap_or(error),
        }
    }
    Err(KafkaError::MessageConsumption(error))
}

fn accepted(message: &BorrowedMessage<'_>) -> Option<Accepted> {
    match LedgerRecord::decode(message.payload().unwrap_or_default()) {
        Ok(LedgerRecord::Accepted(accepted)) => Some(accepted),
        _ => None,
    }
}

fn place(topic: &str, partition: i32, offset: i64) -> KafkaResult<TopicPartitionList> {
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, partition, Offset::Offset(offset))?;
    Ok(list)
}

/// What the thread owns.
struct Reader {
    consumer: BaseConsumer<outage::Callbacks>,
    topic: String,
    followers: HashMap<i32, mpsc::Sender<LedgerRead>>,
}

impl Reader {
    fn run(mut self, commands: &std_mpsc::Receiver<Command>) {
        loop {
            loop {
                match commands.try_recv() {
                    Ok(command) => self.obey(command),
                    Err(std_mpsc::TryRecvError::Empty) => break,
                    Err(std_mpsc::TryRecvError::Disconnected) => return,
                }
            }
            match self.consumer.poll(POLL) {
                Some(Ok(message)) => self.hand_over(&message),
                Some(Err(error)) => outage::log_unless_away(&error, "the orders topic"),
                None => {}
            }
        }
    }

    fn obey(&mut self, command: Command) {
        let done = match command {
            Command::Follow { partition, from, to } => {
                self.followers.insert(partition, to);
                place(&self.topic, partition, from).and_then(|list| self.consumer.incremental_assign(&list))
            }
            Command::Leave { partition } => {
                // The owners of all partitions that are others' leave again at every assignment.
                let Some(_) = self.followers.remove(&partition) else { return };
                place(&self.topic, partition, 0).and_then(|list| self.consumer.incremental_unassign(&list))
            }
        };
        if let Err(error) = done {
            tracing::error!(%error, "cannot change what is read of the orders topic");
        }
    }

    fn hand_over(&self, message: &BorrowedMessage<'_>) {
        let Some(follower) = self.followers.get(&message.partition()) else { return };
        let read = LedgerRead {
            offset: message.offset(),
            key: message.key().unwrap_or_default().to_vec(),
            record: LedgerRecord::decode(message.payload().unwrap_or_default()),
        };
        // A follower that is gone has left or is about to.
        let _ = follower.blocking_send(read);
    }
}
