//! What the warehouse is asked for the overview: four questions at once.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use serde::Deserialize;
use time::OffsetDateTime;
use tokio::try_join;

use crate::{
    chart::{Bar, Chart, Part},
    fault::Fault,
    money::Amount,
    range::Range,
    records::Records,
    tenant::{Business, Direction, Select, View},
    when::{Moment, day_short},
};

/// The commonest failures that are told.
const MOST_ERRORS: u64 = 8;

/// The figures of a range, and of as many days before it.
#[derive(Debug, Default)]
pub(super) struct Figures {
    pub(super) now: Counts,
    pub(super) before: Counts,
    pub(super) slots: Vec<Slot>,
    pub(super) conversions: Vec<Conversions>,
    pub(super) money: Vec<Money>,
    pub(super) revenue: Vec<Revenue>,
    pub(super) errors: Vec<Failure>,
}

/// Calls with a valid key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) calls: u64,
    pub(super) pending: u64,
    pub(super) stages: BTreeMap<String, u64>,
}

/// A stage where calls failed.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) name: String,
    pub(super) failures: u64,
    pub(super) before: u64,
}

/// Orders and money of one currency.
#[derive(Debug, Deserialize)]
pub(super) struct Money {
    pub(super) currency: String,
    pub(super) orders: u64,
    pub(super) revenue: Amount,
    pub(super) credited: Amount,
}

/// A kind of failure.
#[derive(Debug, Deserialize)]
pub(super) struct Failure {
    #[serde(rename = "failure_stage")]
    pub(super) stage: String,
    pub(super) error: String,
    pub(super) calls: u64,
}

/// Calls of an hour or a day.
#[derive(Debug, Deserialize)]
pub(super) struct Slot {
    at: i64,
    conversion_status: String,
    failure_stage: String,
    calls: u64,
}

#[derive(Debug, Deserialize)]
pub(super) struct Conversions {
    event_name: String,
    total: u64,
    reported: u64,
    rejected: u64,
    pending: u64,
}

#[derive(Debug, Deserialize)]
pub(super) struct Revenue {
    at: i64,
    #[serde(rename = "revenue")]
    total: f64,
    credited: f64,
}

/// Asks for all of it.
pub(super) async fn ask(records: &Records, business: &Business, range: Range) -> Result<Figures, Fault> {
    let (slots, conversions, money, errors) = try_join!(
        slots(records, business, range),
        conversions(records, business, range),
        money(records, business, range),
        errors(records, business, range),
    )?;
    // A day alone has no course.
    let revenue = match money.first().filter(|_| range.days() > 1) {
        Some(first) => revenue(records, business, range, &first.currency).await?,
        None => Vec::new(),
    };
    let (mut now, mut before) = (Counts::default(), Counts::default());
    let (slots, past): (Vec<_>, Vec<_>) = slots.into_iter().partition(|slot| slot.at * 1000 >= range.begin_ms());
    slots.iter().for_each(|slot| now.take(slot));
    past.iter().for_each(|slot| before.take(slot));
    Ok(Figures { now, before, slots, conversions, money, revenue, errors })
}

async fn slots(records: &Records, business: &Business, range: Range) -> Result<Vec<Slot>, Fault> {
    let at = if range.days() == 1 {
        "toUnixTimestamp(toStartOfHour(received_at)) AS at"
    } else {
        "toUnixTimestamp(toStartOfDay(received_at)) AS at"
    };
    let select = business
        .select(View::Calls, [at, "conversion_status", "failure_stage", "count() AS calls"])
        .and("failure_stage != 'authentication'")
        .and("received_at >= fromUnixTimestamp64Milli({from_ms:Int64})")
        .and("received_at < fromUnixTimestamp64Milli({until_ms:Int64})")
        .with("from_ms", range.before().begin_ms())
        .with("until_ms", range.end_ms())
        .group_by(["at", "conversion_status", "failure_stage"])
        .limit(20_000);
    records.rows(select).await
}

async fn conversions(records: &Records, business: &Business, range: Range) -> Result<Vec<Conversions>, Fault> {
    let columns = [
        "event_name",
        "sum(conversions) AS total",
        "sum(events_received) AS reported",
        "sum(rejected) AS rejected",
        "sum(pending) AS pending",
    ];
    let select = business.select(View::ConversionsPerAd, columns);
    let select = of_days(select, range).group_by(["event_name"]);
    records.rows(select).await
}

