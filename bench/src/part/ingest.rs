//! Acknowledged calls a second, answered before their verdict, beside the least service that puts a body into Kafka.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use super::Ground;
use crate::{
    closed::Load,
    cost::{self, Meter},
    order::{Numbers, Request},
    sample::{Sample, median_ratio, number},
    table::{Line, per_second},
    yardstick::{PARTITIONS, Service, Surroundings, Yardstick},
};
use anyhow::Context as _;
use e2e::{
    deployment::{Deployment, Plan},
    merchant::Merchant,
};

/// Connections, and what a message of the yardstick waits for company, in milliseconds: what carries most there.
const CONNECTIONS: [(usize, u32); 5] = [(1, 0), (16, 0), (64, 0), (256, 1), (1024, 1)];
/// What the yardstick's rate is to be worth at least.
const GOAL: f64 = 0.8;
/// Memory under load, in MB.
pub(super) const MEMORY_GOAL: f64 = 100.0;

/// An ingest by itself: what it writes is read by nobody.
pub(super) struct Alone {
    deployment: Deployment,
    address: SocketAddr,
    request: Request,
    numbers: Arc<Numbers>,
}

impl Alone {
    pub(super) async fn start(ground: &Ground<'_>, name: &str) -> anyhow::Result<Self> {
        let plan = Plan { ingests: 1, forwarders: 0, recorders: 0, ..plan() };
        let deployment = Deployment::start(ground.cluster, name, &plan).await?;
        let merchant = Merchant::open(&deployment).await?;
        let address = deployment.ingests.first().context("no ingest")?.public;
        let request = Request::of(&merchant, "Prefer: respond-async\r\n");
        Ok(Self { deployment, address, request, numbers: Arc::default() })
    }

    fn pid(&self) -> u32 {
        self.deployment.ingests.first().map_or(0, e2e::instance::Instance::pid)
    }

    async fn rate(&self, load: Load) -> anyhow::Result<f64> {
        load.run(self.address, &self.request, &self.numbers, 202).await
    }

    /// Processor time of one call over this long, in seconds.
    pub(super) async fn cost(&self, time: Duration) -> anyhow::Result<f64> {
        let (meter, before) = (Meter::start(self.pid())?, self.numbers.given());
        self.rate(Load { connections: 64, time }).await?;
        Ok(meter.cpu()?.as_secs_f64() / number(self.numbers.given() - before))
    }

    pub(super) fn discard(self) -> anyhow::Result<()> {
        self.deployment.discard()
    }
}

/// What the deployments of all parts have in common: a real deployment's partitions, and logs as they are read there.
pub(super) fn plan() -> Plan {
    Plan::default()
        .set("CAPI_PARTITIONS", PARTITIONS.to_string())
        .set("CAPI_META_TIMEOUT", "15s")
        .set("CAPI_LOG_FORMAT", "json")
}

pub(super) async fn run(ground: &Ground<'_>) -> anyhow::Result<Vec<Line>> {
    let alone = Alone::start(ground, "bench-ingest").await?;
    let idle = cost::memory(alone.pid())?;
    let mut lines = Vec::new();
    for (connections, linger_ms) in CONNECTIONS {
        lines.push(beside_the_yardstick(ground, &alone, connections, linger_ms).await?);
    }
    lines.push(ceiling(ground, &alone).await?);
    lines.extend(costs(ground, &alone, idle).await?);
    alone.discard()?;
    Ok(lines)
}

async fn beside_the_yardstick(
    ground: &Ground<'_>,
    alone: &Alone,
    connections: usize,
    linger_ms: u32,
) -> anyhow::Result<Line> {
    let yardstick = Yardstick::start(Service::Ingest, &around(alone, linger_ms), ground.folder).await?;
    let load = Load { connections, time: ground.settings.turn() };
    let mut turns = Vec::new();
    for _ in 0..ground.settings.turns() {
        let least = load.run(yardstick.address, &alone.request, &alone.numbers, 202).await?;
        turns.push((alone.rate(load).await?, least));
    }
    let ratio = median_ratio(&turns);
    let ours = Sample::new(turns.iter().map(|turn| turn.0));
    let least = Sample::new(turns.iter().map(|turn| turn.1));
    Ok(Line::new(format!("ingest, {connections} connections"), per_second(ours.median()))
        .beside(format!("{}, {:.0} MB", per_second(least.median()), cost::peak(yardstick.pid())?), ratio)
        .goal(format!("≥ {GOAL:.2} of the yardstick"), ratio >= GOAL))
}

fn around(alone: &Alone, linger_ms: u32) -> Surroundings {
    let deployment = &alone.deployment;
    Surroundings { brokers: deployment.brokers.clone(), prefix: deployment.prefix.clone(), linger_ms, meta: None }
}

/// What the load generator sends where nothing is done with it.
async fn ceiling(ground: &Ground<'_>, alone: &Alone) -> anyhow::Result<Line> {
    let nothing = Yardstick::start(Service::Nothing, &around(alone, 0), ground.folder).await?;
    let load = Load { connections: 256, time: ground.settings.turn() };
    let rate = load.run(nothing.address, &alone.request, &alone.numbers, 200).await?;
    Ok(Line::new("load generator, 256 connections, against a service that does nothing", per_second(rate)))
}

async fn costs(ground: &Ground<'_>, alone: &Alone, idle: f64) -> anyhow::Result<[Line; 2]> {
    let cost = alone.cost(ground.settings.turn() * 2).await?;
    let busiest = cost::peak(alone.pid())?;
    Ok([
        Line::new("ingest, processor time of 1,000 calls", format!("{:.1} ms", cost * 1e6)),
        Line::new("ingest, memory idle and at most", format!("{idle:.0} MB, {busiest:.0} MB"))
            .goal(format!("< {MEMORY_GOAL:.0} MB"), busiest < MEMORY_GOAL),
    ])
}
