//! What a unit of work costs where there is four times and sixteen times as much of it. A cost that grows is a defect.

use std::time::Duration;

use super::{Ground, forwarder::Mill, ingest::Alone, ledger::Shelf, recorder::Desk, views::Library};
use crate::{
    sample::number,
    table::{Line, grouped},
};

/// Times the work.
const TIMES: [u32; 3] = [1, 4, 16];
/// At most so many times the cost: two runs of the same differ by less than that here.
const GOAL: f64 = 1.25;

pub(super) async fn run(ground: &Ground<'_>) -> anyhow::Result<Vec<Line>> {
    Ok(vec![
        ingest(ground).await?,
        forwarder(ground).await?,
        recorder(ground).await?,
        ledger(ground).await?,
        views(ground).await?,
    ])
}

/// The costs of one unit, in microseconds.
fn line(what: &str, costs: [f64; 3]) -> Line {
    let [once, fourfold, sixteenfold] = costs.map(|cost| format!("{:.2}", cost * 1e6));
    let growth = costs[2] / costs[0];
    Line::new(format!("growth, {what}, at 4 and 16 times the work"), format!("{fourfold} µs, {sixteenfold} µs"))
        .beside(format!("{once} µs at once the work"), growth)
        .goal(format!("≤ {GOAL:.2}"), growth <= GOAL)
}

async fn ingest(ground: &Ground<'_>) -> anyhow::Result<Line> {
    let alone = Alone::start(ground, "growth-ingest").await?;
    let once = ground.settings.pick(Duration::from_millis(500), Duration::from_secs(5));
    alone.cost(once).await?;
    let mut costs = [0.0; 3];
    for (cost, times) in costs.iter_mut().zip(TIMES) {
        *cost = alone.cost(once * times).await?;
    }
    alone.discard()?;
    Ok(line("ingest, processor time of a call", costs))
}

async fn forwarder(ground: &Ground<'_>) -> anyhow::Result<Line> {
    let mut mill = Mill::start(ground, "growth-forwarder").await?;
    let once = ground.settings.pick(5_000, 50_000);
    mill.run(once, None).await?;
    let mut costs = [0.0; 3];
    for (cost, times) in costs.iter_mut().zip(TIMES) {
        *cost = mill.run(once * u64::from(times), None).await?.cpu;
    }
    mill.discard()?;
    Ok(line("forwarder, processor time of an event", costs))
}

async fn recorder(ground: &Ground<'_>) -> anyhow::Result<Line> {
    let mut desk = Desk::start(ground, "growth-recorder").await?;
    let once = ground.settings.pick(15_000, 100_000);
    desk.run(once).await?;
    let mut costs = [0.0; 3];
    for (cost, times) in costs.iter_mut().zip(TIMES) {
        *cost = desk.run(once * u64::from(times)).await?.cpu;
    }
    desk.discard()?;
    Ok(line("recorder, processor time of a row", costs))
}

async fn ledger(ground: &Ground<'_>) -> anyhow::Result<Line> {
    let mut shelf = Shelf::start(ground, "growth-ledger").await?;
    let once = ground.settings.pick(100_000, 600_000);
    let mut costs = [0.0; 3];
    for (cost, times) in costs.iter_mut().zip(TIMES) {
        let orders = once * u64::from(times);
        shelf.fill(orders).await?;
        *cost = shelf.reading().await? / number(orders);
    }
    shelf.discard()?;
    Ok(line("ledger, processor time of an order restored", costs))
}

async fn views(ground: &Ground<'_>) -> anyhow::Result<Line> {
    let once = ground.settings.pick(100_000, 1_250_000);
    let mut library = Library::start(ground, "growth-views", once * 16).await?;
    let mut costs = [0.0; 3];
    for (cost, times) in costs.iter_mut().zip(TIMES) {
        let calls = once * u64::from(times);
        library.fill(calls).await?;
        *cost = library.over_all().await? / number(calls);
    }
    library.discard()?;
    Ok(line(&format!("views, the slowest over all of {} calls, time of a call", grouped(number(once))), costs))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cost_that_grows_is_a_defect() {
        assert_eq!(line("of a call", [1e-6, 9e-6, 1.2e-6]).is_met(), Some(true));
        assert_eq!(line("of a call", [1e-6, 1e-6, 1.3e-6]).is_met(), Some(false));
    }
}
