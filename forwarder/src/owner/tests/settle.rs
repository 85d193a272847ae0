//! How an event ends: what has to be in Kafka before its offset passes, and what its row rests on.

use super::*;

/// Invariant 2: what Kafka will never have ends no event, whatever else of it is there.
async fn an_offset_stays_where(fails: Ack, meta: Class) {
    let stage = Stage::owning().await;
    stage.world.meta_says(Some(meta));
    stage.world.breaks(fails);
    stage.arrive(0, call("a")).await;
    sleep(SECOND * 60).await;
    assert_eq!((stage.world.rows().len(), stage.committed()), (1, None), "{fails:?}, {meta:?}");
}

#[tokio::test(start_paused = true)]
async fn an_offset_stays_where_the_row_or_the_verdict_fails_for_good() {
    for fails in [Ack::Record, Ack::Verdict] {
        an_offset_stays_where(fails, Class::Accepted).await;
        an_offset_stays_where(fails, Class::BadClick).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_offset_stays_where_the_row_or_the_tier_copy_fails_for_good() {
    for fails in [Ack::Record, Ack::Tier] {
        an_offset_stays_where(fails, Class::Throttled).await;
        an_offset_stays_where(fails, Class::Unknown).await;
    }
}

/// The event comes to the next owner anyway, which may have ended it by then: a copy would be sent after that.
#[tokio::test(start_paused = true)]
async fn a_former_owner_delays_nothing() {
    for meta in [Class::Throttled, Class::Transient, Class::Unknown] {
        let stage = Stage::owning().await;
        stage.world.meta_says(None);
        stage.arrive(0, call("a")).await;
        stage.tenure.revoke();
        stage.tell(Mail::Revoked).await;
        stage.world.meta_says(Some(meta));
        sleep(SECOND * 60).await;
        let closed = usize::from(meta != Class::Unknown);
        assert_eq!((stage.world.requests(), refusals(&stage.world)), (1, closed), "{meta:?}");
        assert_eq!((stage.world.copies(), stage.world.rows().len(), stage.committed()), (0, 0, None), "{meta:?}");
    }
}

/// Where the last record of the log stands.
fn last(world: &World) -> i64 {
    i64::try_from(world.log().len()).unwrap() - 1
}

/// Rule 11: of two rows of one call the one that rests on the later record is the true one.
#[tokio::test(start_paused = true)]
async fn a_row_rests_on_the_record_that_it_follows_from() {
    let stage = Stage::owning().await;
    let credited = call("a");
    stage.arrive(0, credited.clone()).await;
    let credit = last(&stage.world);
    stage.world.meta_says(Some(Class::BadClick));
    stage.arrive(1, call("b")).await;
    let refusal = last(&stage.world);
    // Records of others stand behind the credit by now.
    stage.arrive(2, call("a")).await;
    stage.arrive(3, credited).await;
    stage.arrive(4, old("c")).await;
    assert_eq!(last(&stage.world), refusal, "a duplicate, a repetition and what is too old write nothing");
    let rests_on: Vec<_> = stage.world.rows().iter().map(|row| row.rests_on).collect();
    assert!(0 < credit && credit < refusal, "{credit}, {refusal}");
    assert_eq!(rests_on, [credit, refusal, credit, credit, refusal]);
}

/// Rule 11: what is pending rests on what was read so far, and any final row of the call replaces it.
#[tokio::test(start_paused = true)]
async fn a_pending_row_rests_on_what_was_read_so_far() {
    let stage = Stage::owning().await;
    stage.world.meta_says(Some(Class::Throttled));
    stage.arrive(0, call("a")).await;
    sleep(SECOND * 60).await;
    let refused = last(&stage.world);
    stage.world.meta_says(None);
    stage.arrive(1, call("b")).await;
    sleep(SECOND * 60).await;
    let rests_on: Vec<_> = stage.world.rows().iter().map(|row| row.rests_on).collect();
    assert_eq!(rests_on, [refused, last(&stage.world)]);
}
