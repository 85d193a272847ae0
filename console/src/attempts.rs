//! How often somebody may try within a while. Memory is bounded: what is oldest is forgotten first.

use std::{
    collections::HashMap,
    hash::Hash,
    net::{IpAddr, Ipv6Addr},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// Keys that are remembered. An attacker with more addresses than that is not held up by counting them.
const REMEMBERED: usize = 10_000;

/// Attempts within a window that begins with the first.
pub(crate) struct Attempts<K> {
    most: u32,
    window: Duration,
    counts: Mutex<HashMap<K, Count>>,
}

struct Count {
    since: Instant,
    tries: u32,
}

impl<K: Clone + Eq + Hash> Attempts<K> {
    pub(crate) fn new(most: u32, window: Duration) -> Self {
        Self { most, window, counts: Mutex::default() }
    }

    /// Counts an attempt.
    ///
    /// # Errors
    /// With how long to wait, where there were too many.
    pub(crate) fn take(&self, key: K) -> Result<(), Duration> {
        let (now, mut counts) = (Instant::now(), self.counts());
        if counts.len() >= REMEMBERED && !counts.contains_key(&key) {
            self.make_room(&mut counts, now);
        }
        let count = counts.entry(key).or_insert(Count { since: now, tries: 0 });
        if now.duration_since(count.since) >= self.window {
            *count = Count { since: now, tries: 0 };
        }
        if count.tries >= self.most {
            return Err(self.window.saturating_sub(now.duration_since(count.since)));
        }
        count.tries += 1;
        Ok(())
    }

    /// Takes back an attempt that was right.
    pub(crate) fn give_back(&self, key: &K) {
        if let Some(count) = self.counts().get_mut(key) {
            count.tries = count.tries.saturating_sub(1);
        }
    }

    /// Begins anew.
    pub(crate) fn forget(&self, key: &K) {
        self.counts().remove(key);
    }

    fn make_room(&self, counts: &mut HashMap<K, Count>, now: Instant) {
        counts.retain(|_, count| now.duration_since(count.since) < self.window);
        if counts.len() >= REMEMBERED {
            let oldest = counts.iter().min_by_key(|(_, count)| count.since).map(|(key, _)| key.clone());
            oldest.and_then(|key| counts.remove(&key));
        }
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<K, Count>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What counts as one client: an IPv4 address, or the /64 that an IPv6 host is usually given.
pub(crate) fn network(client: IpAddr) -> IpAddr {
    match client {
        IpAddr::V4(_) => client,
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_mins(15);

    #[tokio::test(start_paused = true)]
    async fn so_many_within_a_window() {
        let attempts = Attempts::new(3, WINDOW);
        for _ in 0..3 {
            assert_eq!(attempts.take("ada"), Ok(()));
        }
        tokio::time::advance(Duration::from_mins(5)).await;
        assert_eq!(attempts.take("ada"), Err(Duration::from_mins(10)));
        assert_eq!(attempts.take("bob"), Ok(()), "each for itself");
        tokio::time::advance(Duration::from_mins(10)).await;
        assert_eq!(attempts.take("ada"), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_right_does_not_count() {
        let attempts = Attempts::new(1, WINDOW);
        for _ in 0..5 {
            assert_eq!(attempts.take(1), Ok(()));
            attempts.give_back(&1);
        }
        assert_eq!(attempts.take(1), Ok(()));
        assert!(attempts.take(1).is_err());
        attempts.forget(&1);
        assert_eq!(attempts.take(1), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn memory_is_bounded() {
        let attempts = Attempts::new(1, WINDOW);
        (0..REMEMBERED).for_each(|key| attempts.take(key).unwrap());
        tokio::time::advance(Duration::from_secs(1)).await;
        attempts.take(REMEMBERED).unwrap();
        assert_eq!(attempts.counts().len(), REMEMBERED);
        tokio::time::advance(WINDOW).await;
        attempts.take(REMEMBERED + 1).unwrap();
        assert_eq!(attempts.counts().len(), 1, "what is over is forgotten");
    }

    #[test]
    fn a_network_of_ipv6_counts_as_one() {
        let of = |address: &str| network(address.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:2"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_ne!(of("203.0.113.9"), of("203.0.113.10"));
    }
}
