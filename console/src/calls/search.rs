//! Finding calls, newest first.
//!
//! ClickHouse keeps a business's calls by day of the event and then by time of receipt, so that the newest of a short while
//! are found by reading little, and those of all time by reading all. So the search looks back step by step, each as long
//! as all before it and more, until the page is full. Where a rare thing is looked for, it stops after a while and says
//! how far it looked; the next page goes on from there.

use std::time::{Duration, Instant};

use uuid::Uuid;

use super::{
    cursor::Cursor,
    filter::Filter,
    row::{Listed, SUMMARY},
};
use crate::{
    console::now,
    fault::Fault,
    records::Records,
    tenant::{Business, Direction, Select, View},
    when::Moment,
};

/// The order of every list of calls; the id decides among those of one millisecond.
pub(crate) const NEWEST_FIRST: [(&str, Direction); 2] =
    [("received_at", Direction::Down), ("call_id", Direction::Down)];
/// Calls on a page.
pub(super) const PAGE: usize = 50;
/// How far each step looks back, in milliseconds. The last one is that of all the rest.
const STEPS: [i64; 6] = [HOUR, 12 * HOUR, 4 * DAY, 14 * DAY, 60 * DAY, 400 * DAY];
const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;
/// No further step is begun after this.
const ENOUGH: Duration = Duration::from_millis(120);
/// Nothing was received before.
const BEGINNING: i64 = 1_577_836_800_000;
/// A call may be stamped by a clock that is ahead of ours.
const AHEAD: i64 = 60_000;

/// A page of calls.
#[derive(Debug)]
pub(super) struct Found {
    /// The newest first.
    pub(super) calls: Vec<Listed>,
    /// Where the next page begins; `None` where there is none.
    pub(super) next: Option<Cursor>,
    /// How far back was looked, where that is not all the way, and the page is not full.
    pub(super) reached: Option<Moment>,
}

/// A page of the business's calls that the filter asks for.
pub(super) async fn search(records: &Records, business: &Business, filter: &Filter) -> Result<Found, Fault> {
    let end = filter.until.map_or_else(|| now() + AHEAD, Moment::millis);
    let end = filter.before.map_or(end, |before| before.millis.saturating_add(1).min(end));
    let floor = filter.from.map_or(BEGINNING, |from| from.millis().max(BEGINNING));
    if filter.is_indexed() {
        let calls = records.rows(question(business, filter, floor, end, PAGE)).await?;
        return Ok(page(calls, None));
    }
    let (since, mut calls, mut to, mut steps) = (Instant::now(), Vec::new(), end, STEPS.into_iter());
    while to > floor && calls.len() <= PAGE {
        if since.elapsed() > ENOUGH && to < end {
            return Ok(page(calls, Some(to)));
        }
        let from = steps.next().map_or(floor, |step| (to - step).max(floor));
        let found: Vec<Listed> = records.rows(question(business, filter, from, to, PAGE - calls.len())).await?;
        calls.extend(found);
        to = from;
    }
    Ok(page(calls, None))
}

/// Calls from `from` on and before `to`, one more than `wanted`: it shows that there are more.
fn question(business: &Business, filter: &Filter, from: i64, to: i64, wanted: usize) -> Select {
    let select = filter.narrow(business.select(View::Calls, SUMMARY));
    let select = match filter.before {
        None => select,
        Some(Cursor { millis, call }) => select
            .and("received_at < fromUnixTimestamp64Milli({last_ms:Int64}) OR call_id < {last_call:UUID}")
            .with("last_ms", millis)
            .with("last_call", &*call.to_string()),
    };
    select
        .and("received_at >= fromUnixTimestamp64Milli({from_ms:Int64})")
        .and("received_at < fromUnixTimestamp64Milli({to_ms:Int64})")
        .with("from_ms", from)
        .with("to_ms", to)
        .order_by(NEWEST_FIRST)
        .limit(u64::try_from(wanted).unwrap_or_default() + 1)
}

fn page(mut calls: Vec<Listed>, looked_back_to: Option<i64>) -> Found {
    let more = calls.len() > PAGE;
    calls.truncate(PAGE);
    let last = calls.last().map(|last| Cursor { millis: last.received_ms.millis(), call: last.call_id.uuid() });
    // Further back than the last call of the page was looked already.
    let reached = looked_back_to.filter(|_| !more);
    let further = reached.map(|millis| Cursor { millis, call: Uuid::nil() });
    Found { next: if more { last } else { further }, reached: reached.map(Moment::of), calls }
}
