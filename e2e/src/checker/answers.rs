//! Answers and rows: one row for every call that was answered, and both say the same.

use std::collections::HashMap;

use uuid::Uuid;

use super::{
    Finding,
    evidence::{Ending, Evidence, Row, Status, Told, dictated_end},
};

pub(super) fn check(evidence: &Evidence) -> Vec<Finding> {
    let mut by_call: HashMap<Uuid, Vec<&Row>> = HashMap::new();
    for row in &evidence.rows {
        by_call.entry(row.call).or_default().push(row);
    }
    let many = by_call.iter().filter(|(_, rows)| rows.len() > 1);
    let mut findings: Vec<_> = many.map(|(call, rows)| Finding::ManyRows { call: *call, rows: rows.len() }).collect();
    findings.extend(evidence.told.iter().filter_map(|told| match by_call.get(&told.call).map(|rows| rows[0]) {
        None => Some(Finding::NoRow { call: told.call, status: told.status }),
        Some(row) => contradiction(told, row),
    }));
    findings.extend(evidence.rows.iter().filter_map(unfinished));
    findings
}

/// A call that crashes made decide twice may have been told the first verdict: a rejected one may since be a duplicate.
fn contradiction(told: &Told, row: &Row) -> Option<Finding> {
    use Status::{Duplicate, Forwarded, Pending, Refused, Rejected};
    let may_be: &[Status] = match told.word.as_str() {
        "forwarded" => &[Forwarded],
        "duplicate" => &[Duplicate],
        "pending" => &[Pending, Forwarded, Duplicate, Rejected],
        "META_REJECTED" => &[Rejected, Duplicate],
        "META_DROPPED" => &[Rejected, Duplicate, Forwarded],
        _ => &[Refused],
    };
    let Told { call, status, word, .. } = told;
    let contradicts =
        || Finding::RowContradictsAnswer { call: *call, status: *status, told: word.clone(), row: row.status };
    (!may_be.contains(&row.status)).then(contradicts)
}

fn unfinished(row: &Row) -> Option<Finding> {
    let Row { call, order, click, status, .. } = row;
    let right = match (status, dictated_end(click)) {
        (Status::Pending, _) => return Some(Finding::PendingForEver { call: *call, order: order.clone() }),
        // Refused before Meta was asked, or credited to another call: no matter of the click id.
        (Status::Refused | Status::Duplicate, _) => true,
        (Status::Forwarded, ending) => ending == Ending::Credit || is_dropped_of_batch(row),
        (Status::Rejected, ending) => ending != Ending::Credit,
    };
    (!right).then(|| Finding::WrongEnd { call: *call, row: *status, click: click.clone() })
}

/// Of a batch that Meta counted in part nobody knows which event is missing: all of it ends forwarded, and says so.
pub(super) fn is_dropped_of_batch(row: &Row) -> bool {
    row.reason == "META_DROPPED" && dictated_end(&row.click) == Ending::Drop
}
