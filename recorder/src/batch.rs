//! From single messages to batches: a lone row leaves at once, a steady trickle once a second, a flood as soon as a batch
//! is full or the one before it is in.

use std::time::Duration;

use rdkafka::{Message as _, message::OwnedMessage};
use tokio::{
    sync::mpsc,
    time::{Instant, timeout_at},
};
use worker::shutdown::Shutdown;

use crate::{
    consume::{BUDGET, Taken},
    read::unix_millis,
};

/// How long a row waits for company when nothing was inserted lately.
const QUIET: Duration = Duration::from_millis(200);
/// How often a batch leaves while rows trickle in: every insert is a part that ClickHouse has to merge.
const PACE: Duration = Duration::from_secs(1);
/// A batch is full at half of what may be in hand: the other half is the next one, which grows meanwhile.
const FULL: usize = BUDGET / 2;

/// Messages that are acknowledged together, in the order of their offsets.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// The messages.
    pub(crate) taken: Vec<Taken>,
    /// Bytes of their payloads.
    pub(crate) bytes: usize,
    /// Their share of what may be in hand.
    room: usize,
}

impl Batch {
    fn push(&mut self, taken: Taken) {
        self.bytes += taken.message.payload().map_or(0, <[u8]>::len);
        self.room += taken.room.num_permits();
        self.taken.push(taken);
    }

    fn is_full(&self) -> bool {
        self.room >= FULL
    }

    /// How long ago the oldest message was written.
    pub(crate) fn oldest(&self) -> Option<Duration> {
        let written = |message: &OwnedMessage| message.timestamp().to_millis();
        let oldest = self.taken.iter().filter_map(|taken| written(&taken.message)).min()?;
        u64::try_from(unix_millis() - oldest).ok().map(Duration::from_millis)
    }
}

/// Makes batches.
pub(crate) struct Batches {
    taken: mpsc::UnboundedReceiver<Taken>,
    shutdown: Shutdown,
    /// When the last batch left.
    left: Option<Instant>,
}

/// What comes next.
#[derive(Debug)]
pub(crate) enum Next {
    /// A batch.
    Batch(Batch),
    /// Nothing came for a while.
    Idle,
    /// The worker ends.
    End,
}

impl Batches {
    pub(crate) fn new(taken: mpsc::UnboundedReceiver<Taken>, shutdown: Shutdown) -> Self {
        Self { taken, shutdown, left: None }
    }

    /// The next batch, or word that nothing came for as long as `idle`. A wish to end closes the batch in hand; what was
    /// not in it is read again by whoever comes next.
    pub(crate) async fn next(&mut self, idle: Duration) -> Next {
        let mut batch = Batch::default();
        let mut until = Instant::now() + idle;
        while !batch.is_full() {
            let received = tokio::select! {
                biased;
                () = self.shutdown.requested() => break,
                received = timeout_at(until, self.taken.recv()) => received,
            };
            match received {
                Ok(Some(taken)) => {
                    if batch.taken.is_empty() {
                        until = self.departure(Instant::now());
                    }
                    batch.push(taken);
                    self.take_what_is_there(&mut batch);
                }
                Err(_) if batch.taken.is_empty() => return Next::Idle,
                Ok(None) | Err(_) => break,
            }
        }
        self.left = Some(Instant::now());
        if batch.taken.is_empty() { Next::End } else { Next::Batch(batch) }
    }

    fn take_what_is_there(&mut self, batch: &mut Batch) {
        while !batch.is_full()
            && let Ok(taken) = self.taken.try_recv()
        {
            batch.push(taken);
        }
    }

    /// When a batch leaves whose first row came at `first`.
    fn departure(&self, first: Instant) -> Instant {
        let paced = self.left.map_or(first, |left| left + PACE);
        paced.clamp(first + QUIET, first + PACE)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;
    use crate::consume::{ROW_COST, taken_for_test};

    const IDLE: Duration = Duration::from_secs(5);

    fn taken(offset: i64, size: usize) -> Taken {
        taken_for_test(0, offset, 0, size)
    }

    fn batches() -> (mpsc::UnboundedSender<Taken>, Batches, Shutdown) {
        let ((sender, receiver), shutdown) = (mpsc::unbounded_channel(), Shutdown::default());
        (sender, Batches::new(receiver, shutdown.clone()), shutdown)
    }

    fn length(next: &Next) -> usize {
        match next {
            Next::Batch(batch) => batch.taken.len(),
            Next::Idle | Next::End => 0,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_lone_row_leaves_soon_and_the_next_ones_together() {
        let (sender, mut batches, _) = batches();
        let began = Instant::now();
        sender.send(taken(0, 10)).unwrap();
        assert_eq!(length(&batches.next(IDLE).await), 1);
        assert_eq!(began.elapsed(), QUIET);
        sender.send(taken(1, 10)).unwrap();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(900)).await;
            sender.send(taken(2, 10)).unwrap();
            std::future::pending::<()>().await;
        });
        assert_eq!(length(&batches.next(IDLE).await), 2);
        assert_eq!(began.elapsed(), QUIET + PACE);
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_pause_a_lone_row_leaves_soon_again() {
        let (sender, mut batches, _) = batches();
        sender.send(taken(0, 10)).unwrap();
        batches.next(IDLE).await;
        advance(10 * PACE).await;
        let began = Instant::now();
        sender.send(taken(1, 10)).unwrap();
        assert_eq!(length(&batches.next(IDLE).await), 1);
        assert_eq!(began.elapsed(), QUIET);
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_batch_does_not_wait_and_two_fit_the_budget() {
        let (sender, mut batches, _) = batches();
        let began = Instant::now();
        let size = 1024 * 1024;
        for offset in 0..40 {
            sender.send(taken(offset, size)).unwrap();
        }
        let rows = length(&batches.next(IDLE).await);
        assert_eq!(rows, FULL.div_ceil(2 * size + ROW_COST));
        assert_eq!(length(&batches.next(IDLE).await), rows);
        assert_eq!(began.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_wish_to_end_closes_the_batch_in_hand() {
        let (sender, mut batches, shutdown) = batches();
        sender.send(taken(0, 10)).unwrap();
        tokio::spawn(async move {
            tokio::time::sleep(QUIET / 2).await;
            shutdown.request();
            std::future::pending::<()>().await;
        });
        assert_eq!(length(&batches.next(IDLE).await), 1);
        sender.send(taken(1, 10)).unwrap();
        assert!(matches!(batches.next(IDLE).await, Next::End));
    }

    #[tokio::test(start_paused = true)]
    async fn silence_is_told() {
        let (_sender, mut batches, _) = batches();
        assert!(matches!(batches.next(IDLE).await, Next::Idle));
    }

    #[test]
    fn a_batch_is_as_old_as_its_oldest_message() {
        let mut batch = Batch::default();
        assert_eq!(batch.oldest(), None);
        batch.push(taken(0, 10));
        assert!(batch.oldest().is_some_and(|age| age >= Duration::from_secs(7)));
    }
}
