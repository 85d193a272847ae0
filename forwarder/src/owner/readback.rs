//! Reading the log: an own record has effect only here (rule 2 of the ledger).

use std::time::Duration;

use schemas::{
    LedgerRecord, OrderHash,
    ledger::{Intent, State},
};

use crate::{
    clock,
    hand::{End, Hand, Stage, Token},
    ledger::{Effect, Order},
    metrics,
    tail::LedgerRead,
};

use super::{Owner, Void, claim::Role};

impl Owner {
    pub(super) fn read(&mut self, read: LedgerRead) {
        let order = OrderHash::of(&read.key);
        let record = match read.record {
            Ok(record) => record,
            Err(error) => {
                tracing::error!(%error, partition = self.partition, offset = read.offset, "an unreadable ledger record is void");
                metrics::ledger_unreadable();
                return self.ledger.skip(read.offset);
            }
        };
        let effect = self.ledger.apply(read.offset, order, &record);
        metrics::ledger_read(effect);
        self.note_repair(order, (read.offset, read.key), &record, effect);
        match &record {
            LedgerRecord::Claim(claim) => self.claim_read(read.offset, claim),
            LedgerRecord::Intent(intent) => self.intent_read(read.offset, &order, intent, effect),
            LedgerRecord::Accepted(result) => self.result_read(read.offset, result.intent, effect),
            LedgerRecord::Refused(result) => self.result_read(read.offset, result.intent, effect),
            LedgerRecord::State(_) => {}
        }
        if matches!(self.role, Role::Owning { .. }) {
            self.repair();
            self.wake(&order);
        }
    }

    /// The own intent: if it counts, and the partition is still ours, the call may be sent.
    fn intent_read(&mut self, offset: i64, order: &OrderHash, intent: &Intent, effect: Effect) {
        let Some((token, hand)) = self.intended(order, intent) else { return };
        if effect == Effect::Void {
            hand.stage = Stage::Undecided;
            return self.drop_work(token);
        }
        self.by_intent.insert(offset, token);
        self.send(token, offset);
    }

    /// The event whose intent this is.
    fn intended(&mut self, order: &OrderHash, intent: &Intent) -> Option<(Token, &mut Hand)> {
        let token = *self.at_work.get(order)?;
        let hand = self.hands.get_mut(&token)?;
        // Two copies of one call may each have an intent on its way: of this tenure, and of an earlier one.
        let own = matches!(hand.stage, Stage::Intended { epoch, .. } if epoch == intent.epoch);
        let own = own && hand.call() == intent.call;
        own.then_some((token, hand))
    }

    /// The result of an own intent: if it counts, the event ends as it says.
    fn result_read(&mut self, offset: i64, intent: i64, effect: Effect) {
        let Some(token) = self.by_intent.remove(&intent) else { return };
        let Some(hand) = self.hands.get_mut(&token) else { return };
        let Stage::Resulted(end) = std::mem::replace(&mut hand.stage, Stage::Undecided) else { return };
        self.leave_work(token);
        match effect {
            Effect::Counts => self.end(token, end, offset),
            Effect::Void => self.drop_work(token),
        }
    }

    fn end(&mut self, token: Token, end: End, offset: i64) {
        match end {
            End::Credited(accepted) => self.settle_credited(token, &accepted, offset),
            End::Rejected(reason) => self.settle_rejected(token, reason, offset),
            End::Delayed(delay) => self.settle_delayed(token, delay, offset),
            End::Unsent => self.unsent(token),
        }
    }

    /// It never left: a dataset that could not take it in time is over its share, and a fenced partition asks again.
    fn unsent(&mut self, token: Token) {
        match self.hands.get(&token) {
            Some(hand) if hand.tenure.may_send_now() => self.delay_over_share(token, Duration::ZERO),
            _ => self.drop_work(token),
        }
    }

    /// Nothing came of it: under the present tenure it is decided about again, under an earlier one it comes again.
    pub(super) fn drop_work(&mut self, token: Token) {
        self.leave_work(token);
        match self.hands.get(&token) {
            Some(hand) if self.role.is_of(&hand.tenure) && !self.draining => self.consider(token),
            _ => {
                self.hands.remove(&token);
            }
        }
    }

    /// The call of an order is not at work any more.
    pub(super) fn leave_work(&mut self, token: Token) {
        let Some(hand) = self.hands.get(&token) else { return };
        if self.at_work.get(&hand.order) == Some(&token) {
            self.at_work.remove(&hand.order);
        }
    }

    /// A void record that is the last of its key has to be followed by the order's state (rule 6 of the ledger). A repair
    /// of an earlier void record is not enough: a restore from a compacted log may take the later one for counting.
    fn note_repair(&mut self, order: OrderHash, read: (i64, Vec<u8>), record: &LedgerRecord, effect: Effect) {
        let (offset, key) = read;
        if let LedgerRecord::State(state) = record
            && self.repairing.get(&order) == Some(&(state.epoch, state.after))
        {
            self.repairing.remove(&order);
        }
        match (effect, record, self.void.get(&order)) {
            (Effect::Void, ..) => drop(self.void.insert(order, Void { key, offset })),
            (Effect::Counts, LedgerRecord::State(state), Some(void)) if state.after < void.offset => {}
            (Effect::Counts, ..) => drop(self.void.remove(&order)),
        }
    }

    /// Repairs what is void and not at work: a call at work ends in a record of its own.
    pub(super) fn repair(&mut self) {
        let Role::Owning { epoch, .. } = self.role else { return };
        for (order, void) in &self.void {
            if self.repairing.contains_key(order) || self.at_work.contains_key(order) {
                continue;
            }
            self.repairing.insert(*order, (epoch, void.offset));
            let Order { accepted, open, listed, .. } = self.ledger.order(order).unwrap_or_default();
            let state = State { epoch, after: void.offset, open, accepted, listed, at: clock::now_ms() };
            metrics::ledger_repaired();
            self.shop.publisher.ledger(self.partition, &void.key, &LedgerRecord::State(state));
        }
    }
}
