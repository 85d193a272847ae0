//! Answers: one row for every call that was answered, and both say the same.

use std::collections::HashMap;

use schemas::Lane;
use uuid::Uuid;

use super::{
    Finding,
    evidence::{Evidence, Row, Status, Told},
};

pub(super) fn check(evidence: &Evidence) -> Vec<Finding> {
    let mut by_call: HashMap<Uuid, Vec<&Row>> = HashMap::new();
    for row in &evidence.rows {
        by_call.entry(row.call).or_default().push(row);
    }
    let many = by_call.iter().filter(|(_, rows)| rows.len() > 1);
    let mut findings: Vec<_> = many.map(|(call, rows)| Finding::ManyRows { call: *call, rows: rows.len() }).collect();
    findings.extend(evidence.told.iter().filter_map(contradicts_itself));
    for told in &evidence.told {
        match by_call.get(&told.call).map(|rows| rows[0]) {
            None => findings.push(Finding::NoRow { call: told.call, status: told.status }),
            Some(row) => findings.extend(contradiction(told, row).into_iter().chain(not_as_reported(told, row))),
        }
    }
    findings
}

/// One who does not wait is told nothing but that it was received; one who waits, what became of it.
fn contradicts_itself(told: &Told) -> Option<Finding> {
    let right: &[u16] = match (told.lane, told.word.as_str()) {
        (Lane::Live, "forwarded" | "duplicate" | "pending") => &[200],
        (Lane::Backfill, "pending") => &[202],
        (Lane::Live, "META_REJECTED" | "META_DROPPED" | "EVENT_TOO_OLD") | (_, "INVALID_FIELDS" | "MALFORMED_JSON") => {
            &[400]
        }
        // The channel may be missing when the call comes, and, of a live one, when it is sent.
        (Lane::Live, "WHATSAPP_CHANNEL_NOT_CONFIGURED") => &[404, 400],
        (Lane::Backfill, "WHATSAPP_CHANNEL_NOT_CONFIGURED") | (_, "BUSINESS_NOT_FOUND") => &[404],
        (_, "BODY_TOO_LARGE") => &[413],
        (_, word) if word.starts_with("API_KEY_") => &[401],
        _ => &[],
    };
    let Told { call, lane, status, word, .. } = told;
    let contradicts =
        || Finding::AnswerContradictsItself { call: *call, lane: *lane, status: *status, told: word.clone() };
    (!right.contains(status)).then(contradicts)
}

/// A call that crashes made decide twice may have been told the first verdict: a rejected one may since be a duplicate.
fn contradiction(told: &Told, row: &Row) -> Option<Finding> {
    use Status::{Duplicate, Forwarded, Pending, Refused, Rejected};
    let may_be: &[Status] = match (told.word.as_str(), told.status) {
        ("forwarded", _) => &[Forwarded],
        ("duplicate", _) => &[Duplicate],
        ("pending", _) => &[Pending, Forwarded, Duplicate, Rejected],
        ("META_DROPPED", _) => &[Rejected, Duplicate, Forwarded],
        ("META_REJECTED" | "EVENT_TOO_OLD", _) | ("WHATSAPP_CHANNEL_NOT_CONFIGURED", 400) => &[Rejected, Duplicate],
        _ => &[Refused],
    };
    let Told { call, status, word, .. } = told;
    let contradicts =
        || Finding::RowContradictsAnswer { call: *call, status: *status, told: word.clone(), row: row.status };
    (!may_be.contains(&row.status)).then(contradicts)
}

/// The first thing in which the row is not of this call, or of this answer.
fn not_as_reported(told: &Told, row: &Row) -> Option<Finding> {
    // Of one who is not let in nothing is read: the row stands for the call alone.
    let unread = told.status == 401;
    let (order, click) = if unread { (told.call.to_string(), "") } else { (told.order.clone(), told.click.as_str()) };
    let failed = matches!(row.status, Status::Refused | Status::Rejected);
    let reason = if failed && told.word != "pending" { told.word.as_str() } else { row.reason.as_str() };
    // What else has a lane and a status that follow from what became of it is judged in the row alone.
    let (lane, http_status) = match row.status {
        Status::Refused => (None, told.status),
        _ => (Some(told.lane), row.http_status),
    };
    let pairs = [
        ("order", order, row.order.clone()),
        ("click", click.to_owned(), row.click.clone()),
        ("lane", lane.map_or("", Lane::as_str).to_owned(), row.lane.map_or("", Lane::as_str).to_owned()),
        ("HTTP status", http_status.to_string(), row.http_status.to_string()),
        ("reason", reason.to_owned(), row.reason.clone()),
        ("age over 7 days", (told.too_old && !unread).to_string(), row.too_old.to_string()),
    ];
    let differs = pairs.into_iter().find(|(_, told, row)| told != row);
    differs.map(|(what, told_it, row_says)| Finding::RowNotAsReported {
        call: told.call,
        what,
        told: told_it,
        row: row_says,
    })
}
