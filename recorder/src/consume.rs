//! From Kafka to the channel that batches are made of. One thread polls and hands over; what it has handed over
//! and ClickHouse has not acknowledged is bounded in bytes. Back-pressure is the absence of messages, not of polling:
//! while there is no room the partitions are paused and the thread goes on polling, so that a ClickHouse that is away for
//! hours costs this member neither its place in the group nor memory.

use std::{
    collections::VecDeque,
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use rdkafka::{Message as _, consumer::Consumer as _, message::OwnedMessage};
use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::timeout,
};
use worker::{outage, shutdown::Shutdown};

use crate::{
    group::{self, Consumer},
    metrics::{self, InHand},
};

/// What may be in hand at a time: two batches on their way to ClickHouse, and the next one.
pub(crate) const BUDGET: usize = 30 * 1024 * 1024;
/// What a message costs beside the bytes of its key and its payload: its place, its headers, and what allocations round up.
pub(crate) const MESSAGE_COST: usize = 384;
/// How long one poll waits.
const POLL: Duration = Duration::from_millis(100);
/// How long the thread waits for room before it pauses: the client's queue survives a short wait, and is fetched anew
/// after a pause. A rebalance waits as long.
const SHORT_WAIT: Duration = Duration::from_secs(1);
/// How often Kafka is asked for the lag during a pause: it grows, and what is not fetched tells nothing of it.
const ASK_LAG_EVERY: Duration = Duration::from_secs(5);

/// A message in hand.
#[derive(Debug)]
pub(crate) struct Taken {
    /// As it came.
    pub(crate) message: OwnedMessage,
    /// The assignment in which it was read.
    pub(crate) tenure: u64,
    /// Its share of the budget, given back when it is dropped.
    pub(crate) room: OwnedSemaphorePermit,
}

impl Taken {
    /// Whether another one is of the same partition and assignment.
    pub(crate) fn is_beside(&self, other: &Self) -> bool {
        self.tenure == other.tenure
            && self.message.partition() == other.message.partition()
            && self.message.topic() == other.message.topic()
    }
}

/// Why the thread ended before the worker.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum IntakeFault {
    /// The group will not have this member any more.
    #[error("the consumer failed for good: {0}")]
    Fatal(String),
    /// A fault of ours.
    #[error("the intake thread panicked")]
    Panicked,
}

/// The thread.
pub(crate) struct Thread(JoinHandle<Result<(), IntakeFault>>);

impl Thread {
    /// Blocks until it has ended.
    ///
    /// # Errors
    /// Where it did not end because it was asked to.
    pub(crate) fn join(self) -> Result<(), IntakeFault> {
        self.0.join().map_err(|_| IntakeFault::Panicked)?
    }
}

/// A message as it was read.
struct Read {
    message: OwnedMessage,
    tenure: u64,
}

/// The thread's state.
pub(crate) struct Intake {
    consumer: Arc<Consumer>,
    room: Arc<Semaphore>,
    taken: mpsc::UnboundedSender<Taken>,
    shutdown: Shutdown,
    runtime: Handle,
}

impl Intake {
    /// Starts the thread. It ends with the worker, and what it takes until then comes through the channel, which is
    /// bounded by the budget.
    ///
    /// # Errors
    /// Where no thread can be started.
    pub(crate) fn start(
        consumer: Arc<Consumer>,
        shutdown: Shutdown,
    ) -> std::io::Result<(mpsc::UnboundedReceiver<Taken>, Thread)> {
        let (taken, receiver) = mpsc::unbounded_channel();
        let (room, runtime) = (Arc::new(Semaphore::new(BUDGET)), Handle::current());
        let intake = Self { consumer, room, taken, shutdown, runtime };
        let thread = std::thread::Builder::new().name("intake".into()).spawn(move || intake.run())?;
        Ok((receiver, Thread(thread)))
    }

    fn run(self) -> Result<(), IntakeFault> {
        let in_hand = InHand::empty();
        while !self.ended() {
            if let Some(read) = self.poll()? {
                self.take(read)?;
            }
            in_hand.is(BUDGET - self.room.available_permits());
        }
        Ok(())
    }

    fn ended(&self) -> bool {
        self.shutdown.is_requested() || self.taken.is_closed()
    }

