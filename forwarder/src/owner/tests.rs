//! The owner against a scripted Kafka and Meta, with time paused.

mod settle;
mod world;

use std::{sync::Arc, time::Duration};

use schemas::{
    Call, CallId, ConversionStatus, LedgerRecord, OrderKey, Reason,
    ledger::{Intent, Listed, Refused},
};
use tokio::{
    sync::mpsc,
    task::JoinHandle,
    time::{Instant, sleep, sleep_until},
};
use worker::{health::Health, shutdown::Shutdown};

use super::Mail;
use crate::{
    assignment::Assignment,
    clock,
    group::{Change, Confirmation},
    inputs::Input,
    meta::{Class, Limits, share::Room},
    tenure::Tenure,
};
use world::{Ack, Fails, PARTITION, Stage, World, call, moments};

const SECOND: Duration = Duration::from_secs(1);

// The bounds of rules 7, 8 and 12 as the ledger's rules state them, not as the code computes them: the tests hold the
// code to these.

/// Rule 8: every request under an intent starts within this time.
const START: Duration = Duration::from_secs(5);
/// Rule 12: a drain ends within this time.
const DRAIN: Duration = Duration::from_secs(20);
/// Rules 7 and 12: T, which exceeds the longest life of an intent.
const HOLD: Duration = Duration::from_secs(30);

