//! The inputs of a partition: both lanes and the delay tiers, each read by a task of its own. Back-pressure is the
//! absence of polling: a lane takes room for an event before it reads it, so what is in hand is bounded in number and
//! in bytes, and a lane that is full holds up no other.

use std::sync::Arc;

use rdkafka::{
    Message as _,
    message::{BorrowedMessage, Headers as _},
};
use schemas::{ConversionEvent, Message as _, OrderKey, Topics, event::VERDICT_PARTITION_HEADER, topics};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tracing::Span;

use crate::{clock, group::LaneQueue, metrics, publish::Publisher};

/// Events that one lane of one partition may have in hand.
const ROOM_EVENTS: usize = 2_000;
/// Bytes of events that one lane of one partition may have in hand.
const ROOM_BYTES: usize = 4 << 20;

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

    /// The input of a topic name.
    pub fn of(topic: &str, topics: &Topics) -> Option<Self> {
        Self::all().find(|input| input.topic(topics) == topic)
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

/// The room that an event takes from the moment it is read until it is done.
#[derive(Debug)]
pub struct Room {
    _number: OwnedSemaphorePermit,
    _bytes: OwnedSemaphorePermit,
}

/// What a lane hands over, in the order of its offsets.
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
    pub room: Room,
}

/// Reads one input until the receiver is gone: the room, the message, its due time, then the hand-over.
pub async fn read(queue: LaneQueue, publisher: Arc<Publisher>, to: mpsc::UnboundedSender<Arrival>) {
    let (number, bytes) = (Arc::new(Semaphore::new(ROOM_EVENTS)), Arc::new(Semaphore::new(ROOM_BYTES)));
    loop {
        let Ok(number) = number.clone().acquire_owned().await else { return };
        let message = match queue.messages.recv().await {
            Ok(message) => message,
            Err(error) => {
                tracing::warn!(%error, input = queue.input.as_str(), "cannot read from Kafka now");
                continue;
            }
        };
        let size = message.payload_len() + message.key_len();
        let share = u32::try_from(size.min(ROOM_BYTES)).unwrap_or(u32::MAX);
        let Ok(bytes) = bytes.clone().acquire_many_owned(share).await else { return };
        let room = Room { _number: number, _bytes: bytes };
        let Some(arrival) = arrival(queue.input, &message, room, &publisher).await else { return };
        if let Arrival::Event(arrived) = &arrival {
            wait_until_due(&arrived.event).await;
        }
        if to.send(arrival).is_err() {
            return;
        }
    }
}

async fn arrival(input: Input, message: &BorrowedMessage<'_>, room: Room, publisher: &Publisher) -> Option<Arrival> {
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
        room,
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
