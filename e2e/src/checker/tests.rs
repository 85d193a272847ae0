//! The checker is fed each fault that it is there for, in an end that is otherwise sound, and must name that one alone.

mod reports;
mod requests;
mod turns;

use std::time::Duration;

use schemas::{
    CallId, Lane, LedgerRecord, OrderKey,
    ledger::{Accepted, CLAIM_KEY, Claim, Intent as Intends, Listed, Refused},
};
use uuid::Uuid;

use super::*;
use crate::history::{Deed, Fault};

const ORDER: &str = "b:Purchase:A";
/// When the intent of the order was written.
const AT: i64 = 1_000_000;
/// When its result was.
const RESULT: i64 = AT + 50;
/// When the next intent of the order was written.
const AFTER: i64 = AT + 100_000;
const META_TIMEOUT: i64 = 5_000;
const HOLD: i64 = 20_000;

fn call(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

/// A row of the live lane, or of none where it is refused.
fn row(number: u128, status: Status) -> Row {
    let duplicate_of = (status == Status::Duplicate).then(|| call(1));
    let (lane, http_status, reason) = match status {
        Status::Refused => (None, 400, "INVALID_FIELDS"),
        Status::Rejected => (Some(Lane::Live), 400, "META_REJECTED"),
        Status::Forwarded | Status::Duplicate | Status::Pending => (Some(Lane::Live), 200, ""),
    };
    let (order, click, reason) = (ORDER.to_owned(), "good".to_owned(), reason.to_owned());
    let (call, too_old, marked) = (call(number), false, false);
    Row { call, order, click, lane, too_old, http_status, status, reason, marked, duplicate_of }
}

fn in_backfill(row: Row) -> Row {
    Row { lane: Some(Lane::Backfill), http_status: 202, ..row }
}

/// An answer to a call of the backfill lane where it is a 202.
fn told(number: u128, status: u16, word: &str) -> Told {
    let lane = if status == 202 { Lane::Backfill } else { Lane::Live };
    let (order, click) = (ORDER.into(), "good".into());
    Told { call: call(number), order, click, lane, too_old: false, status, word: word.into() }
}

/// An attempt of the call at this time, on no list, without a result.
fn intent(number: u128, at: i64) -> Intent {
    let (order, by) = (ORDER.into(), "forwarder-1".into());
    let (call, logged, listed) = (call(number), at, Vec::new());
    Intent { order, call, by, at, logged, is_current: true, overrides: None, listed, result: None }
}

fn ended(accepted: bool, intent: Intent, at: i64, listed: &[Uuid]) -> Intent {
    Intent { result: Some(IntentResult { at, accepted, listed: listed.to_vec() }), ..intent }
}

/// Meta took it.
fn with_result(intent: Intent, at: i64, listed: &[Uuid]) -> Intent {
    ended(true, intent, at, listed)
}

/// Meta did not, or it was not sent.
fn refused(intent: Intent, at: i64, listed: &[Uuid]) -> Intent {
    ended(false, intent, at, listed)
}

/// One that counted.
fn request(order: &str, at: i64, unknown: bool) -> Request {
    Request { orders: vec![order.to_owned()], at, unknown, counted: true }
}

fn committed() -> Committed {
    Committed { group: "g.forwarder".into(), topic: "t".into(), partition: 3, committed: 7, end: 7 }
}

/// All that is known of the recorders.
fn recorded() -> Committed {
    Committed { group: "g.recorder".into(), ..committed() }
}

/// One order with two calls: the first is credited, the second its duplicate.
fn sound() -> Evidence {
    let end = OrderEnd { credited: Some(call(1)), ..OrderEnd::default() };
    Evidence {
        told: vec![told(1, 200, "forwarded"), told(2, 202, "pending")],
        rows: vec![row(1, Status::Forwarded), in_backfill(row(2, Status::Duplicate))],
        requests: vec![request(ORDER, AT + 10, false)],
        counted: [(ORDER.to_owned(), 1)].into(),
        ledger: LedgerEnd {
            orders: [(ORDER.to_owned(), end)].into(),
            intents: vec![with_result(intent(1, AT), RESULT, &[])],
        },
        offsets: vec![committed(), recorded()],
        meta_timeout_ms: META_TIMEOUT,
        hold_ms: HOLD,
        ..Evidence::default()
    }
}

/// The same, where the first call is on the list since its result, and whatever is behind it.
fn marked() -> Evidence {
    let mut evidence = sound();
    evidence.rows[0].marked = true;
    listed(&mut evidence).push(call(1));
    evidence.ledger.intents = vec![with_result(intent(1, AT), RESULT, &[call(1)])];
    evidence
}

/// The first call is rejected, the second was tried after it and is credited.
fn corrected() -> Evidence {
    with(sound(), |evidence| {
        evidence.rows = vec![Row { click: "sandbox-invalid-clid".into(), ..row(1, Status::Rejected) }];
        evidence.rows.push(row(2, Status::Forwarded));
        evidence.told = vec![told(2, 200, "forwarded")];
        evidence.ledger.orders.get_mut(ORDER).unwrap().credited = Some(call(2));
        let (first, second) = (refused(intent(1, AT), RESULT, &[]), intent(2, AFTER));
        evidence.ledger.intents = vec![first, with_result(second, AFTER + 50, &[])];
        evidence.requests[0].counted = false;
        evidence.requests.push(request(ORDER, AFTER + 10, false));
    })
}

/// The call of this row, and of the answer beside it, had this click id.
fn clicked(evidence: &mut Evidence, at: usize, click: &str) {
    evidence.told[at].click = click.into();
    evidence.rows[at].click = click.into();
}

fn listed(evidence: &mut Evidence) -> &mut Vec<Uuid> {
    &mut evidence.ledger.orders.get_mut(ORDER).unwrap().listed
}

fn with(mut evidence: Evidence, change: impl FnOnce(&mut Evidence)) -> Evidence {
    change(&mut evidence);
    evidence
}

fn fault(deed: Deed, of: &str, from: i64, until: i64) -> Fault {
    Fault { deed, of: of.into(), from, until }
}

/// Of what was found, which: numbers and names are the sentence's matter.
fn kinds(evidence: &Evidence) -> Vec<String> {
    let name = |finding: Finding| format!("{finding:?}").split([' ', '(']).next().unwrap().to_owned();
    check(evidence).into_iter().map(name).collect()
}

fn order() -> String {
    ORDER.into()
}

#[test]
fn a_sound_end_is_sound() {
    assert_eq!(check(&sound()), []);
    assert_eq!(check(&corrected()), []);
}

#[test]
fn a_lost_call() {
    let found = check(&with(sound(), |evidence| evidence.told.push(told(3, 202, "pending"))));
    assert_eq!(found, [Finding::NoRow { call: call(3), status: 202 }]);
}

#[test]
fn a_refused_call_needs_its_row_too() {
    let refused = with(sound(), |evidence| evidence.told.push(told(3, 400, "INVALID_FIELDS")));
    assert_eq!(check(&refused), [Finding::NoRow { call: call(3), status: 400 }]);
    assert_eq!(check(&with(refused, |evidence| evidence.rows.push(row(3, Status::Refused)))), []);
}

#[test]
fn two_rows_of_a_call() {
    let found = check(&with(sound(), |evidence| evidence.rows.push(row(2, Status::Duplicate))));
    assert_eq!(found, [Finding::ManyRows { call: call(2), rows: 2 }]);
}

#[test]
fn a_call_that_is_pending_for_ever() {
    let found = check(&with(sound(), |evidence| evidence.rows[1].status = Status::Pending));
    assert_eq!(found, [Finding::PendingForEver { call: call(2), order: order() }]);
}

#[test]
fn a_row_that_contradicts_the_answer() {
    let refused = with(sound(), |evidence| {
        evidence.told[1] = told(2, 400, "INVALID_FIELDS");
        evidence.rows[1] = row(2, Status::Duplicate);
    });
    let contradicts = Finding::RowContradictsAnswer {
        call: call(2),
        status: 400,
        told: "INVALID_FIELDS".into(),
        row: Status::Duplicate,
    };
    assert_eq!(check(&refused), [contradicts]);
    // A rejection that a crash made decide again may end as a duplicate, and never as a credit.
    let click = "sandbox-invalid-clid-c1";
    let rejected = with(sound(), |evidence| {
        evidence.told[1] = Told { click: click.into(), ..told(2, 400, "META_REJECTED") };
        evidence.rows[1] = Row { click: click.into(), ..row(2, Status::Duplicate) };
    });
    assert_eq!(check(&rejected), []);
    let told_credited = with(sound(), |evidence| {
        evidence.told[1] = told(2, 200, "forwarded");
        evidence.rows[1] = row(2, Status::Duplicate);
    });
    assert_eq!(kinds(&told_credited), ["RowContradictsAnswer"]);
}

#[test]
fn an_end_that_the_click_id_does_not_dictate() {
    let rejected = with(sound(), |evidence| evidence.rows[1] = in_backfill(row(2, Status::Rejected)));
    let (reason, click) = ("META_REJECTED".into(), "good".into());
    assert_eq!(check(&rejected), [Finding::WrongEnd { call: call(2), row: Status::Rejected, reason, click }]);
    for click in ["sandbox-invalid-clid-c1", "sandbox-drop-c1"] {
        assert_eq!(kinds(&with(sound(), |evidence| clicked(evidence, 0, click))), ["WrongEnd"]);
    }
    // A rejection says why, and its click id dictates that.
    let dropped = with(corrected(), |evidence| evidence.rows[0].reason = "META_DROPPED".into());
    assert_eq!(kinds(&dropped), ["WrongEnd"]);
    let for_nothing = with(corrected(), |evidence| evidence.rows[0].reason.clear());
    assert_eq!(kinds(&for_nothing), ["WrongEnd"]);
}

#[test]
fn click_ids_end_as_they_say() {
    for credit in ["", "ARAk-1", "sandbox-reset-counted-once-c1", "sandbox-code2-x6"] {
        assert_eq!(dictated_end(credit), Ending::Credit, "{credit}");
    }
    for rejection in ["sandbox-invalid-clid-c1", "sandbox-bad-currency", "sandbox-code10-c3"] {
        assert_eq!(dictated_end(rejection), Ending::Rejection, "{rejection}");
    }
    assert_eq!(dictated_end("sandbox-drop-c4"), Ending::Drop);
    assert_eq!(dictated_end("sandbox-drop-once-c4"), Ending::Credit);
}

#[test]
fn a_lost_order() {
    // Acknowledged, and the row of the acknowledged call is there; but no call of the order came to anything.
    let lost = with(sound(), |evidence| {
        evidence.told = vec![told(1, 202, "pending")];
        evidence.rows = vec![row(1, Status::Refused)];
        evidence.counted.clear();
        evidence.ledger.orders.clear();
    });
    assert!(check(&lost).contains(&Finding::LostOrder { order: order(), call: call(1) }), "{:?}", check(&lost));
    // Nobody promised anything to a call with a bad click.
    let bad = with(lost, |evidence| evidence.told[0].click = "sandbox-invalid-clid-c1".into());
    assert!(!kinds(&bad).contains(&"LostOrder".to_owned()));
}

#[test]
fn two_calls_of_one_order_that_are_both_credited() {
    let two = with(sound(), |evidence| evidence.rows[1].status = Status::Forwarded);
    let found = check(&two);
    assert!(found.contains(&Finding::TwoCredits { order: order(), calls: vec![call(1), call(2)] }), "{found:?}");
}

#[test]
fn a_credit_that_never_arrived() {
    let found = check(&with(sound(), |evidence| evidence.counted.clear()));
    assert_eq!(found, [Finding::NeverCounted { call: call(1), order: order() }]);
}

#[test]
fn what_was_dropped_out_of_a_batch_is_forwarded_and_says_so() {
    let dropped = with(sound(), |evidence| {
        evidence.counted.clear();
        clicked(evidence, 0, "sandbox-drop-c1");
        evidence.rows[0].reason = "META_DROPPED".into();
    });
    assert_eq!(check(&dropped), []);
    // Another event of the batch was counted, whatever its row says of the batch.
    let sound_click = with(dropped, |evidence| clicked(evidence, 0, "good"));
    assert_eq!(kinds(&sound_click), ["NeverCounted"]);
}

#[test]
fn a_doubled_order() {
    let found = check(&with(sound(), |evidence| evidence.counted.extend([(order(), 2)])));
    assert_eq!(found, [Finding::UnmarkedDouble { order: order(), times: 2 }]);
}

#[test]
fn a_count_that_no_row_admits() {
    let rejected = with(sound(), |evidence| {
        evidence.told.clear();
        evidence.rows = vec![Row { click: "sandbox-invalid-clid".into(), ..row(1, Status::Rejected) }];
        evidence.ledger.orders.get_mut(ORDER).unwrap().credited = None;
    });
    assert_eq!(check(&rejected), [Finding::CountedInVain { order: order() }]);
    let without_row = with(sound(), |evidence| evidence.counted.extend([("b:Purchase:B".into(), 1)]));
    assert_eq!(check(&without_row), [Finding::CountedWithoutRow { order: "b:Purchase:B".into() }]);
}

#[test]
fn a_mark_without_a_cause() {
    let found = check(&marked());
    assert_eq!(found, [Finding::FalseMark { call: call(1), order: order() }]);
}

#[test]
fn a_request_that_was_not_answered_is_a_cause_and_one_of_another_order_is_none() {
    let unanswered = |order| with(marked(), |evidence| evidence.requests.push(request(order, AT + 20, true)));
    assert_eq!(check(&unanswered(ORDER)), []);
    assert_eq!(kinds(&unanswered("b:Purchase:B")), ["RequestUnderNoIntent", "FalseMark"]);
}

#[test]
fn what_comes_after_a_mark_is_no_cause_of_it() {
    let unanswered = |at| with(marked(), |evidence| evidence.requests.push(request(ORDER, at, true)));
    assert_eq!(check(&unanswered(RESULT)), []);
    assert_eq!(kinds(&unanswered(RESULT + 1)), ["RequestUnderNoIntent", "FalseMark"]);
    // The intent has no result when its forwarder is killed; but the mark stood in it from its beginning.
    let mark = vec![call(1)];
    let again = Intent { overrides: Some(call(1)), listed: mark.clone(), ..intent(1, AFTER) };
    let from_the_beginning = with(marked(), |evidence| {
        let first = Intent { listed: mark.clone(), ..intent(1, AT) };
        evidence.ledger.intents = vec![first, with_result(again, AFTER + 50, &mark)];
        evidence.faults = vec![fault(Deed::Killed, "forwarder-1", AT + 20, AT + 30)];
    });
    assert_eq!(check(&from_the_beginning), [Finding::FalseMark { call: call(1), order: order() }]);
    // Nor is an intent that was disturbed later, though what disturbed it had begun before.
    let later = with(from_the_beginning, |evidence| {
        let intents = &mut evidence.ledger.intents;
        intents[0].result = Some(IntentResult { at: RESULT, accepted: false, listed: mark });
        intents[1] = Intent { by: "forwarder-2".into(), overrides: None, ..intents[1].clone() };
        evidence.faults = vec![fault(Deed::Frozen, "forwarder-2", AT - 20, AFTER + 30)];
    });
    assert_eq!(check(&later), [Finding::FalseMark { call: call(1), order: order() }]);
}

#[test]
fn a_mark_that_no_record_of_the_order_made() {
    let of_nothing = with(marked(), |evidence| {
        evidence.ledger.intents = vec![with_result(intent(1, AT), RESULT, &[])];
        evidence.requests.push(request(ORDER, AT + 20, true));
    });
    assert_eq!(check(&of_nothing), [Finding::FalseMark { call: call(1), order: order() }]);
}

#[test]
fn a_call_that_was_never_sent_took_part_in_nothing() {
    let both = with(marked(), |evidence| {
        evidence.requests.push(request(ORDER, AT + 20, true));
        evidence.rows[1].marked = true;
        listed(evidence).push(call(2));
        evidence.ledger.intents = vec![with_result(intent(1, AT), RESULT, &[call(1), call(2)])];
    });
    assert_eq!(check(&both), [Finding::FalseMark { call: call(2), order: order() }]);
}

/// What is said of the mark where the order is marked, its intent has this result, or else another intent took its place
/// before the wait for Meta can have run out, and this happened.
fn disturbed(resulted_at: Option<i64>, faults: &[Fault]) -> Vec<String> {
    let Some(at) = resulted_at else { return overridden(AT + META_TIMEOUT - 1, true, faults) };
    judged(vec![with_result(intent(1, AT), at, &[call(1)])], faults)
}

/// The same where another intent took its place at this time, and something was sent or nothing was.
fn overridden(at: i64, sent: bool, faults: &[Fault]) -> Vec<String> {
    let again = Intent { overrides: Some(call(1)), listed: vec![call(1)], ..intent(1, at) };
    let again = with_result(again, at + 50, &[call(1)]);
    judged(vec![Intent { logged: if sent { AT } else { AT + 11 }, ..intent(1, AT) }, again], faults)
}

fn judged(intents: Vec<Intent>, faults: &[Fault]) -> Vec<String> {
    let mut found = kinds(&with(marked(), |evidence| {
        evidence.ledger.intents = intents;
        evidence.faults = faults.to_vec();
    }));
    found.retain(|kind| kind != "DrainRanOut" && kind != "RequestUnderNoIntent");
    found
}

#[test]
fn an_intent_that_was_open_at_a_fault_is_a_cause() {
    for deed in [Deed::Killed, Deed::Frozen, Deed::DrainLeftCalls, Deed::DrainRanOut, Deed::LineCut] {
        let during = fault(deed, "forwarder-1", AT + 20, AT + 30);
        assert_eq!(disturbed(None, std::slice::from_ref(&during)), [""; 0], "{deed:?}");
        // A frozen forwarder, and one whose line is cut, goes on and writes the result itself.
        assert_eq!(disturbed(Some(AT + 50), &[during]), [""; 0], "{deed:?}");
    }
}

#[test]
fn faults_before_after_and_of_others_are_no_cause() {
    for (from, until) in [(AT - 30, AT - 1), (AT + 51, AT + 80)] {
        assert_eq!(disturbed(Some(AT + 50), &[fault(Deed::Killed, "forwarder-1", from, until)]), ["FalseMark"]);
        assert_eq!(disturbed(Some(AT + 50), &[fault(Deed::LineCut, "", from, until)]), ["FalseMark"]);
    }
    assert_eq!(disturbed(None, &[fault(Deed::Killed, "forwarder-2", AT + 20, AT + 30)]), ["FalseMark"]);
    let late = AT + HOLD + 1;
    assert_eq!(overridden(AFTER, false, &[fault(Deed::Killed, "forwarder-1", late, late + 10)]), ["FalseMark"]);
    for deed in [Deed::Drained, Deed::KafkaKilled, Deed::ClickHouseKilled, Deed::MetaOutage] {
        assert_eq!(disturbed(None, &[fault(deed, "forwarder-1", AT + 20, AT + 30)]), ["FalseMark"], "{deed:?}");
    }
}

#[test]
fn a_result_that_is_longer_in_coming_than_the_wait_for_meta_is_a_cause() {
    assert_eq!(disturbed(Some(AT + META_TIMEOUT), &[]), [""; 0]);
    assert_eq!(disturbed(Some(AT + META_TIMEOUT - 1), &[]), ["FalseMark"]);
}

#[test]
fn an_attempt_that_another_took_the_place_of_later_than_the_wait_for_meta_is_a_cause() {
    assert_eq!(overridden(AT + META_TIMEOUT, true, &[]), [""; 0]);
    assert_eq!(overridden(AT + META_TIMEOUT - 1, true, &[]), ["FalseMark"]);
    // Nothing was sent, or its forwarder was asked to end, and left it.
    assert_eq!(overridden(AT + META_TIMEOUT, false, &[]), ["FalseMark"]);
    let drained = |by| fault(Deed::Drained, by, AT + 20, AT + 9_000);
    assert_eq!(overridden(AFTER, true, &[drained("forwarder-1")]), ["FalseMark"]);
    assert_eq!(overridden(AFTER, true, &[drained("forwarder-2")]), [""; 0]);
}

#[test]
fn a_result_that_waits_for_kafka_may_die_with_its_forwarder_later() {
    let (away, late) = (fault(Deed::KafkaKilled, "kafka", AT + 20, AT + 15_000), AT + HOLD + 10_000);
    let killed = fault(Deed::Killed, "forwarder-1", late, late + 10);
    assert_eq!(overridden(AFTER, false, &[away, killed]), [""; 0]);
}

#[test]
fn a_mark_that_is_missing() {
    let unanswered = with(sound(), |evidence| evidence.requests.push(request(ORDER, AT + 20, true)));
    assert_eq!(check(&unanswered), [Finding::MissingMark { call: call(1), order: order() }]);
}

#[test]
fn a_mark_that_is_missing_on_a_rejected_call() {
    let unanswered = |at| with(corrected(), |evidence| evidence.requests.push(request(ORDER, at, true)));
    assert_eq!(check(&corrected()), []);
    let missing = |number| Finding::MissingMark { call: call(number), order: order() };
    assert_eq!(check(&unanswered(AT + 20)), [missing(1), missing(2)]);
    // The first had its end when the request of the second was not answered.
    assert_eq!(check(&unanswered(AFTER + 20)), [missing(2)]);
}

#[test]
fn a_mark_that_is_missing_where_an_open_intent_was_overridden() {
    // Every request was answered; but the answer died with the forwarder that waited for it.
    let overridden = with(corrected(), |evidence| {
        evidence.ledger.intents[0].result = None;
        evidence.ledger.intents[1].overrides = Some(call(1));
        evidence.faults = vec![fault(Deed::Killed, "forwarder-1", AT + 20, AT + 30)];
    });
    let missing = |number| Finding::MissingMark { call: call(number), order: order() };
    assert_eq!(check(&overridden), [missing(1), missing(2)]);
    let sound = with(overridden, |evidence| {
        let both = vec![call(1), call(2)];
        evidence.rows.iter_mut().for_each(|row| row.marked = true);
        evidence.ledger.intents[1].listed.clone_from(&both);
        *listed(evidence) = both;
    });
    assert_eq!(check(&sound), []);
}

#[test]
fn a_mark_that_a_later_attempt_has_lost() {
    // The first was marked and refused; the second forgets.
    let forgotten = with(corrected(), |evidence| {
        evidence.requests.push(request(ORDER, AT + 20, true));
        evidence.rows[0].marked = true;
        evidence.ledger.intents[0] = refused(intent(1, AT), RESULT, &[call(1)]);
        listed(evidence).push(call(1));
    });
    assert_eq!(check(&forgotten), [Finding::MissingMark { call: call(2), order: order() }]);
}

#[test]
fn a_duplicate_of_an_uncredited_call() {
    let found = check(&with(sound(), |evidence| evidence.rows[1].duplicate_of = Some(call(9))));
    assert_eq!(found, [Finding::DuplicateOfUncredited { call: call(2), of: Some(call(9)), order: order() }]);
}

#[test]
fn a_row_that_disagrees_with_the_ledger() {
    let other = with(sound(), |evidence| {
        evidence.ledger.orders.get_mut(ORDER).unwrap().credited = Some(call(2));
        evidence.ledger.intents[0].call = call(2);
    });
    let without_row = Finding::LedgerWithoutRow { order: order(), call: call(2), row: Some(Status::Duplicate) };
    let without_ledger = Finding::RowWithoutLedger { call: call(1), order: order(), credited: Some(call(2)) };
    assert_eq!(check(&other), [without_row, without_ledger]);
    let unknown = with(sound(), |evidence| evidence.ledger.orders.clear());
    assert_eq!(check(&unknown), [Finding::RowWithoutLedger { call: call(1), order: order(), credited: None }]);
    let no_row = with(sound(), |evidence| {
        let end = OrderEnd { credited: Some(call(7)), ..OrderEnd::default() };
        evidence.ledger.orders.insert("b:Purchase:B".into(), end);
        let tried = Intent { order: "b:Purchase:B".into(), ..intent(7, AT) };
        evidence.ledger.intents.push(with_result(tried, RESULT, &[]));
    });
    let (order, call) = ("b:Purchase:B".to_owned(), call(7));
    let without_row = Finding::LedgerWithoutRow { order: order.clone(), call, row: None };
    assert_eq!(check(&no_row), [without_row, Finding::IntentWithoutRow { order, call }]);
}

#[test]
fn a_mark_that_is_not_the_ledgers() {
    let on_the_list = with(sound(), |evidence| listed(evidence).push(call(1)));
    let differs = Finding::MarkNotOfLedger { call: call(1), order: order(), row: false, listed: true };
    assert_eq!(check(&on_the_list), [differs]);
}

#[test]
fn an_intent_that_was_left_open() {
    let found = check(&with(sound(), |evidence| evidence.ledger.orders.get_mut(ORDER).unwrap().open = Some(call(1))));
    assert_eq!(found, [Finding::OpenIntent { order: order(), call: call(1) }]);
}

#[test]
fn offsets_that_are_not_committed() {
    let behind = Committed { committed: 6, ..committed() };
    let found = check(&with(sound(), |evidence| evidence.offsets[0] = behind.clone()));
    assert_eq!(found, [Finding::Uncommitted(behind)]);
    assert_eq!(found[0].to_string(), "g.forwarder has committed 6 of 7 in t/3");
    // Beyond the end: Kafka has lost what it acknowledged.
    let beyond = Committed { committed: 8, ..committed() };
    assert_eq!(check(&with(sound(), |evidence| evidence.offsets[0] = beyond.clone())), [Finding::Uncommitted(beyond)]);
}

#[test]
fn offsets_that_nobody_knows() {
    let (forwarder, recorder) = (Finding::NoOffsets { group: "forwarder" }, Finding::NoOffsets { group: "recorder" });
    assert_eq!(check(&with(sound(), |evidence| evidence.offsets.clear())), [forwarder.clone(), recorder.clone()]);
    assert_eq!(check(&with(sound(), |evidence| evidence.offsets = vec![committed()])), [recorder]);
    assert_eq!(check(&with(sound(), |evidence| evidence.offsets = vec![recorded()])), [forwarder]);
}

#[test]
fn dead_letters_and_dead_workers() {
    assert_eq!(check(&with(sound(), |evidence| evidence.dead_letters = 2)), [Finding::DeadLetters { letters: 2 }]);
    let dead = with(sound(), |evidence| evidence.ended.push("recorder-1 ended".into()));
    assert_eq!(check(&dead), [Finding::EndedByItself { worker: "recorder-1 ended".into() }]);
}

#[test]
fn a_drain_may_run_out_only_where_something_is_away() {
    let ran_out = fault(Deed::DrainRanOut, "forwarder-1", AT, AT + 20_000);
    let found = check(&with(sound(), |evidence| evidence.faults = vec![ran_out.clone()]));
    assert_eq!(found, [Finding::DrainRanOut(ran_out.clone())]);
    for deed in [Deed::KafkaKilled, Deed::ClickHouseKilled] {
        let away = |from, until| vec![ran_out.clone(), fault(deed, "", from, until)];
        assert_eq!(check(&with(sound(), |evidence| evidence.faults = away(AT + 19_000, AT + 30_000))), []);
        assert_eq!(kinds(&with(sound(), |evidence| evidence.faults = away(AT - 9000, AT - 1))), ["DrainRanOut"]);
    }
}

/// When Kafka had the first record of a log.
const STAMP: i64 = 500;

#[test]
fn the_ledger_is_folded_as_the_forwarders_fold_it() {
    let key = OrderKey::of(&schemas::Call { order_id: "A".into(), ..schemas::Call::blank(CallId::now(), 0) });
    let (first, second) = (CallId::from(call(1)), CallId::from(call(2)));
    let claim = |instance: &str| {
        LedgerRecord::Claim(Claim {
            claim_id: Uuid::nil(),
            instance: instance.into(),
            partitions: 4,
            window_ms: 0,
            at: AT,
        })
    };
    let intends = |epoch, call, overrides, listed: &[CallId], at| {
        LedgerRecord::Intent(Intends { epoch, call, overrides, listed: listed.iter().copied().collect(), at })
    };
    let both = [first, second];
    let accepted = |intent, call, at| {
        LedgerRecord::Accepted(Accepted {
            intent,
            call,
            listed: Listed::from(both),
            at,
            events_received: Some(1),
            fbtrace_id: String::new(),
            http_status: 200,
            forward_attempts: 1,
            forward_ms: 1,
        })
    };
    let refused = LedgerRecord::Refused(Refused { intent: 1, call: first, listed: Listed::default(), at: AT + 9 });
    let records = [
        claim("forwarder-1"),
        intends(0, first, 0, &[], AT + 1),
        claim("forwarder-2"),
        intends(2, second, 1, &both, AT + 2),
        // The zombie's word comes too late.
        refused,
        accepted(3, second, AT + 10),
    ];
    let log = (0..).zip(records).map(|(offset, record)| {
        let is_claim = matches!(record, LedgerRecord::Claim(_));
        let key = if is_claim { CLAIM_KEY.to_owned() } else { key.to_string() };
        LogRecord { partition: 0, offset, stamp: STAMP + offset, key, record }
    });
    let end = fold(&log.collect::<Vec<_>>(), Duration::from_hours(24));
    let known = OrderEnd { credited: Some(call(2)), open: None, listed: vec![call(1), call(2)] };
    assert_eq!(end.orders, [(key.to_string(), known)].into());
    let listed = vec![call(1), call(2)];
    let first = Intent { order: key.to_string(), logged: STAMP + 1, ..intent(1, AT + 1) };
    let second = Intent {
        order: key.to_string(),
        logged: STAMP + 3,
        by: "forwarder-2".into(),
        overrides: Some(call(1)),
        listed: listed.clone(),
        ..with_result(intent(2, AT + 2), AT + 10, &listed)
    };
    assert_eq!(end.intents, [first, second]);
}
