//! A rolling deploy under load: worker after worker is drained and comes back as the next release, the writers before
//! their readers, which is the worst order; then the way back. What a release does differently here is that it writes
//! its newest schemas.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use anyhow::{bail, ensure};
use e2e::{
    answer::Answer,
    deployment::{Deployment, Plan},
    event::purchase,
    instance::Instance,
    merchant::Merchant,
};
use futures::{StreamExt as _, stream};
use serde_json::json;
use tokio::time::sleep;

use crate::load::{Answered, holds, told};

/// Calls at once.
const AT_ONCE: usize = 8;
/// How often a caller tries, at one ingest after the other.
const TRIES: usize = 100;
/// How long it waits in between.
const PAUSE: Duration = Duration::from_millis(50);
/// All programs of a workspace are of one release.
const RELEASE: &str = env!("CARGO_PKG_VERSION");

/// Two of each, so that there is always one to go on.
pub(crate) fn plan() -> Plan {
    Plan { ingests: 2, forwarders: 2, recorders: 2, ..Plan::default() }
}

/// Nothing is lost, doubled or buried, every call is answered, and a call says which release took it as soon as every
/// worker on its way writes that.
pub(crate) async fn a_rolling_deploy_and_back(deployment: &mut Deployment) -> anyhow::Result<()> {
    deployment.sandbox.put("latency?latency=40ms").await?;
    let merchant = Merchant::open(deployment).await?;
    let at_either = [merchant.clone(), merchant.at(deployment.ingest_url(1))];
    let over = AtomicBool::new(false);
    let deploys = async {
        let deployed = deploy_and_back(deployment, &merchant).await;
        over.store(true, Ordering::Relaxed);
        deployed
    };
    let (answered, deployed) = tokio::join!(load(&at_either, &over), deploys);
    deployed?;
    let ended = holds(deployment, &merchant, answered?).await?;
    ensure!(ended.marked == 0, "{} calls are marked without a reason", ended.marked);
    let buried = deployment.operator.list(&["dead-letters", "list"]).await?;
    ensure!(buried.is_empty(), "buried: {buried:?}");
    Ok(())
}

async fn deploy_and_back(deployment: &mut Deployment, merchant: &Merchant) -> anyhow::Result<()> {
    takes(deployment, merchant, "before", "").await?;
    // The migrations of a release come first, and the workers of the one before go on.
    deployment.operator.list(&["setup"]).await?;
    replace(&mut deployment.ingests, "newest").await?;
    takes(deployment, merchant, "old-forwarders", "").await?;
    replace(&mut deployment.forwarders, "newest").await?;
    takes(deployment, merchant, "old-recorders", RELEASE).await?;
    replace(&mut deployment.recorders, "newest").await?;
    takes(deployment, merchant, "after", RELEASE).await?;
    replace(&mut deployment.forwarders, "released").await?;
    takes(deployment, merchant, "half-way-back", "").await?;
    replace(&mut deployment.ingests, "released").await?;
    takes(deployment, merchant, "back", "").await
}

/// One worker after the other, so that old and new stand side by side meanwhile.
async fn replace(instances: &mut [Instance], schemas: &str) -> anyhow::Result<()> {
    for instance in instances {
        let status = instance.drain().await?;
        ensure!(status.code() == Some(0), "{} ends with {status}", instance.log().display());
        instance.set("CAPI_WRITE_SCHEMAS", schemas);
        instance.restart().await?;
    }
    Ok(())
}

/// A call of this time ends forwarded in either lane, and its row says this release.
async fn takes(deployment: &Deployment, merchant: &Merchant, order: &str, release: &str) -> anyhow::Result<()> {
    let live = merchant.call(&purchase(order)).await?;
    live.expect(200, "forwarded")?;
    let backfilled = merchant.prefer("respond-async", &purchase(&format!("{order}-async"))).await?;
    backfilled.expect(202, "pending")?;
    for answer in [live, backfilled] {
        deployment.analyst.final_row(answer.call).await?;
        let select = format!("SELECT release FROM call_records FINAL WHERE call_id = '{}'", answer.call);
        let row = deployment.analyst.one(&select).await?;
        ensure!(row == json!({"release": release}), "{order}: {row}, not {release:?}");
    }
    Ok(())
}

/// Calls until it is over, each for an order of its own.
async fn load(at_either: &[Merchant; 2], over: &AtomicBool) -> anyhow::Result<Answered> {
    let going_on = |_: &usize| std::future::ready(!over.load(Ordering::Relaxed));
    let calls = stream::iter(0..).take_while(going_on).map(async |at: usize| {
        let order = format!("ORD-{at}");
        anyhow::Ok(told(&at_either[0], &order, &answered(at_either, at, &order).await?))
    });
    let answers: Vec<_> = calls.buffer_unordered(AT_ONCE).collect().await;
    let told = answers.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
    Ok(Answered { told, unanswered: Vec::new() })
}

/// Calls one ingest, and the other where the one is away, as behind a load balancer.
async fn answered(at_either: &[Merchant; 2], at: usize, order: &str) -> anyhow::Result<Answer> {
    let body = purchase(order);
    for merchant in at_either.iter().cycle().skip(at % 2).take(TRIES) {
        match merchant.call(&body).await {
            Ok(answer) if answer.status == 200 => return Ok(answer),
            // It drains, or is not there.
            Ok(answer) if answer.status != 503 => bail!("{order} is answered {} {}", answer.status, answer.body),
            _ => sleep(PAUSE).await,
        }
    }
    bail!("{order} is not answered in {TRIES} tries")
}
