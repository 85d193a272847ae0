//! Money: numbers worked out by hand.

use schemas::FailureStage;

use crate::{
    database::Database,
    story::{purchase, view},
};

#[tokio::test]
async fn revenue_is_of_purchases_with_the_credited_part_beside_it() {
    let database = Database::new().await;
    let credited = purchase("A-1").ad("a").sendout("s").worth("USD", "99.97");
    let id = credited.id();
    database
        .record([
            credited.forwarded(),
            purchase("A-1").ad("a").sendout("s").worth("USD", "99.97").at("2026-03-01 13:00:00").duplicate_of(id),
            purchase("A-2").ad("a").sendout("s").worth("USD", "0.03").rejected("no"),
            purchase("A-3").ad("a").sendout("t").worth("USD", "10").pending(),
            purchase("A-4").ad("a").sendout("s").worth("BRL", "5.5").forwarded(),
            purchase("A-5").ad("b").sendout("s").worth("USD", "0").forwarded(),
            purchase("A-6").ad("a").sendout("s").worth("USD", "1").at("2026-03-02 00:00:00").forwarded(),
            view("V-1").ad("a").sendout("s").worth("USD", "1000").forwarded(),
            purchase("A-7").ad("a").sendout("s").worth("USD", "1000").refused(FailureStage::ChannelLookup, "no"),
        ])
        .await;
    let query = |view: &str, key: &str| {
        format!("SELECT {key}, currency, day, orders, revenue, credited_revenue FROM {view} ORDER BY ALL")
    };
    assert_eq!(
        database.ask(&query("revenue_per_ad", "ad_id")).await,
        [
            "a BRL 2026-03-01 1 5.5 5.5",
            "a USD 2026-03-01 3 110 99.97",
            "a USD 2026-03-02 1 1 1",
            "b USD 2026-03-01 1 0 0",
        ]
    );
    assert_eq!(
        database.ask(&query("revenue_per_campaign", "sendout_id")).await,
        [
            "s BRL 2026-03-01 1 5.5 5.5",
            "s USD 2026-03-01 3 100 99.97",
            "s USD 2026-03-02 1 1 1",
            "t USD 2026-03-01 1 10 0",
        ]
    );
}

#[tokio::test]
async fn a_corrected_order_earns_what_the_credited_call_says() {
    let database = Database::new().await;
    database
        .record([
            purchase("C").ad("a").worth("USD", "10").rejected("no"),
            purchase("C").ad("b").worth("USD", "12").at("2026-03-05 00:00:00").forwarded(),
        ])
        .await;
    let query = "SELECT ad_id, day, orders, revenue, credited_revenue FROM revenue_per_ad ORDER BY ALL";
    assert_eq!(database.ask(query).await, ["b 2026-03-05 1 12 12"]);
}

#[tokio::test]
async fn products_earn_by_their_lines_and_an_order_counts_once_for_each() {
    let database = Database::new().await;
    database
        .record([
            purchase("P-1")
                .line("shirt", Some(2), Some("10.5"))
                .line("shirt", None, Some("9"))
                .line("hat", Some(3), None)
                .forwarded(),
            purchase("P-2").line("shirt", Some(1), Some("10.5")).rejected("no"),
            purchase("P-3").worth("BRL", "1").line("shirt", Some(0), Some("50")).forwarded(),
            purchase("P-4").line("hat", Some(i32::MAX), Some("1000000000000")).forwarded(),
            purchase("P-5").worth("USD", "77").forwarded(),
            view("").line("shirt", Some(1), Some("10.5")).forwarded(),
        ])
        .await;
    let query = "SELECT product_id, currency, day, orders, units, revenue FROM revenue_per_product ORDER BY ALL";
    assert_eq!(
        database.ask(query).await,
        [
            "hat USD 2026-03-01 2 2147483650 2147483647000000000000",
            "shirt BRL 2026-03-01 1 0 0",
            "shirt USD 2026-03-01 2 4 40.5",
        ]
    );
}

#[tokio::test]
async fn an_order_that_is_not_credited_keeps_its_lines() {
    let database = Database::new().await;
    let line = |ad: &str| purchase("L").ad(ad).line(ad, Some(1), Some("1"));
    database.record([line("a").rejected("no"), line("b").at("2026-03-02 00:00:00").rejected("no")]).await;
    let query = "SELECT product_id, day, orders, units, revenue FROM revenue_per_product ORDER BY ALL";
    assert_eq!(database.ask(query).await, ["b 2026-03-02 1 1 1"]);
}
