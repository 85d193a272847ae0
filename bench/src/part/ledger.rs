//! The order ledger: what an order takes in the forwarder's memory, and how fast a forwarder that comes reads the log.

use std::time::Duration;

use anyhow::Context as _;
use e2e::{
    deployment::{Deployment, Plan},
    event,
    instance::{Instance, Kind},
    usage,
};
use schemas::{CallId, LedgerRecord, OrderHash, ledger::Accepted};
use tokio::time::Instant;

use super::{Ground, ingest::plan};
use crate::{
    cost,
    sample::{number, rate},
    table::{Line, grouped, per_second},
    topic::{self, Filling, Watch},
    yardstick::PARTITIONS,
};

/// Bytes of memory for an order.
const BYTES_GOAL: f64 = 64.0;
/// Orders a second of a restore.
const RATE_GOAL: f64 = 500_000.0;

/// What a forwarder's start showed.
#[derive(Clone, Copy, Default)]
pub(super) struct Restore {
    took: Duration,
    /// Processor time, in seconds.
    cpu: f64,
    memory: f64,
    peak: f64,
}

/// Orders in a log, and a forwarder that comes and reads it.
pub(super) struct Shelf {
    deployment: Deployment,
    empty: Restore,
    orders: u64,
}

impl Shelf {
    /// With an empty log, whose reading shows what a start takes in any case.
    pub(super) async fn start(ground: &Ground<'_>, name: &str) -> anyhow::Result<Self> {
        let none = Plan { ingests: 0, forwarders: 0, recorders: 0, ..plan() };
        let mut deployment = Deployment::start(ground.cluster, name, &none).await?;
        deployment.add(Kind::Forwarder)?;
        deployment.forwarders.first_mut().context("no forwarder")?.ready().await?;
        let mut shelf = Self { deployment, empty: Restore::default(), orders: 0 };
        shelf.forwarder()?.drain().await?;
        shelf.empty = shelf.restore().await?;
        Ok(shelf)
    }

    fn forwarder(&mut self) -> anyhow::Result<&mut Instance> {
        self.deployment.forwarders.first_mut().context("no forwarder")
    }

    /// Fills the log up to so many credited orders.
    pub(super) async fn fill(&mut self, orders: u64) -> anyhow::Result<()> {
        let filling = (self.orders..orders).map(credit);
        topic::fill(&self.deployment.brokers, &self.deployment.topic("orders"), filling).await?;
        self.orders = orders;
        Ok(())
    }

    /// A forwarder comes, is ready once all is read, and goes.
    async fn restore(&mut self) -> anyhow::Result<Restore> {
        let began = Instant::now();
        self.forwarder()?.restart().await?;
        let (took, pid) = (began.elapsed(), self.forwarder()?.pid());
        let cpu = usage::cpu(pid)?.as_secs_f64();
        let restore = Restore { took, cpu, memory: cost::memory(pid)?, peak: cost::peak(pid)? };
        self.forwarder()?.drain().await?;
        Ok(restore)
    }

    /// Processor time that reading the orders took, in seconds.
    pub(super) async fn reading(&mut self) -> anyhow::Result<f64> {
        Ok(self.restore().await?.cpu - self.empty.cpu)
    }

    pub(super) fn discard(self) -> anyhow::Result<()> {
        self.deployment.discard()
    }
}

fn credit(order: u64) -> Filling {
    let key = format!("6f1c1b1e-0d6c-4b7e-9a44-0a4f6f0b7f10:Purchase:ORD-{order:012}");
    let credit = Accepted {
        intent: 0,
        call: CallId::now(),
        listed: schemas::ledger::Listed::default(),
        at: event::now() * 1000,
        events_received: Some(1),
        fbtrace_id: "AbCdEfGhIjKlMnOpQrStUv".into(),
        http_status: 200,
        forward_attempts: 1,
        forward_ms: 200,
    };
    let partition = OrderHash::of(key.as_bytes()).partition(PARTITIONS);
    Filling { partition, key: key.into_bytes(), payload: LedgerRecord::Accepted(credit).encode() }
}

pub(super) async fn run(ground: &Ground<'_>) -> anyhow::Result<Vec<Line>> {
    let orders = ground.settings.pick(1_000_000, 10_000_000);
    let mut shelf = Shelf::start(ground, "bench-ledger").await?;
    shelf.fill(orders).await?;
    let log = Watch::over(&shelf.deployment.brokers, shelf.deployment.topic("orders")).await?;
    let least = log.read_through(&shelf.deployment.brokers).await?;
    let (empty, restored) = (shelf.empty, shelf.restore().await?);
    let took = restored.took.saturating_sub(empty.took).max(Duration::from_millis(1));
    shelf.discard()?;
    let bytes = |held: f64, before: f64| (held - before) * 1e6 / number(orders);
    let (held, most) = (bytes(restored.memory, empty.memory), bytes(restored.peak, empty.peak));
    let (ours, bare) = (rate(orders, took), rate(orders, least));
    Ok(vec![
        Line::new(
            format!("ledger, memory of one of {} orders, after a restore and at most", grouped(number(orders))),
            format!("{held:.0} bytes, {most:.0} bytes"),
        )
        .goal(format!("≤ {BYTES_GOAL:.0} bytes"), held <= BYTES_GOAL),
        Line::new(format!("ledger, restore of {} orders", grouped(number(orders))), per_second(ours))
            .beside(format!("{} read and thrown away", per_second(bare)), ours / bare)
            .goal(format!("> {}/s", grouped(RATE_GOAL)), ours > RATE_GOAL),
        Line::new(
            "forwarder, from its start to the first event of an empty ledger",
            format!("{:.2} s", empty.took.as_secs_f64()),
        ),
    ])
}
