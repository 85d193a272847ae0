//! Whether a dataset may be called now: pauses that Meta asks for, and a breaker against one that does not answer.

use std::time::Duration;

use tokio::time::Instant;

use super::{classify::Class, metrics::Present};

/// Batches in a row that failed without an answer before the breaker opens. Quick retries of one batch count once, so
/// that one odd event does not close its dataset.
const FAILURES: u32 = 10;

/// How long the breaker stays open, at first and at most.
const BROKEN: (Duration, Duration) = (Duration::from_secs(5), Duration::from_mins(5));

/// How long a throttled dataset rests where Meta does not say.
const THROTTLED: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(5));

/// How long a blocked dataset rests (code 368: "temporarily blocked", in hours by experience).
const BLOCKED: (Duration, Duration) = (Duration::from_mins(5), Duration::from_hours(1));

/// When to come again while another event tries the dataset out.
const PROBING: Duration = Duration::from_secs(1);

/// What a dataset says to one more event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// Come in.
    Free,
    /// Come in, as the one that tries the dataset out.
    Probe,
    /// Not before this long.
    Closed(Duration),
}

/// The gate of one dataset.
#[derive(Debug, Default)]
pub(super) struct Gate {
    pause: Option<Pause>,
    /// Batches in a row without an answer.
    failures: u32,
    /// Pauses in a row without a success between them: each is longer than the one before.
    pauses: u32,
}

#[derive(Debug)]
struct Pause {
    until: Instant,
    class: Class,
    /// Whether an event is on its way to try the dataset out.
    probing: bool,
    _counted: Present,
}

impl Pause {
    /// After a throttle Meta is glad of calls again at the time it named; after the others that is to be found out.
    fn needs_probe(&self) -> bool {
        self.class != Class::Throttled
    }
}

impl Gate {
    /// Asks for one more event.
    pub(super) fn admit(&mut self, now: Instant) -> Admission {
        self.expire(now);
        match &mut self.pause {
            None => Admission::Free,
            Some(pause) if now < pause.until => Admission::Closed(pause.until - now),
            Some(pause) if pause.probing => Admission::Closed(PROBING),
            Some(pause) => {
                pause.probing = true;
                Admission::Probe
            }
        }
    }

    /// The event that tried the dataset out has its report, whether or not a request carried it.
    pub(super) fn probe_ended(&mut self) {
        if let Some(pause) = &mut self.pause {
            pause.probing = false;
        }
    }

    /// How many requests the dataset may have at once, given its usual limit.
    pub(super) fn slots(&mut self, now: Instant, usual: usize) -> usize {
        self.expire(now);
        match &self.pause {
            None => usual,
            Some(pause) if now < pause.until => 0,
            Some(_) => 1,
        }
    }

    /// Until when no request may start, and why; `None` where one may.
    pub(super) fn closed_until(&self, now: Instant) -> Option<(Instant, Class)> {
        self.pause.as_ref().filter(|pause| now < pause.until).map(|pause| (pause.until, pause.class))
    }

    /// Whether there is nothing to remember.
    pub(super) fn is_at_rest(&mut self, now: Instant) -> bool {
        self.expire(now);
        self.pause.is_none()
    }

    /// Learns from an answer. `regain` is Meta's own word on how long to wait; `first` is whether the batch had not been
    /// tried before.
    pub(super) fn observe(&mut self, class: Class, regain: Option<Duration>, first: bool, now: Instant) {
        self.expire(now);
        match class {
            Class::Throttled => self.close(class, regain, THROTTLED, now),
            Class::Blocked => self.close(class, regain, BLOCKED, now),
            Class::NotSent | Class::Transient | Class::Unknown => {
                self.failures += u32::from(first);
                let probe_failed = self.pause.as_ref().is_some_and(|pause| now >= pause.until);
                if self.failures >= FAILURES || probe_failed {
                    self.close(class, None, BROKEN, now);
                }
            }
            _ => self.answered(now),
        }
    }

    /// An answer proves that the dataset works. One to a request that left before the pause ends no pause.
    fn answered(&mut self, now: Instant) {
        self.failures = 0;
        if self.pause.as_ref().is_none_or(|pause| now >= pause.until) {
            (self.pause, self.pauses) = (None, 0);
        }
    }

    /// Answers to requests that were on their way together are one cause, not several: only the first lengthens the next
    /// pause.
    fn close(&mut self, class: Class, regain: Option<Duration>, (first, most): (Duration, Duration), now: Instant) {
        let already = self.pause.as_ref().filter(|pause| now < pause.until).map(|pause| pause.until);
        if already.is_none() {
            self.pauses += 1;
        }
        let doubled = first.saturating_mul(1 << (self.pauses.saturating_sub(1)).min(16)).min(most);
        let until = now + regain.unwrap_or(doubled);
        if already.is_none_or(|already| already < until) {
            let probing = self.pause.as_ref().is_some_and(|pause| pause.probing);
            self.pause = Some(Pause { until, class, probing, _counted: Present::pause(class.as_str()) });
        }
        self.failures = 0;
    }

