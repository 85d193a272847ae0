//! How long a caller waits.

use std::time::Duration;

use schemas::Outcome;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::Waiter;
use crate::prefer::Preferences;

/// How long a wait may still last once a drain has begun: with the pending row after it, it ends within the drain.
pub const DRAIN_WAIT: Duration = Duration::from_secs(10);

/// How long one caller is made to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// The longest wait; zero for none.
    pub wait: Duration,
    /// Whether the caller asked for it.
    pub is_asked: bool,
}

impl Patience {
    /// What a caller prefers, never above `longest`.
    pub fn of(preferences: Preferences, longest: Duration) -> Self {
        Self { wait: preferences.wait.unwrap_or(longest).min(longest), is_asked: preferences.wait.is_some() }
    }

    /// Waits from `since` on; `None` where the wait ran out. `drain` shortens it.
    pub async fn out(self, waiter: &mut Waiter, since: Instant, drain: &CancellationToken) -> Option<Outcome> {
        let drained = async {
            drain.cancelled().await;
            sleep(DRAIN_WAIT).await;
        };
        tokio::select! {
            // A verdict that is there counts, however late it is looked at.
            biased;
            outcome = waiter.verdict() => outcome,
            () = sleep_until(since + self.wait) => None,
            () = drained => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use schemas::{CallId, ConversionStatus, Verdict};

    use super::*;
    use crate::verdict::Waiters;

    const LONGEST: Duration = Duration::from_mins(1);

    fn patience(wait: Option<u64>) -> Patience {
        Patience::of(Preferences { respond_async: false, wait: wait.map(Duration::from_secs) }, LONGEST)
    }

    #[test]
    fn a_caller_waits_as_it_prefers_up_to_the_longest() {
        assert_eq!(patience(None), Patience { wait: LONGEST, is_asked: false });
        assert_eq!(patience(Some(0)), Patience { wait: Duration::ZERO, is_asked: true });
        assert_eq!(patience(Some(5)).wait, Duration::from_secs(5));
        assert_eq!(patience(Some(u64::MAX)).wait, LONGEST);
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_ends_with_its_time() {
        let mut waiter = Arc::new(Waiters::default()).register(CallId::now());
        let since = Instant::now();
        assert_eq!(patience(Some(5)).out(&mut waiter, since, &CancellationToken::new()).await, None);
        assert_eq!(since.elapsed(), Duration::from_secs(5));
    }

    #[tokio::test(start_paused = true)]
    async fn a_drain_shortens_the_wait() {
        let mut waiter = Arc::new(Waiters::default()).register(CallId::now());
        let (since, drain) = (Instant::now(), CancellationToken::new());
        drain.cancel();
        assert_eq!(patience(None).out(&mut waiter, since, &drain).await, None);
        assert_eq!(since.elapsed(), DRAIN_WAIT);
    }

    #[tokio::test(start_paused = true)]
    async fn a_verdict_that_is_there_counts() {
        let waiters = Arc::new(Waiters::default());
        let call_id = CallId::now();
        let mut waiter = waiters.register(call_id);
        waiters.deliver(Verdict { call_id, outcome: Outcome::new(200, ConversionStatus::Forwarded) });
        let outcome = patience(Some(0)).out(&mut waiter, Instant::now(), &CancellationToken::new()).await;
        assert_eq!(outcome.unwrap().conversion_status, ConversionStatus::Forwarded);
    }
}
