//! One dataset is dead, another business floods: nobody else waits for either, and the partitions that all of them share
//! go on.

use anyhow::ensure;
use e2e::{
    deployment::{Deployment, Plan},
    event::purchase,
    merchant::Merchant,
    queue, wait,
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::Value;

/// Calls at once of each business but the one that is looked at.
const AT_ONCE: usize = 16;
/// Live calls to the dead dataset.
const DEAD: usize = 300;
/// Calls of the flood, in each lane.
const FLOOD: usize = 600;
/// Live calls of the business that must not notice.
const LIVE: usize = 40;

/// All on one partition, so that nobody is helped by standing elsewhere. A caller waits for as long as a busy machine takes,
/// and far less than the flood does.
pub(crate) fn plan() -> Plan {
    Plan::default().set("CAPI_PARTITIONS", "1").set("CAPI_VERDICT_WAIT", "1m")
}

/// While a dataset does not answer and a flood of another business is on its way, every live call of a third is answered
/// `forwarded`. The dead one's events wait in tiers with their offsets committed, it is hardly asked, and when it is back
/// all of them arrive.
pub(crate) async fn a_dead_dataset_and_a_flood_delay_nobody(deployment: &mut Deployment) -> anyhow::Result<()> {
    let dead = Merchant::open(deployment).await?;
    let (flood, sound) = (Merchant::open(deployment).await?, Merchant::open(deployment).await?);
    deployment.sandbox.put(&format!("outage?behaviour=silence&dataset={}", dead.dataset)).await?;
    // A flood that Meta takes one event at a time stays a flood for as long as the others are looked at.
    deployment.operator.put_channel(&flood.business, &flood.waba, &flood.dataset, &["--max-concurrency", "1"]).await?;
    deployment.sandbox.put(&format!("latency?latency=1s&dataset={}", flood.dataset)).await?;
    deployment.a_change_takes_effect().await;

    send(&dead, "wait=0", DEAD, "ORD").await?;
    send(&flood, "respond-async", FLOOD, "ASYNC").await?;
    let (flooded, live) = tokio::join!(send(&flood, "wait=0", FLOOD, "LIVE"), live(&sound));
    flooded?;
    live?;
    let rows = rows(deployment, &dead).await?;
    let pending = rows.iter().filter(|row| row["conversion_status"] == "pending").count();
    ensure!(pending == rows.len(), "the dead dataset is alive: {rows:?}");

    // Nothing of the dead dataset holds the frontier.
    let (group, topic) = (deployment.topic("forwarder"), deployment.topic("events.live"));
    wait::until("the live lane to be committed to its end", async || {
        Ok((queue::behind(&deployment.brokers, &group, &topic, 0).await? == 0).then_some(()))
    })
    .await?;
    let asked = deployment.sandbox.requests(&dead.dataset).await?;
    ensure!(asked < 150, "the dead dataset was asked {asked} times");

    deployment.sandbox.clear(&dead.dataset).await?;
    // The breaker lets one event try, and that one opens the way.
    wait::until("the dataset to be found alive", async || {
        Ok((!deployment.sandbox.credited(&dead.dataset).await?.is_empty()).then_some(()))
    })
    .await?;
    let all = |rows: &[Value]| rows.len() == DEAD && rows.iter().all(|row| row["conversion_status"] == "forwarded");
    deployment.analyst.rows_when(&select(&dead), all).await.map(|_| ())
}

/// Calls one after the other, as a shop does; none of them may wait in vain.
async fn live(merchant: &Merchant) -> anyhow::Result<()> {
    for order in 0..LIVE {
        merchant.call(&purchase(&format!("ORD-{order}"))).await?.expect(200, "forwarded")?;
    }
    Ok(())
}

async fn send(merchant: &Merchant, prefer: &str, count: usize, order: &str) -> anyhow::Result<()> {
    let call = async |at: usize| {
        let answer = merchant.prefer(prefer, &purchase(&format!("{order}-{at}"))).await?;
        ensure!(answer.conversion_status() == "pending" || answer.conversion_status() == "forwarded", "{answer:?}");
        Ok(())
    };
    stream::iter(0..count).map(call).buffer_unordered(AT_ONCE).try_collect().await
}

fn select(merchant: &Merchant) -> String {
    format!(
        "SELECT toString(call_id) AS call, conversion_status FROM calls WHERE business_id = '{}'",
        merchant.business
    )
}

async fn rows(deployment: &Deployment, merchant: &Merchant) -> anyhow::Result<Vec<Value>> {
    deployment.analyst.rows(&select(merchant)).await
}