    fn expire(&mut self, now: Instant) {
        if self.pause.as_ref().is_some_and(|pause| now >= pause.until && !pause.needs_probe()) {
            self.pause = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn fail(gate: &mut Gate, now: Instant) {
        for _ in 0..FAILURES {
            gate.observe(Class::Unknown, None, true, now);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_throttle_pauses_for_as_long_as_meta_says() {
        let (mut gate, now) = (Gate::default(), Instant::now());
        gate.observe(Class::Throttled, Some(SECOND * 120), true, now);
        gate.observe(Class::Accepted, None, true, now);
        assert_eq!(gate.admit(now), Admission::Closed(SECOND * 120));
        assert_eq!(gate.slots(now, 8), 0);
        assert_eq!(gate.closed_until(now), Some((now + SECOND * 120, Class::Throttled)));
        let later = now + SECOND * 120;
        // The pause is over: one failure is no reason for another.
        gate.observe(Class::Transient, None, true, later);
        assert_eq!(gate.admit(later), Admission::Free);
        assert_eq!(gate.slots(later, 8), 8);
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_while_nothing_succeeds_between_them() {
        let (mut gate, mut now) = (Gate::default(), Instant::now());
        let mut lengths = Vec::new();
        for _ in 0..3 {
            // Two answers of one moment are one cause.
            gate.observe(Class::Throttled, None, true, now);
            gate.observe(Class::Throttled, None, true, now);
            let (until, _) = gate.closed_until(now).unwrap();
            lengths.push(until - now);
            now = until;
        }
        assert_eq!(lengths, [SECOND, SECOND * 2, SECOND * 4]);
        gate.observe(Class::Accepted, None, true, now);
        gate.observe(Class::Throttled, None, true, now);
        assert_eq!(gate.closed_until(now), Some((now + SECOND, Class::Throttled)));
    }

    #[tokio::test(start_paused = true)]
    async fn the_breaker_opens_tries_one_event_and_closes_on_an_answer() {
        let (mut gate, now) = (Gate::default(), Instant::now());
        fail(&mut gate, now);
        assert_eq!(gate.admit(now), Admission::Closed(BROKEN.0));
        let later = now + BROKEN.0;
        assert_eq!(gate.slots(later, 8), 1);
        assert_eq!(gate.admit(later), Admission::Probe);
        assert_eq!(gate.admit(later), Admission::Closed(PROBING));
        gate.probe_ended();
        assert_eq!(gate.admit(later), Admission::Probe);
        gate.observe(Class::BadClick, None, true, later);
        gate.probe_ended();
        assert_eq!(gate.admit(later), Admission::Free);
        assert!(gate.is_at_rest(later));
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_probe_opens_the_breaker_for_longer() {
        let (mut gate, now) = (Gate::default(), Instant::now());
        fail(&mut gate, now);
        let later = now + BROKEN.0;
        assert_eq!(gate.admit(later), Admission::Probe);
        gate.observe(Class::NotSent, None, false, later);
        gate.probe_ended();
        assert_eq!(gate.admit(later), Admission::Closed(BROKEN.0 * 2));
        assert_eq!(gate.admit(later + BROKEN.0 * 2), Admission::Probe);
    }

    /// A late answer to an earlier request closes the dataset again while the event that tries it out is on its way.
    #[tokio::test(start_paused = true)]
    async fn one_event_tries_a_dataset_out_however_often_it_closes_meanwhile() {
        for class in [Class::Blocked, Class::Unknown] {
            let (mut gate, now) = (Gate::default(), Instant::now());
            fail(&mut gate, now);
            let later = now + BROKEN.0;
            assert_eq!(gate.admit(later), Admission::Probe);
            gate.observe(class, None, true, later);
            let (until, _) = gate.closed_until(later).unwrap();
            assert_eq!(gate.admit(until), Admission::Closed(PROBING), "{class:?}");
            gate.probe_ended();
            assert_eq!(gate.admit(until), Admission::Probe, "{class:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_between_failures_keeps_the_breaker_closed_and_retries_do_not_open_it() {
        let (mut gate, now) = (Gate::default(), Instant::now());
        for _ in 0..FAILURES {
            gate.observe(Class::Transient, None, true, now);
            gate.observe(Class::Transient, None, false, now);
            gate.observe(Class::BadEvent, None, true, now);
        }
        assert_eq!(gate.admit(now), Admission::Free);
    }
}
