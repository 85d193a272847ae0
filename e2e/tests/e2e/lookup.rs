//! A merchant asks what became of an order, or of a call.

use anyhow::ensure;
use e2e::{
    analyst::expect,
    answer::Answer,
    deployment::Deployment,
    event::{purchase, with_click},
    merchant::{Merchant, send},
};
use serde_json::{Value, json};

async fn ask(merchant: &Merchant, name: &str, id: &str) -> anyhow::Result<Answer> {
    send(merchant.asks(&merchant.url_of(&merchant.business)).query(&[(name, id)])).await
}

/// Every call that reported it, the newest first, each with what became of it.
pub(crate) async fn an_order_and_its_calls(deployment: &Deployment) -> anyhow::Result<()> {
    let merchant = Merchant::open(deployment).await?;
    let order = "ORD 1 & 'more'";
    let rejected = merchant.call(&with_click("sandbox-invalid-clid", order)).await?.call;
    let forwarded = merchant.call(&purchase(order)).await?.call;
    let duplicate = merchant.call(&purchase(order)).await?.call;
    merchant.call(&purchase("ORD-2")).await?;
    for call in [rejected, forwarded, duplicate] {
        deployment.analyst.final_row(call).await?;
    }
    let answer = ask(&merchant, "order_id", order).await?;
    let calls = answer.body["calls"].as_array().map(Vec::as_slice).unwrap_or_default();
    ensure!(answer.status == 200 && calls.len() == 3 && answer.body["more"] == false, "{}", answer.body);
    let good = json!({"event_name": "Purchase", "order_id": order, "http_status": 200, "possibly_duplicate": false});
    calls.iter().take(2).try_for_each(|call| expect(call, &good))?;
    expect(&calls[0], &json!({"call_id": duplicate, "conversion_status": "duplicate", "duplicate_of": forwarded}))?;
    expect(&calls[1], &json!({"call_id": forwarded, "conversion_status": "forwarded", "forward_attempts": 1}))?;
    expect(
        &calls[2],
        &json!({"call_id": rejected, "conversion_status": "rejected", "http_status": 400,
        "failure_stage": "meta_forward", "reason": "META_REJECTED"}),
    )?;
    let meta = json!({"http_status": 400, "code": 100, "error": "Messaging Event Invalid Ctwa Clid"});
    expect(&calls[2]["meta"], &meta)?;
    ensure!(calls[2]["meta"]["fbtrace_id"].as_str().is_some_and(|id| !id.is_empty()), "{}", calls[2]);
    // By its id the call is the same one.
    let one = ask(&merchant, "call_id", &rejected.to_string()).await?;
    ensure!(one.body["calls"] == Value::from(vec![calls[2].clone()]), "{}", one.body);
    Ok(())
}

/// Another merchant's order and call do not exist, whoever's path is asked.
pub(crate) async fn of_another_merchant(deployment: &Deployment) -> anyhow::Result<()> {
    let (merchant, other) = (Merchant::open(deployment).await?, Merchant::open(deployment).await?);
    let call = merchant.call(&purchase("ORD-1")).await?.call;
    deployment.analyst.final_row(call).await?;
    ensure!(ask(&merchant, "order_id", "ORD-1").await?.status == 200, "its own is found");
    for (name, id) in [("order_id", "ORD-1"), ("call_id", &call.to_string())] {
        ask(&other, name, id).await?.expect_error(404, "CALL_NOT_FOUND")?;
        let strange = send(other.asks(&merchant.url_of(&merchant.business)).query(&[(name, id)])).await?;
        strange.expect_error(404, "BUSINESS_NOT_FOUND")?;
    }
    Ok(())
}
