//! `--wait`: follows the calls of a backfill in ClickHouse, by their ids, until each has its verdict.
//!
//! The journal has the ids, in the order of the answers and so nearly in that of the calls' own times: it is read piece
//! by piece, and a piece asks for its ids within its own time. Other backfills of the business are not counted in.

use std::{
    collections::BTreeMap,
    fmt,
    io::{self, IsTerminal as _, stderr},
    path::PathBuf,
    time::Duration,
};

use clickhouse::{Client, Row};
use indicatif::{ProgressBar, ProgressStyle};
use schemas::{CallId, ConversionStatus, call::ID_TIME_SLACK};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};
use warehouse::Fault;

use super::{journal::accepted_calls, progress::write_line};
use crate::failure::Failure;

/// Calls that are asked for at once. A statement may have 256 KiB, and an id takes 39 bytes.
const PIECE: usize = 4000;
/// The least time between two rounds.
const PAUSE: Duration = Duration::from_secs(1);

/// What became of calls.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Verdicts {
    forwarded: u64,
    duplicate: u64,
    rejected: u64,
    /// The rejected by their reasons.
    by_reason: Vec<Rejection>,
    /// Those of all that say that Meta may have counted them more than once.
    possibly_duplicate: u64,
}

/// Calls that were rejected for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Rejection {
    reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    meta_code: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    meta_error_subcode: Option<i32>,
    calls: u64,
    /// What one of them says.
    error: String,
}

impl Verdicts {
    fn settled(&self) -> u64 {
        self.forwarded + self.duplicate + self.rejected
    }

    fn take(&mut self, found: Found) {
        let status = |status: ConversionStatus| found.conversion_status == status.as_str();
        if status(ConversionStatus::Forwarded) {
            self.forwarded += found.calls;
        } else if status(ConversionStatus::Duplicate) {
            self.duplicate += found.calls;
        } else if status(ConversionStatus::Rejected) {
            self.rejected += found.calls;
            let Found { reason, meta_code, meta_error_subcode, calls, error, .. } = found;
            self.reject(Rejection { reason, meta_code, meta_error_subcode, calls, error });
        } else {
            // Pending: neither settled nor marked for good.
            return;
        }
        self.possibly_duplicate += found.marked;
    }

    fn reject(&mut self, rejection: Rejection) {
        let key = |of: &Rejection| (of.reason.clone(), of.meta_code, of.meta_error_subcode);
        match self.by_reason.iter_mut().find(|known| key(known) == key(&rejection)) {
            Some(known) => known.calls += rejection.calls,
            None => self.by_reason.push(rejection),
        }
    }

    fn add(&mut self, other: Self) {
        self.forwarded += other.forwarded;
        self.duplicate += other.duplicate;
        self.rejected += other.rejected;
        self.possibly_duplicate += other.possibly_duplicate;
        other.by_reason.into_iter().for_each(|rejection| self.reject(rejection));
    }
}

impl fmt::Display for Verdicts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} forwarded, {} duplicate, {} rejected", self.forwarded, self.duplicate, self.rejected)?;
        for Rejection { reason, meta_code, meta_error_subcode, calls, error } in &self.by_reason {
            write!(f, "\n  {reason}")?;
            let code = [meta_code, meta_error_subcode].map(|code| code.map(|code| code.to_string()));
            let code: Vec<_> = code.into_iter().flatten().collect();
            if !code.is_empty() {
                write!(f, " {}", code.join("/"))?;
            }
            write!(f, ": {calls}, such as \"{error}\"")?;
        }
        if self.possibly_duplicate > 0 {
            write!(f, "\n{} may have been counted more than once", self.possibly_duplicate)?;
        }
        Ok(())
    }
}

/// Rows of one status and reason.
#[derive(Debug, Row, Deserialize)]
struct Found {
    conversion_status: String,
    reason: String,
    meta_code: Option<i32>,
    meta_error_subcode: Option<i32>,
    error: String,
    calls: u64,
    marked: u64,
}

/// Follows the calls of these journals.
pub(crate) struct Follow {
    pub(crate) clickhouse: Client,
    pub(crate) business: String,
    pub(crate) journals: Vec<PathBuf>,
    /// How long ClickHouse may be away.
    pub(crate) patience: Duration,
}

/// How far it is.
#[derive(Debug, Serialize)]
struct Followed {
    following: u64,
    settled: u64,
}

impl Follow {
    /// Waits until no call is pending.
    pub(crate) async fn to_the_end(&self) -> Result<Verdicts, Failure> {
        let (bar, mut settled) = (follow_bar(), BTreeMap::new());
        loop {
            let started = Instant::now();
            let (all, done) = self.round(&mut settled).await?;
            match &bar {
                Some(bar) => bar.set_message(format!("{done} of {all} calls have their verdict")),
                None => write_line(&Followed { following: all, settled: done }),
            }
            if done == all {
                break;
            }
            // No more than half of the time is ClickHouse's: a long backfill is asked about less often.
            sleep(started.elapsed().max(PAUSE)).await;
        }
        let mut verdicts = Verdicts::default();
        settled.into_values().for_each(|piece| verdicts.add(piece));
        Ok(verdicts)
    }

    /// Asks for each piece that is not settled; how many calls there are, and how many have their verdict.
    async fn round(&self, settled: &mut BTreeMap<usize, Verdicts>) -> Result<(u64, u64), Failure> {
        let (mut all, mut done) = (0, 0);
        for (at, piece) in pieces(&self.journals)?.enumerate() {
            let piece = piece?;
            let size = piece.len() as u64;
            all += size;
            if settled.contains_key(&at) {
                done += size;
                continue;
            }
            let found = self.ask_patiently(&piece).await?;
            done += found.settled();
            if found.settled() == size {
                settled.insert(at, found);
            }
        }
        Ok((all, done))
    }

