//! Finding calls, and one call's page.

use serde_json::{Value, json};

use crate::fixture::{Fixture, SHOP, url};

const CALL: &str = "01a2078b-dd1f-750b-8eb2-96b9bf05f3e1";

/// A call in a list, the `number`th before now.
fn listed(number: u64) -> Value {
    json!({
        "call_id": format!("01a2078b-dd1f-750b-8eb2-{number:012x}"), "received_ms": 1_795_000_000_000_u64 - number,
        "http_status": 400, "conversion_status": "rejected", "failure_stage": "meta_forward",
        "reason": "META_REJECTED", "error": "Invalid <b>Ctwa</b> Clid", "event_name": "Purchase",
        "order_id": "ORD-\"><script>alert(1)</script>", "ad_id": "ad-1", "currency": "USD", "amount": "1234.5"
    })
}

fn whole() -> Value {
    json!({
        "call_id": CALL, "received_ms": 1_795_000_000_000_u64, "recorded_ms": 1_795_000_000_900_u64, "api_key_id": "k1",
        "http_status": 400, "conversion_status": "rejected", "failure_stage": "meta_forward",
        "reason": "META_REJECTED", "error": "Messaging Event Invalid Ctwa Clid", "event_name": "Purchase",
        "event_s": 1_795_000_000, "cnct_tracking_id": "trk", "sendout_id": "send", "ctwa_clid": "clid<i>", "ad_id": "ad&1",
        "currency": "USD", "amount": "99.97", "order_id": "ORD-1", "content_type": "product", "content_ids": ["sku-1"],
        "num_items": 1, "item_ids": ["sku-1"], "quantities": [null], "prices": [""], "events_received": null,
        "forward_reference_id": "AbCdEf", "meta_http_status": 400, "meta_code": 100, "meta_error_subcode": 2_804_087,
        "meta_error": "Messaging Event Invalid Ctwa Clid", "duplicate_of": null, "lane": "live", "forward_attempts": 1,
        "possibly_duplicate": true, "forward_ms": 40, "total_ms": 55, "body": "{\"a\":\"</pre><script>\"}"
    })
}

#[tokio::test]
async fn calls_are_listed_with_nothing_of_theirs_taken_for_ours() {
    let fixture = Fixture::new().await;
    fixture.clickhouse.has("FROM calls", [listed(1), listed(2)]);
    let mut merchant = fixture.visitor("merchant").await;
    let got = merchant.get(&format!("{}/calls", url(SHOP))).await;
    got.says(200, &["1,234.50 <small>USD</small>", "Invalid &#60;b&#62;Ctwa", "rejected", "data-live"]);
    got.lacks(&["<script>alert", "<b>Ctwa"]);
    assert!(got.body.contains(&format!("{}/calls/01a2078b-dd1f-750b-8eb2-000000000001", url(SHOP))));
    for asked in fixture.clickhouse.asked() {
        assert!(
            asked.sql.ends_with("ORDER BY received_at DESC, call_id DESC\nLIMIT 51") || asked.sql.contains("LIMIT "),
            "{}",
            asked.sql
        );
        assert!(!asked.sql.contains("body"), "a list reads no bodies: {}", asked.sql);
    }
}

#[tokio::test]
async fn a_search_looks_back_step_by_step_until_the_page_is_full() {
    let fixture = Fixture::new().await;
    fixture.clickhouse.has("FROM calls", (0..51).map(listed).collect::<Vec<_>>());
    let mut merchant = fixture.visitor("merchant").await;
    let got = merchant.get(&format!("{}/calls?ad=ad-1&lane=", url(SHOP))).await;
    assert_eq!(fixture.clickhouse.asked().len(), 1, "the first step had enough");
    assert_eq!(got.body.matches("<th scope=\"row\">").count(), 50);
    // The next page begins behind the last call of this one, under the same filter.
    let next = got.body.split_once("rel=\"next\" href=\"?").unwrap().1.split_once('"').unwrap().0.replace("&#38;", "&");
    assert_eq!(next, "ad=ad-1&before=1794999999951_01a2078bdd1f750b8eb2000000000031");
    let got = merchant.get(&format!("{}/calls?{next}", url(SHOP))).await;
    got.says(200, &["Newest"]).lacks(&["data-live=\""]);
    let asked = &fixture.clickhouse.asked()[0];
    assert_eq!((asked.value("last_ms"), asked.value("to_ms")), ("1794999999951", "1794999999952"));
    assert_eq!(asked.value("last_call"), "01a2078b-dd1f-750b-8eb2-000000000031");
    // An empty page looked all the way back.
    fixture.clickhouse.has("FROM calls", []);
    merchant
        .get(&format!("{}/calls?from=2026-11-01T00:00&until=2026-11-20T00:00", url(SHOP)))
        .await
        .says(200, &["No such call"]);
    let steps: Vec<_> = fixture
        .clickhouse
        .asked()
        .iter()
        .map(|asked| (asked.value("from_ms").to_owned(), asked.value("to_ms").to_owned()))
        .collect();
    assert!(steps.windows(2).all(|pair| pair[0].0 == pair[1].1), "{steps:?}");
    assert_eq!((steps[0].1.as_str(), steps.last().unwrap().0.as_str()), ("1795132800000", "1793491200000"));
}

