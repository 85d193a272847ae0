//! The mark `possibly_duplicate`: never without a cause, and never missing where there was one.
//!
//! The cause is an outcome that nobody can know, and it comes before the mark. Seen from outside it is one of four: the
//! stand-in says of a request of the order that its answer left that open; an intent of the order was open at the moment at
//! which the line to Meta was cut; it was open while the forwarder that wrote it was killed, stood still, or ran out of its
//! time to drain; or it was sent, and its result, or the attempt that took its place, was so long in coming that the wait
//! for Meta may have run out, which on a busy machine the stand-in does not notice: its answer had left in time. An intent
//! of another forwarder, one that has its result already, or one that was written later, is no cause; nor is anything that
//! happened after the call had its mark.
//!
//! The mark is due, however the call ends, of the call whose request that was, of the call whose open intent another took
//! the place of, and of every call of the order that is tried after either.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::{Finding, attempts::Attempts, evidence::Evidence, orders::by_order};

pub(super) fn check(evidence: &Evidence) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (order, rows) in by_order(evidence) {
        let of_order = Attempts::of(evidence, order);
        let due = of_order.due();
        for row in rows {
            let (call, order) = (row.call, order.to_owned());
            if row.marked && !of_order.has_cause(call) {
                findings.push(Finding::FalseMark { call, order });
            } else if !row.marked && due.contains(&call) {
                findings.push(Finding::MissingMark { call, order });
            }
        }
    }
    findings
}

impl Attempts<'_> {
    /// The calls that must have the mark. A request belongs to the intent that was written last before it.
    fn due(&self) -> BTreeSet<Uuid> {
        let mut due = BTreeSet::new();
        let ends = self.intents.iter().skip(1).map(|next| next.at).chain([i64::MAX]);
        for (intent, end) in self.intents.iter().zip(ends) {
            due.extend(intent.overrides);
            if !due.is_empty() || self.unknown().any(|request| request.at < end) {
                due.insert(intent.call);
            }
        }
        due
    }

    /// Whether something that could not be known came before the call's mark.
    fn has_cause(&self, call: Uuid) -> bool {
        let Some(since) = self.marked_since(call) else { return false };
        let disturbed = |number: usize| self.intents[number].at <= since && self.was_disturbed(number, since);
        self.unknown().any(|request| request.at <= since) || (0..self.intents.len()).any(disturbed)
    }

    /// When the call came onto the order's list: with the first record that counts and has it there. A call without an
    /// intent of its own took part in nothing.
    fn marked_since(&self, call: Uuid) -> Option<i64> {
        let was_tried = self.intents.iter().any(|intent| intent.call == call);
        let first = self.intents.iter().find_map(|intent| {
            let result = intent.result.as_ref().filter(|result| result.listed.contains(&call));
            if intent.listed.contains(&call) { Some(intent.at) } else { result.map(|result| result.at) }
        });
        first.filter(|_| was_tried)
    }
}
