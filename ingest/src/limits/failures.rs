//! Calls without a valid key, by client address. Each leaves a record, so that an address that goes on failing would
//! fill the warehouse.

use std::{
    collections::{HashMap, VecDeque},
    net::{IpAddr, Ipv6Addr},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// Failures of an address that are still recorded within [`WINDOW`].
pub(crate) const MOST: usize = 60;
pub(crate) const WINDOW: Duration = Duration::from_mins(1);
/// Addresses that are remembered: at most 10 MB of times. An attacker with more of them than that is not held up by
/// counting addresses.
const ADDRESSES: usize = 10_000;

/// When each address last failed.
#[derive(Default)]
pub struct Failures {
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    times: HashMap<IpAddr, VecDeque<Instant>>,
    swept_at: Option<Instant>,
}

impl Failures {
    /// Counts a failure of `client` that is to be recorded, or says how long none of its failures will be.
    ///
    /// # Errors
    /// Where the address has failed too often.
    pub fn admit(&self, client: IpAddr) -> Result<(), Duration> {
        let now = Instant::now();
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let times = table.of(network(client), now);
        while times.front().is_some_and(|time| now.duration_since(*time) >= WINDOW) {
            times.pop_front();
        }
        match times.front() {
            Some(oldest) if times.len() >= MOST => Err(WINDOW.saturating_sub(now.duration_since(*oldest))),
            _ => {
                times.push_back(now);
                Ok(())
            }
        }
    }
}

impl Table {
    fn of(&mut self, client: IpAddr, now: Instant) -> &mut VecDeque<Instant> {
        if self.times.len() >= ADDRESSES && !self.times.contains_key(&client) {
            self.make_room(now);
        }
        self.times.entry(client).or_default()
    }

    /// Forgets the addresses whose failures are over; where all are recent, any one. A sweep looks at all of them, so it
    /// is made once a second at most.
    fn make_room(&mut self, now: Instant) {
        if self.swept_at.is_none_or(|at| now.duration_since(at) >= Duration::from_secs(1)) {
            self.swept_at = Some(now);
            self.times.retain(|_, times| times.back().is_some_and(|last| now.duration_since(*last) < WINDOW));
        }
        if self.times.len() >= ADDRESSES {
            let any = self.times.keys().next().copied();
            any.and_then(|address| self.times.remove(&address));
        }
    }
}

/// What counts as one client: an IPv4 address, or the /64 that an IPv6 host is usually given.
fn network(client: IpAddr) -> IpAddr {
    match client {
        IpAddr::V4(_) => client,
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded(failures: &Failures, client: &str, tries: usize) -> usize {
        let client = client.parse().unwrap();
        (0..tries).filter(|_| failures.admit(client).is_ok()).count()
    }

    #[tokio::test(start_paused = true)]
    async fn sixty_failures_a_minute_are_recorded() {
        let failures = Failures::default();
        assert_eq!(recorded(&failures, "203.0.113.9", 30), 30);
        tokio::time::advance(Duration::from_secs(40)).await;
        assert_eq!(recorded(&failures, "203.0.113.9", 100), 30);
        assert_eq!(failures.admit("203.0.113.9".parse().unwrap()), Err(Duration::from_secs(20)));
        tokio::time::advance(Duration::from_secs(20)).await;
        assert_eq!(recorded(&failures, "203.0.113.9", 100), 30, "the first thirty are over");
        assert_eq!(recorded(&failures, "203.0.113.10", 100), MOST, "each address counts for itself");
    }

    #[tokio::test(start_paused = true)]
    async fn a_network_of_ipv6_counts_as_one() {
        let failures = Failures::default();
        assert_eq!(recorded(&failures, "2001:db8::1", MOST), MOST);
        assert_eq!(recorded(&failures, "2001:db8::ffff:2", 1), 0);
        assert_eq!(recorded(&failures, "2001:db8:0:1::1", 1), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn the_table_is_bounded() {
        let failures = Failures::default();
        let fail = |from: u32, count: u32| {
            (from..from + count).for_each(|address| failures.admit(IpAddr::V4(address.into())).unwrap());
        };
        let len = || failures.table.lock().unwrap().times.len();
        fail(0, 20_000);
        assert_eq!(len(), ADDRESSES);
        tokio::time::advance(WINDOW).await;
        fail(50_000, 1);
        assert_eq!(len(), 1, "what is over is swept");
    }
}
