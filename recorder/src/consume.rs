//! From Kafka to the channel that batches are made of. One thread polls, reads and hands over; what it has handed over
//! and ClickHouse has not acknowledged is bounded in bytes. Back-pressure is the absence of messages, not of polling:
//! while there is no room the partitions are paused and the thread goes on polling, so that a ClickHouse that is away for
//! hours costs this member neither its place in the group nor memory.

use std::{collections::VecDeque, sync::Arc, thread::JoinHandle, time::Duration};

use rdkafka::{Message as _, consumer::Consumer as _, message::OwnedMessage};
use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::timeout,
};
use worker::shutdown::Shutdown;

use crate::{group::Consumer, metrics, read::Sources, row::CallRow};

/// What may be in hand at a time: the batch on its way to ClickHouse, and the next one.
pub(crate) const BUDGET: usize = 64 * 1024 * 1024;
/// What a row costs beside the bytes of its message, which it holds twice: as they came, and as columns.
const ROW_COST: usize = 1024;
/// How long one poll waits.
const POLL: Duration = Duration::from_millis(100);
/// How long the thread waits for room before it pauses: the client's queue survives a short wait, and is fetched anew
/// after a pause. A rebalance waits as long.
const SHORT_WAIT: Duration = Duration::from_secs(1);

/// A message in hand.
#[derive(Debug)]
pub(crate) struct Taken {
    /// As it came.
    pub(crate) message: OwnedMessage,
    /// Its row, or why there is none.
    pub(crate) row: Result<CallRow, String>,
    /// The assignment in which it was read.
    pub(crate) tenure: u64,
    /// Its share of the budget, given back when it is dropped.
    pub(crate) room: OwnedSemaphorePermit,
}

impl Taken {
    #[cfg(test)]
    pub(crate) fn for_test(message: OwnedMessage, row: Result<CallRow, String>, tenure: u64) -> Self {
        let room = Arc::new(Semaphore::new(BUDGET)).try_acquire_many_owned(cost(&message)).unwrap();
        Self { message, row, tenure, room }
    }
}

/// The thread's state.
pub(crate) struct Intake {
    consumer: Arc<Consumer>,
    sources: Sources,
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
        sources: Sources,
        shutdown: Shutdown,
    ) -> std::io::Result<(mpsc::UnboundedReceiver<Taken>, JoinHandle<()>)> {
        let (taken, receiver) = mpsc::unbounded_channel();
        let (room, runtime) = (Arc::new(Semaphore::new(BUDGET)), Handle::current());
        let intake = Self { consumer, sources, room, taken, shutdown, runtime };
        let thread = std::thread::Builder::new().name("intake".into()).spawn(move || intake.run())?;
        Ok((receiver, thread))
    }

    fn run(self) {
        while !self.ended() {
            if let Some(message) = self.poll() {
                self.take(message);
            }
            metrics::in_hand(BUDGET - self.room.available_permits());
        }
    }

    fn ended(&self) -> bool {
        self.shutdown.is_requested() || self.taken.is_closed()
    }

    fn poll(&self) -> Option<OwnedMessage> {
        match self.consumer.poll(POLL)? {
            Ok(message) => Some(message.detach()),
            Err(error) => {
                tracing::warn!(%error, "cannot read from Kafka now");
                None
            }
        }
    }

    fn take(&self, message: OwnedMessage) {
        let cost = cost(&message);
        let room = self.room.clone().try_acquire_many_owned(cost).ok();
        let room = room.or_else(|| {
            let wait = timeout(SHORT_WAIT, self.room.clone().acquire_many_owned(cost));
            self.runtime.block_on(wait).ok()?.ok()
        });
        match room {
            Some(room) => self.hand_over(message, room),
            None => self.hold(message),
        }
    }

    fn hand_over(&self, message: OwnedMessage, room: OwnedSemaphorePermit) {
        let row = self.sources.read(&message).map_err(|error| error.to_string());
        let tenure = self.consumer.context().tenure();
        // Nobody listens any more: the worker ends, and the message comes again.
        let _ = self.taken.send(Taken { message, row, tenure, room });
    }

    /// Polls without taking until there is room again.
    fn hold(&self, message: OwnedMessage) {
        tracing::warn!("ClickHouse does not keep up: consumption pauses");
        metrics::paused(true);
        let mut held = VecDeque::from([message]);
        self.pause();
        while let Some(message) = held.pop_front() {
            let Some(room) = self.wait_for_room(cost(&message), &mut held) else { break };
            self.hand_over(message, room);
        }
        self.resume();
        metrics::paused(false);
        tracing::info!("consumption goes on");
    }

    /// Polls until there is room, or the worker ends. A message that was on its way when the partitions were paused waits
    /// its turn.
    fn wait_for_room(&self, cost: u32, held: &mut VecDeque<OwnedMessage>) -> Option<OwnedSemaphorePermit> {
        while !self.ended() {
            if let Ok(room) = self.room.clone().try_acquire_many_owned(cost) {
                return Some(room);
            }
            held.extend(self.poll());
            if self.consumer.context().newly_assigned() {
                self.pause();
            }
        }
        None
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
    u32::try_from((2 * bytes + ROW_COST).min(BUDGET)).unwrap_or(u32::MAX)
}
