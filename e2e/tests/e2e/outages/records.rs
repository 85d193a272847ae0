//! ClickHouse is away while records come by the hundred: they wait in Kafka, and the recorder's memory stays flat.

use std::ops::Range;

use anyhow::{Context as _, ensure};
use e2e::{
    deployment::Deployment,
    instance::Instance,
    merchant::{self, Merchant},
    queue, usage, wait,
};
use futures::{StreamExt as _, TryStreamExt as _, stream};

use super::{Between, rows};

/// Calls at once.
const AT_ONCE: usize = 16;
/// Refused calls, each with a body of which the record keeps all: about 180 MB.
const CALLS: usize = 3000;
const BODY: usize = 60 * 1024;
const MIB: u64 = 1024 * 1024;
/// What the recorder may have in hand and beside it in its client (40 and 8 MiB), and as much again that the allocator
/// keeps. All that waits is nearly twice that, and would be held twice, as messages and as rows.
const GROWTH: u64 = 96 * MIB;
/// The partitions of a deployment of these tests.
const PARTITIONS: i32 = 4;

/// For a recorder whose ClickHouse the test can take away.
pub(crate) async fn memory_stays_flat(deployment: &mut Deployment) -> anyhow::Result<()> {
    let between = Between::of(deployment)?;
    let line = between.line().await?;
    between.record(deployment)?;
    let merchant = Merchant::open(deployment).await?;
    // It has done all that it ever does: what it grows from here is what waits.
    refused(&merchant, 0..100).await?;
    rows(deployment, &merchant, 100).await?;
    wait::until("the commit of what is in", async || Ok((behind(deployment).await? == 0).then_some(()))).await?;
    let base = usage::resident(deployment.recorders[0].pid())?;

    line.cut().await;
    let peak = peak_during(deployment, refused(&merchant, 100..CALLS)).await?;
    let waiting = i64::try_from(CALLS - 100)?;
    let recorder = &deployment.recorders[0];
    wait::until("the lag to be told", async || Ok((lag(recorder).await? >= waiting).then_some(()))).await?;
    let (ready, says) = recorder.admin_page("/readyz").await?;
    ensure!(ready == 503 && says.contains("clickhouse"), "{ready}: {says}");
    ensure!(behind(deployment).await? == waiting, "offsets were committed of rows that are nowhere");
    let peak = peak.max(usage::resident(recorder.pid())?);
    ensure!(peak < base + GROWTH, "the recorder grew from {} to {} MiB", base / MIB, peak / MIB);

    let _line = between.line().await?;
    rows(deployment, &merchant, CALLS as u64).await?;
    wait::until("the commit of all", async || Ok((behind(deployment).await? == 0).then_some(()))).await?;
    deployment.recorders[0].ready().await
}

/// Calls that are refused for what they are, with large bodies.
async fn refused(merchant: &Merchant, calls: Range<usize>) -> anyhow::Result<()> {
    let call = async |at: usize| {
        let answer = merchant::send(merchant.request().body(body(at))).await?;
        ensure!(answer.status == 400, "{} {}", answer.status, answer.body);
        Ok(())
    };
    stream::iter(calls).map(call).buffer_unordered(AT_ONCE).try_collect().await
}

/// Text that is no JSON, and that no compression makes small.
fn body(at: usize) -> String {
    let mut state = at as u64 + 1;
    let letter = |_| {
        // Xorshift.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(b' ' + u8::try_from(state % 95).unwrap_or(0))
    };
    (0..BODY).map(letter).collect()
}

/// The most memory that the recorder is seen with until this is done.
async fn peak_during(deployment: &Deployment, work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<u64> {
    let mut peak = 0;
    let mut look = tokio::time::interval(std::time::Duration::from_millis(100));
    let mut work = std::pin::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return done.map(|()| peak),
            _ = look.tick() => peak = peak.max(usage::resident(deployment.recorders[0].pid())?),
        }
    }
}

/// What the recorder has not committed of the records.
async fn behind(deployment: &Deployment) -> anyhow::Result<i64> {
    let (group, topic) = (deployment.topic("recorder"), deployment.topic("records"));
    let mut behind = 0;
    for partition in 0..PARTITIONS {
        behind += queue::behind(&deployment.brokers, &group, &topic, partition).await?;
    }
    Ok(behind)
}

/// What it says itself that it has not committed.
async fn lag(recorder: &Instance) -> anyhow::Result<i64> {
    let (_, metrics) = recorder.admin_page("/metrics").await?;
    let of_records = |line: &&str| line.starts_with("capi_recorder_lag_messages{") && line.contains("records\"");
    let line = metrics.lines().find(of_records).context("no lag")?;
    let value = line.rsplit(' ').next().unwrap_or_default();
    value.parse().with_context(|| line.to_owned())
}
