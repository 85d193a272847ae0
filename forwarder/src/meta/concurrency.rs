//! How many requests a dataset has at once: one more for each round that succeeds, half after a throttle.

/// Additive increase, multiplicative decrease.
#[derive(Debug)]
pub(super) struct Concurrency {
    limit: f64,
    most: u32,
}

impl Concurrency {
    /// Starts at the most: Meta is slowed down for when it asks for it.
    pub(super) fn new(most: u32) -> Self {
        Self { limit: f64::from(most.max(1)), most: most.max(1) }
    }

    /// Requests at once, at least 1.
    pub(super) fn limit(&self) -> usize {
        // From 1 to a `u32`'s most: the cast loses the fraction, which is wanted.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let limit = self.limit as usize;
        limit
    }

    /// The channel's setting may change while it sends.
    pub(super) fn set_most(&mut self, most: u32) {
        let most = most.max(1);
        if most != self.most {
            *self = Self::new(most);
        }
    }

    pub(super) fn succeeded(&mut self) {
        self.limit = (self.limit + 1.0 / self.limit).min(f64::from(self.most));
    }

    pub(super) fn throttled(&mut self) {
        self.limit = (self.limit / 2.0).max(1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_throttle_halves_and_each_round_of_successes_adds_one() {
        let mut concurrency = Concurrency::new(8);
        assert_eq!(concurrency.limit(), 8);
        concurrency.throttled();
        assert_eq!(concurrency.limit(), 4);
        for _ in 0..5 {
            concurrency.succeeded();
        }
        assert_eq!(concurrency.limit(), 5);
        for _ in 0..100 {
            concurrency.succeeded();
        }
        assert_eq!(concurrency.limit(), 8);
        for _ in 0..10 {
            concurrency.throttled();
        }
        assert_eq!(concurrency.limit(), 1);
    }

    #[test]
    fn the_most_follows_the_channel() {
        let mut concurrency = Concurrency::new(0);
        assert_eq!(concurrency.limit(), 1);
        concurrency.set_most(3);
        assert_eq!(concurrency.limit(), 3);
        concurrency.throttled();
        concurrency.set_most(3);
        assert_eq!(concurrency.limit(), 1);
    }
}
