//! Quick retries within the process: exponential with jitter, for as long as the intent's time allows.

use std::time::Duration;

use backoff::{ExponentialBackoff, ExponentialBackoffBuilder, backoff::Backoff as _};

/// Quick retries of one batch; with what each takes, the 5 s of an intent seldom allow more.
const MOST: u32 = 4;

/// The quick retries of one batch.
#[derive(Debug)]
pub(super) struct QuickRetries {
    waits: ExponentialBackoff,
    used: u32,
}

impl QuickRetries {
    pub(super) fn new() -> Self {
        let waits = ExponentialBackoffBuilder::new()
            .with_initial_interval(Duration::from_millis(200))
            .with_multiplier(2.0)
            .with_randomization_factor(0.5)
            .with_max_interval(Duration::from_secs(2))
            // The intents' own deadlines end it, on tokio's clock.
            .with_max_elapsed_time(None)
            .build();
        Self { waits, used: 0 }
    }

    /// How long to wait before the next one; `None` where they are used up.
    pub(super) fn next(&mut self) -> Option<Duration> {
        if self.used == MOST {
            return None;
        }
        self.used += 1;
        self.waits.next_backoff()
    }

    /// Whether none was used.
    pub(super) fn is_fresh(&self) -> bool {
        self.used == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_with_jitter_and_end() {
        let mut retries = QuickRetries::new();
        assert!(retries.is_fresh());
        let waits: Vec<_> = std::iter::from_fn(|| retries.next()).collect();
        assert_eq!(waits.len(), MOST as usize);
        for (wait, middle) in waits.iter().zip([200, 400, 800, 1600]) {
            let middle = Duration::from_millis(middle);
            assert!(middle / 2 <= *wait && *wait <= middle * 3 / 2 + Duration::from_millis(1), "{wait:?}");
        }
        assert!(!retries.is_fresh());
    }
}
