//! Changes while everything runs: each is in effect everywhere within a second.

use anyhow::ensure;
use e2e::{
    analyst::expect,
    deployment::Deployment,
    event::purchase,
    merchant::{Merchant, new_key, send},
    operator::Operator,
};
use serde_json::json;

/// A key that is created and revoked while ingest runs.
pub(crate) async fn a_key_comes_and_goes(deployment: &Deployment) -> anyhow::Result<()> {
    let merchant = Merchant::open(deployment).await?;
    let (key_id, key) = new_key(deployment, &merchant.business, &[]).await?;
    deployment.a_change_takes_effect().await;
    let call = async |order: &str| {
        let request = merchant.bare(&merchant.url_of(&merchant.business)).header("X-API-KEY", &key);
        send(request.body(purchase(order).to_string())).await
    };
    let answer = call("ORD-1").await?;
    answer.expect(200, "forwarded")?;
    expect(&deployment.analyst.row(answer.call).await?, &json!({"api_key_id": key_id}))?;
    deployment.operator.list(&["key", "revoke", &merchant.business, &key_id]).await?;
    deployment.a_change_takes_effect().await;
    call("ORD-2").await?.expect_error(401, "API_KEY_REVOKED")?;
    merchant.call(&purchase("ORD-3")).await?.expect(200, "forwarded")?;
    never_shows_a_secret(&deployment.operator, &merchant, &key).await
}

async fn never_shows_a_secret(operator: &Operator, merchant: &Merchant, key: &str) -> anyhow::Result<()> {
    for shown in [&["business", "show"], &["key", "list"]] {
        let said = operator.run(&[shown[0], shown[1], &merchant.business]).await?;
        ensure!(said.code == 0 && said.stdout.contains(&merchant.key_id), "{said:?}");
        let secret = |key: &str| key.rsplit('_').next().unwrap_or_default().to_owned();
        for secret in [secret(key), secret(&merchant.key), "EAAG-token".to_owned()] {
            ensure!(!said.stdout.contains(&secret) && !said.stderr.contains(&secret), "a secret is shown: {said:?}");
        }
    }
    Ok(())
}

/// A business that is disabled: what was accepted is still forwarded, and nothing more is taken.
pub(crate) async fn a_business_is_disabled(deployment: &Deployment) -> anyhow::Result<()> {
    let merchant = Merchant::open(deployment).await?;
    deployment.sandbox.put(&format!("outage?behaviour=graph-503&dataset={}", merchant.dataset)).await?;
    let accepted = merchant.prefer("wait=0", &purchase("ORD-1")).await?;
    accepted.expect(200, "pending")?;
    deployment.operator.list(&["business", "put", &merchant.business, "--name", "Closed", "--disabled"]).await?;
    deployment.a_change_takes_effect().await;
    merchant.call(&purchase("ORD-2")).await?.expect_error(404, "BUSINESS_NOT_FOUND")?;
    deployment.sandbox.clear(&merchant.dataset).await?;
    let row = deployment.analyst.final_row(accepted.call).await?;
    expect(&row, &json!({"conversion_status": "forwarded"}))?;
    // Put again without the flag, it is enabled: key and channel were kept.
    deployment.operator.list(&["business", "put", &merchant.business, "--name", "Open again"]).await?;
    deployment.a_change_takes_effect().await;
    merchant.call(&purchase("ORD-2")).await?.expect(200, "forwarded")?;
    Ok(())
}

/// A channel that is put again: token and dataset are read at the time of sending.
pub(crate) async fn a_channel_is_replaced(deployment: &Deployment) -> anyhow::Result<()> {
    let merchant = Merchant::open(deployment).await?;
    merchant.call(&purchase("ORD-1")).await?.expect(200, "forwarded")?;
    let dataset = format!("{}0", merchant.dataset);
    let more = ["--graph-version", "v25.0", "--partner-agent", "corner", "--test-event-code", "TEST123"];
    deployment.operator.put_channel(&merchant.business, "4711", &dataset, &more).await?;
    deployment.a_change_takes_effect().await;
    merchant.call(&purchase("ORD-2")).await?.expect(200, "forwarded")?;
    ensure!(deployment.sandbox.credited(&merchant.dataset).await?.len() == 1, "the old dataset was used");
    let credited = deployment.sandbox.credited(&dataset).await?;
    ensure!(credited.len() == 1, "{credited:?}");
    expect(&credited[0], &json!({"event_id": "ORD-2", "whatsapp_business_account_id": "4711"}))?;
    let requests = deployment.sandbox.get(&format!("requests?dataset={dataset}")).await?;
    ensure!(requests[0]["version"] == "v25.0", "{requests}");
    Ok(())
}

/// A channel that is removed meanwhile: rejected at `meta_forward`, and replayed once there is one again.
pub(crate) async fn a_channel_is_removed(deployment: &Deployment) -> anyhow::Result<()> {
    let merchant = Merchant::open(deployment).await?;
    deployment.sandbox.put(&format!("outage?behaviour=graph-503&dataset={}", merchant.dataset)).await?;
    let accepted = merchant.prefer("wait=0", &purchase("ORD-1")).await?;
    accepted.expect(200, "pending")?;
    deployment.operator.list(&["channel", "remove", &merchant.business]).await?;
    deployment.a_change_takes_effect().await;
    merchant.call(&purchase("ORD-2")).await?.expect_error(404, "WHATSAPP_CHANNEL_NOT_CONFIGURED")?;
    let row = deployment.analyst.final_row(accepted.call).await?;
    let columns = json!({
        "conversion_status": "rejected", "failure_stage": "meta_forward", "reason": "WHATSAPP_CHANNEL_NOT_CONFIGURED",
        "http_status": 400, "success": false, "lane": "live", "possibly_duplicate": false,
    });
    expect(&row, &columns)?;
    deployment.sandbox.clear(&merchant.dataset).await?;
    deployment.operator.put_channel(&merchant.business, &merchant.waba, &merchant.dataset, &[]).await?;
    deployment.a_change_takes_effect().await;
    let call = accepted.call.to_string();
    let counts = deployment.operator.one(&["replay", "--call", &call]).await?;
    expect(&counts, &json!({"matched": 1, "replayed": 1, "too_old": 0}))?;
    let row = deployment.analyst.row_when(accepted.call, |row| row["conversion_status"] == "forwarded").await?;
    expect(&row, &json!({"http_status": 200, "lane": "live", "reason": "", "failure_stage": "", "error": ""}))
}