#[tokio::test]
async fn an_order_or_a_call_is_asked_for_once_by_its_index() {
    let fixture = Fixture::new().await;
    let mut merchant = fixture.visitor("merchant").await;
    merchant
        .get(&format!("{}/calls?order=ORD%5C%27+1", url(SHOP)))
        .await
        .says(200, &["No such call", "value=\"ORD\\&#39; 1\""]);
    let asked = fixture.clickhouse.asked();
    assert_eq!(
        (asked.len(), asked[0].value("order")),
        (1, "ORD\\\\\\' 1"),
        "ClickHouse reads a backslash before it binds"
    );
    merchant.get(&format!("{}/calls?call={CALL}", url(SHOP))).await.says(200, &[]);
    let asked = fixture.clickhouse.asked();
    assert_eq!((asked.len(), asked[0].value("call")), (1, CALL));
    assert!(asked[0].sql.contains("received_at BETWEEN"), "its month alone is read");
}

#[tokio::test]
async fn every_parameter_is_told_when_it_is_wrong() {
    let fixture = Fixture::new().await;
    let mut merchant = fixture.visitor("merchant").await;
    for query in [
        "call=7",
        "status=lost",
        "stage=x",
        "reason=x",
        "lane=x",
        "from=x",
        "until=x",
        "before=x",
        "order=a&order=b",
        "click=%00",
        "ad=%0A",
        "from=2026-11-02&until=2026-11-01",
    ] {
        let got = merchant.get(&format!("{}/calls?{query}", url(SHOP))).await;
        got.says(400, &["role=\"alert\"", "Nothing was looked for"]);
    }
    let long = format!("{}/calls?campaign={}", url(SHOP), "x".repeat(3000));
    merchant.get(&long).await.says(400, &["has more than 2048 bytes"]);
    assert!(fixture.clickhouse.asked().is_empty(), "what is wrong is not asked");
}

#[tokio::test]
async fn a_call_tells_its_story() {
    let fixture = Fixture::new().await;
    fixture.clickhouse.has("call_id != {call:UUID}", [listed(1)]);
    fixture.clickhouse.has("LIMIT 1", [whole()]);
    fixture.clickhouse.has("call_id != {call:UUID}", [listed(1)]);
    let mut merchant = fixture.visitor("merchant").await;
    let got = merchant.get(&format!("{}/calls/{CALL}", url(SHOP))).await;
    got.says(
        200,
        &[
            "“Messaging Event Invalid Ctwa Clid”",
            "Meta does not know this click id",
            "Store ctwa_clid byte for byte",
            "One request carried it, 40 ms in all; the last answer was HTTP 400, code 100, subcode 2804087.",
            "AbCdEf",
            "Meta may have counted it more than once",
            "Other calls of this order",
            "\\&#34;: \\&#34;".replace('\\', "").as_str(),
            "/calls?ad=ad%261",
        ],
    );
    got.lacks(&["</pre><script>", "clid<i>", "capi replay"]);
}

#[tokio::test]
async fn a_call_that_an_operator_can_repair_says_how_it_is_replayed() {
    let fixture = Fixture::new().await;
    let mut row = whole();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    (row["meta_code"], row["meta_error_subcode"], row["event_s"]) = (json!(190), Value::Null, json!(now));
    fixture.clickhouse.has("LIMIT 1", [row]);
    let mut merchant = fixture.visitor("merchant").await;
    let got = merchant.get(&format!("{}/calls/{CALL}", url(SHOP))).await;
    got.says(200, &["The access token is no longer valid", &format!("capi replay --call {CALL}")]);
}

#[tokio::test]
async fn a_call_that_is_not_there_is_not_found() {
    let fixture = Fixture::new().await;
    let mut merchant = fixture.visitor("merchant").await;
    for call in [CALL, "7", "%00", "01a2078b"] {
        merchant.get(&format!("{}/calls/{call}", url(SHOP))).await.says(404, &["Corner Shop"]);
    }
}

#[tokio::test]
async fn while_clickhouse_is_away_the_pages_say_so() {
    let fixture = Fixture::without_clickhouse().await;
    let mut merchant = fixture.visitor("merchant").await;
    for page in ["/calls", &format!("/calls/{CALL}"), "", "/reports/failure-rates", "/reports/failure-rates.csv"] {
        let got = merchant.get(&format!("{}{page}", url(SHOP))).await;
        got.says(503, &["The warehouse does not answer just now", "Corner Shop"]);
        assert_eq!(got.header("retry-after"), "5");
    }
    merchant
        .get(&format!("{}/integration", url(SHOP)))
        .await
        .says(200, &["The warehouse does not answer", "curl -i -X POST"]);
    merchant.get(&format!("{}/settings", url(SHOP))).await.says(200, &["not known just now", "till"]);
}

#[tokio::test]
async fn what_clickhouse_says_stays_in_the_log() {
    let fixture = Fixture::new().await;
    let mut merchant = fixture.visitor("merchant").await;
    fixture.clickhouse.refuses("Code: 60. DB::Exception: Table capi.secret_table does not exist. (UNKNOWN_TABLE)");
    merchant.get(&format!("{}/calls", url(SHOP))).await.says(500, &["The warehouse refuses"]).lacks(&["secret_table"]);
    fixture.clickhouse.refuses("Code: 159. DB::Exception: Timeout exceeded. (TIMEOUT_EXCEEDED)");
    merchant.get(&format!("{}/calls", url(SHOP))).await.says(400, &["Choose a shorter range"]);
}
