//! The endpoint page's example.

use anyhow::ensure;
use e2e::{
    analyst::expect,
    deployment::Deployment,
    event,
    merchant::{Merchant, send},
};
use serde_json::{Value, json};

/// The columns of `calls`, in the contract's order.
const COLUMNS: [&str; 39] = [
    "call_id",
    "received_at",
    "recorded_at",
    "business_id",
    "api_key_id",
    "http_status",
    "conversion_status",
    "success",
    "failure_stage",
    "reason",
    "error",
    "event_name",
    "event_time",
    "cnct_tracking_id",
    "sendout_id",
    "ctwa_clid",
    "ad_id",
    "currency",
    "value",
    "order_id",
    "content_type",
    "content_ids",
    "num_items",
    "contents.id",
    "contents.quantity",
    "contents.item_price",
    "events_received",
    "forward_reference_id",
    "meta_http_status",
    "meta_code",
    "meta_error_subcode",
    "meta_error",
    "duplicate_of",
    "lane",
    "forward_attempts",
    "possibly_duplicate",
    "forward_ms",
    "total_ms",
    "body",
];

/// The answer, its headers, the row with every column, and what Meta counted, once.
pub(crate) async fn one_call_from_end_to_end(deployment: &Deployment) -> anyhow::Result<()> {
    let merchant = Merchant::open(deployment).await?;
    let body = event::purchase("ORD-7821");
    let (before, sent) = (event::now(), body.to_string());
    let answer = send(merchant.request().header("X-Request-Id", "mine").body(sent.clone())).await?;
    answer.expect(200, "forwarded")?;
    ensure!(answer.header("content-type") == "application/json", "{:?}", answer.headers);
    ensure!(answer.call.get_version_num() == 7, "call_id {} is no UUIDv7", answer.call);

    let row = deployment.analyst.row(answer.call).await?;
    expect(
        &row,
        &json!({
            "call_id": answer.call.to_string(), "business_id": merchant.business, "api_key_id": merchant.key_id,
            "http_status": 200, "conversion_status": "forwarded", "success": true,
            "failure_stage": "", "reason": "", "error": "",
            "event_name": "Purchase", "event_s": body["payload"]["event_time"],
            "cnct_tracking_id": "cnct-7f3a", "sendout_id": "sendout-42",
            "ctwa_clid": body["attribution"]["meta_ctwa"]["ctwa_clid"], "ad_id": "120210000000000001",
            "currency": "USD", "value": "99.97", "order_id": "ORD-7821", "content_type": "product",
            "content_ids": ["data-pass-30d", "phone-case-blk"], "num_items": 2,
            "contents.id": ["data-pass-30d", "phone-case-blk"], "contents.quantity": [1, 1],
            "contents.item_price": ["49.99", "49.98"],
            "events_received": 1, "meta_http_status": 200, "meta_code": null, "meta_error_subcode": null,
            "meta_error": "", "duplicate_of": null, "lane": "live", "forward_attempts": 1,
            "possibly_duplicate": false, "body": sent,
        }),
    )?;
    ensure!(row["forward_reference_id"].as_str().is_some_and(|id| id.starts_with('A')), "{row}");
    times_are_in_order(&row, before)?;

    let credited = deployment.sandbox.credited(&merchant.dataset).await?;
    ensure!(credited.len() == 1, "{credited:?}");
    expect(
        &credited[0],
        &json!({
            "dataset": merchant.dataset, "whatsapp_business_account_id": merchant.waba, "event_name": "Purchase",
            "event_id": "ORD-7821", "event_time": body["payload"]["event_time"],
            "ctwa_clid": body["attribution"]["meta_ctwa"]["ctwa_clid"], "value": 99.97, "currency": "USD",
        }),
    )
}