    /// A message and the tenure it belongs to: assignments change within the poll, before it returns a message of theirs.
    fn poll(&self) -> Result<Option<Read>, IntakeFault> {
        let Some(polled) = self.consumer.poll(POLL) else { return Ok(None) };
        let error = match polled {
            Ok(message) => {
                let tenure = self.consumer.context().tenure();
                return Ok(Some(Read { message: message.detach(), tenure }));
            }
            Err(error) => error,
        };
        if let Some((_, reason)) = self.consumer.client().fatal_error() {
            return Err(IntakeFault::Fatal(reason));
        }
        outage::log_unless_away(&error, "records");
        Ok(None)
    }

    fn take(&self, read: Read) -> Result<(), IntakeFault> {
        match self.room_within(cost(&read.message), SHORT_WAIT) {
            Some(room) => self.hand_over(read, room),
            None => self.hold(read)?,
        }
        Ok(())
    }

    fn room_within(&self, cost: u32, limit: Duration) -> Option<OwnedSemaphorePermit> {
        if let Ok(room) = self.room.clone().try_acquire_many_owned(cost) {
            return Some(room);
        }
        let room = self.room.clone().acquire_many_owned(cost);
        self.runtime.block_on(async { timeout(limit, room).await.ok()?.ok() })
    }

    fn hand_over(&self, Read { message, tenure }: Read, room: OwnedSemaphorePermit) {
        // Where nobody listens any more the worker ends, and the message comes again.
        let _ = self.taken.send(Taken { message, tenure, room });
    }

    /// Polls without taking until there is room again.
    fn hold(&self, read: Read) -> Result<(), IntakeFault> {
        tracing::warn!("ClickHouse does not keep up: consumption pauses");
        metrics::paused(true);
        self.consumer.context().pauses(true);
        let mut held = VecDeque::from([read]);
        self.pause();
        while let Some(read) = held.pop_front() {
            let Some(room) = self.wait_for_room(cost(&read.message), &mut held)? else { break };
            self.hand_over(read, room);
        }
        self.resume();
        self.consumer.context().pauses(false);
        metrics::paused(false);
        tracing::info!("consumption goes on");
        Ok(())
    }

    /// Polls until there is room, or the worker ends. A message that was on its way when the partitions were paused waits
    /// its turn.
    fn wait_for_room(&self, cost: u32, held: &mut VecDeque<Read>) -> Result<Option<OwnedSemaphorePermit>, IntakeFault> {
        let mut asked: Option<Instant> = None;
        while !self.ended() {
            if let Ok(room) = self.room.clone().try_acquire_many_owned(cost) {
                return Ok(Some(room));
            }
            held.extend(self.poll()?);
            if asked.is_none_or(|asked| asked.elapsed() >= ASK_LAG_EVERY) {
                asked = Some(Instant::now());
                if let Err(error) = group::ask_lag(&self.consumer) {
                    tracing::debug!(%error, "nobody knows how far behind we are");
                }
            }
            if self.consumer.context().newly_assigned() {
                self.pause();
            }
        }
        Ok(None)
    }

    fn pause(&self) {
        if let Err(error) = self.consumer.assignment().and_then(|ours| self.consumer.pause(&ours)) {
            tracing::warn!(%error, "cannot pause");
        }
    }

    fn resume(&self) {
        if let Err(error) = self.consumer.assignment().and_then(|ours| self.consumer.resume(&ours)) {
            tracing::warn!(%error, "cannot resume");
        }
    }
}

/// A message's share of the budget. One message never costs more than all of it.
fn cost(message: &OwnedMessage) -> u32 {
    let bytes = message.payload().map_or(0, <[u8]>::len) + message.key().map_or(0, <[u8]>::len);
    u32::try_from((bytes + MESSAGE_COST).min(BUDGET)).unwrap_or(u32::MAX)
}

#[cfg(test)]
pub(crate) fn taken_for_test(partition: i32, offset: i64, tenure: u64, payload: Vec<u8>) -> Taken {
    let at = rdkafka::message::Timestamp::CreateTime(crate::read::unix_millis() - 7_000);
    let message = OwnedMessage::new(Some(payload), None, "t".into(), at, partition, offset, None);
    let room = Arc::new(Semaphore::new(BUDGET)).try_acquire_many_owned(cost(&message)).unwrap();
    Taken { message, tenure, room }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The recorder waits for what the thread takes, and joins it when nothing more can come: so it fails with it.
    #[test]
    fn a_thread_that_panicked_is_a_fault() {
        let thread = Thread(std::thread::spawn(|| panic!("a fault of ours")));
        assert!(matches!(thread.join(), Err(IntakeFault::Panicked)));
    }
}
