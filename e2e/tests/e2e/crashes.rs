//! Workers that are killed, stopped, drained and joined by others in the middle of their work: nothing is lost, nothing
//! is counted twice without saying so.

use std::time::Duration;

use anyhow::ensure;
use e2e::{
    analyst::expect,
    deployment::{Deployment, Plan},
    event::purchase,
    instance::Kind,
    merchant::Merchant,
};
use serde_json::json;
use tokio::time::sleep;

use crate::load::{Load, holds};

/// How long Meta takes for an answer, so that there is always something on its way.
const LATENCY: &str = "60ms";
/// Longer than the session of a group's member.
const OVER_A_SESSION: Duration = Duration::from_secs(9);

/// Members that come and go as they are.
pub(crate) fn dynamic(forwarders: usize) -> Plan {
    Plan { forwarders, is_static: false, ..Plan::default() }
}

/// Where marks are counted, none may come of a busy machine on which an answer takes longer than tests wait for Meta.
pub(crate) fn patient(plan: Plan) -> Plan {
    plan.set("CAPI_META_TIMEOUT", "8s")
}

async fn slow_merchant(deployment: &Deployment) -> anyhow::Result<Merchant> {
    deployment.sandbox.put(&format!("latency?latency={LATENCY}")).await?;
    Merchant::open(deployment).await
}

/// A forwarder dies between sending and writing down, and starts again.
pub(crate) async fn a_forwarder_is_killed(deployment: &mut Deployment) -> anyhow::Result<()> {
    let merchant = slow_merchant(deployment).await?;
    let load = Load::new(&merchant, 400);
    let kill = async {
        for share in [0.25, 0.6] {
            load.reaches(share).await;
            deployment.forwarders[0].kill().await?;
            deployment.forwarders[0].restart().await?;
        }
        anyhow::Ok(())
    };
    let (answered, killed) = tokio::join!(load.run(), kill);
    killed?;
    ensure!(answered.unanswered.is_empty(), "a dead forwarder is no matter of ingest: {:?}", answered.unanswered);
    let ended = holds(deployment, &merchant, answered).await?;
    // What was on its way at the two deaths, and nothing else.
    ensure!(ended.marked <= 2 * 24, "{} calls are marked", ended.marked);
    Ok(())
}

/// Ingest dies with calls in its hands: what it had acknowledged is there, and what is sent again is a duplicate.
pub(crate) async fn an_ingest_is_killed(deployment: &mut Deployment) -> anyhow::Result<()> {
    let merchant = slow_merchant(deployment).await?;
    let load = Load::new(&merchant, 400);
    let kill = async {
        load.reaches(0.4).await;
        deployment.ingests[0].kill().await?;
        deployment.ingests[0].restart().await
    };
    let (mut answered, killed) = tokio::join!(load.run(), kill);
    killed?;
    ensure!(!answered.unanswered.is_empty(), "nobody noticed");
    answered.send_again(&merchant).await?;
    let ended = holds(deployment, &merchant, answered).await?;
    ensure!(ended.marked == 0, "{} calls are marked without a reason", ended.marked);
    Ok(())
}

/// The recorder dies with rows in its hands: each is there once.
pub(crate) async fn a_recorder_is_killed(deployment: &mut Deployment) -> anyhow::Result<()> {
    let merchant = slow_merchant(deployment).await?;
    let load = Load::new(&merchant, 400);
    let kill = async {
        for share in [0.2, 0.5, 0.8] {
            load.reaches(share).await;
            deployment.recorders[0].kill().await?;
            deployment.recorders[0].restart().await?;
        }
        anyhow::Ok(())
    };
    let (answered, killed) = tokio::join!(load.run(), kill);
    killed?;
    ensure!(answered.unanswered.is_empty(), "a dead recorder is no matter of ingest: {:?}", answered.unanswered);
    let ended = holds(deployment, &merchant, answered).await?;
    ensure!(ended.marked == 0, "{} calls are marked without a reason", ended.marked);
    Ok(())
}

