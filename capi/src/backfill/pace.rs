//! How fast all senders together may go: how many calls at once, when the next may start, and when to give up.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep_until},
};

/// The first and the longest wait after a call that got no answer.
const FIRST_BACKOFF: Duration = Duration::from_millis(100);
const LONGEST_BACKOFF: Duration = Duration::from_secs(5);

/// The pace of a backfill. It opens as TCP does: one call, then twice as many with every round, up to the most; after
/// the endpoint asked for less, half as many, and one more with every round.
pub(crate) struct Pace {
    room: Arc<Semaphore>,
    most: usize,
    patience: Duration,
    state: Mutex<State>,
}

struct State {
    /// Calls that may be under way.
    allowed: usize,
    /// Permits that are to be taken back as their calls end.
    excess: usize,
    /// Answers since the last change.
    answered: usize,
    /// Before the first time that the endpoint asked for less.
    is_opening: bool,
    /// When the next call may start.
    next: Instant,
    /// When the endpoint was last heard.
    heard: Instant,
    /// Calls in a row that got no answer.
    failures: u32,
}

/// The endpoint has not been heard for longer than the operator has patience.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct OutOfPatience;

impl Pace {
    pub(crate) fn new(most: usize, patience: Duration) -> Self {
        let now = Instant::now();
        let state = State { allowed: 1, excess: 0, answered: 0, is_opening: true, next: now, heard: now, failures: 0 };
        Self { room: Arc::new(Semaphore::new(1)), most, patience, state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Room for one call. Given back with [`Pace::done`].
    pub(crate) async fn room(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.room).acquire_owned().await.ok()
    }

    /// Waits until the next call may start.
    pub(crate) async fn turn(&self) {
        loop {
            let next = self.state().next;
            if next <= Instant::now() {
                return;
            }
            // All senders wait for the same moment; it may move on meanwhile.
            sleep_until(next).await;
        }
    }

    /// A line has its end: its room goes to the next, or is taken back.
    pub(crate) fn done(&self, permit: OwnedSemaphorePermit) {
        let mut state = self.state();
        if state.excess > 0 {
            state.excess -= 1;
            permit.forget();
        }
    }

    /// The endpoint answered as it should: a little more may go.
    pub(crate) fn answered(&self) {
        let mut state = self.state();
        (state.heard, state.failures) = (Instant::now(), 0);
        state.answered += 1;
        if state.allowed < self.most && (state.is_opening || state.answered >= state.allowed) {
            (state.allowed, state.answered) = (state.allowed + 1, 0);
            if state.excess > 0 {
                state.excess -= 1;
            } else {
                self.room.add_permits(1);
            }
        }
    }

    /// The endpoint asks for less: nobody starts for that long, and then half as many. Calls that were on their way
    /// together are told together, and count as one.
    pub(crate) fn slow_down(&self, pause: Duration) {
        let mut state = self.state();
        let now = Instant::now();
        if state.next <= now {
            let taken = state.allowed / 2;
            state.allowed -= taken;
            state.excess += taken;
            state.answered = 0;
        }
        state.is_opening = false;
        state.next = state.next.max(now + pause);
    }

    /// The endpoint was heard, whatever it said.
    pub(crate) fn heard(&self) {
        self.state().heard = Instant::now();
    }

    /// No answer came: nobody starts for a while, which grows with every such call in a row.
    ///
    /// # Errors
    /// Where the endpoint has not been heard for too long.
    pub(crate) fn back_off(&self) -> Result<(), OutOfPatience> {
        let mut state = self.state();
        let now = Instant::now();
        if now.duration_since(state.heard) > self.patience {
            return Err(OutOfPatience);
        }
        if state.next <= now {
            let factor = 1 << state.failures.min(10);
            state.next = now + (FIRST_BACKOFF * factor).min(LONGEST_BACKOFF);
            state.failures += 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    #[tokio::test(start_paused = true)]
    async fn it_opens_to_the_most_and_halves_when_asked_for_less() {
        let pace = Pace::new(8, MINUTE);
        assert_eq!(pace.room.available_permits(), 1, "one call shows whether any is taken");
        for _ in 0..20 {
            pace.answered();
        }
        assert_eq!(pace.room.available_permits(), 8);
        let mut permits = Vec::new();
        for _ in 0..8 {
            permits.push(pace.room().await.unwrap());
        }
        pace.slow_down(Duration::from_secs(1));
        pace.slow_down(Duration::from_secs(1));
        permits.into_iter().for_each(|permit| pace.done(permit));
        assert_eq!(pace.room.available_permits(), 4, "halved once");
        for _ in 0..4 {
            pace.answered();
        }
        assert_eq!(pace.room.available_permits(), 5, "one more with every round");
    }

    #[tokio::test(start_paused = true)]
    async fn everybody_waits_as_long_as_the_endpoint_said() {
        let (pace, started) = (Pace::new(8, MINUTE), Instant::now());
        pace.slow_down(Duration::from_secs(3));
        pace.slow_down(Duration::from_secs(2));
        pace.turn().await;
        assert_eq!(started.elapsed(), Duration::from_secs(3));
        pace.turn().await;
        assert_eq!(started.elapsed(), Duration::from_secs(3));
    }

    #[tokio::test(start_paused = true)]
    async fn it_backs_off_and_in_the_end_gives_up() {
        let (pace, started) = (Pace::new(8, MINUTE), Instant::now());
        let mut waits = Vec::new();
        while pace.back_off().is_ok() {
            let before = Instant::now();
            pace.turn().await;
            waits.push(before.elapsed());
        }
        assert_eq!(waits[..3], [100, 200, 400].map(Duration::from_millis));
        assert_eq!(waits.last(), Some(&LONGEST_BACKOFF));
        assert!(started.elapsed() > MINUTE);
        pace.answered();
        assert!(pace.back_off().is_ok(), "it was heard");
    }

    #[tokio::test(start_paused = true)]
    async fn the_room_never_falls_below_one() {
        let pace = Pace::new(8, MINUTE);
        for _ in 0..5 {
            pace.slow_down(Duration::ZERO);
            pace.done(pace.room().await.unwrap());
        }
        assert_eq!(pace.room.available_permits(), 1);
    }
}
