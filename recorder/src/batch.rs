//! From single messages to batches: a lone row leaves at once, a steady trickle once a second, a flood as soon as a batch
//! is full or the one before it is in. In a flood the next full one leaves while the one before it is still on its way.

use std::time::Duration;

use rdkafka::{Message as _, message::OwnedMessage};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, sleep_until},
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
/// How often a batch that grows looks for more: not with every message, for waking up costs more than the message.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// Batches under way at a time: while ClickHouse writes one, the next is read and sent.
pub(crate) const UNDER_WAY: usize = 2;
/// What fills a batch. The larger it is the less an insert costs, for each makes files of every column. Of the budget there
/// is as much left for the one that grows meanwhile: those before it often end together, and it should be full by then.
const FULL: usize = BUDGET / (UNDER_WAY + 1);

/// Messages whose rows leave together, in the order of their offsets.
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
    growing: Batch,
    /// How much of what may be in hand fills a batch.
    pub(crate) full: usize,
    /// When the one that grows leaves, full or not.
    departure: Option<Instant>,
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
        Self { taken, shutdown, growing: Batch::default(), full: FULL, departure: None, left: None }
    }

    /// The next batch, or word that nothing came for as long as `idle`. While others are `under_way`, only a full one
    /// leaves: the others grow meanwhile, for every insert is a part. A wish to end closes the batch in hand; what was not
    /// in it is read again by whoever comes next. What grows stays where the answer is not waited for.
    pub(crate) async fn next(&mut self, idle: Duration, under_way: bool) -> Next {
        let idle = Instant::now() + idle;
        while !self.is_full() {
            let until = self.departure.unwrap_or(idle);
            tokio::select! {
                biased;
                () = self.shutdown.requested() => break,
                () = sleep_until(until), if !under_way => {
                    if self.growing.taken.is_empty() {
                        return Next::Idle;
                    }
                    break;
                }
                () = sleep(LOOK_EVERY), if self.departure.is_some() => self.take_what_is_there(),
                taken = self.taken.recv(), if self.departure.is_none() => match taken {
                    Some(taken) => {
                        self.push(taken);
                        self.take_what_is_there();
                    }
                    None => break,
                }
            }
        }
        self.leave()
    }

    fn is_full(&self) -> bool {
        self.growing.room >= self.full
    }

    fn take_what_is_there(&mut self) {
        while !self.is_full()
            && let Ok(taken) = self.taken.try_recv()
        {
            self.push(taken);
        }
    }

    fn push(&mut self, taken: Taken) {
        self.departure.get_or_insert_with(|| departure(self.left, Instant::now()));
        self.growing.push(taken);
    }

    fn leave(&mut self) -> Next {
        if self.growing.taken.is_empty() {
            return Next::End;
        }
        (self.left, self.departure) = (Some(Instant::now()), None);
        Next::Batch(std::mem::take(&mut self.growing))
    }
}

/// When a batch leaves whose first row came at `first`, after one that left at `left`.
fn departure(left: Option<Instant>, first: Instant) -> Instant {
    left.map_or(first, |left| left + PACE).clamp(first + QUIET, first + PACE)
}

#[cfg(test)]
mod tests {
    use tokio::time::{advance, timeout};

    use super::*;
    use crate::consume::{MESSAGE_COST, taken_for_test};

    const IDLE: Duration = Duration::from_secs(5);

    fn taken(offset: i64, size: usize) -> Taken {
        taken_for_test(0, offset, 0, vec![0; size])
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
        assert_eq!(length(&batches.next(IDLE, false).await), 1);
        assert_eq!(began.elapsed(), QUIET);
        sender.send(taken(1, 10)).unwrap();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(900)).await;
            sender.send(taken(2, 10)).unwrap();
            std::future::pending::<()>().await;
        });
        assert_eq!(length(&batches.next(IDLE, false).await), 2);
        assert_eq!(began.elapsed(), QUIET + PACE);
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_pause_a_lone_row_leaves_soon_again() {
        let (sender, mut batches, _) = batches();
        sender.send(taken(0, 10)).unwrap();
        batches.next(IDLE, false).await;
        advance(10 * PACE).await;
        let began = Instant::now();
        sender.send(taken(1, 10)).unwrap();
        assert_eq!(length(&batches.next(IDLE, false).await), 1);
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
        let rows = length(&batches.next(IDLE, false).await);
        assert_eq!(rows, FULL.div_ceil(size + MESSAGE_COST));
        assert_eq!(length(&batches.next(IDLE, false).await), rows);
        assert_eq!(began.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn while_others_are_under_way_only_a_full_batch_leaves() {
        let (sender, mut batches, _) = batches();
        let full = FULL.div_ceil(1024 * 1024 + MESSAGE_COST);
        for offset in 1..full {
            sender.send(taken(i64::try_from(offset).unwrap(), 1024 * 1024)).unwrap();
        }
        assert!(timeout(10 * IDLE, batches.next(IDLE, true)).await.is_err());
        sender.send(taken(0, 1024 * 1024)).unwrap();
        assert_eq!(length(&batches.next(IDLE, true).await), full, "what had grown is in it");
        sender.send(taken(0, 10)).unwrap();
        assert!(timeout(10 * IDLE, batches.next(IDLE, true)).await.is_err());
        let began = Instant::now();
        assert_eq!(length(&batches.next(IDLE, false).await), 1);
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
        assert_eq!(length(&batches.next(IDLE, false).await), 1);
        sender.send(taken(1, 10)).unwrap();
        assert!(matches!(batches.next(IDLE, false).await, Next::End));
    }

    #[tokio::test(start_paused = true)]
    async fn silence_is_told() {
        let (_sender, mut batches, _) = batches();
        assert!(matches!(batches.next(IDLE, false).await, Next::Idle));
    }

    #[test]
    fn a_batch_is_as_old_as_its_oldest_message() {
        let mut batch = Batch::default();
        assert_eq!(batch.oldest(), None);
        batch.push(taken(0, 10));
        assert!(batch.oldest().is_some_and(|age| age >= Duration::from_secs(7)));
    }
}
