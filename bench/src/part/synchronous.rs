//! What the synchronous way takes where Meta answers at once, beside a bare chain of the same hops.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use e2e::{
    deployment::{Deployment, Plan},
    merchant::Merchant,
};

use super::{Ground, ingest::plan};
use crate::{
    open::Schedule,
    order::{Numbers, Request},
    sample::{Sample, median_ratio},
    table::Line,
    yardstick::{Service, Surroundings, Yardstick},
};

/// Calls a second, and how often a turn is as long as others.
const RATES: [(u32, u32); 3] = [(1, 4), (100, 2), (500, 2)];
/// At most so many times the chain.
const GOAL: f64 = 1.3;
/// At 500 a second, in milliseconds.
const GOALS_AT_500: [(usize, f64); 2] = [(500, 3.0), (990, 15.0)];
const SHOWN: [(usize, &str); 3] = [(500, "p50"), (990, "p99"), (999, "p99.9")];

/// Both ways, ready to be called.
struct Ways {
    ours: Deployment,
    chain: Deployment,
    calls: Request,
    front: Yardstick,
    _back: Yardstick,
    _meta: Yardstick,
    numbers: Arc<Numbers>,
}

impl Ways {
    async fn open(ground: &Ground<'_>) -> anyhow::Result<Self> {
        let meta = Yardstick::start(Service::Nothing, &Surroundings::default(), ground.folder).await?;
        let to_meta = plan().set("CAPI_META_URL", format!("http://{}", meta.address));
        let ours = Plan { ingests: 1, forwarders: 1, recorders: 0, ..to_meta.clone() };
        let ours = Deployment::start(ground.cluster, "bench-synchronous", &ours).await?;
        // Topics of its own, and nobody who reads them.
        let none = Plan { ingests: 0, forwarders: 0, recorders: 0, ..to_meta };
        let chain = Deployment::start(ground.cluster, "bench-chain", &none).await?;
        let around = Surroundings {
            brokers: chain.brokers.clone(),
            prefix: chain.prefix.clone(),
            linger_ms: 0,
            meta: Some(meta.address),
        };
        let back = Yardstick::start(Service::Chain, &around, ground.folder).await?;
        let front = Yardstick::start(Service::Front, &around, ground.folder).await?;
        let calls = Request::of(&Merchant::open(&ours).await?, "");
        Ok(Self { ours, chain, calls, front, _back: back, _meta: meta, numbers: Arc::default() })
    }

    async fn turn(&self, schedule: Schedule) -> anyhow::Result<[Vec<Duration>; 2]> {
        let chain = schedule.run(self.front.address, &self.calls, &self.numbers).await?;
        let ingest = self.ours.ingests.first().context("no ingest")?.public;
        Ok([schedule.run(ingest, &self.calls, &self.numbers).await?, chain])
    }
}

pub(super) async fn run(ground: &Ground<'_>) -> anyhow::Result<Vec<Line>> {
    let ways = Ways::open(ground).await?;
    // Connections to Meta, the chain's and ours, are open afterwards.
    ways.turn(Schedule { rate: 50, time: Duration::from_secs(1) }).await?;
    let mut lines = Vec::new();
    for (rate, times) in RATES {
        let schedule = Schedule { rate, time: ground.settings.turn() * times };
        let mut turns = Vec::new();
        for _ in 0..ground.settings.turns() {
            turns.push(ways.turn(schedule).await?);
        }
        lines.extend(percentiles(rate, &turns));
    }
    ways.ours.discard()?;
    ways.chain.discard()?;
    Ok(lines)
}

fn percentiles(rate: u32, turns: &[[Vec<Duration>; 2]]) -> Vec<Line> {
    let all = |way: usize| Sample::millis(turns.iter().flat_map(|turn| turn[way].iter().copied()));
    let (ours, chain) = (all(0), all(1));
    let medians: Vec<_> =
        turns.iter().map(|turn| turn.each_ref().map(|way| Sample::millis(way.clone()).median()).into()).collect();
    let shown = SHOWN.into_iter().filter_map(|(at, name)| {
        let (took, least) = (ours.per_mille(at)?, chain.per_mille(at)?);
        let ratio = if at == 500 { median_ratio(&medians) } else { took / least };
        let line = Line::new(format!("synchronous, {rate} a second, {name}"), format!("{took:.2} ms"));
        let line = line.beside(format!("{least:.2} ms"), ratio);
        let bound = GOALS_AT_500.iter().find(|(goal, _)| rate == 500 && *goal == at).map(|(_, bound)| *bound);
        Some(match bound {
            Some(bound) => line.goal(format!("≤ {GOAL:.2}, < {bound:.0} ms"), ratio <= GOAL && took < bound),
            None => line.goal(format!("≤ {GOAL:.2}"), ratio <= GOAL),
        })
    });
    shown.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_is_of_the_time_and_of_the_ratio() {
        let way = |millis: f64| vec![Duration::from_secs_f64(millis / 1000.0); 3000];
        let met = |rate, ours, chain| -> Vec<bool> {
            percentiles(rate, &[[way(ours), way(chain)]]).iter().filter_map(Line::is_met).collect()
        };
        assert_eq!(met(100, 12.0, 10.0), [true; 3]);
        assert_eq!(met(100, 14.0, 10.0), [false; 3]);
        assert_eq!(met(500, 12.0, 10.0), [false, true, true], "p50 under 3 ms, p99 under 15 ms");
        assert_eq!(met(500, 2.9, 2.5), [true; 3]);
    }
}
