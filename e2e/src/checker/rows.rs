//! Rows, each by itself: it has an end, one that its click id and its age dictate, and the HTTP status of that end.

use schemas::Lane;

use super::{
    Finding,
    evidence::{Ending, Evidence, Row, Status, dictated_end},
};

pub(super) fn check(evidence: &Evidence) -> Vec<Finding> {
    evidence.rows.iter().flat_map(|row| [unfinished(row), contradicts_itself(row)]).flatten().collect()
}

fn unfinished(row: &Row) -> Option<Finding> {
    let Row { call, order, click, status, reason, .. } = row;
    let ending = dictated_end(click);
    let right = match status {
        Status::Pending => return Some(Finding::PendingForEver { call: *call, order: order.clone() }),
        // Refused before Meta was asked, or credited to another call: no matter of the click id.
        Status::Refused | Status::Duplicate => true,
        Status::Forwarded => !row.too_old && (ending == Ending::Credit || is_dropped_of_batch(row)),
        Status::Rejected => match reason.as_str() {
            "EVENT_TOO_OLD" => row.too_old,
            "META_REJECTED" => ending == Ending::Rejection,
            "META_DROPPED" => ending == Ending::Drop,
            // What was acknowledged and ends so is a lost order all the same, unless it is sent again.
            reason => reason == "WHATSAPP_CHANNEL_NOT_CONFIGURED",
        },
    };
    let wrong = || Finding::WrongEnd { call: *call, row: *status, reason: reason.clone(), click: click.clone() };
    (!right).then(wrong)
}

/// Of a batch that Meta counted in part nobody knows which event is missing: all of it ends forwarded, and says so.
pub(super) fn is_dropped_of_batch(row: &Row) -> bool {
    row.reason == "META_DROPPED" && dictated_end(&row.click) == Ending::Drop
}

/// The backfill lane is 202 throughout; what is refused has no lane, and the status of its answer.
fn contradicts_itself(row: &Row) -> Option<Finding> {
    let Row { call, status, lane, http_status, .. } = *row;
    let right = match (status, lane) {
        (Status::Refused, None) => (400..500).contains(&http_status),
        (Status::Refused, Some(_)) | (_, None) => false,
        (_, Some(Lane::Backfill)) => http_status == 202,
        (Status::Rejected, Some(Lane::Live)) => http_status == 400,
        (_, Some(Lane::Live)) => http_status == 200,
    };
    (!right).then_some(Finding::RowContradictsItself { call, row: status, lane, http_status })
}