    async fn ask_patiently(&self, piece: &[CallId]) -> Result<Verdicts, Failure> {
        let started = Instant::now();
        loop {
            match self.ask(piece).await.map_err(Fault::from) {
                Err(Fault::Away(_)) if started.elapsed() < self.patience => sleep(PAUSE).await,
                found => return Ok(found?),
            }
        }
    }

    async fn ask(&self, piece: &[CallId]) -> Result<Verdicts, clickhouse::error::Error> {
        let mut rows = self.clickhouse.query(&statement(piece)).bind(&self.business).fetch::<Found>()?;
        let mut verdicts = Verdicts::default();
        while let Some(found) = rows.next().await? {
            verdicts.take(found);
        }
        Ok(verdicts)
    }
}

/// Business, day and time are what the table is sorted by; the ids stand in the statement as they are, for they hold
/// nothing but hex and hyphens.
fn statement(piece: &[CallId]) -> String {
    let times = piece.iter().map(CallId::unix_ms);
    let (from, to) = times.fold((u64::MAX, 0), |(from, to), time| (from.min(time), to.max(time)));
    let ids: Vec<_> = piece.iter().map(|call| format!("'{call}'")).collect();
    format!(
        "SELECT conversion_status, reason, meta_code, meta_error_subcode, any(error) AS error, count() AS calls, \
         countIf(possibly_duplicate) AS marked FROM calls WHERE business_id = ? \
         AND received_at >= fromUnixTimestamp64Milli({}) AND received_at <= fromUnixTimestamp64Milli({}) \
         AND call_id IN ({}) GROUP BY conversion_status, reason, meta_code, meta_error_subcode",
        from.saturating_sub(ID_TIME_SLACK),
        to + ID_TIME_SLACK,
        ids.join(",")
    )
}

/// The calls of the journals, piece by piece.
fn pieces(journals: &[PathBuf]) -> io::Result<impl Iterator<Item = io::Result<Vec<CallId>>>> {
    let calls: io::Result<Vec<_>> = journals.iter().map(|journal| accepted_calls(journal)).collect();
    let mut calls = calls?.into_iter().flatten();
    Ok(std::iter::from_fn(move || {
        let piece: io::Result<Vec<_>> = calls.by_ref().take(PIECE).collect();
        Some(piece).filter(|piece| piece.as_ref().map_or(true, |piece| !piece.is_empty()))
    }))
}

fn follow_bar() -> Option<ProgressBar> {
    let style = ProgressStyle::with_template("{spinner} {msg}").unwrap_or_else(|_| ProgressStyle::default_spinner());
    stderr().is_terminal().then(|| ProgressBar::new_spinner().with_style(style))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(status: &str, reason: &str, subcode: Option<i32>, calls: u64) -> Found {
        Found {
            conversion_status: status.into(),
            reason: reason.into(),
            meta_code: subcode.map(|_| 100),
            meta_error_subcode: subcode,
            error: "e".into(),
            calls,
            marked: 1,
        }
    }

    #[test]
    fn verdicts_are_added_by_status_and_reason() {
        let mut verdicts = Verdicts::default();
        let pending = found("pending", "", None, 50);
        let rows = [found("forwarded", "", None, 7), found("duplicate", "", None, 2), pending];
        rows.into_iter().for_each(|row| verdicts.take(row));
        assert_eq!((verdicts.settled(), verdicts.possibly_duplicate), (9, 2));
        let mut other = Verdicts::default();
        other.take(found("rejected", "META_REJECTED", Some(1), 3));
        verdicts.add(other.clone());
        other.take(found("rejected", "META_REJECTED", Some(2), 4));
        verdicts.add(other);
        let by_reason: Vec<_> = verdicts.by_reason.iter().map(|of| (of.meta_error_subcode, of.calls)).collect();
        assert_eq!(by_reason, [(Some(1), 6), (Some(2), 4)]);
        assert_eq!((verdicts.forwarded, verdicts.rejected), (7, 10));
        assert!(verdicts.to_string().contains("META_REJECTED 100/2: 4"), "{verdicts}");
    }

    #[test]
    fn a_piece_asks_for_its_calls_within_their_time_and_fits_a_statement() {
        let calls: Vec<_> = (0..PIECE).map(|_| CallId::now()).collect();
        let statement = statement(&calls);
        assert!(statement.len() < 200 * 1024, "{}", statement.len());
        let from = calls[0].unix_ms() - ID_TIME_SLACK;
        assert!(statement.contains(&format!("received_at >= fromUnixTimestamp64Milli({from})")));
        let now = u64::try_from(crate::moment::now()).unwrap();
        assert!(now.abs_diff(calls[0].unix_ms()) < ID_TIME_SLACK, "the id has its time");
    }

    #[test]
    fn pieces_go_through_all_journals() {
        let folder = tempfile::tempdir().unwrap();
        let journal = |name: &str, count: usize| {
            let path = folder.path().join(name);
            let entry = |line| format!("accepted {line} 0000000a {}\nrefused {line} 0000000a -\n", CallId::now());
            std::fs::write(&path, format!("{{}}\n{}", (0..count).map(entry).collect::<String>())).unwrap();
            path
        };
        let journals = [journal("a", PIECE + 1), journal("b", PIECE - 1), journal("c", 0)];
        let sizes: Vec<_> = pieces(&journals).unwrap().map(|piece| piece.unwrap().len()).collect();
        assert_eq!(sizes, [PIECE, PIECE]);
    }
}
