//! The order ledger, folded by the very code that the forwarders fold it with, and held against the rows.
//!
//! So a fold that is wrong agrees with itself, and nothing that is compared with its end alone can show it. What can are
//! others: what Meta counted ([`super::orders`]), the requests that it got ([`super::requests`]), the rows, and here the
//! intents that the fold let count, of which each must have had its turn: under the last claim of the log, none after a
//! credit, and none beside an open one but in its place.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use forwarder::ledger::{Effect, Ledger};
use schemas::{
    LedgerRecord, OrderHash,
    ledger::{CLAIM_KEY, Listed},
    topics,
};
use uuid::Uuid;

use super::{
    Finding,
    evidence::{Evidence, Intent, IntentResult, LedgerEnd, OrderEnd, Row, Status},
};

/// A record of the orders topic.
#[derive(Clone, Debug)]
pub struct LogRecord {
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// Its stamp, in Unix milliseconds: the broker's, of when it was appended.
    pub stamp: i64,
    /// Its key: the order.
    pub key: String,
    /// What it says.
    pub record: LedgerRecord,
}

/// Folds the log; records of one partition come in the order of their offsets.
pub fn fold(log: &[LogRecord], window: Duration) -> LedgerEnd {
    let mut partitions: BTreeMap<i32, Vec<&LogRecord>> = BTreeMap::new();
    for read in log {
        partitions.entry(read.partition).or_default().push(read);
    }
    let mut end = LedgerEnd::default();
    for log in partitions.values() {
        fold_partition(log, window, &mut end);
    }
    end
}

fn fold_partition(log: &[&LogRecord], window: Duration, end: &mut LedgerEnd) {
    let kept_ms = i64::try_from(topics::ledger_kept(window).as_millis()).unwrap_or(i64::MAX / 4);
    let mut ledger = Ledger::new(kept_ms);
    let mut attempts = Attempts::default();
    for read in log {
        attempts.last_claim = if let LedgerRecord::Claim(_) = read.record { read.offset } else { attempts.last_claim };
        let order = OrderHash::of(read.key.as_bytes());
        if ledger.apply(read.offset, order, &read.record) == Effect::Counts {
            attempts.note(read);
        }
    }
    for key in log.iter().map(|read| &read.key).filter(|key| *key != CLAIM_KEY) {
        let order = ledger.order(&OrderHash::of(key.as_bytes())).unwrap_or_default();
        let known = OrderEnd {
            credited: order.accepted.map(|accepted| accepted.call.uuid()),
            open: order.open.map(|open| open.call.uuid()),
            listed: named(&order.listed),
        };
        end.orders.insert(key.clone(), known);
    }
    end.intents.extend(attempts.intents.into_values());
}

/// What counted of one partition: who claimed it, at which offset, and the intents by theirs.
#[derive(Default)]
struct Attempts {
    claims: HashMap<i64, String>,
    /// Where the last claim of the log stands, whether or not the fold heeds it.
    last_claim: i64,
    intents: BTreeMap<i64, Intent>,
}

impl Attempts {
    /// A record that counts. What an intent takes the place of is taken from itself, not from the fold.
    fn note(&mut self, read: &LogRecord) {
        match &read.record {
            LedgerRecord::Claim(claim) => drop(self.claims.insert(read.offset, claim.instance.clone())),
            LedgerRecord::Intent(intent) => {
                let by = self.claims.get(&intent.epoch).cloned().unwrap_or_default();
                let (order, call, listed) = (read.key.clone(), intent.call.uuid(), named(&intent.listed));
                let overrides = self.intents.get(&intent.overrides).map(|open| open.call);
                let is_current = intent.epoch == self.last_claim;
                let (at, logged, result) = (intent.at, read.stamp, None);
                let intent = Intent { order, call, by, at, logged, is_current, overrides, listed, result };
                self.intents.insert(read.offset, intent);
            }
            LedgerRecord::Accepted(result) => self.resulted(result.intent, result.at, true, &result.listed),
            LedgerRecord::Refused(result) => self.resulted(result.intent, result.at, false, &result.listed),
            LedgerRecord::State(_) => {}
        }
    }

