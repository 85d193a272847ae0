//! Events a second through one forwarder, beside a relay that makes the same hops and looks at nothing.

use anyhow::{Context as _, ensure};
use e2e::{
    deployment::{Deployment, Plan},
    instance::Instance,
    merchant::Merchant,
    process::Signal,
};
use futures::future::try_join_all;
use schemas::Message as _;

use super::{
    Ground,
    ingest::{MEMORY_GOAL, plan},
};
use crate::{
    cost::{self, Meter},
    order::{self, Numbers},
    sample::{Sample, median_ratio, number},
    table::{Line, grouped, per_second},
    topic::{self, Filling, Progress, Watch},
    yardstick::{PARTITIONS, Service, Surroundings, Yardstick},
};

/// Businesses, each with a dataset.
const MERCHANTS: usize = 16;
/// What Meta takes for an answer.
const LATENCY: &str = "200ms";
/// Of so many events one has a click that Meta does not know.
const ONE_BAD_OF: u64 = 100;
/// Events a second and core.
const GOAL: f64 = 20_000.0;
/// Requests to Meta for an event, with bad clicks.
const REQUESTS_GOAL: f64 = 0.10;
/// A worker that stands still while its topic is filled stays a member of its group.
pub(super) const LONG_SESSION: &str = "session.timeout.ms=45000\n";

/// A forwarder by itself, and its Meta.
pub(super) struct Mill {
    deployment: Deployment,
    merchants: Vec<Merchant>,
    records: Watch,
    numbers: Numbers,
}

/// What one run showed.
pub(super) struct Run {
    events: u64,
    progress: Progress,
    /// Processor time of one event, in seconds.
    pub(super) cpu: f64,
    /// Requests to Meta.
    requests: u64,
    /// Orders that were credited, and of them those that were so more than once.
    credited: u64,
    twice: u64,
    /// Rows beyond one for each event: how often one was put off.
    delayed: u64,
}

impl Run {
    fn per_core(&self) -> f64 {
        1.0 / self.cpu
    }
}

impl Mill {
    pub(super) async fn start(ground: &Ground<'_>, name: &str) -> anyhow::Result<Self> {
        let plan = Plan { ingests: 0, forwarders: 1, recorders: 0, properties: LONG_SESSION.into(), ..plan() };
        let deployment = Deployment::start(ground.cluster, name, &plan).await?;
        deployment.sandbox.put(&format!("latency?latency={LATENCY}")).await?;
        let merchants = try_join_all((0..MERCHANTS).map(|_| Merchant::open(&deployment))).await?;
        let records = Watch::over(&deployment.brokers, deployment.topic("records")).await?;
        Ok(Self { deployment, merchants, records, numbers: Numbers::default() })
    }

    fn forwarder(&mut self) -> anyhow::Result<&mut Instance> {
        self.deployment.forwarders.first_mut().context("no forwarder")
    }

    /// The forwarder stands still while its topic is filled, and is then let loose.
    pub(super) async fn run(&mut self, events: u64, one_bad_of: Option<u64>) -> anyhow::Result<Run> {
        let (written, before) = (self.records.written().await?, self.counted().await?);
        self.forwarder()?.freeze().await?;
        let topic = self.deployment.topic("events.backfill");
        topic::fill(&self.deployment.brokers, &topic, self.events(events, one_bad_of)).await?;
        let meter = Meter::start(self.forwarder()?.pid())?;
        self.forwarder()?.thaw().await?;
        let progress = self.records.grows(written, events).await?;
        let good = events - one_bad_of.map_or(0, |of| events / of);
        // A row is written as well for an event that finds no room and waits in a delay tier: it comes later.
        topic::progress(good, async || Ok(self.counted().await?[1] - before[1])).await?;
        let [requests, credited, twice] = self.counted().await?;
        let delayed = self.records.written().await? - written - events;
        let cpu = meter.cpu()?.as_secs_f64() / number(events);
        let run = Run {
            events,
            progress,
            cpu,
            requests: requests - before[0],
            credited: credited - before[1],
            twice: twice - before[2],
            delayed,
        };
        ensure!(run.credited == good && run.twice == 0, "{} of {good} are credited, {} twice", run.credited, run.twice);
        Ok(run)
    }

    fn events(&self, events: u64, one_bad_of: Option<u64>) -> impl Iterator<Item = Filling> {
        (0..events).zip(self.merchants.iter().cycle()).map(move |(at, merchant)| {
            let is_bad = one_bad_of.is_some_and(|of| at % of == of / 2);
            let number = self.numbers.next();
            let click = if is_bad { format!("sandbox-invalid-clid-{number}") } else { order::click() };
            let event = order::event(&merchant.business, &merchant.key_id, number, &click);
            let key = event.order_key();
            let partition = key.hash().partition(PARTITIONS);
            Filling { partition, key: key.as_str().into(), payload: event.encode() }
        })
    }

    /// Requests that Meta read, orders that it credited, and those that it did more than once.
    async fn counted(&self) -> anyhow::Result<[u64; 3]> {
        let statistics = self.deployment.sandbox.get("stats").await?;
        let orders = self.deployment.sandbox.get("credited/orders?limit=0").await?;
        let count = |value: &serde_json::Value| value.as_u64().context("a count of the sandbox");
        Ok([count(&statistics["requests"])?, count(&orders["distinct"])?, count(&orders["repeated"])?])
    }

