//! The overview and the integration page.

use serde_json::json;

use crate::fixture::{Fixture, SHOP, url};

#[tokio::test]
async fn an_empty_overview_says_so() {
    let fixture = Fixture::new().await;
    let mut merchant = fixture.visitor("merchant").await;
    for range in ["", "?range=today", "?range=yesterday", "?range=30", "?from=2026-11-01&to=2026-11-03"] {
        let got = merchant.get(&format!("{}{range}", url(SHOP))).await;
        got.says(200, &["No call with a valid key came in", "No call in this time.", "None, now or before."])
            .lacks(&["NaN"]);
    }
}

#[tokio::test]
async fn a_full_overview_counts_against_the_time_before() {
    let fixture = Fixture::new().await;
    let (now, before) = (1_793_491_200_u64, 1_793_491_200_u64 - 86_400);
    let slot = |at, status, stage, calls| json!({"at": at, "conversion_status": status, "failure_stage": stage, "calls": calls});
    fixture.clickhouse.has(
        "AS at, conversion_status",
        [
            slot(now, "forwarded", "", 970),
            slot(now, "rejected", "meta_forward", 30),
            slot(before, "forwarded", "", 99),
            slot(before, "refused", "payload_mapping", 1),
        ],
    );
    fixture.clickhouse.has(
        "SELECT failure_stage, error",
        [json!({"failure_stage": "meta_forward", "error": "Invalid <i> Clid", "calls": 21})],
    );
    fixture.clickhouse.has(
        "FROM conversions_per_ad",
        [json!({"event_name": "Purchase", "total": 900, "reported": 870, "rejected": 20, "pending": 10})],
    );
    fixture.clickhouse.has(
        "FROM revenue_per_ad",
        [json!({"at": now, "currency": "BRL", "orders": 900, "revenue": "12345.5", "credited": "12000"})],
    );
    let mut merchant = fixture.visitor("merchant").await;
    let got = merchant.get(&format!("{}?from=2026-11-01&to=2026-11-01", url(SHOP))).await;
    got.says(200, &[
        "Meta rejected 3 % of 1 Nov 2026’s calls: 30 of 1,000, 21 of them for “Invalid &#60;i&#62; Clid” (all failures before: 1 %).",
        "12,345.50",
        "BRL",
        "870 <small>96.7 %</small>",
        "<svg",
    ]);
    got.lacks(&["<i> Clid"]);
}

#[tokio::test]
async fn a_range_that_is_none_is_told() {
    let fixture = Fixture::new().await;
    let mut merchant = fixture.visitor("merchant").await;
    for query in [
        "range=x",
        "from=x",
        "to=x",
        "from=2026-11-02&to=2026-11-01",
        "from=1999-01-01&to=2026-11-01",
        "range=7&range=30",
    ] {
        merchant.get(&format!("{}?{query}", url(SHOP))).await.says(400, &["role=\"alert\""]);
    }
}

#[tokio::test]
async fn a_developer_finds_all_for_the_first_call() {
    let fixture = Fixture::new().await;
    let mut merchant = fixture.visitor("merchant").await;
    let page = format!("{}/integration", url(SHOP));
    let endpoint = format!("https://api.example.com/external/v1{}/conversion_events", url(SHOP));
    merchant
        .get(&page)
        .await
        .says(200, &[&endpoint, "X-API-KEY: $CAPI_API_KEY", "No call in the last 24 hours", "data-live"]);
    let query =
        "page=https%3A%2F%2Fshop.example%2Fp%3Fx%3D1%23top&cnct_tracking_id=t&sendout_id=s&ctwa_clid=c%3Cb%3E&ad_id=a";
    merchant.get(&format!("{page}?{query}")).await.says(200, &[
        "https://shop.example/p?x=1&#38;cnct_tracking_id=t&#38;sendout_id=s&#38;ctwa_clid=c%3Cb%3E&#38;ad_id=a&#38;attribution_source=meta_ctwa#top",
    ]).lacks(&["c<b>"]);
    // What a link brings stands in no command that is copied into a shell.
    let got = merchant
        .get(&format!("{page}?page=https://x.example&ctwa_clid=%27%3Bevil+%27&cnct_tracking_id=t&sendout_id=s&ad_id=a"))
        .await;
    let (_, curl) = got.says(200, &[]).body.split_once("id=\"curl\"").unwrap();
    assert!(!curl.split_once("</pre>").unwrap().0.contains("evil"), "{curl}");
    for wrong in ["page=javascript:alert(1)", "page=https://shop.example", "ad_id=1", "page=https://x/%0A"] {
        merchant.get(&format!("{page}?{wrong}")).await.says(400, &["role=\"alert\""]);
    }
}
