//! Topics are lost: by the runbook's own words they are made anew, and nothing that comes into them is skipped.

use std::process::Stdio;

use anyhow::{Context as _, ensure};
use e2e::{
    analyst::expect,
    deployment::Deployment,
    event::{purchase, with},
    merchant::Merchant,
    queue, wait,
};
use serde_json::json;
use tokio::process::Command;

use super::read;

/// Kafka's own tool is in this folder.
const LOCAL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/local");

/// The lanes and the records are lost while everything stands at some offset, and are made anew as the runbook says. Calls
/// come in before the workers that read them are back: each ends forwarded once, and a refused one has its row.
pub(crate) async fn lost_topics_are_made_anew(deployment: &mut Deployment) -> anyhow::Result<()> {
    let merchant = Merchant::open(deployment).await?;
    for at in 0..8 {
        merchant.call(&purchase(&format!("before-{at}"))).await?.expect(200, "forwarded")?;
    }
    for worker in deployment.forwarders.iter_mut().chain(&mut deployment.recorders) {
        worker.drain().await?;
    }
    let topics = ["events.live", "events.backfill", "records"].map(|name| deployment.topic(name));
    queue::delete(&deployment.brokers, &topics.each_ref().map(String::as_str)).await?;
    deployment.operator.list(&["setup"]).await?;
    // As one leaves it that went on for a while: what the new topics hold before these offsets would be skipped.
    let [live, backfill, records] = &topics;
    for (group, topic) in [("forwarder", live), ("forwarder", backfill), ("recorder", backfill), ("recorder", records)]
    {
        queue::commit(&deployment.brokers, &deployment.topic(group), topic, 1).await?;
    }
    set_back(deployment).await?;

    let (mut forwarded, mut refused) = (Vec::new(), Vec::new());
    for at in 0..8 {
        let calls = [("wait=0", format!("live-{at}")), ("respond-async", format!("backfill-{at}"))];
        for (prefer, order) in calls {
            let answer = merchant.prefer(prefer, &purchase(&order)).await?;
            ensure!(answer.status < 300, "{}", answer.body);
            forwarded.push((order, answer.call));
        }
        let nameless = with(&purchase("ORD-1"), "/event_name", json!("Lead"));
        let answer = merchant.call(&nameless).await?;
        answer.expect_error(400, "INVALID_FIELDS")?;
        refused.push(answer.call);
    }
    // The recorder first: what it reads from the backfill lane is seen only as long as nobody has forwarded it.
    deployment.recorders[0].restart().await?;
    for (_, call) in &forwarded {
        expect(&deployment.analyst.row(*call).await?, &json!({"conversion_status": "pending"}))?;
    }
    for call in refused {
        expect(&deployment.analyst.row(call).await?, &json!({"conversion_status": "refused"}))?;
    }
    deployment.forwarders[0].restart().await?;
    for (order, call) in forwarded {
        expect(&deployment.analyst.final_row(call).await?, &json!({"conversion_status": "forwarded"}))?;
        let times = deployment.sandbox.times_credited(&merchant.dataset, &order).await?;
        ensure!(times == 1, "{order} was counted {times} times");
    }
    Ok(())
}

/// Does what the runbook says of the groups: its block, word for word but for the names of this deployment.
async fn set_back(deployment: &Deployment) -> anyhow::Result<()> {
    let runbook = read("docs/operations.md")?;
    let block = runbook.split("```sh\n").find(|block| block.starts_with("set_back()")).context("no block")?;
    let script = block.split("```").next().unwrap_or_default();
    let calls = script.lines().filter(|line| line.starts_with("set_back ")).count();
    let script = script.replace("capi.", &format!("{}.", deployment.prefix));
    wait::until("groups that are set back", async || {
        let said = Command::new("bash")
            .args(["-euc", &script])
            .env("PATH", format!("{LOCAL}:{}", std::env::var("PATH")?))
            .env("CAPI_KAFKA_BROKERS", &deployment.brokers)
            .env("CAPI_LOCAL_DIR", deployment.directory())
            .stdin(Stdio::null())
            .output()
            .await?;
        let said = format!("{}{}", String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
        // The runbook says to repeat it for as long as a worker is in the group.
        let is_done = said.matches("NEW-OFFSET").count() == calls && !said.contains("Error");
        ensure!(is_done || said.contains("can only be reset if the group"), "{said}");
        Ok(is_done.then_some(()))
    })
    .await
}
