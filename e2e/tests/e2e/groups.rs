//! The forwarders' group over real Kafka: what a partition that stays costs, and what becomes of a forwarder with a name.

use std::fs;

use anyhow::{Context as _, ensure};
use e2e::{
    deployment::{Deployment, Plan},
    event::purchase,
    instance::{Instance, Kind},
    merchant::Merchant,
    wait,
};
use futures::future::try_join_all;
use uuid::Uuid;

/// Orders that the ledgers remember: an intent and a result each, over four partitions.
const ORDERS: usize = 120;
/// Far fewer than the records of one partition, and more than the claims of some rebalances.
const CLAIMS: u64 = 24;
const CLAIMED: &str = "the partition is claimed";
const JOINS_ANEW: &str = "joins anew";

/// Two forwarders with names, and sessions that no restart outlasts, however busy the machine is.
pub(crate) fn named() -> Plan {
    Plan { forwarders: 2, properties: "session.timeout.ms=60000\n".to_owned(), ..Plan::default() }
}

/// A second forwarder takes half of the partitions. The first reads no ledger again of those that stay; the second reads
/// those that moved, and both know every order.
pub(crate) async fn a_partition_that_stays_is_not_restored_again(deployment: &mut Deployment) -> anyhow::Result<()> {
    let merchant = Merchant::open(deployment).await?;
    let credited = credited(&merchant, ORDERS).await?;
    let before = counted(&deployment.forwarders[0], "ledger_records_total").await?;
    ensure!(before > 2 * ORDERS as u64, "{before} records were read: the measure is blind");

    deployment.add(Kind::Forwarder)?;
    deployment.forwarders[1].ready().await?;
    for forwarder in &deployment.forwarders {
        holds_partitions(forwarder, 2).await?;
    }
    let again = counted(&deployment.forwarders[0], "ledger_records_total").await? - before;
    ensure!(again < CLAIMS, "{again} records were read again of partitions that stayed");
    let moved = counted(&deployment.forwarders[1], "ledger_records_total").await?;
    ensure!(moved > CLAIMS, "{moved} records were read of partitions that moved");
    are_duplicates(deployment, &merchant, &credited).await
}

/// A forwarder with a name is killed and comes back within its session: its partitions wait for it, nobody else's move,
/// and it claims them anew.
pub(crate) async fn a_named_forwarder_returns_without_a_rebalance(deployment: &mut Deployment) -> anyhow::Result<()> {
    let merchant = Merchant::open(deployment).await?;
    let remembered = credited(&merchant, 16).await?;
    for forwarder in &deployment.forwarders {
        holds_partitions(forwarder, 2).await?;
    }
    let (rebalanced, claimed) = (rebalances(&deployment.forwarders[1]).await?, claims(&deployment.forwarders[0])?);

    deployment.forwarders[0].kill().await?;
    // Taken while half of the partitions have nobody.
    let waiting = try_join_all((0..16).map(async |at| {
        let answer = merchant.prefer("wait=0", &purchase(&format!("meanwhile-{at}"))).await?;
        answer.expect(200, "pending").map(|answer| answer.call)
    }))
    .await?;
    deployment.forwarders[0].restart().await?;

    for call in waiting {
        let row = deployment.analyst.final_row(call).await?;
        ensure!(row["conversion_status"] == "forwarded" && row["possibly_duplicate"] == false, "{row}");
    }
    are_duplicates(deployment, &merchant, &remembered).await?;
    holds_partitions(&deployment.forwarders[0], 2).await?;
    ensure!(claims(&deployment.forwarders[0])? == claimed + 2, "it did not claim its partitions anew, once each");
    let rebalanced_now = rebalances(&deployment.forwarders[1]).await?;
    ensure!(rebalanced_now == rebalanced, "the other was rebalanced: {rebalanced_now} times, not {rebalanced}");
    Ok(())
}

