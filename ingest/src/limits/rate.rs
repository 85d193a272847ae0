//! The rate limit of a business.

use std::{
    collections::HashMap,
    num::NonZeroU32,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use directory::BusinessId;
use tokio::time::Instant;

/// How much of its rate a business may use at once.
const BURST: Duration = Duration::from_secs(1);

/// Token buckets, one for each business that has a limit; each ingest instance counts for itself, so that `n` instances
/// let through up to `n` times the limit. A bucket is the time at which it will be full again (the generic cell rate
/// algorithm of ITU-T I.371): there is nothing to refill, and a changed limit is in effect with the next call.
#[derive(Default)]
pub struct Rates {
    full_at: Mutex<HashMap<BusinessId, Instant>>,
}

impl Rates {
    /// Takes a call in, or says how long to wait.
    ///
    /// # Errors
    /// Where the business has used up its rate.
    pub fn admit(&self, business: BusinessId, per_second: NonZeroU32) -> Result<(), Duration> {
        let now = Instant::now();
        let cost = Duration::from_secs(1) / per_second.get();
        let mut buckets = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        let full_at = buckets.entry(business).or_insert(now);
        let after = (*full_at).max(now) + cost;
        match after.checked_duration_since(now + BURST) {
            Some(wait) if !wait.is_zero() => Err(wait),
            _ => {
                *full_at = after;
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn business(number: u128) -> BusinessId {
        uuid::Uuid::from_u128(number).into()
    }

    fn admitted(rates: &Rates, tries: u32, limit: u32) -> usize {
        let limit = NonZeroU32::new(limit).unwrap();
        (0..tries).filter(|_| rates.admit(business(1), limit).is_ok()).count()
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_lets_through_its_rate() {
        let rates = Rates::default();
        assert_eq!(admitted(&rates, 100, 10), 10);
        tokio::time::advance(Duration::from_millis(500)).await;
        assert_eq!(admitted(&rates, 100, 10), 5);
        tokio::time::advance(Duration::from_hours(1)).await;
        assert_eq!(admitted(&rates, 100, 10), 10);
        assert!(rates.admit(business(2), NonZeroU32::MIN).is_ok(), "each business has its own");
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_as_told_is_let_in() {
        let rates = Rates::default();
        assert_eq!(admitted(&rates, 3, 3), 3);
        let wait = rates.admit(business(1), NonZeroU32::new(3).unwrap()).unwrap_err();
        assert!(wait <= Duration::from_millis(334), "{wait:?}");
        tokio::time::advance(wait).await;
        assert_eq!(admitted(&rates, 2, 3), 1);
    }
}