async fn money(records: &Records, business: &Business, range: Range) -> Result<Vec<Money>, Fault> {
    let columns = ["currency", "sum(orders) AS orders", "sum(revenue) AS revenue", "sum(credited_revenue) AS credited"];
    let select = of_days(business.select(View::RevenuePerAd, columns), range);
    records.rows(select.group_by(["currency"]).order_by([("orders", Direction::Down)]).limit(20)).await
}

/// The commonest currency's, day by day.
async fn revenue(records: &Records, business: &Business, range: Range, currency: &str) -> Result<Vec<Revenue>, Fault> {
    let columns = [
        "toUnixTimestamp(toDateTime(day, 'UTC')) AS at",
        "toFloat64(sum(revenue)) AS revenue",
        "toFloat64(sum(credited_revenue)) AS credited",
    ];
    let select = of_days(business.select(View::RevenuePerAd, columns), range)
        .and("currency = {currency:String}")
        .with("currency", currency)
        .group_by(["day"]);
    records.rows(select).await
}

async fn errors(records: &Records, business: &Business, range: Range) -> Result<Vec<Failure>, Fault> {
    let select = business
        .select(View::Calls, ["failure_stage", "error", "count() AS calls"])
        .and("failure_stage NOT IN ('', 'authentication')")
        .and("received_at >= fromUnixTimestamp64Milli({from_ms:Int64})")
        .and("received_at < fromUnixTimestamp64Milli({until_ms:Int64})")
        .with("from_ms", range.begin_ms())
        .with("until_ms", range.end_ms())
        .group_by(["failure_stage", "error"])
        .order_by([("calls", Direction::Down), ("error", Direction::Up)])
        .limit(MOST_ERRORS);
    records.rows(select).await
}

fn of_days(select: Select, range: Range) -> Select {
    select
        .and("day BETWEEN {from_day:Date} AND {to_day:Date}")
        .with("from_day", &*range.first_field())
        .with("to_day", &*range.last_field())
}

impl Counts {
    fn take(&mut self, slot: &Slot) {
        self.calls += slot.calls;
        if slot.conversion_status == "pending" {
            self.pending += slot.calls;
        }
        if !slot.failure_stage.is_empty() {
            *self.stages.entry(slot.failure_stage.clone()).or_default() += slot.calls;
        }
    }

    pub(super) fn failures(&self) -> u64 {
        self.stages.values().sum()
    }

    /// Failures at a stage.
    pub(super) fn at(&self, stage: &str) -> u64 {
        self.stages.get(stage).copied().unwrap_or_default()
    }
}

impl Figures {
    /// Where calls failed, now or before.
    pub(super) fn stages(&self) -> Vec<Stage> {
        let names: BTreeSet<_> = self.now.stages.keys().chain(self.before.stages.keys()).collect();
        let stage =
            |name: &String| Stage { name: name.clone(), failures: self.now.at(name), before: self.before.at(name) };
        let mut stages: Vec<_> = names.into_iter().map(stage).collect();
        stages.sort_by_key(|stage| Reverse(stage.failures));
        stages
    }

    /// Orders and other events, each counted once.
    pub(super) fn conversions(&self) -> u64 {
        self.conversions.iter().map(|row| row.total).sum()
    }

    /// Those of one event.
    pub(super) fn of_event(&self, event: &str) -> u64 {
        self.conversions.iter().filter(|row| row.event_name == event).map(|row| row.total).sum()
    }

    /// Those that Meta has.
    pub(super) fn reported(&self) -> u64 {
        self.conversions.iter().map(|row| row.reported).sum()
    }

    /// Those that Meta has not yet, and those that it did not take.
    pub(super) fn under_way(&self) -> u64 {
        self.conversions.iter().map(|row| row.pending).sum()
    }

    pub(super) fn not_taken(&self) -> u64 {
        self.conversions.iter().map(|row| row.rejected).sum()
    }

