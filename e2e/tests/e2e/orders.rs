//! One order, one credit: within a lane, across lanes, and in flight together.

use std::time::Duration;

use anyhow::ensure;
use e2e::{
    analyst::expect,
    deployment::Deployment,
    event::{purchase, with_click},
    merchant::Merchant,
};
use futures::future::{try_join, try_join_all};
use serde_json::json;
use tokio::time::sleep;

/// 40 calls for one order at once: one is forwarded, 39 are its duplicates, Meta counts one.
pub(crate) async fn forty_calls_at_once(deployment: &Deployment) -> anyhow::Result<()> {
    let merchant = Merchant::open(deployment).await?;
    let body = with_click("sandbox-slow-300", "ORD-1");
    let answers = try_join_all((0..40).map(|_| merchant.call(&body))).await?;
    let (forwarded, duplicates): (Vec<_>, Vec<_>) =
        answers.iter().partition(|answer| answer.conversion_status() == "forwarded");
    ensure!((forwarded.len(), duplicates.len()) == (1, 39), "{} forwarded", forwarded.len());
    for answer in duplicates {
        let row = deployment.analyst.row(answer.expect(200, "duplicate")?.call).await?;
        let credited = forwarded[0].call.to_string();
        expect(
            &row,
            &json!({"conversion_status": "duplicate", "duplicate_of": credited, "possibly_duplicate": false}),
        )?;
    }
    ensure!(deployment.sandbox.requests(&merchant.dataset).await? == 1, "Meta was asked more than once");
    ensure!(deployment.sandbox.times_credited(&merchant.dataset, "ORD-1").await? == 1, "not counted once");
    Ok(())
}

/// Two calls in flight together: the second waits for the first, and is sent when the first is rejected.
pub(crate) async fn a_second_call_follows_a_rejected_first(deployment: &Deployment) -> anyhow::Result<()> {
    let merchant = Merchant::open(deployment).await?;
    deployment.sandbox.put(&format!("latency?latency=800ms&dataset={}", merchant.dataset)).await?;
    let (bad, good) = (with_click("sandbox-invalid-clid", "ORD-1"), purchase("ORD-1"));
    let later = async {
        sleep(Duration::from_millis(300)).await;
        merchant.call(&good).await
    };
    let (first, second) = try_join(merchant.call(&bad), later).await?;
    first.expect_error(400, "META_REJECTED")?;
    second.expect(200, "forwarded")?;
    let row = deployment.analyst.row(second.call).await?;
    expect(&row, &json!({"conversion_status": "forwarded", "possibly_duplicate": false, "forward_attempts": 1}))
}

/// An order that came by one lane is a duplicate in the other.
pub(crate) async fn across_lanes(deployment: &Deployment) -> anyhow::Result<()> {
    let merchant = Merchant::open(deployment).await?;
    let live = merchant.call(&purchase("ORD-1")).await?;
    live.expect(200, "forwarded")?;
    let again = merchant.prefer("respond-async", &purchase("ORD-1")).await?;
    let row = deployment.analyst.final_row(again.expect(202, "pending")?.call).await?;
    let duplicate = |of: uuid::Uuid, http: u16, lane: &str| {
        json!({
            "conversion_status": "duplicate", "success": true, "events_received": 0, "duplicate_of": of.to_string(),
            "http_status": http, "lane": lane, "possibly_duplicate": false,
        })
    };
    expect(&row, &duplicate(live.call, 202, "backfill"))?;

    let backfilled = merchant.prefer("respond-async", &purchase("ORD-2")).await?;
    let row = deployment.analyst.final_row(backfilled.expect(202, "pending")?.call).await?;
    expect(&row, &json!({"conversion_status": "forwarded", "http_status": 202, "lane": "backfill"}))?;
    let again = merchant.call(&purchase("ORD-2")).await?;
    let row = deployment.analyst.row(again.expect(200, "duplicate")?.call).await?;
    expect(&row, &duplicate(backfilled.call, 200, "live"))?;
    ensure!(deployment.sandbox.credited(&merchant.dataset).await?.len() == 2, "not one each");
    Ok(())
}

/// After an unknown outcome no other call of the order leaves without the mark either.
pub(crate) async fn an_unknown_outcome_marks_the_order(deployment: &Deployment) -> anyhow::Result<()> {
    let merchant = Merchant::open(deployment).await?;
    // The first is lost on its way; what is sent again is rejected for good, so that the order may be sent once more.
    let script = format!("script?steps=reset-counted,invalid-clid&dataset={}", merchant.dataset);
    deployment.sandbox.put(&script).await?;
    let first = merchant.call(&purchase("ORD-1")).await?;
    let row = deployment.analyst.final_row(first.call).await?;
    expect(&row, &json!({"conversion_status": "rejected", "reason": "META_REJECTED", "possibly_duplicate": true}))?;
    let second = merchant.call(&purchase("ORD-1")).await?;
    let row = deployment.analyst.row(second.expect(200, "forwarded")?.call).await?;
    expect(&row, &json!({"conversion_status": "forwarded", "possibly_duplicate": true}))
}
