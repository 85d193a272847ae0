//! Requests that nothing explains, and counts.

use super::*;

fn stray(at: i64) -> Finding {
    Finding::RequestUnderNoIntent { order: order(), at }
}

#[test]
fn a_request_before_its_intent() {
    let early = |by| with(sound(), |evidence| evidence.requests[0].at = AT - by);
    assert_eq!(check(&early(50_000)), [stray(AT - 50_000)]);
    // One clock: a millisecond is too much.
    assert_eq!(check(&early(1)), [stray(AT - 1)]);
    assert_eq!(check(&early(0)), []);
    // What Kafka had only later cannot have been read back when it was sent, though it was written before.
    let logged = |at| with(sound(), |evidence| evidence.ledger.intents[0].logged = at);
    assert_eq!(check(&logged(AT + 11)), [stray(AT + 10)]);
    assert_eq!(check(&logged(AT + 10)), []);
}

#[test]
fn a_request_after_the_end_of_its_intent() {
    let again = |at| with(sound(), |evidence| evidence.requests.push(request(ORDER, at, false)));
    assert_eq!(check(&again(RESULT)), []);
    assert_eq!(check(&again(RESULT + 1)), [stray(RESULT + 1)]);
    assert_eq!(check(&again(AFTER)), [stray(AFTER)]);
    // Between two attempts there is nothing.
    let between = with(corrected(), |evidence| evidence.requests[0].at = AFTER - 1);
    assert_eq!(check(&between), [stray(AFTER - 1)]);
}

#[test]
fn a_request_of_an_order_that_nobody_was_to_send() {
    let nobodys = with(sound(), |evidence| evidence.requests[0].orders.push("b:Purchase:B".into()));
    assert_eq!(check(&nobodys), [Finding::RequestUnderNoIntent { order: "b:Purchase:B".into(), at: AT + 10 }]);
}

/// A request that comes this long after its intent had its result, at this time, where this happened.
fn late(after: i64, resulted_at: i64, faults: &[Fault]) -> Vec<Finding> {
    check(&with(sound(), |evidence| {
        evidence.ledger.intents = vec![with_result(intent(1, AT), resulted_at, &[])];
        evidence.faults = faults.to_vec();
        evidence.requests.push(Request { counted: false, ..request(ORDER, resulted_at + after, false) });
    }))
}

#[test]
fn a_request_may_be_late_that_its_forwarder_had_lost_hold_of() {
    let (from, until) = (AT + 20, AT + 9_000);
    for deed in [Deed::Frozen, Deed::Killed, Deed::LineCut] {
        let during = |by| fault(deed, by, from, until);
        let longest = until + META_TIMEOUT - RESULT;
        assert_eq!(late(longest, RESULT, &[during("forwarder-1")]), [], "{deed:?}");
        assert_eq!(late(longest + 1, RESULT, &[during("forwarder-1")]).len(), 1, "{deed:?}");
        let of_another = late(longest, RESULT, &[during("forwarder-2")]).len();
        assert_eq!(of_another, usize::from(deed != Deed::LineCut), "{deed:?}");
    }
    for deed in [Deed::Drained, Deed::KafkaKilled, Deed::ClickHouseKilled, Deed::MetaOutage] {
        assert_eq!(late(1, RESULT, &[fault(deed, "forwarder-1", from, until)]).len(), 1, "{deed:?}");
    }
    // It was frozen once all was done.
    assert_eq!(late(100, RESULT, &[fault(Deed::Frozen, "forwarder-1", RESULT + 1, until)]).len(), 1);
}

#[test]
fn a_request_may_be_late_that_its_forwarder_had_waited_for_long_enough() {
    assert_eq!(late(META_TIMEOUT, AT + META_TIMEOUT, &[]), []);
    assert_eq!(late(META_TIMEOUT + 1, AT + META_TIMEOUT, &[]).len(), 1);
    assert_eq!(late(1, AT + META_TIMEOUT - 1, &[]).len(), 1);
}

/// The first attempt had no known outcome, the second took its place, in the end of which the order was counted so often.
fn twice_tried(times: usize) -> Evidence {
    with(sound(), |evidence| {
        let mark = vec![call(1)];
        evidence.rows[0].marked = true;
        listed(evidence).push(call(1));
        let again = Intent { overrides: Some(call(1)), listed: mark.clone(), ..intent(1, AFTER) };
        evidence.ledger.intents = vec![intent(1, AT), with_result(again, AFTER + 50, &mark)];
        evidence.requests = vec![request(ORDER, AT + 20, true), request(ORDER, AFTER + 20, false)];
        evidence.counted = [(order(), times)].into();
    })
}

#[test]
fn a_mark_excuses_no_count_that_no_lost_answer_explains() {
    let too_often = |times, at_most| [Finding::CountedTooOften { order: order(), times, at_most }];
    assert_eq!(check(&twice_tried(2)), []);
    assert_eq!(check(&twice_tried(3)), too_often(3, 2));
    // A request that was not answered and did not count explains nothing.
    let uncounted = |times| with(twice_tried(times), |evidence| evidence.requests[0].counted = false);
    assert_eq!(check(&uncounted(1)), []);
    assert_eq!(check(&uncounted(2)), too_often(2, 1));
    // Nor does an intent whose end is known, however many of its requests were answered.
    let answered = |at, times| with(twice_tried(times), |evidence| evidence.requests.push(request(ORDER, at, false)));
    assert_eq!(check(&answered(AFTER + 30, 3)), too_often(3, 2));
    // Another answer of the first attempt may be lost as well, once.
    assert_eq!(check(&answered(AT + 30, 3)), []);
    assert_eq!(check(&answered(AT + 30, 4)), too_often(4, 3));
}

#[test]
fn a_count_after_the_mark_that_no_intent_explains() {
    let evidence = with(marked(), |evidence| {
        evidence.requests.push(request(ORDER, AT + 20, true));
        evidence.requests.push(request(ORDER, AFTER, false));
        evidence.counted = [(order(), 5)].into();
    });
    assert_eq!(check(&evidence), [Finding::CountedTooOften { order: order(), times: 5, at_most: 2 }, stray(AFTER)]);
}

#[test]
fn a_frozen_forwarder_may_send_once_another_took_its_place() {
    let frozen = |until| {
        with(twice_tried(2), |evidence| {
            evidence.ledger.intents[1].by = "forwarder-2".into();
            evidence.requests[0] = request(ORDER, AFTER + 5_001, false);
            evidence.faults = vec![fault(Deed::Frozen, "forwarder-1", AT + 1, until)];
        })
    };
    assert_eq!(check(&frozen(AFTER + 4_900)), []);
    let too_often = Finding::CountedTooOften { order: order(), times: 2, at_most: 1 };
    assert_eq!(check(&frozen(AT + 1_000)), [too_often, stray(AFTER + 5_001)]);
}
