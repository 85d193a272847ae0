//! Sending an event, and turning what came of it into the result of its intent (rules 8 and 9 of the ledger).

use std::time::Duration;

use schemas::{
    LedgerRecord, MetaError, Reason,
    ledger::{Accepted, Listed, Refused},
};
use tokio::{sync::oneshot, time::Instant};

use crate::{
    clock,
    hand::{End, Hand, Stage, Token},
    meta::{Answer, Job, Report, Settled},
    tiers::Delay,
};

use super::{Owner, START_WITHIN};

/// How an attempt ends, as the ledger sees it.
enum Ending {
    /// Meta counted the event.
    Accepted {
        /// `None` where a batch was counted only in part.
        events_received: Option<i32>,
        fbtrace_id: String,
        http_status: i32,
    },
    /// Meta definitely did not: the intent is closed.
    Refused(End),
    /// Nobody can tell: the intent stays open.
    Open,
}

impl Owner {
    /// The intent at `intent` counts: the call is sent, unless the partition is not ours any more; the dispatcher then
    /// reports that it was not started.
    pub(super) fn send(&mut self, token: Token, intent: i64) {
        let Some(hand) = self.hands.get_mut(&token) else { return };
        let Stage::Intended { listed, permit, .. } = std::mem::replace(&mut hand.stage, Stage::Undecided) else {
            return;
        };
        hand.stage = Stage::Sent { intent, listed };
        let (done, report) = oneshot::channel();
        let job = Job {
            event: hand.arrived.event.clone(),
            start_by: Instant::now() + START_WITHIN,
            may_send: hand.tenure.may_send(),
            span: hand.arrived.span.clone(),
            done,
        };
        self.shop.dispatcher.submit(permit, job);
        self.reports.push(Box::pin(async move { (token, report.await.ok()) }));
    }

    /// The dispatcher is done: what Meta said becomes a result, which has effect once it is read back. An unknown
    /// outcome has none. A dispatcher that died may have sent.
    pub(super) fn reported(&mut self, token: Token, settled: Option<Settled>) {
        let Some(hand) = self.hands.get_mut(&token) else { return };
        let Stage::Sent { intent, mut listed } = std::mem::replace(&mut hand.stage, Stage::Undecided) else { return };
        let call = hand.call();
        let Some(settled) = settled else { return self.leave_open(token, intent) };
        spend(hand, &settled);
        if settled.had_unknown {
            listed.add(call);
        }
        match ending(settled) {
            Ending::Accepted { events_received, fbtrace_id, http_status } => {
                let accepted = Accepted {
                    intent,
                    call,
                    listed,
                    at: clock::now_ms(),
                    events_received,
                    fbtrace_id,
                    http_status,
                    forward_attempts: hand.spent.attempts,
                    forward_ms: hand.spent.millis,
                };
                self.write_result(token, End::Credited(accepted.clone()), &LedgerRecord::Accepted(accepted));
            }
            Ending::Refused(end) => self.refuse(token, intent, listed, end),
            Ending::Open => self.leave_open(token, intent),
        }
    }

    fn refuse(&mut self, token: Token, intent: i64, listed: Listed, end: End) {
        let Some(hand) = self.hands.get(&token) else { return };
        let refused = Refused { intent, call: hand.call(), listed, at: clock::now_ms() };
        self.write_result(token, end, &LedgerRecord::Refused(refused));
    }

    fn write_result(&mut self, token: Token, end: End, result: &LedgerRecord) {
        let Some(hand) = self.hands.get_mut(&token) else { return };
        hand.stage = Stage::Resulted(end);
        let key = hand.arrived.key.as_str().as_bytes();
        self.shop.publisher.ledger(self.partition, key, result);
    }

    /// Unknown: the intent stays open, and the event goes to a tier; the call counts as at work until it is there.
    fn leave_open(&mut self, token: Token, intent: i64) {
        self.by_intent.remove(&intent);
        let rests_on = self.ledger.read_up_to();
        self.settle_delayed(token, Delay::Failed { at_least: Duration::ZERO }, rests_on);
    }
}

fn spend(hand: &mut Hand, settled: &Settled) {
    hand.spent.attempts = hand.spent.attempts.saturating_add(i32::try_from(settled.attempts).unwrap_or(i32::MAX));
    hand.spent.millis = hand.spent.millis.saturating_add(i64::try_from(settled.spent.as_millis()).unwrap_or(i64::MAX));
    if let Some(said) = last_said(settled) {
        hand.spent.last_error = Some(said);
    }
}

/// What Meta said last against the event. A drop comes with a 200 and without a word: its status and its trace id are all
/// that an operator has to ask Meta about it.
fn last_said(settled: &Settled) -> Option<MetaError> {
    let Report::Dropped { answer } = &settled.report else { return settled.last_error.clone() };
    Some(MetaError {
        http_status: answer.http_status.map_or(0, i32::from),
        code: None,
        subcode: None,
        message: String::new(),
        fbtrace_id: answer.fbtrace_id.clone(),
    })
}

fn ending(settled: Settled) -> Ending {
    match settled.report {
        Report::Accepted { answer, dropped } => accepted(&answer, dropped),
        Report::Dropped { .. } => Ending::Refused(End::Rejected(Reason::MetaDropped)),
        Report::Rejected { .. } => Ending::Refused(End::Rejected(Reason::MetaRejected)),
        Report::NoChannel => Ending::Refused(End::Rejected(Reason::WhatsappChannelNotConfigured)),
        Report::TooOld => Ending::Refused(End::Rejected(Reason::EventTooOld)),
        Report::Retry { after, .. } => Ending::Refused(End::Delayed(Delay::Failed { at_least: after })),
        // The operator gave this process the wrong key: the event waits until that is repaired.
        Report::TokenUnreadable => Ending::Refused(End::Delayed(Delay::Failed { at_least: Duration::ZERO })),
        // Rule 8: it is closed without a mark. Where an earlier request of it is unknown, the report is `Unknown`.
        Report::NotStarted => Ending::Refused(End::Unsent),
        Report::Unknown => Ending::Open,
    }
}

fn accepted(answer: &Answer, dropped: bool) -> Ending {
    Ending::Accepted {
        events_received: (!dropped).then_some(1),
        fbtrace_id: answer.fbtrace_id.clone(),
        http_status: answer.http_status.map_or(0, i32::from),
    }
}
