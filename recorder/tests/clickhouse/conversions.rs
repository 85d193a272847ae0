//! What is one conversion: numbers worked out by hand. The window is 28 days.

use schemas::{CallRecord, FailureStage};

use crate::{
    database::Database,
    story::{BUSINESS, purchase, view},
};

const OTHER: &str = "22222222-2222-4222-8222-222222222222";

/// The conversions, as `ad, day, conversions, events_received, rejected, pending`.
async fn per_ad(records: impl IntoIterator<Item = CallRecord>) -> Vec<String> {
    let database = Database::new().await;
    database.record(records).await;
    database
        .ask("SELECT ad_id, day, conversions, events_received, rejected, pending FROM conversions_per_ad ORDER BY ALL")
        .await
}

#[tokio::test]
async fn a_day_of_one_merchant() {
    let database = Database::new().await;
    let credited = purchase("A-1").ad("a");
    let id = credited.id();
    database
        .record([
            credited.forwarded(),
            purchase("A-1").ad("a").at("2026-03-01 12:00:01").duplicate_of(id),
            purchase("A-2").ad("a").forwarded(),
            purchase("A-3").ad("b").rejected("Invalid Ctwa Clid"),
            purchase("A-4").ad("b").pending(),
            view("").ad("b").forwarded(),
            view("").ad("b").forwarded(),
            view("").ad("b").of(OTHER).forwarded(),
            purchase("A-5").ad("b").refused(FailureStage::PayloadMapping, "no"),
            purchase("A-6").ad("b").refused(FailureStage::Authentication, "no"),
        ])
        .await;
    let query = "SELECT business_id, ad_id, event_name, day, conversions, events_received, rejected, pending \
        FROM conversions_per_ad ORDER BY ALL";
    assert_eq!(
        database.ask(query).await,
        [
            format!("{BUSINESS} a Purchase 2026-03-01 2 2 0 0"),
            format!("{BUSINESS} b Purchase 2026-03-01 2 0 1 1"),
            format!("{BUSINESS} b ViewContent 2026-03-01 2 2 0 0"),
            format!("{OTHER} b ViewContent 2026-03-01 1 1 0 0"),
        ]
    );
}

#[tokio::test]
async fn an_order_that_recurs_after_the_window_is_another_conversion() {
    let (first, second) = (purchase("R").at("2026-01-01 00:00:00"), purchase("R").at("2026-01-29 00:00:00"));
    let ids = [first.id(), second.id()];
    let rows = per_ad([
        first.forwarded(),
        purchase("R").at("2026-01-28 23:59:59").duplicate_of(ids[0]),
        second.forwarded(),
        purchase("R").at("2026-02-20 00:00:00").duplicate_of(ids[1]),
    ]);
    assert_eq!(rows.await, ["ad 2026-01-01 1 1 0 0", "ad 2026-01-29 1 1 0 0"]);
}

#[tokio::test]
async fn a_duplicate_stands_in_until_its_credited_call_arrives() {
    let database = Database::new().await;
    let query = "SELECT ad_id, day, conversions, events_received FROM conversions_per_ad ORDER BY ALL";
    let credited = purchase("D").ad("a").at("2026-03-01 23:59:59");
    let duplicate = purchase("D").ad("b").at("2026-03-02 00:00:01").duplicate_of(credited.id());
    database.record([duplicate]).await;
    assert_eq!(database.ask(query).await, ["b 2026-03-02 1 0"]);
    database.record([credited.forwarded()]).await;
    assert_eq!(database.ask(query).await, ["a 2026-03-01 1 1"]);
}

#[tokio::test]
async fn a_duplicate_belongs_to_the_call_it_names_however_far_away() {
    // Meta took five days to accept the first call: the order is remembered from then on, 33 days after its arrival.
    let credited = purchase("L").at("2026-01-01 00:00:00");
    let duplicate = purchase("L").at("2026-02-01 00:00:00").duplicate_of(credited.id());
    assert_eq!(per_ad([credited.forwarded(), duplicate]).await, ["ad 2026-01-01 1 1 0 0"]);
}

#[tokio::test]
async fn a_rejected_order_that_was_corrected_counts_once() {
    let rows = per_ad([
        purchase("C").ad("wrong").at("2026-03-01 00:00:00").rejected("Invalid Ctwa Clid"),
        purchase("C").ad("wrong").at("2026-03-02 00:00:00").rejected("Invalid Ctwa Clid"),
        purchase("C").ad("right").at("2026-03-03 00:00:00").forwarded(),
    ]);
    assert_eq!(rows.await, ["right 2026-03-03 1 1 0 0"]);
}

#[tokio::test]
async fn the_edge_of_the_window_is_outside_it() {
    let days = |rejected: &str, forwarded: &str| {
        per_ad([purchase("E").at(rejected).rejected("no"), purchase("E").at(forwarded).forwarded()])
    };
    assert_eq!(days("2026-01-01 00:00:00", "2026-01-28 23:59:59").await, ["ad 2026-01-28 1 1 0 0"]);
    assert_eq!(
        days("2026-01-01 00:00:00", "2026-01-29 00:00:00").await,
        ["ad 2026-01-01 1 0 1 0", "ad 2026-01-29 1 1 0 0"]
    );
    // A call of after the credited one that is not judged yet is its duplicate to be.
    assert_eq!(days("2026-01-28 23:59:59", "2026-01-01 00:00:00").await, ["ad 2026-01-01 1 1 0 0"]);
}

