//! The six views as tables and files.

use serde_json::json;

use crate::fixture::{Fixture, SHOP, url};

const REPORTS: [(&str, &str); 6] = [
    ("conversions-per-ad", "conversions_per_ad"),
    ("revenue-per-ad", "revenue_per_ad"),
    ("view-to-purchase", "view_to_purchase"),
    ("revenue-per-campaign", "revenue_per_campaign"),
    ("revenue-per-product", "revenue_per_product"),
    ("failure-rates", "failure_rates"),
];

#[tokio::test]
async fn an_empty_table_says_so_and_every_view_is_asked() {
    let fixture = Fixture::new().await;
    let mut merchant = fixture.visitor("merchant").await;
    for (report, view) in REPORTS {
        let got = merchant.get(&format!("{}/reports/{report}?range=7", url(SHOP))).await;
        got.says(200, &["Nothing in ", &format!("FROM {view}\n")]).lacks(&["{business"]);
        assert!(fixture.clickhouse.asked().iter().all(|asked| asked.sql.contains(&format!("FROM {view}\n"))));
    }
    merchant.get(&format!("{}/reports/calls", url(SHOP))).await.says(404, &[]);
    merchant.get(&format!("{}/reports/failure-rates.xml", url(SHOP))).await.says(404, &[]);
}

#[tokio::test]
async fn a_table_sorts_filters_and_pages() {
    let fixture = Fixture::new().await;
    let row = |number: u32| json!({"ad_id": format!("ad<{number}>"), "currency": "USD", "orders": 12_345, "revenue": "1000.5", "credited_revenue": "0"});
    fixture.clickhouse.has("FROM revenue_per_ad", (0..51).map(row).collect::<Vec<_>>());
    fixture.clickhouse.has("AS at", [json!({"at": 1_793_491_200, "orders": 3})]);
    let mut merchant = fixture.visitor("merchant").await;
    let page =
        format!("{}/reports/revenue-per-ad?from=2026-11-01&to=2026-11-02&ad_id=it%27s&sort=ad_id&page=2", url(SHOP));
    let got = merchant.get(&page).await;
    got.says(
        200,
        &["ad&#60;0&#62;", "12,345", "1,000.50", "aria-sort=\"ascending\"", "page=3", "page=1", "<svg", "it\\&#39;s"],
    );
    got.lacks(&["ad<0>"]);
    assert_eq!(got.body.matches("<tr>").count() - 1, 50 + 3, "rows, and those of the chart's table");
    let asked = fixture.clickhouse.asked();
    let table = asked.iter().find(|asked| asked.sql.contains("LIMIT") && asked.sql.contains("sum(revenue)")).unwrap();
    assert!(
        table.sql.ends_with("GROUP BY ad_id, currency\nORDER BY ad_id ASC, currency ASC\nLIMIT 51 OFFSET 50"),
        "{}",
        table.sql
    );
    assert_eq!((table.value("ad_id"), table.value("from_day")), ("it\\'s", "2026-11-01"));
}

#[tokio::test]
async fn a_table_is_sent_as_csv_and_json() {
    let fixture = Fixture::new().await;
    fixture.clickhouse.has("FROM failure_rates", [json!({"day": "2026-11-01"})]);
    let mut merchant = fixture.visitor("merchant").await;
    let page = format!("{}/reports/failure-rates", url(SHOP));
    let got = merchant.get(&format!("{page}.json?from=2026-11-01&to=2026-11-02")).await;
    assert_eq!((got.status, got.header("content-type")), (200, "application/json"));
    assert_eq!(got.header("content-disposition"), "attachment; filename=\"failure-rates-2026-11-01-2026-11-02.json\"");
    assert_eq!(serde_json::from_str::<serde_json::Value>(&got.body).unwrap(), json!([{"day": "2026-11-01"}]));
    let got = merchant.get(&format!("{page}.csv")).await;
    assert_eq!((got.status, got.header("content-type")), (200, "text/csv; charset=utf-8"));
    let asked = fixture.clickhouse.asked();
    assert_eq!(asked.last().unwrap().settings.get("default_format").map(String::as_str), Some("CSVWithNames"));
}

#[tokio::test]
async fn every_parameter_is_told_when_it_is_wrong() {
    let fixture = Fixture::new().await;
    let mut merchant = fixture.visitor("merchant").await;
    for query in [
        "sort=x",
        "sort=body",
        "dir=x",
        "page=0",
        "page=x",
        "by=x",
        "range=x",
        "from=x",
        "ad_id=%0A",
        "currency=1&currency=2",
    ] {
        let page = format!("{}/reports/revenue-per-ad", url(SHOP));
        merchant.get(&format!("{page}?{query}")).await.says(400, &["role=\"alert\""]);
        merchant.get(&format!("{page}.csv?{query}")).await.says(400, &["That did not work"]);
    }
}
