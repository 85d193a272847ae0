//! What may be done with an event now (rule 7 of the ledger).

use schemas::{
    CallId,
    ledger::{Acceptance, Listed, OpenIntent},
};

use super::memory::Order;
use crate::age::is_too_old;

/// What a decision needs to know of an event.
#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    /// The call.
    pub call: CallId,
    /// When it was received, in Unix milliseconds.
    pub received_at: i64,
    /// When the conversion happened, in Unix seconds.
    pub event_time: i64,
}

/// What a decision needs to know of the partition's owner.
#[derive(Clone, Copy, Debug)]
pub struct Standpoint {
    /// The owner's epoch.
    pub epoch: i64,
    /// Whether a call of this order is at work here: from its intent until its result is read back, or it is in a tier.
    pub at_work: bool,
    /// Whether no process of an older epoch can still resolve an intent: the hold T after the own claim is over.
    pub hold_over: bool,
    /// The deduplication window, in milliseconds.
    pub window_ms: i64,
    /// Now, in Unix milliseconds.
    pub now_ms: i64,
}

/// What may be done with an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// This very call is credited: its row and verdict once more, no request.
    Credited(Acceptance),
    /// Another call is credited within the window.
    Duplicate(Acceptance),
    /// A call of this order is at work here: ask again when it is done.
    Wait,
    /// A call of an earlier owner may still be at work: ask again when its result is read, or the hold is over.
    Hold,
    /// Over 7 days old, and nothing of it is open.
    TooOld,
    /// Write an intent with these values; send once it is read back and counts.
    Intend {
        /// Offset of the open intent or the expired acceptance that it replaces; 0 for none.
        overrides: i64,
        /// The order's list, with the overridden call and this one where an outcome is unknown.
        listed: Listed,
    },
}

/// Decides. Pure: the same order, event and standpoint give the same answer.
pub fn decide(order: Option<&Order>, event: &Candidate, here: &Standpoint) -> Decision {
    let unknown = Order::default();
    let order = order.unwrap_or(&unknown);
    if let Some(accepted) = order.accepted {
        if accepted.call == event.call {
            return Decision::Credited(accepted);
        }
        if event.received_at < accepted.at + here.window_ms {
            return Decision::Duplicate(accepted);
        }
    }
    if here.at_work {
        return Decision::Wait;
    }
    if order.open.is_some_and(|open| open.epoch != here.epoch && !here.hold_over) {
        return Decision::Hold;
    }
    if order.open.is_none() && is_too_old(event.event_time, here.now_ms) {
        return Decision::TooOld;
    }
    intend(order, event.call)
}

/// An expired acceptance ends its window's list with it.
fn intend(order: &Order, call: CallId) -> Decision {
    if let Some(expired) = order.accepted {
        return Decision::Intend { overrides: expired.offset, listed: Listed::default() };
    }
    let overrides = order.open.map_or(0, |open| open.intent);
    let listed = match order.open {
        Some(OpenIntent { call: overridden, .. }) => order.listed_with([overridden, call]),
        None if order.listed.is_empty() => Listed::default(),
        None => order.listed_with([call]),
    };
    Decision::Intend { overrides, listed }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: i64 = 28 * 24 * 3_600_000;
    const NOW: i64 = 1_800_000_000_000;

    fn event(call: CallId) -> Candidate {
        Candidate { call, received_at: NOW, event_time: NOW / 1000 }
    }

    fn here() -> Standpoint {
        Standpoint { epoch: 5, at_work: false, hold_over: true, window_ms: WINDOW, now_ms: NOW }
    }

    fn credited(call: CallId, at: i64) -> Order {
        Order { accepted: Some(Acceptance { offset: 9, call, at }), at, ..Order::default() }
    }

    fn open(call: CallId, epoch: i64) -> Order {
        Order { open: Some(OpenIntent { intent: 7, epoch, call }), at: NOW, ..Order::default() }
    }

    fn intend(overrides: i64, listed: &[CallId]) -> Decision {
        Decision::Intend { overrides, listed: listed.iter().copied().collect() }
    }

    #[test]
    fn a_new_order_is_sent_without_a_mark() {
        assert_eq!(decide(None, &event(CallId::now()), &here()), intend(0, &[]));
    }

    #[test]
    fn a_credited_call_gets_its_row_again_and_no_request() {
        let call = CallId::now();
        let order = credited(call, NOW);
        assert_eq!(decide(Some(&order), &event(call), &here()), Decision::Credited(order.accepted.unwrap()));
    }

    #[test]
    fn within_the_window_another_call_is_a_duplicate_whatever_its_age() {
        let order = credited(CallId::now(), NOW - WINDOW + 1);
        let late = Candidate { event_time: 0, ..event(CallId::now()) };
        assert_eq!(decide(Some(&order), &late, &here()), Decision::Duplicate(order.accepted.unwrap()));
    }

    #[test]
    fn a_late_retry_of_a_call_from_within_the_window_is_a_duplicate() {
        let order = credited(CallId::now(), NOW - WINDOW);
        let retried = Candidate { received_at: NOW - 1, ..event(CallId::now()) };
        assert!(matches!(decide(Some(&order), &retried, &here()), Decision::Duplicate(_)));
    }

    #[test]
    fn after_the_window_the_order_may_be_sent_again_with_a_clean_list() {
        let order = Order { listed: Listed::from([CallId::now()]), ..credited(CallId::now(), NOW - WINDOW) };
        assert_eq!(decide(Some(&order), &event(CallId::now()), &here()), intend(9, &[]));
    }

    #[test]
    fn a_call_at_work_is_waited_for() {
        let at_work = Standpoint { at_work: true, ..here() };
        assert_eq!(decide(None, &event(CallId::now()), &at_work), Decision::Wait);
        assert_eq!(decide(Some(&open(CallId::now(), 5)), &event(CallId::now()), &at_work), Decision::Wait);
    }

    #[test]
    fn what_an_earlier_owner_left_open_is_held_until_the_hold_is_over() {
        let (first, second) = (CallId::now(), CallId::now());
        let order = open(first, 4);
        let holding = Standpoint { hold_over: false, ..here() };
        assert_eq!(decide(Some(&order), &event(second), &holding), Decision::Hold);
        assert_eq!(decide(Some(&order), &event(second), &here()), intend(7, &[first, second]));
    }

    #[test]
    fn what_this_owner_left_open_is_overridden_with_marks() {
        let call = CallId::now();
        let holding = Standpoint { hold_over: false, ..here() };
        assert_eq!(decide(Some(&open(call, 5)), &event(call), &holding), intend(7, &[call]));
    }

    #[test]
    fn a_list_grows_by_every_call_that_is_sent() {
        let (first, second) = (CallId::now(), CallId::now());
        let order = Order { listed: Listed::from([first]), at: NOW, ..Order::default() };
        assert_eq!(decide(Some(&order), &event(second), &here()), intend(0, &[first, second]));
        assert_eq!(decide(Some(&order), &event(first), &here()), intend(0, &[first]));
    }

    #[test]
    fn too_old_is_said_only_where_nothing_is_open() {
        let call = CallId::now();
        let last = NOW / 1000 - 7 * 24 * 3600 + 2;
        let old = |seconds| Candidate { event_time: last - seconds, ..event(call) };
        assert_eq!(decide(None, &old(1), &here()), Decision::TooOld);
        assert_eq!(decide(None, &old(0), &here()), intend(0, &[]));
        assert_eq!(decide(Some(&open(call, 5)), &old(1), &here()), intend(7, &[call]));
    }
}