#[tokio::test]
async fn without_a_credited_call_the_last_of_each_window_counts() {
    let rejected = |at: &str| purchase("W").at(at).rejected("no");
    let rows = per_ad([
        rejected("2026-01-01 00:00:00"),
        rejected("2026-01-21 00:00:00"),
        // Day 28 of the window that the first opened is another window's first.
        rejected("2026-01-29 00:00:00"),
        rejected("2026-02-25 23:59:59"),
        purchase("W").at("2026-02-26 00:00:00").pending(),
    ]);
    assert_eq!(rows.await, ["ad 2026-01-21 1 0 1 0", "ad 2026-02-25 1 0 1 0", "ad 2026-02-26 1 0 0 1"]);
}

#[tokio::test]
async fn pending_calls_of_one_order_are_one_and_a_verdict_replaces_its_own() {
    let database = Database::new().await;
    let query = "SELECT ad_id, day, conversions, events_received, pending FROM conversions_per_ad ORDER BY ALL";
    let (first, second) = (purchase("P").ad("a"), purchase("P").ad("b").at("2026-03-01 12:00:01"));
    let pending = |record: CallRecord| CallRecord { rests_on: 0, ..record };
    database.record([pending(first.clone().pending()), pending(second.clone().pending())]).await;
    assert_eq!(database.ask(query).await, ["b 2026-03-01 1 0 1"]);
    database.record([first.clone().forwarded()]).await;
    assert_eq!(database.ask(query).await, ["a 2026-03-01 1 1 0"]);
    database.record([second.duplicate_of(first.id())]).await;
    assert_eq!(database.ask(query).await, ["a 2026-03-01 1 1 0"]);
}

#[tokio::test]
async fn a_replay_counts_once() {
    let story = purchase("X");
    let first = story.clone().rejected("Invalid token");
    let replayed = CallRecord { rests_on: 2, ..story.forwarded() };
    assert_eq!(per_ad([first.clone(), replayed, first]).await, ["ad 2026-03-01 1 1 0 0"]);
}

#[tokio::test]
async fn calls_without_an_order_are_orders_of_their_own() {
    let rows = per_ad([
        purchase("").forwarded(),
        purchase("").rejected("no"),
        purchase("").rejected("no"),
        purchase("").pending(),
    ]);
    assert_eq!(rows.await, ["ad 2026-03-01 4 1 2 1"]);
}

#[tokio::test]
async fn an_order_is_of_one_business_and_one_event() {
    let rows = per_ad([
        purchase("S").rejected("no"),
        view("S").rejected("no"),
        purchase("S").of(OTHER).rejected("no"),
        purchase("S").ad("a").of(OTHER).forwarded(),
    ]);
    assert_eq!(rows.await, ["a 2026-03-01 1 1 0 0", "ad 2026-03-01 1 0 1 0", "ad 2026-03-01 1 0 1 0"]);
}

#[tokio::test]
async fn the_day_is_of_the_event_and_the_window_of_the_arrival() {
    // Two orders of one id, placed long ago and a day apart, both reported today: one order.
    let rows = per_ad([
        purchase("T").at("2026-03-10 00:00:00").happened("2026-01-01 23:59:59").rejected("no"),
        purchase("T").at("2026-03-10 00:00:01").happened("2026-02-15 00:00:00").rejected("no"),
    ]);
    assert_eq!(rows.await, ["ad 2026-02-15 1 0 1 0"]);
}

#[tokio::test]
async fn the_unknown_drop_of_a_batch_is_a_conversion_that_meta_may_not_have_counted() {
    let story = purchase("U");
    let mut record = story.forwarded();
    record.outcome.events_received = None;
    assert_eq!(per_ad([record]).await, ["ad 2026-03-01 1 0 0 0"]);
}

#[tokio::test]
async fn views_and_purchases_of_a_day_make_a_rate() {
    let database = Database::new().await;
    let mut records: Vec<CallRecord> = (0..8).map(|_| view("").ad("a").forwarded()).collect();
    records.extend([
        purchase("V-1").ad("a").forwarded(),
        purchase("V-2").ad("a").rejected("no"),
        purchase("V-2").ad("a").at("2026-03-01 13:00:00").rejected("no"),
        purchase("V-3").ad("b").forwarded(),
        view("").ad("c").forwarded(),
    ]);
    database.record(records).await;
    let query = "SELECT ad_id, day, views, purchases, rate FROM view_to_purchase ORDER BY ALL";
    assert_eq!(database.ask(query).await, ["a 2026-03-01 8 2 0.25", r"b 2026-03-01 0 1 \N", "c 2026-03-01 1 0 0"]);
}

#[tokio::test]
async fn one_business_and_one_month_read_only_their_part() {
    let database = Database::new().await;
    // 4 businesses of 10,000 calls (a granule has 8,192) in each of two months.
    database
        .run(
            "INSERT INTO call_records (call_id, business_id, received_at, event_time, event_name, order_id, conversion_status) \
             SELECT generateUUIDv4(), toString(number % 4), toDateTime64('2026-01-15 00:00:00', 3, 'UTC') + \
                 31 * 86400 * intDiv(number, 40000) AS at, at, 'Purchase', toString(number), 'forwarded' \
             FROM numbers(80000)",
        )
        .await;
    let rows = async |filter: &str| -> u64 {
        let query = format!("EXPLAIN ESTIMATE SELECT * FROM conversions_per_ad WHERE {filter}");
        let lines = database.ask(&query).await;
        lines.iter().map(|line| line.split(' ').nth(3).unwrap().parse::<u64>().unwrap()).sum()
    };
    // The table is read four times at most, each time this business's part of it.
    let of_one = rows("business_id = '3'").await;
    assert!(of_one <= 4 * 2 * 3 * 8192, "{of_one}");
    let of_its_month = rows("business_id = '3' AND day BETWEEN '2026-02-01' AND '2026-03-02'").await;
    assert!(of_its_month < of_one, "{of_its_month} of {of_one}");
}
