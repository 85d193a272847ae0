//! The end of an event: its row and verdict, or its copy in a tier; once Kafka has them, the frontier moves.

use std::sync::Arc;

use futures::future::try_join_all;
use schemas::{
    CallRecord, Outcome, Reason, Verdict,
    ledger::{Acceptance, Accepted, Listed},
};

use crate::{
    clock,
    hand::{Hand, Stage, Token},
    inputs::Input,
    metrics,
    outcome::Ending,
    publish::TierCopy,
    tenure::Tenure,
    tiers::Delay,
};

use super::{Owner, kafka::Landing};

impl Owner {
    /// Meta has the event, by the credit at `offset`.
    pub(super) fn settle_credited(&mut self, token: Token, accepted: &Accepted, offset: i64) {
        self.settle_final(token, offset, |ending, _| ending.forwarded(accepted));
    }

    /// Meta has the order, by another call.
    pub(super) fn settle_duplicate(&mut self, token: Token, credit: Acceptance) {
        self.settle_final(token, credit.offset, |ending, hand| ending.duplicate(credit.call, &hand.spent));
    }

    /// The event failed for good.
    pub(super) fn settle_rejected(&mut self, token: Token, reason: Reason, rests_on: i64) {
        self.settle_final(token, rests_on, |ending, hand| ending.rejected(reason, &hand.spent));
    }

    /// A credit of this very call was fetched again: its row and verdict once more, no request. Where the record is gone
    /// (compacted behind a repair), the row is told from what the ledger remembers, without Meta's trace id.
    pub(super) fn reread(&mut self, token: Token, accepted: Option<Accepted>) {
        let Some(hand) = self.hands.get(&token) else { return };
        let Some(credit) = self.ledger.order(&hand.order).and_then(|order| order.accepted) else {
            return self.drop_work(token);
        };
        let accepted = accepted.unwrap_or_else(|| Accepted {
            intent: 0,
            call: credit.call,
            listed: Listed::default(),
            at: credit.at,
            events_received: Some(1),
            fbtrace_id: String::new(),
            http_status: 200,
            forward_attempts: hand.spent.attempts.max(1),
            forward_ms: hand.spent.millis,
        });
        self.settle_credited(token, &accepted, credit.offset);
    }

    /// Row and verdict of a final outcome. They are written whatever the tenure: the result counts. Only a living tenure
    /// commits.
    fn settle_final(&mut self, token: Token, rests_on: i64, tell: impl FnOnce(&Ending<'_>, &Hand) -> Outcome) {
        let Some((record, span)) = self.row(token, rests_on, tell) else { return };
        let Some(hand) = self.hands.get_mut(&token) else { return };
        hand.stage = Stage::Settling;
        metrics::settled(&record);
        let waits = hand.arrived.verdict_partition;
        let publisher = &self.shop.publisher;
        let told = waits.map(|partition| {
            let verdict = Verdict { call_id: record.call.call_id, outcome: record.outcome.clone() };
            publisher.verdict(partition, &verdict, &span)
        });
        self.see_settled(token, [told, Some(publisher.record(&record, &span))]);
    }

    /// The event goes to a tier, with a pending row. Only under a living tenure: otherwise it comes again anyway.
    pub(super) fn settle_delayed(&mut self, token: Token, delay: Delay, rests_on: i64) {
        let Some(hand) = self.hands.get(&token) else { return };
        if !self.role.is_of(&hand.tenure) {
            return self.drop_work(token);
        }
        let progress = self.shop.tiers.place(&hand.arrived.event, delay, hand.spent.clone(), clock::now_ms());
        let Some((record, span)) = self.row(token, rests_on, |ending, hand| ending.pending(&hand.spent)) else {
            return;
        };
        let Some(hand) = self.hands.get_mut(&token) else { return };
        hand.stage = Stage::Settling;
        metrics::delayed(progress.tier);
        let copy = TierCopy {
            event: hand.arrived.event.clone(),
            key: hand.arrived.key.clone(),
            verdict_partition: hand.arrived.verdict_partition,
            progress,
        };
        let publisher = &self.shop.publisher;
        let copied = publisher.tier(self.partition, copy, &span);
        self.see_settled(token, [Some(copied), Some(publisher.record(&record, &span))]);
    }

    /// The event is settled once all of these have landed. Where one never does, the worker is told to halt.
    fn see_settled(&self, token: Token, landings: [Option<Landing>; 2]) {
        let landed = try_join_all(landings.into_iter().flatten());
        self.settling.push(Box::pin(async move { landed.await.ok().map(|_| token) }));
    }

    fn row(
        &self,
        token: Token,
        rests_on: i64,
        tell: impl FnOnce(&Ending<'_>, &Hand) -> Outcome,
    ) -> Option<(CallRecord, tracing::Span)> {
        let hand = self.hands.get(&token)?;
        let event = &hand.arrived.event;
        let listed = self.ledger.order(&hand.order).unwrap_or_default().listed;
        // Rule 10 of the ledger: the mark is being on the list.
        let ending = Ending { event, possibly_duplicate: listed.holds(hand.call()), now_ms: clock::now_ms() };
        let outcome = tell(&ending, hand);
        let record = CallRecord { call: event.call.clone(), lane: Some(event.lane), outcome, rests_on };
        Some((record, hand.arrived.span.clone()))
    }

    /// What an event ended with is in Kafka: its offset may pass, and its order may move.
    pub(super) fn settled(&mut self, token: Token) {
        self.leave_work(token);
        let Some(hand) = self.hands.remove(&token) else { return };
        self.pass(&hand.tenure, hand.arrived.input, hand.arrived.offset);
        self.wake(&hand.order);
    }

    /// An offset is done: what is contiguous may be committed, by the tenure that read it (invariant 2).
    pub(super) fn pass(&mut self, tenure: &Arc<Tenure>, input: Input, offset: i64) {
        if !self.role.is_of(tenure) {
            return;
        }
        let frontier = self.frontiers.entry(input).or_default();
        let before = frontier.committable();
        frontier.done(offset);
        // Most events are done before one that came earlier: then there is nothing to tell.
        if let Some(committable) = frontier.committable().filter(|offset| Some(*offset) != before) {
            self.shop.group.advance(tenure, input, committable);
        }
    }
}
