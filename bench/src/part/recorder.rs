//! Rows a second through one recorder, beside the same rows inserted in one block by ClickHouse itself.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use e2e::{
    deployment::{Deployment, Plan},
    instance::Instance,
};
use schemas::{CallRecord, ConversionStatus, Lane, Message as _, Outcome, order::partition_of_call};
use tokio::time::Instant;

use super::{
    Ground,
    forwarder::LONG_SESSION,
    ingest::{MEMORY_GOAL, plan},
};
use crate::{
    cost::{self, Meter},
    order,
    sample::{Sample, median_ratio, number, rate},
    table::{Line, per_second},
    topic::{self, Filling, Progress, progress},
    yardstick::PARTITIONS,
};

/// At least so much of what the engine itself does.
const GOAL: f64 = 0.7;
/// Businesses whose calls are recorded.
const BUSINESSES: u64 = 100;

/// A recorder by itself.
pub(super) struct Desk {
    deployment: Deployment,
}

/// What one run showed.
pub(super) struct Run {
    progress: Progress,
    /// Processor time of one row, in seconds.
    pub(super) cpu: f64,
}

impl Desk {
    pub(super) async fn start(ground: &Ground<'_>, name: &str) -> anyhow::Result<Self> {
        let plan = Plan { ingests: 0, forwarders: 0, recorders: 1, properties: LONG_SESSION.into(), ..plan() };
        Ok(Self { deployment: Deployment::start(ground.cluster, name, &plan).await? })
    }

    fn recorder(&mut self) -> anyhow::Result<&mut Instance> {
        self.deployment.recorders.first_mut().context("no recorder")
    }

    /// The recorder stands still while its topic is filled, and is then let loose on an empty table.
    pub(super) async fn run(&mut self, rows: u64) -> anyhow::Result<Run> {
        self.deployment.analyst.run("TRUNCATE TABLE call_records").await?;
        let before = self.stored().await?;
        self.recorder()?.freeze().await?;
        topic::fill(&self.deployment.brokers, &self.deployment.topic("records"), records(rows)).await?;
        let meter = Meter::start(self.recorder()?.pid())?;
        self.recorder()?.thaw().await?;
        let progress = progress(rows, async || Ok(self.stored().await? - before)).await?;
        Ok(Run { progress, cpu: meter.cpu()?.as_secs_f64() / number(rows) })
    }

    /// Rows that ClickHouse has acknowledged, as the recorder counts them.
    async fn stored(&self) -> anyhow::Result<u64> {
        let recorder = self.deployment.recorders.first().context("no recorder")?;
        let (_, page) = recorder.admin_page("/metrics").await?;
        let counts = page.lines().filter(|line| line.starts_with("capi_recorder_rows_total{"));
        counts.map(|line| Ok(line.rsplit(' ').next().unwrap_or_default().parse::<u64>()?)).sum()
    }

    /// The same rows again, from memory into a table like it, in one block; how long that took.
    async fn insert_raw(&self, rows: u64) -> anyhow::Result<Duration> {
        let analyst = &self.deployment.analyst;
        for statement in [
            "DROP TABLE IF EXISTS raw",
            "DROP TABLE IF EXISTS in_memory",
            "CREATE TABLE raw AS call_records",
            "CREATE TABLE in_memory ENGINE = Memory AS SELECT * FROM call_records",
        ] {
            analyst.run(statement).await?;
        }
        let one_block = format!(
            "max_insert_threads = 1, max_block_size = {rows}, max_insert_block_size = {rows}, \
             min_insert_block_size_rows = {rows}, min_insert_block_size_bytes = 0"
        );
        let began = Instant::now();
        analyst.run(&format!("INSERT INTO raw SELECT * FROM in_memory SETTINGS {one_block}")).await?;
        let took = began.elapsed();
        let parts = "SELECT sum(rows) AS held FROM system.parts \
                     WHERE database = currentDatabase() AND table = 'raw' AND active";
        let held = analyst.one(parts).await?["held"].as_u64();
        ensure!(held == Some(rows), "{held:?} of {rows} rows are in the table");
        Ok(took)
    }

    pub(super) fn discard(self) -> anyhow::Result<()> {
        self.deployment.discard()
    }
}

/// Records of credited calls.
fn records(rows: u64) -> impl Iterator<Item = Filling> {
    (0..rows).map(|at| {
        let business = format!("6f1c1b1e-0d6c-4b7e-9a44-{:012}", at % BUSINESSES);
        let call = order::event(&business, "k7Qx2a", at, &order::click()).call;
        let outcome = Outcome {
            events_received: Some(1),
            fbtrace_id: format!("A{}", call.call_id),
            meta_http_status: Some(200),
            forward_attempts: 1,
            forward_ms: Some(200),
            total_ms: 260,
            ..Outcome::new(200, ConversionStatus::Forwarded)
        };
        let (key, partition) = (call.call_id.to_string().into_bytes(), partition_of_call(call.call_id, PARTITIONS));
        let record = CallRecord { call, lane: Some(Lane::Backfill), outcome, rests_on: 7 };
        Filling { partition, key, payload: record.encode() }
    })
}

pub(super) async fn run(ground: &Ground<'_>) -> anyhow::Result<Vec<Line>> {
    let rows = ground.settings.pick(150_000, 1_000_000);
    let mut desk = Desk::start(ground, "bench-recorder").await?;
    let idle = cost::memory(desk.recorder()?.pid())?;
    desk.run(rows / 4).await?;
    let (mut turns, mut costs) = (Vec::new(), Vec::new());
    for _ in 0..ground.settings.turns() {
        let run = desk.run(rows).await?;
        turns.push((run.progress.rate(), rate(rows, desk.insert_raw(rows).await?)));
        costs.push(run.cpu);
    }
    let busiest = cost::peak(desk.recorder()?.pid())?;
    let ratio = median_ratio(&turns);
    let ours = Sample::new(turns.iter().map(|turn| turn.0)).median();
    let raw = Sample::new(turns.iter().map(|turn| turn.1)).median();
    desk.discard()?;
    Ok(vec![
        Line::new("recorder, rows", per_second(ours))
            .beside(format!("{} raw, in one block", per_second(raw)), ratio)
            .goal(format!("≥ {GOAL:.2} of it"), ratio >= GOAL),
        Line::new("recorder, processor time of 1,000 rows", format!("{:.1} ms", Sample::new(costs).median() * 1e6)),
        Line::new("recorder, memory idle and at most", format!("{idle:.0} MB, {busiest:.0} MB"))
            .goal(format!("< {MEMORY_GOAL:.0} MB"), busiest < MEMORY_GOAL),
    ])
}
