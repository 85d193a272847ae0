//! `Prefer`: who waits for Meta's verdict, how long, and what the row says meanwhile.

use anyhow::ensure;
use e2e::{
    analyst::expect,
    deployment::Deployment,
    event::{purchase, with_click},
    merchant::Merchant,
};
use serde_json::json;

/// What is asked, what is answered, and which preference was applied.
pub(crate) async fn every_preference(deployment: &Deployment) -> anyhow::Result<()> {
    let merchant = Merchant::open(deployment).await?;
    let slow = "sandbox-slow-1700";
    for (order, (prefer, click, http, status, applied)) in [
        ("respond-async", slow, 202, "pending", "respond-async"),
        ("respond-async, wait=5", "quick", 202, "pending", "respond-async"),
        ("wait=5, respond-async", "quick", 202, "pending", "respond-async"),
        ("wait=0", slow, 200, "pending", "wait=0"),
        ("wait=1", slow, 200, "pending", "wait=1"),
        ("wait=5", "quick", 200, "forwarded", "wait=5"),
        ("Wait = \"5\"", "quick", 200, "forwarded", "wait=5"),
        // Never above the configured maximum.
        ("wait=3600", "quick", 200, "forwarded", "wait=10"),
        ("wait=soon", "quick", 200, "forwarded", ""),
        ("wait=-1", "quick", 200, "forwarded", ""),
        ("return=minimal", "quick", 200, "forwarded", ""),
        ("", "quick", 200, "forwarded", ""),
    ]
    .into_iter()
    .enumerate()
    {
        let answer = merchant.prefer(prefer, &with_click(click, &format!("ORD-{order}"))).await?;
        answer.expect(http, status)?;
        ensure!(answer.header("preference-applied") == applied, "{prefer}: {:?}", answer.headers);
        let row = deployment.analyst.final_row(answer.call).await?;
        let lane = if http == 202 { "backfill" } else { "live" };
        expect(&row, &json!({"conversion_status": "forwarded", "http_status": http, "lane": lane, "success": true}))?;
    }
    Ok(())
}

/// A call answered `pending` has its row at once, in either lane, and its verdict replaces that row.
pub(crate) async fn pending_then_its_verdict(deployment: &Deployment) -> anyhow::Result<()> {
    let merchant = Merchant::open(deployment).await?;
    deployment.sandbox.put(&format!("outage?behaviour=code2&dataset={}", merchant.dataset)).await?;
    let mut calls = Vec::new();
    for (order, (prefer, http, lane)) in
        [("wait=0", 200, "live"), ("wait=1", 200, "live"), ("respond-async", 202, "backfill")].into_iter().enumerate()
    {
        let answer = merchant.prefer(prefer, &purchase(&format!("ORD-{order}"))).await?;
        let row = deployment.analyst.row(answer.expect(http, "pending")?.call).await?;
        let columns = json!({
            "conversion_status": "pending", "success": false, "failure_stage": "", "reason": "", "error": "",
            "http_status": http, "lane": lane, "events_received": null, "order_id": format!("ORD-{order}"),
            "value": "99.97", "business_id": merchant.business, "possibly_duplicate": false,
        });
        expect(&row, &columns)?;
        calls.push((answer.call, http, row["received_ms"].clone()));
    }
    deployment.sandbox.clear(&merchant.dataset).await?;
    for (call, http, received) in calls {
        let row = deployment.analyst.final_row(call).await?;
        let columns = json!({
            "conversion_status": "forwarded", "success": true, "http_status": http, "events_received": 1,
            "received_ms": received, "possibly_duplicate": false,
        });
        expect(&row, &columns)?;
    }
    Ok(())
}