fn refusals(world: &World) -> usize {
    world.log().iter().filter(|record| matches!(record, LedgerRecord::Refused(_))).count()
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_before_its_intent_is_read_back() {
    let stage = Stage::owning().await;
    stage.world.hold_log();
    stage.arrive(0, call("a")).await;
    sleep(SECOND * 60).await;
    assert_eq!(stage.world.requests(), 0);
    stage.world.land();
    moments().await;
    assert_eq!(stage.world.requests(), 1);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_settled_before_its_result_is_read_back() {
    let stage = Stage::owning().await;
    stage.world.meta_says(None);
    stage.arrive(0, call("a")).await;
    stage.world.hold_log();
    stage.world.meta_says(Some(Class::Accepted));
    sleep(SECOND * 60).await;
    assert_eq!((stage.world.rows().len(), stage.world.verdicts(), stage.committed()), (0, 0, None));
    stage.world.land();
    moments().await;
    assert_eq!((stage.world.rows().len(), stage.world.verdicts(), stage.committed()), (1, 1, Some(1)));
}

/// Invariant 2: as long as one acknowledgement is missing, the offset stays.
async fn an_offset_stays_without(ack: Ack, meta: Class) {
    let stage = Stage::owning().await;
    stage.world.meta_says(Some(meta));
    stage.world.hold_back(ack);
    stage.arrive(0, call("a")).await;
    sleep(SECOND * 60).await;
    assert_eq!((stage.world.rows().len(), stage.committed()), (1, None));
    stage.world.release();
    moments().await;
    assert_eq!(stage.committed(), Some(1));
}

#[tokio::test(start_paused = true)]
async fn an_offset_stays_without_the_acknowledgement_of_its_row() {
    an_offset_stays_without(Ack::Record, Class::Accepted).await;
}

#[tokio::test(start_paused = true)]
async fn an_offset_stays_without_the_acknowledgement_of_its_verdict() {
    an_offset_stays_without(Ack::Verdict, Class::Accepted).await;
}

#[tokio::test(start_paused = true)]
async fn an_offset_stays_without_the_acknowledgement_of_its_tier_copy() {
    an_offset_stays_without(Ack::Tier, Class::Unknown).await;
}

#[tokio::test(start_paused = true)]
async fn nothing_is_consumed_before_the_claim_is_confirmed() {
    let stage = Stage::assigned().await;
    sleep(SECOND * 60).await;
    assert!(!stage.world.is_consuming());
    stage.group_says(Confirmation::Accepted).await;
    assert!(stage.world.is_consuming());
}

#[tokio::test(start_paused = true)]
async fn an_old_answer_of_the_group_confirms_no_newer_claim() {
    let stage = Stage::assigned().await;
    stage.world.foreign_claim();
    moments().await;
    assert_eq!(stage.world.questions(), 2);
    stage.group_says(Confirmation::Accepted).await;
    assert!(!stage.world.is_consuming());
    // The second answer makes it claim again; the third confirms that claim.
    stage.group_says(Confirmation::Accepted).await;
    assert!(!stage.world.is_consuming());
    stage.group_says(Confirmation::Accepted).await;
    assert!(stage.world.is_consuming());
}

#[tokio::test(start_paused = true)]
async fn a_newer_claim_stops_sending_until_the_group_confirms() {
    let stage = Stage::owning().await;
    stage.world.foreign_claim();
    moments().await;
    stage.arrive(0, call("a")).await;
    sleep(SECOND * 60).await;
    assert_eq!(stage.world.requests(), 0);
    stage.group_says(Confirmation::Accepted).await;
    assert_eq!(stage.world.requests(), 0, "the new claim is not confirmed yet");
    stage.group_says(Confirmation::Accepted).await;
    assert_eq!((stage.world.requests(), stage.committed()), (1, Some(1)));
}

#[tokio::test(start_paused = true)]
async fn a_refused_confirmation_drops_the_partition() {
    let stage = Stage::owning().await;
    stage.world.foreign_claim();
    moments().await;
    stage.group_says(Confirmation::Refused).await;
    assert!(!stage.tenure.is_live());
    assert!(!stage.world.is_consuming());
    assert!(!*stage.owner.ready.borrow());
}

/// Rule 8: a permission belongs to one claim.
#[tokio::test(start_paused = true)]
async fn what_was_fenced_stays_fenced_when_a_later_claim_is_confirmed() {
    let tenure = Tenure::new(PARTITION);
    tenure.confirm();
    let before = tenure.may_send();
    tenure.fence();
    tenure.confirm();
    assert!(!before.load(std::sync::atomic::Ordering::SeqCst));
    assert!(tenure.may_send_now());
    tenure.revoke();
    tenure.confirm();
    assert!(!tenure.may_send_now(), "a tenure that is over is confirmed by nothing");
}

fn open_of_another(world: &World, call: &Call) {
    let epoch = world.foreign_claim();
    let intent = Intent { epoch, call: CallId::now(), overrides: 0, listed: Listed::default(), at: clock::now_ms() };
    world.append(&OrderKey::of(call), LedgerRecord::Intent(intent));
}

#[tokio::test(start_paused = true)]
async fn what_an_earlier_owner_left_open_is_held_for_t_and_others_go_on() {
    let held = call("held");
    let began = Instant::now();
    let stage = Stage::after(|world| open_of_another(world, &held)).await;
    stage.group_says(Confirmation::Accepted).await;
    stage.arrive(0, held).await;
    stage.arrive(1, call("other")).await;
    assert_eq!(stage.world.requests(), 1, "only the other order goes on");
    sleep_until(began + HOLD - SECOND / 10).await;
    assert_eq!(stage.world.requests(), 1);
    sleep(SECOND / 5).await;
    assert_eq!(stage.world.requests(), 2);
    let marks: Vec<_> = stage.world.rows().iter().map(|row| row.outcome.possibly_duplicate).collect();
    assert_eq!(marks, [false, true]);
    let Some(LedgerRecord::Accepted(accepted)) = stage.world.log().last().cloned() else { panic!("it was accepted") };
    assert_eq!(accepted.listed.iter().count(), 2, "the call that was overridden is listed too");
    assert_eq!(stage.committed(), Some(2));
}

#[tokio::test(start_paused = true)]
async fn an_unknown_outcome_leaves_the_intent_open_and_goes_to_a_tier() {
    let stage = Stage::owning().await;
    stage.world.meta_says(None);
    stage.arrive(0, call("a")).await;
    sleep(SECOND * 60).await;
    assert_eq!((stage.world.copies(), refusals(&stage.world), stage.committed()), (1, 0, Some(1)));
    assert_eq!(stage.world.rows()[0].outcome.conversion_status, ConversionStatus::Pending);
}

/// Every record of an order carries its list, a refusal too: the mark outlives a tier and a refusal.
#[tokio::test(start_paused = true)]
async fn a_retry_keeps_the_mark() {
    let stage = Stage::owning().await;
    let retried = call("a");
    stage.world.meta_says(None);
    stage.arrive(0, retried.clone()).await;
    sleep(SECOND * 60).await;
    stage.world.meta_says(Some(Class::BadClick));
    stage.come_back(0).await;
    sleep(SECOND * 60).await;
    let Some(LedgerRecord::Refused(refused)) = stage.world.log().last().cloned() else { panic!("it was refused") };
    assert_eq!(refused.listed, Listed::from([retried.call_id]));
    let another = call("a");
    stage.world.meta_says(Some(Class::Accepted));
    stage.arrive(1, another.clone()).await;
    sleep(SECOND).await;
    let Some(LedgerRecord::Accepted(accepted)) = stage.world.log().last().cloned() else { panic!("it was accepted") };
    assert_eq!(accepted.listed.iter().count(), 2);
    assert!([retried.call_id, another.call_id].iter().all(|call| accepted.listed.holds(*call)));
    let marks: Vec<_> = stage.world.rows().iter().map(|row| row.outcome.possibly_duplicate).collect();
    assert_eq!(marks, [false, true, true], "a pending row is no end yet");
}

/// A record of an order holds its list, and must stay writable however often the order is reported.
#[tokio::test(start_paused = true)]
async fn an_order_that_is_reported_without_end_keeps_a_bounded_list_and_marks_every_call() {
    let stage = Stage::owning().await;
    stage.world.meta_says(None);
    stage.arrive(0, call("a")).await;
    sleep(SECOND * 60).await;
    stage.world.meta_says(Some(Class::BadClick));
    let calls = 3 * Listed::FULL;
    for offset in (1..).take(calls) {
        stage.arrive(offset, call("a")).await;
    }
    sleep(SECOND * 60).await;
    assert!(stage.world.log().iter().all(|record| record.encode().len() < 16 * Listed::FULL + 200));
    let rows = stage.world.rows();
    let ends = rows.iter().filter(|row| row.outcome.conversion_status != ConversionStatus::Pending);
    assert_eq!(ends.clone().count(), calls);
    assert!(ends.clone().all(|row| row.outcome.possibly_duplicate));
}

/// Rule 10 of the ledger: Meta may have counted the first request as well as the one that it accepted.
#[tokio::test(start_paused = true)]
async fn a_credit_after_an_unknown_request_is_marked() {
    let stage = Stage::owning().await;
    stage.world.meta_says(Some(Class::Unknown));
    stage.arrive(0, call("a")).await;
    stage.world.meta_says(Some(Class::Accepted));
    sleep(SECOND * 4).await;
    assert_eq!((stage.world.requests(), stage.world.copies()), (2, 0), "it was sent again within its one intent");
    let marks: Vec<_> = stage.world.rows().iter().map(|row| row.outcome.possibly_duplicate).collect();
    assert_eq!(marks, [true]);
}

/// A later row replaces an earlier one only under the same key, and the verdict finds its caller by it.
#[tokio::test(start_paused = true)]
async fn every_row_of_a_call_tells_of_the_call_as_it_came() {
    let stage = Stage::owning().await;
    let came = call("a");
    stage.world.meta_says(None);
    stage.arrive(0, came.clone()).await;
    sleep(SECOND * 60).await;
    stage.world.meta_says(Some(Class::Accepted));
    stage.come_back(0).await;
    sleep(SECOND).await;
    // Read once more: Kafka gives every message at least once.
    stage.come_back(1).await;
    let rows = stage.world.rows();
    let statuses: Vec<_> = rows.iter().map(|row| row.outcome.conversion_status).collect();
    assert_eq!(statuses, [ConversionStatus::Pending, ConversionStatus::Forwarded, ConversionStatus::Forwarded]);
    assert!(rows.iter().all(|row| row.call == came), "{rows:?}");
    assert!(stage.world.verdict_calls().iter().all(|call| *call == came.call_id));
}

#[tokio::test(start_paused = true)]
async fn a_revocation_lets_calls_finish_and_commits_nothing() {
    let stage = Stage::owning().await;
    stage.world.meta_says(None);
    stage.arrive(0, call("a")).await;
    stage.tenure.revoke();
    stage.tell(Mail::Revoked).await;
    stage.world.meta_says(Some(Class::Accepted));
    sleep(SECOND).await;
    assert!(matches!(stage.world.log().last(), Some(LedgerRecord::Accepted(_))));
    assert_eq!((stage.world.rows().len(), stage.world.verdicts(), stage.committed()), (1, 1, None));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_after_a_revocation() {
    let stage = Stage::owning().await;
    stage.world.hold_log();
    stage.arrive(0, call("a")).await;
    stage.tenure.revoke();
    stage.world.let_land();
    sleep(SECOND * 60).await;
    assert_eq!((stage.world.requests(), stage.committed()), (0, None));
    assert_eq!(refusals(&stage.world), 1);
}

#[tokio::test(start_paused = true)]
async fn a_partition_that_stays_is_not_restored_again() {
    let stage = Stage::owning().await;
    stage.arrive(0, call("a")).await;
    stage.tenure.revoke();
    stage.tell(Mail::Revoked).await;
    stage.tell(Mail::Assigned(Arc::new(Tenure::new(PARTITION)))).await;
    assert_eq!(stage.world.followed_from(), [0], "its log was followed all the time");
    stage.tell(Mail::Gone).await;
    stage.tell(Mail::Assigned(Arc::new(Tenure::new(PARTITION)))).await;
    assert_eq!(stage.world.followed_from(), [0, 0], "what was another's is restored");
}

#[tokio::test(start_paused = true)]
async fn a_drain_ends_with_the_last_answer_and_lets_it_be_committed() {
    let stage = Stage::owning().await;
    stage.world.meta_says(None);
    stage.arrive(0, call("a")).await;
    let (drained, wait) = tokio::sync::oneshot::channel();
    stage.tell(Mail::Drain(drained)).await;
    assert!(tokio::time::timeout(DRAIN, wait).await.is_ok());
    assert_eq!(stage.committed(), Some(1));
}

fn stale_intent(call: &Call, epoch: i64) -> LedgerRecord {
    LedgerRecord::Intent(Intent {
        epoch,
        call: call.call_id,
        overrides: 0,
        listed: Listed::default(),
        at: clock::now_ms(),
    })
}

/// Rule 6. An intent that landed before the repair would be taken back by it.
#[tokio::test(start_paused = true)]
async fn a_void_record_is_repaired_and_no_intent_overtakes_the_repair() {
    let stage = Stage::after(|world| assert_eq!(world.foreign_claim(), 0)).await;
    stage.group_says(Confirmation::Accepted).await;
    stage.world.hold_log();
    let (zombies, ours) = (call("a"), call("a"));
    let void = stage.world.append(&OrderKey::of(&zombies), stale_intent(&zombies, 0));
    moments().await;
    stage.arrive(0, ours.clone()).await;
    sleep(SECOND * 60).await;
    let [LedgerRecord::State(repair)] = &stage.world.on_the_way()[..] else {
        panic!("the repair alone is written: {:?}", stage.world.on_the_way())
    };
    assert_eq!((repair.after, repair.open, repair.accepted), (void, None, None));
    stage.world.land();
    moments().await;
    assert!(matches!(&stage.world.on_the_way()[..], [LedgerRecord::Intent(intent)] if intent.call == ours.call_id));
    stage.world.let_land();
    moments().await;
    assert_eq!((stage.world.requests(), stage.committed()), (1, Some(1)));
}

/// A dataset that takes one request at a time.
fn one_request() -> Limits {
    Limits { dataset_requests: 1, ..Limits::new(clock::now_ms) }
}

/// Two orders under one dataset, of which the first is with a Meta that does not answer.
async fn one_sent_and_one_queued() -> Stage {
    let stage = Stage::within(one_request()).await;
    stage.world.meta_says(None);
    stage.arrive(0, call("sent")).await;
    stage.arrive(1, call("queued")).await;
    assert_eq!((stage.world.requests(), stage.world.log().len()), (1, 3), "both intents are read back");
    stage
}

/// Rule 8: read-back + 5 s.
#[tokio::test(start_paused = true)]
async fn what_could_not_start_within_5_s_is_never_sent_and_waits_in_a_tier_without_a_mark() {
    let stage = one_sent_and_one_queued().await;
    sleep(START.saturating_sub(SECOND / 10)).await;
    assert_eq!((refusals(&stage.world), stage.world.copies()), (0, 0));
    sleep(SECOND).await;
    stage.world.meta_says(Some(Class::Accepted));
    sleep(SECOND * 60).await;
    assert_eq!((stage.world.requests(), refusals(&stage.world), stage.world.copies()), (1, 1, 1));
    assert!(stage.world.rows().iter().all(|row| !row.outcome.possibly_duplicate));
    assert_eq!((stage.world.rows().len(), stage.committed()), (2, Some(2)));
}

/// Rule 8: a permission belongs to one claim, and a later one does not bring it back.
#[tokio::test(start_paused = true)]
async fn what_was_queued_at_a_fence_is_not_sent_under_the_old_permission() {
    let stage = one_sent_and_one_queued().await;
    stage.world.foreign_claim();
    moments().await;
    stage.group_says(Confirmation::Accepted).await;
    stage.group_says(Confirmation::Accepted).await;
    assert!(stage.tenure.may_send_now(), "the claim that follows is confirmed");
    stage.world.meta_says(Some(Class::Accepted));
    sleep(SECOND * 10).await;
    assert_eq!((stage.world.requests(), refusals(&stage.world)), (1, 1));
    assert!(stage.world.rows().iter().all(|row| !row.outcome.possibly_duplicate));
    assert_eq!((stage.world.rows().len(), stage.committed()), (2, Some(2)));
}

/// A process that has one event in flight at a time.
fn one_event() -> Limits {
    Limits { process: Room { events: 1, bytes: 1 << 20 }, ..Limits::new(clock::now_ms) }
}

#[tokio::test(start_paused = true)]
async fn an_intent_of_an_earlier_tenure_that_was_not_read_gives_its_room_back() {
    let stage = Stage::within(one_event()).await;
    stage.world.hold_log();
    stage.arrive(0, call("late")).await;
    stage.tenure.revoke();
    stage.tell(Mail::Revoked).await;
    stage.tell(Mail::Assigned(Arc::new(Tenure::new(PARTITION)))).await;
    stage.world.land_newest();
    moments().await;
    stage.group_says(Confirmation::Accepted).await;
    stage.arrive(0, call("next")).await;
    stage.world.land_newest();
    moments().await;
    assert_eq!((stage.world.requests(), stage.world.copies()), (1, 0));
    stage.world.let_land();
    sleep(SECOND * 60).await;
    assert_eq!(stage.world.requests(), 1, "where it lands late, it is void");
}

/// Both are of one call. Taken for the own one, the void intent would have the event decided about anew, or given up, while
/// the one that counts is on its way: nobody would close that, and the next owner would mark the order without cause.
#[tokio::test(start_paused = true)]
async fn a_void_intent_of_an_earlier_tenure_is_not_taken_for_the_present_one_s() {
    let (mut stage, twice) = (Stage::owning().await, call("a"));
    stage.world.hold_log();
    stage.arrive(0, twice.clone()).await;
    stage.assign_again().await;
    stage.world.land_newest();
    moments().await;
    stage.group_says(Confirmation::Accepted).await;
    stage.arrive(0, twice.clone()).await;
    assert_eq!(stage.world.on_the_way().len(), 2, "an intent of each tenure");
    stage.tell(Mail::Revoked).await;
    stage.world.let_land();
    moments().await;
    stage.assign_again().await;
    stage.group_says(Confirmation::Accepted).await;
    stage.arrive(0, twice).await;
    sleep(SECOND * 60).await;
    let marks: Vec<_> = stage.world.rows().iter().map(|row| row.outcome.possibly_duplicate).collect();
    assert_eq!((stage.world.requests(), marks, stage.committed()), (1, vec![false], Some(1)));
}

/// Records of another order land all the time: the owner is never idle for as long as parked events wait to ask.
fn keep_busy(world: World) {
    let busy = call("busy");
    tokio::spawn(async move {
        loop {
            let refused = Refused { intent: 0, call: busy.call_id, listed: Listed::default(), at: clock::now_ms() };
            world.append(&OrderKey::of(&busy), LedgerRecord::Refused(refused));
            sleep(super::PARKED_ASK / 2).await;
        }
    });
}

/// One event is with Meta and fills the room, a backfill event is parked, and the partition is busy.
async fn one_parked() -> Stage {
    let stage = Stage::within(one_event()).await;
    keep_busy(stage.world.clone());
    stage.world.meta_says(None);
    stage.arrive(0, call("sent")).await;
    stage.world.arrive(Input::Backfill, 0, call("parked"));
    sleep(SECOND * 9 / 10).await;
    assert_eq!((stage.world.requests(), stage.world.copies()), (1, 0));
    stage
}

#[tokio::test(start_paused = true)]
async fn a_parked_event_finds_room_again() {
    let stage = one_parked().await;
    stage.world.meta_says(Some(Class::Accepted));
    sleep(super::PARKED_ASK * 3).await;
    assert_eq!((stage.world.requests(), stage.world.copies()), (2, 0));
    assert_eq!(stage.world.committed(Input::Backfill), Some(1));
}

#[tokio::test(start_paused = true)]
async fn a_parked_event_goes_to_a_tier_after_a_second() {
    let stage = one_parked().await;
    sleep(SECOND / 5).await;
    assert_eq!((stage.world.requests(), stage.world.copies()), (1, 1));
    assert_eq!((stage.committed(), stage.world.committed(Input::Backfill)), (None, Some(1)));
}

fn old(order: &str) -> Call {
    Call { event_time: Some(clock::now_ms() / 1000 - 8 * 24 * 3600), ..call(order) }
}

/// Rule 7: too old ends at once where nothing is open, without an intent.
#[tokio::test(start_paused = true)]
async fn an_old_event_of_an_order_with_nothing_open_is_rejected_without_an_intent() {
    let stage = Stage::owning().await;
    stage.arrive(0, old("a")).await;
    assert_eq!(stage.world.rows()[0].outcome.reason, Some(Reason::EventTooOld));
    assert_eq!((stage.world.log().len(), stage.world.requests(), stage.committed()), (1, 0, Some(1)));
}

/// Where something is open, Meta may have it: the event is held for T first, and its row bears the mark.
#[tokio::test(start_paused = true)]
async fn an_old_event_of_an_open_order_is_held_and_then_rejected_with_a_mark() {
    let held = old("a");
    let stage = Stage::after(|world| open_of_another(world, &held)).await;
    stage.group_says(Confirmation::Accepted).await;
    stage.arrive(0, held).await;
    sleep(HOLD.saturating_sub(SECOND)).await;
    assert!(stage.world.rows().is_empty());
    sleep(SECOND * 2).await;
    let outcome = &stage.world.rows()[0].outcome;
    assert_eq!((outcome.reason, outcome.possibly_duplicate), (Some(Reason::EventTooOld), true));
    assert_eq!((stage.world.requests(), refusals(&stage.world), stage.committed()), (0, 1, Some(1)));
}

/// A process that has the partition, with a call that Meta does not answer, and is asked to end.
async fn ending() -> (World, JoinHandle<()>) {
    let (world, shutdown) = (World::new(), Shutdown::default());
    let health = Health::new(shutdown.clone()).dependency("partitions");
    let (group, changes) = mpsc::unbounded_channel();
    let shop = world.workshop(Limits::new(clock::now_ms));
    let following = tokio::spawn(Assignment::new(shop, health).follow(changes, shutdown.clone()));
    assert!(group.send(Change::Assigned(vec![Arc::new(Tenure::new(PARTITION))])).is_ok());
    moments().await;
    world.group_says(Confirmation::Accepted);
    moments().await;
    world.meta_says(None);
    world.arrive(Input::Live, 0, call("a"));
    moments().await;
    shutdown.request();
    moments().await;
    (world, following)
}

/// Rule 12: a drain waits for what is in flight.
#[tokio::test(start_paused = true)]
async fn a_process_that_ends_waits_for_its_calls_and_commits_them() {
    let (world, following) = ending().await;
    sleep(SECOND * 10).await;
    assert!(!following.is_finished());
    assert_eq!(world.commits(), []);
    world.meta_says(Some(Class::Accepted));
    moments().await;
    assert!(following.is_finished());
    assert_eq!(world.commits(), [Some(1)], "what finished is committed at the end");
}

/// Rule 12: and it does not wait for ever. What is not done by then comes again.
#[tokio::test(start_paused = true)]
async fn a_process_that_ends_waits_no_longer_than_the_drain_is_given() {
    let (world, following) = ending().await;
    world.hold_log();
    world.meta_says(Some(Class::Accepted));
    sleep(DRAIN.saturating_sub(SECOND)).await;
    assert!(!following.is_finished());
    sleep(SECOND).await;
    assert!(following.is_finished());
    assert_eq!(world.commits(), [None]);
}

/// Invariant 2: what an earlier tenure read is committed by nobody, not even where the present one has the same offset.
#[tokio::test(start_paused = true)]
async fn what_an_earlier_tenure_finishes_passes_no_offset_of_the_present_one() {
    let stage = Stage::owning().await;
    stage.world.hold_back(Ack::Record);
    stage.arrive(0, call("a")).await;
    stage.tenure.revoke();
    stage.tell(Mail::Revoked).await;
    stage.tell(Mail::Assigned(Arc::new(Tenure::new(PARTITION)))).await;
    stage.group_says(Confirmation::Accepted).await;
    stage.world.hold_log();
    stage.arrive(0, call("b")).await;
    stage.world.release();
    moments().await;
    assert_eq!((stage.world.rows().len(), stage.committed()), (1, None));
    stage.world.let_land();
    moments().await;
    assert_eq!(stage.committed(), Some(1));
}

/// Rule 6: a call at work ends in a record of its own, and a repair would take its intent back.
#[tokio::test(start_paused = true)]
async fn a_void_record_is_not_repaired_while_the_order_is_at_work() {
    let stage = Stage::after(|world| assert_eq!(world.foreign_claim(), 0)).await;
    stage.group_says(Confirmation::Accepted).await;
    stage.world.meta_says(None);
    let (zombies, ours) = (call("a"), call("a"));
    stage.arrive(0, ours).await;
    stage.world.append(&OrderKey::of(&zombies), stale_intent(&zombies, 0));
    sleep(SECOND).await;
    stage.world.meta_says(Some(Class::Accepted));
    sleep(SECOND).await;
    assert!(!stage.world.log().iter().any(|record| matches!(record, LedgerRecord::State(_))));
    assert_eq!((stage.world.requests(), stage.committed()), (1, Some(1)));
}

/// Rule 6: a restore from a compacted log might take the later one for counting.
#[tokio::test(start_paused = true)]
async fn a_void_record_behind_the_one_that_is_being_repaired_is_repaired_too() {
    let stage = Stage::after(|world| assert_eq!(world.foreign_claim(), 0)).await;
    stage.group_says(Confirmation::Accepted).await;
    stage.world.hold_log();
    let zombies = call("a");
    stage.world.append(&OrderKey::of(&zombies), stale_intent(&zombies, 0));
    moments().await;
    let later = stage.world.append(&OrderKey::of(&zombies), stale_intent(&zombies, 0));
    stage.world.let_land();
    sleep(SECOND).await;
    let log = stage.world.log();
    let repairs: Vec<_> = log
        .iter()
        .filter_map(|record| match record {
            LedgerRecord::State(repair) => Some(repair.after),
            _ => None,
        })
        .collect();
    // The first lands behind the later void record and makes the second void; the third repairs that one.
    assert_eq!(repairs, [later - 1, later, later + 2], "and then it is quiet");
}

/// Rule 8: an unknown outcome puts the call on the list, also where a retry under the same intent is accepted.
#[tokio::test(start_paused = true)]
async fn a_quick_retry_after_an_unknown_outcome_is_marked() {
    let stage = Stage::owning().await;
    stage.world.meta_says(Some(Class::Unknown));
    let retried = call("a");
    stage.arrive(0, retried.clone()).await;
    stage.world.meta_says(Some(Class::Accepted));
    sleep(SECOND * 10).await;
    assert_eq!((stage.world.requests(), stage.world.copies()), (2, 0));
    let Some(LedgerRecord::Accepted(accepted)) = stage.world.log().last().cloned() else { panic!("it was accepted") };
    assert_eq!(accepted.listed, Listed::from([retried.call_id]));
    assert!(stage.world.rows()[0].outcome.possibly_duplicate);
}

/// What its owner knew is in doubt: nothing more is sent or committed, and the next process reads it from the log.
#[tokio::test(start_paused = true)]
async fn an_owner_that_panics_ends_the_worker_and_its_tenure() {
    let stage = Stage::owning().await;
    stage.world.panics_in(Fails::Owner);
    stage.arrive(0, call("a")).await;
    assert_eq!(stage.world.vital.lost(), Some("owner"));
    assert_eq!((stage.tenure.is_live(), stage.tenure.may_send_now()), (false, false));
    assert_eq!((stage.world.requests(), stage.committed()), (0, None));
}

/// An event whose end is lost would hold up its partition for ever, and its offset must not pass.
#[tokio::test(start_paused = true)]
async fn a_panic_at_the_end_of_an_event_ends_the_worker_and_passes_no_offset() {
    for (place, meta) in [(Fails::Settle, Class::Accepted), (Fails::Delay, Class::Throttled)] {
        let stage = Stage::owning().await;
        stage.world.meta_says(Some(meta));
        stage.world.panics_in(place);
        stage.arrive(0, call("a")).await;
        sleep(SECOND * 60).await;
        assert_eq!((stage.world.vital.lost(), stage.committed()), (Some("owner"), None), "{place:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_while_a_partition_is_taken_over_ends_the_worker() {
    for (place, name) in [(Fails::Confirm, "confirm"), (Fails::Inputs, "inputs")] {
        let world = World::new();
        world.panics_in(place);
        let stage = Stage::of(world, Limits::new(clock::now_ms)).await;
        if place == Fails::Inputs {
            stage.group_says(Confirmation::Accepted).await;
        }
        assert_eq!(stage.world.vital.lost(), Some(name));
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_while_a_credit_is_fetched_again_ends_the_worker() {
    let stage = Stage::owning().await;
    let twice = call("a");
    stage.arrive(0, twice.clone()).await;
    stage.world.panics_in(Fails::Credit);
    stage.arrive(1, twice).await;
    assert_eq!((stage.world.vital.lost(), stage.committed()), (Some("credit"), Some(1)));
}
