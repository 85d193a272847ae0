//! `capi replay`: rejected calls are sent again once the operator has repaired what rejected them.

use anyhow::{Context as _, ensure};
use e2e::{
    analyst::expect,
    deployment::Deployment,
    event::{purchase, with, with_click, without},
    merchant::Merchant,
};
use serde_json::{Value, json};

/// Invalid token, repaired, replayed: forwarded under the same call, in one row. A bad click stays bad.
pub(crate) async fn after_a_repair(deployment: &Deployment) -> anyhow::Result<()> {
    let merchant = Merchant::open(deployment).await?;
    let bad_click = merchant.call(&with_click("sandbox-invalid-clid", "ORD-0")).await?;
    bad_click.expect_error(400, "META_REJECTED")?;
    deployment.sandbox.put(&format!("outage?behaviour=token-expired&dataset={}", merchant.dataset)).await?;
    let mut calls = Vec::new();
    for order in ["ORD-1", "ORD-2", "ORD-3"] {
        let answer = merchant.call(&purchase(order)).await?;
        ensure!(answer.expect_error(400, "META_REJECTED")?.metadata()?["meta_code"] == "190", "{}", answer.body);
        calls.push(answer.call);
    }
    let asynchronous = merchant.prefer("respond-async", &purchase("ORD-4")).await?.call;
    let mut received: Vec<Value> = Vec::new();
    for call in calls.iter().chain([&asynchronous]) {
        let row = deployment.analyst.final_row(*call).await?;
        expect(&row, &json!({"conversion_status": "rejected", "meta_code": 190, "meta_error_subcode": 463}))?;
        received.push(row["received_ms"].clone());
    }
    deployment.sandbox.clear(&merchant.dataset).await?;
    // One order is accepted meanwhile, by another call of the merchant.
    let accepted = merchant.call(&purchase("ORD-3")).await?;
    accepted.expect(200, "forwarded")?;

    let filter = ["replay", "--business", &merchant.business, "--reason", "META_REJECTED", "--meta-code", "190"];
    let dry = deployment.operator.one(&[&filter[..], &["--dry-run"]].concat()).await?;
    expect(&dry, &json!({"matched": 4, "replayed": 0, "too_old": 0}))?;
    let counts = deployment.operator.one(&filter).await?;
    expect(&counts, &json!({"matched": 4, "replayed": 4, "too_old": 0}))?;

    let forwarded = |http: u16, lane: &str, received: &Value| {
        json!({
            "conversion_status": "forwarded", "success": true, "reason": "", "failure_stage": "", "error": "",
            "http_status": http, "lane": lane, "events_received": 1, "received_ms": received,
            "possibly_duplicate": false,
        })
    };
    for (call, received) in calls.iter().zip(&received).take(2) {
        let row = deployment.analyst.row_when(*call, |row| row["conversion_status"] != "rejected").await?;
        expect(&row, &forwarded(200, "live", received))?;
    }
    let row = deployment.analyst.row_when(asynchronous, |row| row["conversion_status"] != "rejected").await?;
    expect(&row, &forwarded(202, "backfill", &received[3]))?;
    let row = deployment.analyst.row_when(calls[2], |row| row["conversion_status"] != "rejected").await?;
    let columns =
        json!({"conversion_status": "duplicate", "duplicate_of": accepted.call.to_string(), "events_received": 0});
    expect(&row, &columns)?;

    for order in ["ORD-1", "ORD-2", "ORD-3", "ORD-4"] {
        let times = deployment.sandbox.times_credited(&merchant.dataset, order).await?;
        ensure!(times == 1, "{order} was counted {times} times");
    }
    // What is left of this business is the bad click, which no operator can repair.
    let counts = deployment.operator.one(&["replay", "--business", &merchant.business]).await?;
    expect(&counts, &json!({"matched": 1, "replayed": 0, "too_old": 0}))?;
    let row = deployment.analyst.row(bad_click.call).await?;
    expect(&row, &json!({"conversion_status": "rejected"}))
}

/// No filter is a usage error: nobody replays everything by accident.
pub(crate) async fn needs_a_filter(deployment: &Deployment) -> anyhow::Result<()> {
    let said = deployment.operator.run(&["replay"]).await?;
    ensure!(said.code == 64, "{said:?}");
    Ok(())
}

/// Two operators replay the same calls at once, and one of them again: each order is counted once, and of a call that lacks
/// most of what a call can have, with a body that was cut, every column of the merchant's stays as it was.
pub(crate) async fn from_two_terminals(deployment: &Deployment) -> anyhow::Result<()> {
    let merchant = Merchant::open(deployment).await?;
    let outage = format!("outage?behaviour=token-expired&dataset={}", merchant.dataset);
    deployment.sandbox.put(&outage).await?;
    let padded = with(&purchase("ORD-1"), "/padding", json!("p".repeat(100_000)));
    let bare = ["value", "content_ids", "num_items", "contents", "content_type"]
        .iter()
        .fold(purchase("ORD-2"), |body, name| without(&body, &format!("/payload/{name}")));
    let mut before = Vec::new();
    for body in [padded, with(&bare, "/event_name", json!("ViewContent")), purchase("ORD-3")] {
        let answer = merchant.call(&body).await?;
        answer.expect_error(400, "META_REJECTED")?;
        before.push(deployment.analyst.final_row(answer.call).await?);
    }
    deployment.sandbox.clear(&merchant.dataset).await?;

    let replay = ["replay", "--business", &merchant.business];
    let (one, other) = tokio::try_join!(deployment.operator.one(&replay), deployment.operator.one(&replay))?;
    ensure!(one["replayed"] == 3 || other["replayed"] == 3, "{one} and {other}");
    for row in &before {
        let call = row["call_id"].as_str().context("a call")?.parse()?;
        let after = deployment.analyst.row_when(call, |row| row["conversion_status"] != "rejected").await?;
        expect(&after, &json!({"conversion_status": "forwarded", "possibly_duplicate": false, "duplicate_of": null}))?;
        let mut given = row.clone();
        given.as_object_mut().context("a row")?.retain(|name, _| GIVEN.contains(&name.as_str()));
        expect(&after, &given)?;
    }
    ensure!(before[0]["body"].as_str().is_some_and(|body| body.len() == 64 * 1024), "the body was not cut");
    let again = deployment.operator.one(&replay).await?;
    expect(&again, &json!({"matched": 0, "replayed": 0, "too_old": 0}))?;
    for order in ["ORD-1", "ORD-2", "ORD-3"] {
        let times = deployment.sandbox.times_credited(&merchant.dataset, order).await?;
        ensure!(times == 1, "{order} was counted {times} times");
    }
    Ok(())
}

/// What a call was given once, and keeps.
const GIVEN: [&str; 19] = [
    "call_id",
    "received_at",
    "business_id",
    "api_key_id",
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
    "lane",
    "body",
];
