//! What was tried to get an order to Meta: its intents, the requests that carried it, and when each intent was at work.
//!
//! An intent may send from when Kafka has it, for it is read back before, until its result is written or another intent
//! takes its place. All clocks are one machine's: the broker stamps the record when it appends it, the forwarder notes the
//! time before it hands over a result, and the stand-in when it has read a request. So no order of batches, no wait for
//! Kafka and no clock puts a request before its intent or after its result, and no slack is due.
//!
//! A request may come later only where its forwarder had lost hold of it: it stood still between the check and the system
//! call; it was killed, or its line was cut, with the request handed over to the machine; or it had given up the wait. Then
//! it may be on its way for as long as the wait for Meta lasts, counted from when that was over.

use super::evidence::{Evidence, Intent, Request};
use crate::history::{Deed, Fault};

/// What was tried to get an order to Meta.
pub(super) struct Attempts<'e> {
    evidence: &'e Evidence,
    /// In the order of the log.
    pub(super) intents: Vec<&'e Intent>,
    /// Those that carried the order.
    pub(super) requests: Vec<&'e Request>,
}

impl<'e> Attempts<'e> {
    pub(super) fn of(evidence: &'e Evidence, order: &str) -> Self {
        let carries = |request: &&Request| request.orders.iter().any(|carried| carried == order);
        Self {
            evidence,
            intents: evidence.ledger.intents.iter().filter(|intent| intent.order == order).collect(),
            requests: evidence.requests.iter().filter(carries).collect(),
        }
    }

    /// Requests of which nobody knows whether they were counted, as far as the stand-in can tell.
    pub(super) fn unknown(&self) -> impl Iterator<Item = &&'e Request> {
        self.requests.iter().filter(|request| request.unknown)
    }

    /// Whether any intent of the order may have sent what came to Meta at `at`.
    pub(super) fn explain(&self, at: i64) -> bool {
        (0..self.intents.len()).any(|number| {
            let given_up = self.ended(number) + if self.gave_up(number) { self.evidence.meta_timeout_ms } else { 0 };
            self.intents[number].logged <= at && at <= given_up.max(self.out_of_hand_until(number))
        })
    }

    /// How often the order may have been counted: once, again for each request that was counted and did not say so, and
    /// again for each intent that may have lost an answer which did.
    pub(super) fn counts_at_most(&self) -> usize {
        let in_silence = self.unknown().filter(|request| request.counted).count();
        1 + in_silence + (0..self.intents.len()).filter(|number| self.may_have_lost_an_answer(*number)).count()
    }

    fn may_have_lost_an_answer(&self, number: usize) -> bool {
        let until = self.ended(number).max(self.out_of_hand_until(number));
        let life = self.intents[number].logged..=until;
        self.gave_up(number)
            && self.requests.iter().any(|request| request.counted && !request.unknown && life.contains(&request.at))
    }

    /// When the intent had its result, or another took its place.
    fn ended(&self, number: usize) -> i64 {
        let intent = self.intents[number];
        let next = self.intents.get(number + 1).map(|next| next.at);
        let result = intent.result.as_ref().map(|result| result.at);
        result.or(next).unwrap_or_else(|| longest_life(self.evidence, intent))
    }

    /// Whether the forwarder may have stopped waiting for an answer to a request under this intent.
    fn gave_up(&self, number: usize) -> bool {
        self.intents[number].result.is_none() || self.was_disturbed(number, i64::MAX)
    }

    /// Whether something was done to the intent while it was at work, and before `since`, or its end was so long in coming
    /// that the wait for Meta may have run out: so that an answer may be lost.
    pub(super) fn was_disturbed(&self, number: usize, since: i64) -> bool {
        self.ran_out(number, since) || faults_at_work(self.evidence, self.intents[number], since).next().is_some()
    }

    fn ran_out(&self, number: usize, since: i64) -> bool {
        let (intent, ended) = (self.intents[number], self.ended(number));
        let is_long = ended <= since && ended - intent.at >= self.evidence.meta_timeout_ms;
        is_long && (intent.result.is_some() || self.was_sent_and_left(number))
    }

    /// Whether something left under an intent that has no result, and its forwarder was not asked to end meanwhile: one that
    /// ends waits for its answers, and has no other reason to leave an intent open.
    fn was_sent_and_left(&self, number: usize) -> bool {
        let (intent, ended) = (self.intents[number], self.ended(number));
        let is_of_it = |fault: &&Fault| fault.deed == Deed::Drained && fault.of == intent.by;
        let mut drains = self.evidence.faults.iter().filter(is_of_it);
        let was_sent = self.requests.iter().any(|request| (intent.logged..=ended).contains(&request.at));
        was_sent && !drains.any(|drain| drain.from <= ended && intent.at <= drain.until)
    }

    /// Until when a request may arrive that a fault took out of the forwarder's hand; the beginning of time where there
    /// was no such fault.
    fn out_of_hand_until(&self, number: usize) -> i64 {
        let faults = faults_at_work(self.evidence, self.intents[number], i64::MAX).map(|fault| fault.until);
        faults.max().map_or(i64::MIN, |until| until + self.evidence.meta_timeout_ms)
    }
}

/// What was done to the intent's forwarder, or to every line to Meta, while the intent was at work and before `since`.
fn faults_at_work<'e>(evidence: &'e Evidence, intent: &'e Intent, since: i64) -> impl Iterator<Item = &'e Fault> {
    let until = intent.result.as_ref().map_or_else(|| longest_life(evidence, intent), |result| result.at).min(since);
    let concerns = |fault: &&Fault| match fault.deed {
        Deed::LineCut => true,
        Deed::Killed | Deed::Frozen | Deed::DrainLeftCalls | Deed::DrainRanOut => fault.of == intent.by,
        Deed::Drained | Deed::KafkaKilled | Deed::ClickHouseKilled | Deed::MetaOutage => false,
    };
    evidence.faults.iter().filter(concerns).filter(move |fault| fault.from <= until && intent.at <= fault.until)
}

/// How long an intent without a result may have been at work: a result that is written while Kafka is away lands when it
/// is back.
fn longest_life(evidence: &Evidence, intent: &Intent) -> i64 {
    let outages = evidence.faults.iter().filter(|fault| fault.deed == Deed::KafkaKilled);
    outages.fold(intent.at + evidence.hold_ms, |until, away| {
        let stuck = away.from <= until && intent.at <= away.until;
        if stuck { until.max(away.until + evidence.hold_ms) } else { until }
    })
}
