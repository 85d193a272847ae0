//! A fold that counts too much agrees with itself: what it let count must have had its turn.

use super::*;

fn out_of_turn(number: u128) -> Finding {
    Finding::IntentOutOfTurn { order: order(), call: call(number) }
}

#[test]
fn a_credit_without_an_intent() {
    let without = Finding::CreditWithoutIntent { order: order(), call: call(1) };
    let none = with(sound(), |evidence| evidence.ledger.intents.clear());
    let stray = Finding::RequestUnderNoIntent { order: order(), at: AT + 10 };
    assert_eq!(check(&none), [stray, without.clone()]);
    let refused = with(sound(), |evidence| evidence.ledger.intents = vec![refused(intent(1, AT), RESULT, &[])]);
    assert_eq!(check(&refused), std::slice::from_ref(&without));
    let of_another = with(sound(), |evidence| evidence.ledger.intents[0].call = call(2));
    assert_eq!(check(&of_another), [without]);
}

#[test]
fn an_intent_after_a_credit() {
    let again = with(sound(), |evidence| {
        evidence.ledger.intents.push(with_result(intent(2, AFTER), AFTER + 50, &[]));
    });
    assert_eq!(check(&again), [out_of_turn(2)]);
}

#[test]
fn an_intent_beside_an_open_one() {
    let beside = with(corrected(), |evidence| evidence.ledger.intents[0].result = None);
    assert!(check(&beside).contains(&out_of_turn(2)), "{:?}", check(&beside));
    // One that says it takes the place of what had its end already.
    let of_a_closed = with(corrected(), |evidence| evidence.ledger.intents[1].overrides = Some(call(1)));
    assert!(check(&of_a_closed).contains(&out_of_turn(2)), "{:?}", check(&of_a_closed));
    let of_nothing = with(sound(), |evidence| evidence.ledger.intents[0].overrides = Some(call(9)));
    assert!(check(&of_nothing).contains(&out_of_turn(1)), "{:?}", check(&of_nothing));
}

#[test]
fn an_intent_of_a_forwarder_that_another_had_followed() {
    let stale = with(sound(), |evidence| evidence.ledger.intents[0].is_current = false);
    assert_eq!(check(&stale), [out_of_turn(1)]);
}

#[test]
fn an_intent_of_a_call_that_nobody_made() {
    let nobodys = with(corrected(), |evidence| {
        evidence.rows.remove(0);
    });
    assert_eq!(check(&nobodys), [Finding::IntentWithoutRow { order: order(), call: call(1) }]);
}