    pub(super) fn calls_chart(&self, range: &Range) -> Chart {
        let parts = PARTS.map(|(name, colour)| Part { name, colour }).to_vec();
        let times = slot_times(range);
        let mut bars: BTreeMap<i64, Vec<f64>> = times.iter().map(|at| (*at, vec![0.0; PARTS.len()])).collect();
        for slot in &self.slots {
            let part = PARTS.iter().position(|(name, _)| *name == slot.conversion_status);
            if let Some((part, bar)) = part.zip(bars.get_mut(&slot.at)) {
                bar[part] += as_float(slot.calls);
            }
        }
        let bars = bars.into_iter().map(|(at, values)| Bar { label: label(at, range), values }).collect();
        let unit = if range.days() == 1 { "hour" } else { "day" };
        Chart { title: format!("Calls of each {unit}, by what became of them"), parts, bars }
    }

    /// The commonest currency's revenue; a day alone has no course.
    pub(super) fn money_chart(&self, range: &Range) -> Option<Chart> {
        let currency = &self.money.first().filter(|_| range.days() > 1)?.currency;
        let mut bars: BTreeMap<i64, Vec<f64>> = slot_times(range).into_iter().map(|at| (at, vec![0.0; 2])).collect();
        for row in &self.revenue {
            if let Some(bar) = bars.get_mut(&row.at) {
                *bar = vec![row.credited, (row.total - row.credited).max(0.0)];
            }
        }
        let bars = bars.into_iter().map(|(at, values)| Bar { label: label(at, range), values }).collect();
        let parts = vec![
            Part { name: "credited by Meta", colour: "one" },
            Part { name: "not credited, or not yet", colour: "five" },
        ];
        Some(Chart { title: format!("Revenue of each day in {currency}"), parts, bars })
    }
}

/// What becomes of a call, with its colour.
const PARTS: [(&str, &str); 5] =
    [("forwarded", "one"), ("duplicate", "two"), ("pending", "three"), ("rejected", "four"), ("refused", "five")];

/// The beginnings of the hours of a day, or of the days.
fn slot_times(range: &Range) -> Vec<i64> {
    let step = if range.days() == 1 { 3600 } else { 86_400 };
    let (from, until) = (range.begin_ms() / 1000, range.end_ms() / 1000);
    std::iter::successors(Some(from), |at| Some(at + step)).take_while(|at| *at < until).collect()
}

fn label(at: i64, range: &Range) -> String {
    let moment = OffsetDateTime::from_unix_timestamp(at).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    if range.days() == 1 {
        return format!("{:02}:00", moment.hour());
    }
    day_short(Moment::of(at * 1000).date())
}

#[expect(clippy::cast_precision_loss, reason = "calls of a day are far below 2^52")]
fn as_float(calls: u64) -> f64 {
    calls as f64
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn slot(at: i64, status: &str, stage: &str, calls: u64) -> Slot {
        Slot { at, conversion_status: status.into(), failure_stage: stage.into(), calls }
    }

    /// So many calls, of which so many failed at each stage.
    pub(in crate::overview) fn counts(calls: u64, failed: &[(&str, u64)]) -> Counts {
        let stages = failed.iter().map(|(stage, failures)| ((*stage).to_owned(), *failures)).collect();
        Counts { calls, pending: 0, stages }
    }

    #[test]
    fn calls_are_counted_by_stage() {
        let mut counted = Counts::default();
        for slot in [slot(0, "forwarded", "", 90), slot(0, "rejected", "meta_forward", 7), slot(0, "pending", "", 3)] {
            counted.take(&slot);
        }
        assert_eq!((counted.calls, counted.pending, counted.failures(), counted.at("meta_forward")), (100, 3, 7, 7));
    }

    #[test]
    fn a_chart_has_a_bar_for_every_slot_and_none_beside() {
        let range =
            |query: &str| Range::read(&mut crate::fields::Fields::parse(query.as_bytes()), crate::range::Named::Week);
        let week = range("from=2026-11-01&to=2026-11-07");
        let at = week.begin_ms() / 1000;
        let slots = vec![
            slot(at, "forwarded", "", 3),
            slot(at, "rejected", "meta_forward", 1),
            slot(at - 86_400, "refused", "", 9),
        ];
        let chart = Figures { slots, ..Figures::default() }.calls_chart(&week);
        assert_eq!((chart.bars.len(), chart.bars[0].label.as_str()), (7, "1 Nov"));
        assert_eq!(chart.bars[0].values, [3.0, 0.0, 0.0, 1.0, 0.0]);
        assert_eq!(Figures::default().calls_chart(&range("from=2026-11-01&to=2026-11-01")).bars.len(), 24);
    }
}
