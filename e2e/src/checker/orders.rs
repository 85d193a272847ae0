//! Orders: each that was acknowledged is credited, once, and what Meta counted is what the rows say.

use std::collections::BTreeMap;

use super::{
    Finding,
    attempts::Attempts,
    evidence::{Ending, Evidence, Row, Status, dictated_end},
    rows::is_dropped_of_batch,
};

pub(super) fn check(evidence: &Evidence) -> Vec<Finding> {
    let orders = by_order(evidence);
    let mut findings: Vec<_> = orders.iter().flat_map(|(order, rows)| credits(evidence, order, rows)).collect();
    findings.extend(lost(evidence, &orders));
    let without_row = evidence.counted.keys().filter(|order| !orders.contains_key(order.as_str()));
    findings.extend(without_row.map(|order| Finding::CountedWithoutRow { order: order.clone() }));
    findings
}

/// The rows of each order that got as far as Meta.
pub(super) fn by_order(evidence: &Evidence) -> BTreeMap<&str, Vec<&Row>> {
    let mut orders: BTreeMap<&str, Vec<&Row>> = BTreeMap::new();
    for row in evidence.rows.iter().filter(|row| row.status != Status::Refused) {
        orders.entry(&row.order).or_default().push(row);
    }
    orders
}

fn forwarded<'r>(rows: &[&'r Row]) -> Vec<&'r Row> {
    rows.iter().copied().filter(|row| row.status == Status::Forwarded).collect()
}

fn credits(evidence: &Evidence, order: &str, rows: &[&Row]) -> Vec<Finding> {
    let (times, forwarded) = (evidence.counted.get(order).copied().unwrap_or(0), forwarded(rows));
    let marked = rows.iter().any(|row| row.marked);
    let order = order.to_owned();
    let mut findings = Vec::new();
    if forwarded.len() > 1 {
        let calls = forwarded.iter().map(|row| row.call).collect();
        findings.push(Finding::TwoCredits { order: order.clone(), calls });
    }
    if let Some(row) = forwarded.iter().find(|row| times == 0 && !is_dropped_of_batch(row)) {
        findings.push(Finding::NeverCounted { call: row.call, order: order.clone() });
    }
    let at_most = Attempts::of(evidence, &order).counts_at_most();
    if times > 1 && !marked {
        findings.push(Finding::UnmarkedDouble { order: order.clone(), times });
    } else if times > at_most {
        findings.push(Finding::CountedTooOften { order: order.clone(), times, at_most });
    }
    if times > 0 && forwarded.is_empty() && !marked {
        findings.push(Finding::CountedInVain { order: order.clone() });
    }
    let duplicates = rows.iter().filter(|row| row.status == Status::Duplicate);
    let of_none = duplicates.filter(|row| !forwarded.iter().any(|credited| Some(credited.call) == row.duplicate_of));
    findings.extend(of_none.map(|row| Finding::DuplicateOfUncredited {
        call: row.call,
        of: row.duplicate_of,
        order: order.clone(),
    }));
    findings
}

/// A call was acknowledged that Meta would take, so its order is credited, to it or to another.
fn lost(evidence: &Evidence, orders: &BTreeMap<&str, Vec<&Row>>) -> Vec<Finding> {
    let acknowledged = evidence.told.iter().filter(|told| (200..300).contains(&told.status));
    let to_credit = acknowledged.filter(|told| !told.too_old && dictated_end(&told.click) == Ending::Credit);
    let is_lost = |order: &str| orders.get(order).is_none_or(|rows| forwarded(rows).is_empty());
    let lost: BTreeMap<_, _> =
        to_credit.filter(|told| is_lost(&told.order)).map(|told| (&told.order, told.call)).collect();
    lost.into_iter().map(|(order, call)| Finding::LostOrder { order: order.clone(), call }).collect()
}
