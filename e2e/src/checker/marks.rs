//! The mark `possibly_duplicate`: never without a cause, and never missing where there was one.
//!
//! The cause is an outcome that nobody can know. Seen from outside it is one of three: the stand-in says of a request of
//! the order that its answer left that open; an intent of the order was open at the moment at which the line to Meta was
//! cut; or it was open while the forwarder that wrote it was killed, stood still, or ran out of its time to drain. An
//! intent of another forwarder, one that has its result already, or one that was written later, is no cause.

use uuid::Uuid;

use super::{
    Finding,
    evidence::{Evidence, Intent, Status},
    orders::by_order,
};
use crate::history::{Deed, Fault};

pub(super) fn check(evidence: &Evidence) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (order, rows) in by_order(evidence) {
        let has_cause = has_cause(evidence, order);
        let marked = rows.iter().filter(|row| row.marked && !(has_cause && was_tried(evidence, row.call)));
        findings.extend(marked.map(|row| Finding::FalseMark { call: row.call, order: order.to_owned() }));
        let credited = rows.iter().filter(|row| row.status == Status::Forwarded && !row.marked);
        let unmarked = credited.filter(|_| was_left_open(evidence, order));
        findings.extend(unmarked.map(|row| Finding::MissingMark { call: row.call, order: order.to_owned() }));
    }
    findings
}

/// A request without an answer is never the one that credits the order: another followed it.
fn was_left_open(evidence: &Evidence, order: &str) -> bool {
    evidence.requests.iter().any(|request| request.unknown && request.orders.iter().any(|carried| carried == order))
}

/// A call without an intent took part in nothing.
fn was_tried(evidence: &Evidence, call: Uuid) -> bool {
    evidence.ledger.intents.iter().any(|intent| intent.call == call)
}

fn has_cause(evidence: &Evidence, order: &str) -> bool {
    let intents = || evidence.ledger.intents.iter().filter(|intent| intent.order == order);
    was_left_open(evidence, order) || intents().any(|intent| was_disturbed(evidence, intent))
}

fn was_disturbed(evidence: &Evidence, intent: &Intent) -> bool {
    let until = intent.resulted_at.unwrap_or_else(|| longest_life(evidence, intent));
    let concerns = |fault: &&Fault| match fault.deed {
        Deed::LineCut => true,
        Deed::Killed | Deed::Frozen | Deed::DrainRanOut => fault.of == intent.by,
        Deed::Drained | Deed::KafkaKilled | Deed::ClickHouseKilled | Deed::MetaOutage => false,
    };
    evidence.faults.iter().filter(concerns).any(|fault| fault.from <= until && intent.at <= fault.until)
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