    fn resulted(&mut self, intent: i64, at: i64, accepted: bool, listed: &Listed) {
        if let Some(intent) = self.intents.get_mut(&intent) {
            intent.result = Some(IntentResult { at, accepted, listed: named(listed) });
        }
    }
}

/// No order of these tests has so many calls that its list is full.
fn named(listed: &Listed) -> Vec<Uuid> {
    listed.iter().map(|call| call.uuid()).collect()
}

pub(super) fn check(evidence: &Evidence) -> Vec<Finding> {
    let rows: HashMap<Uuid, &Row> = evidence.rows.iter().map(|row| (row.call, row)).collect();
    let orders: BTreeMap<_, _> = evidence.ledger.orders.iter().collect();
    let of_order = |(order, end): (&&String, &&OrderEnd)| {
        [open(order, end), without_row(order, end, &rows), without_intent(evidence, order, end)]
    };
    let mut findings: Vec<_> = orders.iter().flat_map(of_order).flatten().collect();
    findings.extend(evidence.ledger.intents.iter().filter_map(|intent| intent_without_row(intent, &rows)));
    findings.extend(out_of_turn(evidence));
    let decided = evidence.rows.iter().filter(|row| !matches!(row.status, Status::Pending | Status::Refused));
    findings.extend(decided.flat_map(|row| disagreement(evidence, row)));
    findings
}

fn open(order: &str, end: &OrderEnd) -> Option<Finding> {
    end.open.map(|call| Finding::OpenIntent { order: order.to_owned(), call })
}

fn without_row(order: &str, end: &OrderEnd, rows: &HashMap<Uuid, &Row>) -> Option<Finding> {
    let call = end.credited?;
    let row = rows.get(&call).map(|row| row.status);
    (row != Some(Status::Forwarded)).then(|| Finding::LedgerWithoutRow { order: order.to_owned(), call, row })
}

fn without_intent(evidence: &Evidence, order: &str, end: &OrderEnd) -> Option<Finding> {
    let call = end.credited?;
    let accepted = |intent: &Intent| intent.result.as_ref().is_some_and(|result| result.accepted);
    let mut intents = evidence.ledger.intents.iter();
    let is_its = intents.any(|intent| intent.order == order && intent.call == call && accepted(intent));
    (!is_its).then(|| Finding::CreditWithoutIntent { order: order.to_owned(), call })
}

fn intent_without_row(intent: &Intent, rows: &HashMap<Uuid, &Row>) -> Option<Finding> {
    let has_row = rows.get(&intent.call).is_some_and(|row| row.order == intent.order);
    (!has_row).then(|| Finding::IntentWithoutRow { order: intent.order.clone(), call: intent.call })
}

/// Intents that an earlier one of their order forbids, or a later claim.
fn out_of_turn(evidence: &Evidence) -> Vec<Finding> {
    let mut before: HashMap<&str, &Intent> = HashMap::new();
    let mut findings = Vec::new();
    for intent in &evidence.ledger.intents {
        let (order, call) = (intent.order.clone(), intent.call);
        if !intent.is_current || !may_follow(before.insert(&intent.order, intent), intent) {
            findings.push(Finding::IntentOutOfTurn { order, call });
        }
    }
    findings
}

/// No order of these tests outlives its window: after a credit, none may.
fn may_follow(before: Option<&Intent>, intent: &Intent) -> bool {
    match before {
        None => intent.overrides.is_none(),
        Some(Intent { result: None, call, .. }) => intent.overrides == Some(*call),
        Some(Intent { result: Some(result), .. }) => !result.accepted && intent.overrides.is_none(),
    }
}

/// What a row says that the ledger does not.
fn disagreement(evidence: &Evidence, row: &Row) -> Vec<Finding> {
    let nothing = OrderEnd::default();
    let end = evidence.ledger.orders.get(&row.order).unwrap_or(&nothing);
    let (call, order, listed) = (row.call, row.order.clone(), end.listed.contains(&row.call));
    let mut findings = Vec::new();
    if row.marked != listed {
        findings.push(Finding::MarkNotOfLedger { call, order: order.clone(), row: row.marked, listed });
    }
    if row.status == Status::Forwarded && end.credited != Some(call) {
        findings.push(Finding::RowWithoutLedger { call, order, credited: end.credited });
    }
    findings
}