/// While a forwarder hangs, another is started under its name, as an orchestrator does, and is gone again. The first finds
/// itself refused for good: it joins anew, claims anew, and is as good as new.
pub(crate) async fn a_named_forwarder_that_was_replaced_joins_anew(deployment: &mut Deployment) -> anyhow::Result<()> {
    let merchant = Merchant::open(deployment).await?;
    deployment.forwarders[1].drain().await?;
    // A member with a name does not leave: its partitions move when its session has ended.
    holds_partitions(&deployment.forwarders[0], 4).await?;
    let mut remembered = credited(&merchant, 8).await?;

    let [hanging, replacement] = &mut deployment.forwarders[..] else { anyhow::bail!("not two forwarders") };
    hanging.freeze().await?;
    replacement.set("CAPI_INSTANCE", "capi-forwarder-1");
    replacement.restart().await?;
    let meanwhile = merchant.call(&purchase("ORD-8")).await?.expect(200, "forwarded")?.call;
    remembered.push(meanwhile);
    replacement.kill().await?;
    hanging.thaw().await?;

    let log = hanging.log().to_owned();
    wait::until("the first forwarder's return", async || {
        let said = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
        let since = said.split_once(JOINS_ANEW).map(|(_, since)| since.matches(CLAIMED).count());
        Ok((since >= Some(4)).then_some(()))
    })
    .await?;
    hanging.ready().await?;
    are_duplicates(deployment, &merchant, &remembered).await?;
    for at in 9..25 {
        let answer = merchant.call(&purchase(&format!("ORD-{at}"))).await?;
        let row = deployment.analyst.row(answer.expect(200, "forwarded")?.call).await?;
        ensure!(row["possibly_duplicate"] == false, "{row}");
    }
    Ok(())
}

/// Orders that are credited, by their numbers, and to which calls.
async fn credited(merchant: &Merchant, orders: usize) -> anyhow::Result<Vec<Uuid>> {
    let call = async |order: usize| {
        let answer = merchant.call(&purchase(&format!("ORD-{order}"))).await?;
        answer.expect(200, "forwarded").map(|answer| answer.call)
    };
    try_join_all((0..orders).map(call)).await
}

/// Every one of them is remembered, and Meta is not asked.
async fn are_duplicates(deployment: &Deployment, merchant: &Merchant, credited: &[Uuid]) -> anyhow::Result<()> {
    let asked = deployment.sandbox.requests(&merchant.dataset).await?;
    let again = credited.iter().enumerate().map(async |(order, of)| {
        let answer = merchant.call(&purchase(&format!("ORD-{order}"))).await?;
        let row = deployment.analyst.row(answer.expect(200, "duplicate")?.call).await?;
        ensure!(row["duplicate_of"] == of.to_string(), "{row}, not of {of}");
        Ok(())
    });
    try_join_all(again).await?;
    ensure!(deployment.sandbox.requests(&merchant.dataset).await? == asked, "Meta was asked");
    Ok(())
}

async fn holds_partitions(forwarder: &Instance, partitions: u64) -> anyhow::Result<()> {
    wait::until(&format!("{} to hold {partitions} partitions", forwarder.log().display()), async || {
        let assigned = counted(forwarder, "partitions_assigned").await?;
        let claimed = counted(forwarder, "partitions_claimed").await?;
        Ok((assigned == partitions && claimed == partitions).then_some(()))
    })
    .await
}

async fn rebalances(forwarder: &Instance) -> anyhow::Result<u64> {
    counted(forwarder, "rebalances_total").await
}

/// How often it has claimed a partition, restarts included.
fn claims(forwarder: &Instance) -> anyhow::Result<usize> {
    Ok(String::from_utf8_lossy(&fs::read(forwarder.log())?).matches(CLAIMED).count())
}

/// The sum of a metric over its labels.
async fn counted(forwarder: &Instance, metric: &str) -> anyhow::Result<u64> {
    let (_, page) = forwarder.admin_page("/metrics").await?;
    let name = format!("capi_forwarder_{metric}");
    let samples = page.lines().filter(|line| line.split([' ', '{']).next() == Some(&name));
    let values = samples.map(|line| line.rsplit(' ').next().unwrap_or_default().parse::<u64>());
    values.sum::<Result<u64, _>>().with_context(|| format!("{name} in {page}"))
}
