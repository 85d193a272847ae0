//! `capi replay`: rejected calls are sent again once the operator has repaired what rejected them.

use anyhow::ensure;
use e2e::{
    analyst::expect,
    deployment::Deployment,
    event::{purchase, with_click},
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
