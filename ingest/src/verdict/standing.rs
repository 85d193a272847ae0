//! Whether verdicts can be heard: what `/readyz` says of it.

use std::time::{Duration, Instant};

use worker::health::Dependency;

/// How often Kafka is asked where the partition ends: a broker that hangs gives no error.
const ASK_EVERY: Duration = Duration::from_secs(5);
/// How often, while something is wrong.
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// After so many questions in a row without an answer the verdicts are out of reach: one may meet a new leader's election.
const PERSISTENT: u32 = 2;

/// Up while Kafka answers for the partition, with or without verdicts in it.
pub(super) struct Standing {
    health: Dependency,
    asked_at: Instant,
    ask_at: Instant,
    unanswered: u32,
}

impl Standing {
    /// Of a listener that has just taken its place.
    pub(super) fn new(health: Dependency, now: Instant) -> Self {
        health.up();
        Self { health, asked_at: now, ask_at: now + ASK_EVERY, unanswered: 0 }
    }

    /// A poll has failed, which may mean nothing: Kafka is asked sooner.
    pub(super) fn doubt(&mut self) {
        self.ask_at = self.ask_at.min(self.asked_at + ASK_AGAIN);
    }

    /// Asks Kafka, where it is time to.
    pub(super) fn look<E: ToString>(&mut self, now: Instant, ask: impl FnOnce() -> Result<(), E>) {
        if now < self.ask_at {
            return;
        }
        match ask() {
            Ok(()) => {
                self.unanswered = 0;
                self.ask_at = now + ASK_EVERY;
                self.health.up();
            }
            Err(why) => {
                self.unanswered += 1;
                self.ask_at = now + ASK_AGAIN;
                if self.unanswered >= PERSISTENT {
                    self.health.down(why.to_string());
                }
            }
        }
        self.asked_at = now;
    }
}

#[cfg(test)]
mod tests {
    use worker::health::Health;

    use super::*;

    fn standing() -> (Standing, Instant) {
        let now = Instant::now();
        (Standing::new(Health::default().dependency("verdicts"), now), now)
    }

    #[test]
    fn it_goes_down_when_nobody_answers_and_comes_back() {
        let (mut standing, mut now) = standing();
        let mut seen = Vec::new();
        for answer in [Ok(()), Err("away"), Ok(()), Err("away"), Err("away"), Err("away"), Ok(())] {
            now = now.max(standing.ask_at);
            standing.look(now, || answer);
            seen.push(standing.health.is_up());
        }
        assert_eq!(seen, [true, true, true, true, false, false, true]);
    }

    #[test]
    fn it_asks_now_and_then_and_in_doubt_sooner_but_never_all_the_time() {
        let (mut standing, start) = standing();
        let mut asked = Vec::new();
        for tenths in 0..120 {
            let since = Duration::from_millis(100 * tenths);
            if since > Duration::from_secs(7) {
                standing.doubt();
            }
            standing.look(start + since, || {
                asked.push(tenths);
                Ok::<_, String>(())
            });
        }
        assert_eq!(asked, [50, 71, 81, 91, 101, 111]);
    }
}