/// A forwarder stops past its session and goes on: its partitions were another's meanwhile, and what it still writes is
/// void or a result that counts.
pub(crate) async fn a_forwarder_is_a_zombie(deployment: &mut Deployment) -> anyhow::Result<()> {
    let merchant = slow_merchant(deployment).await?;
    let load = Load::new(&merchant, 400);
    let freeze = async {
        load.reaches(0.3).await;
        deployment.forwarders[0].freeze().await?;
        sleep(OVER_A_SESSION).await;
        deployment.forwarders[0].thaw().await
    };
    let (answered, frozen) = tokio::join!(load.run(), freeze);
    frozen?;
    ensure!(answered.unanswered.is_empty(), "{:?}", answered.unanswered);
    holds(deployment, &merchant, answered).await?;
    deployment.forwarders[0].ready().await
}

/// Forwarders join and leave under load: a rebalance by itself is no reason for a mark.
pub(crate) async fn forwarders_join_and_leave(deployment: &mut Deployment) -> anyhow::Result<()> {
    let merchant = slow_merchant(deployment).await?;
    let load = Load::new(&merchant, 600);
    let rebalance = async {
        load.reaches(0.2).await;
        deployment.add(Kind::Forwarder)?;
        deployment.forwarders[1].ready().await?;
        load.reaches(0.5).await;
        let status = deployment.forwarders[0].drain().await?;
        ensure!(status.code() == Some(0), "the drained forwarder ends with {status}");
        load.reaches(0.8).await;
        deployment.forwarders[0].restart().await
    };
    let (answered, rebalanced) = tokio::join!(load.run(), rebalance);
    rebalanced?;
    ensure!(answered.unanswered.is_empty(), "{:?}", answered.unanswered);
    let ended = holds(deployment, &merchant, answered).await?;
    ensure!(ended.marked == 0, "{} calls are marked without a reason", ended.marked);
    Ok(())
}

/// An accepted order is remembered through a drain and through `kill -9`, in either lane; and every worker drains with 0.
pub(crate) async fn an_order_is_remembered(deployment: &mut Deployment) -> anyhow::Result<()> {
    let merchant = Merchant::open(deployment).await?;
    let mut credited = Vec::new();
    for order in 0..8 {
        credited.push(merchant.call(&purchase(&format!("ORD-{order}"))).await?.expect(200, "forwarded")?.call);
    }
    let asked = deployment.sandbox.requests(&merchant.dataset).await?;
    let status = deployment.forwarders[0].drain().await?;
    ensure!(status.code() == Some(0), "the forwarder ends with {status}");
    deployment.forwarders[0].restart().await?;
    are_duplicates(deployment, &merchant, &credited).await?;
    deployment.forwarders[0].kill().await?;
    deployment.forwarders[0].restart().await?;
    are_duplicates(deployment, &merchant, &credited).await?;
    let asynchronous = merchant.prefer("respond-async", &purchase("ORD-0")).await?.call;
    let row = deployment.analyst.final_row(asynchronous).await?;
    expect(&row, &json!({"conversion_status": "duplicate", "duplicate_of": credited[0].to_string()}))?;
    ensure!(deployment.sandbox.requests(&merchant.dataset).await? == asked, "Meta was asked");
    for worker in deployment.ingests.iter_mut().chain(&mut deployment.recorders) {
        let status = worker.drain().await?;
        ensure!(status.code() == Some(0), "{} ends with {status}", worker.log().display());
    }
    Ok(())
}

async fn are_duplicates(deployment: &Deployment, merchant: &Merchant, credited: &[uuid::Uuid]) -> anyhow::Result<()> {
    for (order, of) in credited.iter().enumerate() {
        let answer = merchant.call(&purchase(&format!("ORD-{order}"))).await?;
        let row = deployment.analyst.row(answer.expect(200, "duplicate")?.call).await?;
        expect(&row, &json!({"duplicate_of": of.to_string(), "possibly_duplicate": false}))?;
    }
    Ok(())
}
