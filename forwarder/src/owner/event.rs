//! Deciding about an event (rule 7 of the ledger).

use std::time::Duration;

use schemas::{
    Lane, LedgerRecord, OrderHash, Reason,
    ledger::{Intent, Listed},
};
use tokio::time::Instant;

use crate::{
    clock,
    hand::{Hand, Stage, Token},
    inputs::{Arrival, Input},
    ledger::{Decision, decide},
    meta::OverShare,
    metrics,
    tiers::Delay,
};

use super::{Mail, Owner, PARKED_ASK, PARKED_TRIES, claim::Role};

/// How long an event that no caller waits for waits for room at its dataset before it goes to a tier: a healthy dataset makes room
/// within this time, and one that does not must not hold up the others' backfills.
const PARKED_FOR: Duration = Duration::from_secs(1);

impl Owner {
    pub(super) fn arrived(&mut self, arrival: Arrival) {
        let Some(tenure) = self.role.tenure().cloned() else { return };
        match arrival {
            Arrival::Buried { input, offset } => {
                self.frontiers.entry(input).or_default().receive(offset);
                self.pass(&tenure, input, offset);
            }
            Arrival::Event(arrived) => {
                self.frontiers.entry(arrived.input).or_default().receive(arrived.offset);
                let token = self.next_token;
                self.next_token += 1;
                self.hands.insert(token, Hand::new(arrived, tenure));
                self.consider(token);
            }
        }
    }

    /// Decides about an undecided event, and does what was decided.
    pub(super) fn consider(&mut self, token: Token) {
        let Some(hand) = self.hands.get(&token) else { return };
        let Role::Owning { epoch, hold_until, .. } = self.role else { return self.wait(token) };
        // The callback ended the tenure, and its mail is not here yet: an intent would only be refused, over and over.
        if !hand.tenure.may_send_now() {
            return self.wait(token);
        }
        // A repair that is on its way would take back an intent that lands before it.
        if self.repairing.contains_key(&hand.order) {
            return self.wait(token);
        }
        let here = self.standpoint(&hand.order, epoch, hold_until);
        let order = self.ledger.order(&hand.order);
        match decide(order.as_ref(), &hand.candidate(), &here) {
            Decision::Credited(credit) => self.credit_again(token, credit),
            Decision::Duplicate(credit) => self.settle_duplicate(token, credit),
            Decision::Wait => self.wait(token),
            Decision::Hold => {
                self.held.insert(hand.order);
                self.wait(token);
            }
            Decision::TooOld => self.settle_rejected(token, Reason::EventTooOld, self.ledger.read_up_to()),
            Decision::Intend { overrides, listed } => self.intend(token, epoch, overrides, listed),
        }
    }

    fn wait(&mut self, token: Token) {
        if let Some(hand) = self.hands.get(&token) {
            self.waiting.entry(hand.order).or_default().push(token);
        }
    }

    /// An order moved: the events that wait for it ask again, in the order they came.
    pub(super) fn wake(&mut self, order: &OrderHash) {
        for token in self.waiting.remove(order).unwrap_or_default() {
            self.consider(token);
        }
    }

    /// Over the dataset's share no intent is written. Otherwise the intent is, and nothing leaves before it is read back.
    fn intend(&mut self, token: Token, epoch: i64, overrides: i64, listed: Listed) {
        let Some(hand) = self.hands.get_mut(&token) else { return };
        let arrived = &hand.arrived;
        // A replay of a live call travels in the backfill lane, and stands back there.
        let lane = if arrived.input == Input::Backfill { Lane::Backfill } else { arrived.event.lane };
        let permit = match self.shop.dispatcher.admit(&arrived.event.call.business_id, lane, arrived.bytes) {
            Ok(permit) => permit,
            Err(over) => return self.over_share(token, over),
        };
        let intent = Intent { epoch, call: hand.call(), overrides, listed: listed.clone(), at: clock::now_ms() };
        hand.stage = Stage::Intended { epoch, listed, permit };
        self.at_work.insert(hand.order, token);
        let key = hand.arrived.key.as_str().as_bytes();
        self.shop.publisher.ledger(self.partition, key, &LedgerRecord::Intent(intent));
    }

    /// A dataset that is at work makes room soon, and a backfill waits for that; anything else goes to a tier, so that
    /// the partition goes on (invariant 6).
    fn over_share(&mut self, token: Token, over: OverShare) {
        let Some(hand) = self.hands.get(&token) else { return };
        match over {
            OverShare::Full if hand.arrived.input != Input::Live => self.park(token, Instant::now()),
            OverShare::Full => self.delay_over_share(token, Duration::ZERO),
            OverShare::Paused { retry_after } => self.delay_over_share(token, retry_after),
        }
    }

    fn park(&mut self, token: Token, since: Instant) {
        self.parked.push_back((token, since));
        self.ask_at.get_or_insert_with(|| Instant::now() + PARKED_ASK);
    }

    /// Parked events ask for room again, in the order they came. Where many in a row find none, the rest waits.
    pub(super) fn ask_for_room(&mut self) {
        let mut asking = std::mem::take(&mut self.parked);
        while self.parked.len() < PARKED_TRIES
            && let Some((token, since)) = asking.pop_front()
        {
            let parked = self.parked.len();
            self.consider(token);
            if self.parked.len() > parked {
                self.parked.pop_back();
                self.park_on(token, since);
            }
        }
        self.parked.append(&mut asking);
        self.ask_at = (!self.parked.is_empty()).then(|| Instant::now() + PARKED_ASK);
    }

    /// An event found no room again: it waits on, unless it has waited long enough.
    fn park_on(&mut self, token: Token, since: Instant) {
        if since.elapsed() < PARKED_FOR {
            self.park(token, since);
        } else {
            self.delay_over_share(token, Duration::ZERO);
        }
    }

    pub(super) fn delay_over_share(&mut self, token: Token, at_least: Duration) {
        metrics::over_share();
        self.settle_delayed(token, Delay::OverShare { at_least }, self.ledger.read_up_to());
    }

    /// A credit is known, Meta's answer is not: it is fetched from the log.
    fn credit_again(&mut self, token: Token, credit: schemas::ledger::Acceptance) {
        let Some(hand) = self.hands.get_mut(&token) else { return };
        hand.stage = Stage::Settling;
        let (tail, mail, partition) = (self.shop.tail.clone(), self.mail.0.clone(), self.partition);
        self.shop.vital.spawn("credit", async move {
            let accepted = tail.accepted_at(partition, credit.offset).await;
            // The owner ends only when nothing is in hand.
            let _ = mail.send(Mail::Reread(token, accepted));
        });
    }
}
