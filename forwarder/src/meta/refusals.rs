//! How many events to put into a request, by the share of bad ones seen at a dataset.
//!
//! One bad event refuses its whole request, so a request of `n` events with a share `p` of bad ones goes through with
//! probability `(1 - p)^n`. A group test tells most where that is a half: at `n = ln 2 / -ln(1 - p)`. From there on the
//! search by halves comes close to the bound of group testing (Hwang 1972, "A method for detecting all defective members
//! in a population by group testing").

use std::time::Duration;

use tokio::time::Instant;

use super::request::MAX_EVENTS;

/// Events after which what was seen has half its weight.
const MEMORY: f64 = 4000.0;

/// What is believed of a dataset before anything was seen: so few bad events that a full request is worth the try.
const PRIOR: (f64, f64) = (0.05, 100.0);

/// How long, and for how many events, a dataset goes singly after it counted a batch short.
const SINGLY: (Duration, u32) = (Duration::from_mins(10), 1000);

/// What a dataset has refused of late.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    bad: f64,
    seen: f64,
    singly: Option<(Instant, u32)>,
}

impl Refusals {
    /// Events that Meta accepted.
    pub(super) fn accepted(&mut self, events: usize) {
        self.see(events, 0.0);
        if let Some((_, left)) = &mut self.singly {
            *left = left.saturating_sub(u32::try_from(events).unwrap_or(u32::MAX));
        }
    }

    /// An event that Meta refused for its own fault.
    pub(super) fn rejected(&mut self) {
        self.see(1, 1.0);
    }

    /// A batch was counted short: for a while each event goes alone, so that the next drop has a name.
    pub(super) fn counted_short(&mut self, now: Instant) {
        self.singly = Some((now + SINGLY.0, SINGLY.1));
    }

    /// How many events the next request should hold at most.
    pub(super) fn batch_size(&mut self, now: Instant) -> usize {
        if self.goes_singly(now) {
            return 1;
        }
        let share = (self.bad + PRIOR.0) / (self.seen + PRIOR.1);
        let size = std::f64::consts::LN_2 / -(-share).ln_1p();
        // A share is between 0 and 1: the size is at least 0, and what exceeds the limit is cut.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let size = size.round() as usize;
        size.clamp(1, MAX_EVENTS)
    }

    /// Whether each event goes alone for now.
    pub(super) fn goes_singly(&mut self, now: Instant) -> bool {
        self.singly = self.singly.filter(|(until, left)| now < *until && *left > 0);
        self.singly.is_some()
    }

    fn see(&mut self, events: usize, bad: f64) {
        // At most a request's events.
        #[expect(clippy::cast_precision_loss)]
        let events = events as f64;
        let kept = (-events / MEMORY * std::f64::consts::LN_2).exp();
        self.bad = self.bad * kept + bad;
        self.seen = self.seen * kept + events;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_size_follows_the_share_of_bad_events() {
        let now = Instant::now();
        let mut refusals = Refusals::default();
        assert_eq!(refusals.batch_size(now), MAX_EVENTS);
        let mut feed = |good: usize, rounds: usize| {
            for _ in 0..rounds {
                refusals.accepted(good);
                refusals.rejected();
            }
            refusals.batch_size(now)
        };
        assert!((60..=75).contains(&feed(99, 200)));
        assert!((5..=8).contains(&feed(9, 2000)));
        assert_eq!(feed(0, 20_000), 1);
        assert!(feed(10_000, 20) > 900);
    }

    #[tokio::test(start_paused = true)]
    async fn a_short_count_makes_events_go_singly_for_a_while() {
        let now = Instant::now();
        let mut refusals = Refusals::default();
        refusals.counted_short(now);
        assert_eq!(refusals.batch_size(now), 1);
        assert_eq!(refusals.batch_size(now + SINGLY.0), MAX_EVENTS);
        refusals.counted_short(now);
        for _ in 0..SINGLY.1 - 1 {
            refusals.accepted(1);
        }
        assert_eq!(refusals.batch_size(now), 1);
        refusals.accepted(1);
        assert_eq!(refusals.batch_size(now), MAX_EVENTS);
    }
}
