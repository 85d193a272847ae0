//! Requests: nothing reaches Meta that was not written down before, nor after it was written down that nothing leaves.
//! Every request lies under an intent of each order that it carries.

use std::collections::BTreeSet;

use super::{Finding, attempts::Attempts, evidence::Evidence};

pub(super) fn check(evidence: &Evidence) -> Vec<Finding> {
    let orders: BTreeSet<_> = evidence.requests.iter().flat_map(|request| &request.orders).collect();
    orders.into_iter().flat_map(|order| under_none(evidence, order)).collect()
}

fn under_none(evidence: &Evidence, order: &str) -> Vec<Finding> {
    let attempts = Attempts::of(evidence, order);
    let stray = attempts.requests.iter().filter(|request| !attempts.explain(request.at));
    stray.map(|request| Finding::RequestUnderNoIntent { order: order.to_owned(), at: request.at }).collect()
}