fn times_are_in_order(row: &Value, before: i64) -> anyhow::Result<()> {
    let number = |name: &str| row[name].as_i64().unwrap_or(-1);
    ensure!(number("received_ms") >= before * 1000, "{row}");
    ensure!(number("recorded_ms") >= number("received_ms"), "{row}");
    ensure!(number("forward_ms") >= 0 && number("total_ms") >= number("forward_ms"), "{row}");
    Ok(())
}

/// An order is answered `duplicate` the second time, and Meta is not asked.
pub(crate) async fn the_same_order_again(deployment: &Deployment) -> anyhow::Result<()> {
    let merchant = Merchant::open(deployment).await?;
    let first = merchant.call(&event::purchase("ORD-7821")).await?;
    first.expect(200, "forwarded")?;
    let asked = deployment.sandbox.requests(&merchant.dataset).await?;
    let second = merchant.call(&event::purchase("ORD-7821")).await?;
    second.expect(200, "duplicate")?;
    let row = deployment.analyst.row(second.call).await?;
    expect(
        &row,
        &json!({
            "http_status": 200, "conversion_status": "duplicate", "success": true, "failure_stage": "", "reason": "",
            "error": "", "events_received": 0, "duplicate_of": first.call.to_string(), "lane": "live",
            "forward_attempts": 0, "forward_ms": null, "possibly_duplicate": false, "value": "99.97",
            "order_id": "ORD-7821",
        }),
    )?;
    ensure!(deployment.sandbox.requests(&merchant.dataset).await? == asked, "Meta was asked");
    // The order is (business, event_name, order_id): another event, or another business, is another order.
    let mut view = event::purchase("ORD-7821");
    view["event_name"] = json!("ViewContent");
    merchant.call(&view).await?.expect(200, "forwarded")?;
    let other = Merchant::open(deployment).await?;
    other.call(&event::purchase("ORD-7821")).await?.expect(200, "forwarded")?;
    Ok(())
}

/// A call without an order id is an order of its own: its event id is its call id.
pub(crate) async fn a_call_without_an_order_id(deployment: &Deployment) -> anyhow::Result<()> {
    let merchant = Merchant::open(deployment).await?;
    let body = event::without(&event::purchase(""), "/payload/order_id");
    let mut calls = Vec::new();
    for _ in 0..2 {
        calls.push(merchant.call(&body).await?.expect(200, "forwarded")?.call.to_string());
    }
    let credited = deployment.sandbox.credited(&merchant.dataset).await?;
    let ids: Vec<_> = credited.iter().rev().map(|event| event["event_id"].clone()).collect();
    ensure!(json!(ids) == json!(calls), "credited {ids:?}, called {calls:?}");
    Ok(())
}

/// The columns of `calls` stand in the contract's order, of the types that people lean on.
pub(crate) async fn the_columns_of_calls(deployment: &Deployment) -> anyhow::Result<()> {
    let select = "SELECT name, type FROM system.columns WHERE database = currentDatabase() AND table = 'calls' \
                  ORDER BY position";
    let columns = deployment.analyst.rows(select).await?;
    let names: Vec<_> = columns.iter().filter_map(|column| column["name"].as_str()).collect();
    ensure!(names == COLUMNS, "{names:?}");
    let types: Value =
        columns.iter().map(|column| (column["name"].as_str().unwrap_or_default(), column["type"].clone())).collect();
    expect(
        &types,
        &json!({
            "call_id": "UUID", "duplicate_of": "Nullable(UUID)", "business_id": "String", "success": "Bool",
            "possibly_duplicate": "Bool", "value": "Nullable(Decimal(38, 6))", "meta_code": "Nullable(Int32)",
            "contents.item_price": "Array(Nullable(Decimal(38, 6)))", "meta_error_subcode": "Nullable(Int32)",
            "received_at": "DateTime64(3, 'UTC')", "recorded_at": "DateTime64(3, 'UTC')",
            "event_time": "Nullable(DateTime('UTC'))", "body": "String",
        }),
    )
}
