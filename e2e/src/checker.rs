//! What must be true in the end, whatever happened meanwhile: each acknowledged order credited, none credited twice
//! without a mark, nor more often than answers were lost; no mark without a cause; no request but under an intent; one row
//! for each call that was answered, and of what was reported; nothing pending; and offsets, ledger, answers and rows of one
//! mind. Pure: it judges [`Evidence`] that [`crate::gather`] collected from outside, and its tests feed it each fault that
//! it is there for.

mod answers;
mod attempts;
mod evidence;
mod finding;
mod ledger;
mod marks;
mod orders;
mod requests;
mod rows;

use crate::history::{Deed, Fault};

pub use evidence::{
    Committed, Ending, Evidence, Intent, IntentResult, LedgerEnd, OrderEnd, Request, Row, Status, Told, dictated_end,
};
pub use finding::Finding;
pub use ledger::{LogRecord, fold};

/// Everything that is wrong; nothing where all is well.
pub fn check(evidence: &Evidence) -> Vec<Finding> {
    let parts = [answers::check, rows::check, orders::check, requests::check, marks::check, ledger::check, at_rest];
    parts.iter().flat_map(|part| part(evidence)).collect()
}

/// Nothing is left to do, and every worker that was not ended is there.
fn at_rest(evidence: &Evidence) -> Vec<Finding> {
    let behind = evidence.offsets.iter().filter(|committed| committed.committed != committed.end);
    let mut findings: Vec<_> = behind.cloned().map(Finding::Uncommitted).collect();
    let is_known = |group: &str| evidence.offsets.iter().any(|committed| committed.group.ends_with(group));
    let unknown = ["forwarder", "recorder"].into_iter().filter(|group| !is_known(group));
    findings.extend(unknown.map(|group| Finding::NoOffsets { group }));
    if evidence.dead_letters > 0 {
        findings.push(Finding::DeadLetters { letters: evidence.dead_letters });
    }
    let ran_out =
        evidence.faults.iter().filter(|fault| fault.deed == Deed::DrainRanOut && !something_was_away(evidence, fault));
    findings.extend(ran_out.cloned().map(Finding::DrainRanOut));
    findings.extend(evidence.ended.iter().cloned().map(|worker| Finding::EndedByItself { worker }));
    findings
}

fn something_was_away(evidence: &Evidence, drain: &Fault) -> bool {
    let away = |fault: &&Fault| matches!(fault.deed, Deed::KafkaKilled | Deed::ClickHouseKilled);
    evidence.faults.iter().filter(away).any(|fault| fault.from <= drain.until && drain.from <= fault.until)
}

#[cfg(test)]
mod tests;