    pub(super) fn discard(self) -> anyhow::Result<()> {
        self.deployment.discard()
    }
}

/// The bare relay.
struct Relay {
    deployment: Deployment,
    process: Yardstick,
    records: Watch,
}

impl Relay {
    async fn start(ground: &Ground<'_>) -> anyhow::Result<Self> {
        let none = Plan { ingests: 0, forwarders: 0, recorders: 0, ..plan() };
        let deployment = Deployment::start(ground.cluster, "bench-relay", &none).await?;
        let (brokers, prefix) = (deployment.brokers.clone(), deployment.prefix.clone());
        let around = Surroundings { brokers, prefix, linger_ms: 0, meta: None };
        let process = Yardstick::start(Service::Relay, &around, ground.folder).await?;
        let records = Watch::over(&deployment.brokers, deployment.topic("records")).await?;
        Ok(Self { deployment, process, records })
    }

    /// Events a second, and a second and core.
    async fn run(&self, events: u64) -> anyhow::Result<[f64; 2]> {
        let written = self.records.written().await?;
        self.process.signal(Signal::Stop).await?;
        let filling = (0..events).map(|at| {
            // The relay knows an event by its first bytes.
            let event = order::event("shop", "key", at, &order::click()).encode();
            let partition = i32::try_from(at % u64::from(PARTITIONS.unsigned_abs())).unwrap_or_default();
            Filling { partition, key: at.to_be_bytes().into(), payload: [&at.to_be_bytes(), event.as_slice()].concat() }
        });
        topic::fill(&self.deployment.brokers, &self.deployment.topic("events.backfill"), filling).await?;
        let meter = Meter::start(self.process.pid())?;
        self.process.signal(Signal::Continue).await?;
        let progress = self.records.grows(written, events).await?;
        Ok([progress.rate(), number(events) / meter.cpu()?.as_secs_f64()])
    }
}

pub(super) async fn run(ground: &Ground<'_>) -> anyhow::Result<Vec<Line>> {
    let events = ground.settings.pick(40_000, 400_000);
    let (mut mill, relay) = (Mill::start(ground, "bench-forwarder").await?, Relay::start(ground).await?);
    let idle = cost::memory(mill.forwarder()?.pid())?;
    // Connections, and what is known of each dataset's refusals.
    mill.run(events / 4, Some(ONE_BAD_OF)).await?;
    let (mut good, mut bad, mut least) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ground.settings.turns() {
        least.push(relay.run(events).await?);
        good.push(mill.run(events, None).await?);
        bad.push(mill.run(events, Some(ONE_BAD_OF)).await?);
    }
    let busiest = cost::peak(mill.forwarder()?.pid())?;
    let mut lines = beside("no bad click", &good, &least);
    lines.extend(beside("1 % bad clicks", &bad, &least));
    lines.extend(requests(&good, &bad));
    lines.push(
        Line::new(
            "forwarder, memory idle and at most, the ledger included",
            format!("{idle:.0} MB, {busiest:.0} MB with {} orders", grouped(number(mill.numbers.given()))),
        )
        .goal(format!("< {MEMORY_GOAL:.0} MB without the ledger"), busiest < MEMORY_GOAL),
    );
    mill.discard()?;
    relay.deployment.discard()?;
    Ok(lines)
}

fn beside(how: &str, runs: &[Run], least: &[[f64; 2]]) -> Vec<Line> {
    let line = |figure: &str, of: &dyn Fn(&Run) -> f64, at: usize| {
        let turns: Vec<_> = runs.iter().zip(least).map(|(run, least)| (of(run), least[at])).collect();
        let ours = Sample::new(turns.iter().map(|turn| turn.0)).median();
        let relay = Sample::new(turns.iter().map(|turn| turn.1)).median();
        let line = Line::new(format!("forwarder, {how}, {figure}"), per_second(ours));
        (line.beside(per_second(relay), median_ratio(&turns)), ours)
    };
    let (events, _) = line("events", &|run| run.progress.rate(), 0);
    let (per_core, rate) = line("events a second of a core", &Run::per_core, 1);
    vec![events, per_core.goal(format!("> {}/s", grouped(GOAL)), rate > GOAL)]
}

fn requests(good: &[Run], bad: &[Run]) -> [Line; 4] {
    let per_event = |runs: &[Run]| {
        let sum = |of: fn(&Run) -> u64| number(runs.iter().map(of).sum());
        sum(|run| run.requests) / sum(|run| run.events)
    };
    let credited: u64 = good.iter().chain(bad).map(|run| run.credited).sum();
    let [without, with] = [good, bad].map(per_event);
    let delayed = [good, bad].map(|runs| grouped(number(runs.iter().map(|run| run.delayed).sum())));
    [
        Line::new("forwarder, events put off into a delay tier, without and with bad clicks", delayed.join(", ")),
        Line::new("forwarder, no bad click, requests to Meta for an event", format!("{without:.4}")),
        Line::new("forwarder, 1 % bad clicks, requests to Meta for an event", format!("{with:.4}"))
            .goal(format!("≤ {REQUESTS_GOAL:.2}"), with <= REQUESTS_GOAL),
        Line::new("forwarder, good orders credited once", format!("{} of as many", grouped(number(credited))))
            .goal("all", true),
    ]
}
