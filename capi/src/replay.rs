//! `capi replay`: rejected calls go through the backfill lane once more, as the calls they are.
//!
//! Repeating a replay is harmless, and so is stopping one in the middle: a call that was accepted meanwhile writes its
//! row again or ends as a duplicate, and one that is on its way twice is sent once (the order ledger decides).

mod filter;
mod resend;
mod row;

use std::fmt;

use clap::Args;
use clickhouse::query::Query;
use schemas::{meta::OLDEST, repair::is_repairable};
use serde::Serialize;
use warehouse::{ClickHouseSettings, Fault, client::client};
use worker::settings::KafkaSettings;

use self::{
    filter::{Body, Filter},
    resend::Resend,
    row::Rejected,
};
use crate::{failure::Failure, moment, output::Output};

#[derive(Debug, Args)]
pub(crate) struct Replay {
    #[command(flatten)]
    filter: Filter,
    /// Count, and send nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    kafka: KafkaSettings,
    #[command(flatten)]
    clickhouse: ClickHouseSettings,
}

/// What became of the rejected calls of the filter.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct Counts {
    /// Rejected calls of the filter.
    matched: u64,
    /// Those of them that may be sent again.
    replayable: u64,
    /// Those that were sent again.
    replayed: u64,
    /// Those that are over 7 days old.
    too_old: u64,
    /// Those that were rejected for what no operator can repair.
    not_replayable: u64,
}

/// What a replay does with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Judgement {
    Replay,
    TooOld,
    NotReplayable,
}

impl Replay {
    pub(crate) async fn run(self, output: &Output) -> Result<(), Failure> {
        let mut counts = Counts::default();
        let done = self.replay(&mut counts).await;
        // Where it ended early, what was sent by then is told all the same.
        if done.is_ok() || counts.matched > 0 {
            output.print(&counts)?;
        }
        done
    }

    async fn replay(&self, counts: &mut Counts) -> Result<(), Failure> {
        let mut resend = if self.dry_run { None } else { Some(Resend::to_backfill(&self.kafka).await?) };
        let mut rows = self.query().fetch::<Rejected>().map_err(Fault::from)?;
        let mut broken = None;
        while let Some(row) = rows.next().await.map_err(Fault::from)? {
            let judgement = judge(&row, moment::now());
            counts.take(judgement);
            if let (Some(resend), Judgement::Replay) = (&mut resend, judgement) {
                match row.into_event() {
                    Ok(event) => counts.replayed += resend.send(&event).await?,
                    // One strange row holds up no other; it is told at the end.
                    Err(fault) => broken = Some(fault),
                }
            }
        }
        if let Some(resend) = resend {
            counts.replayed += resend.finish().await?;
        }
        broken.map_or(Ok(()), |fault| Err(Failure::Data(fault.to_string())))
    }

    fn query(&self) -> Query {
        let body = if self.dry_run { Body::LeftOut } else { Body::Read };
        let query = self.filter.query(&client(&self.clickhouse), body);
        // Rows come as fast as Kafka takes the events: no limit on the whole query fits that. One thread and small
        // blocks, so that ClickHouse holds a few megabytes of bodies however many calls match.
        let settings = [("max_execution_time", "0"), ("max_threads", "1"), ("max_block_size", "1024")];
        settings.into_iter().fold(query, |query, (name, value)| query.with_setting(name, value))
    }
}

fn judge(row: &Rejected, now: i64) -> Judgement {
    let oldest = now / 1000 - OLDEST.as_secs().cast_signed();
    if row.event_time.is_some_and(|time| i64::from(time) < oldest) {
        return Judgement::TooOld;
    }
    let repairable = is_repairable(&row.reason, row.meta_code, row.meta_error_subcode);
    if repairable { Judgement::Replay } else { Judgement::NotReplayable }
}

impl Counts {
    fn take(&mut self, judgement: Judgement) {
        self.matched += 1;
        match judgement {
            Judgement::Replay => self.replayable += 1,
            Judgement::TooOld => self.too_old += 1,
            Judgement::NotReplayable => self.not_replayable += 1,
        }
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} rejected calls match: {} replayable, ", self.matched, self.replayable)?;
        write!(f, "{} sent again", self.replayed)?;
        if self.too_old > 0 {
            write!(f, "\n{} are over 7 days old: Meta takes them no more", self.too_old)?;
        }
        if self.not_replayable > 0 {
            let count = self.not_replayable;
            write!(f, "\n{count} are not replayable: a bad click or bad data stays bad; the merchant must call again")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 24 * 3600;

    #[test]
    fn what_is_too_old_is_not_sent_whatever_it_was_rejected_for() {
        let mut row = row::tests::row();
        let event_time = i64::from(row.event_time.unwrap());
        let at = |seconds: i64, row: &Rejected| judge(row, (event_time + seconds) * 1000);
        assert_eq!(at(7 * DAY, &row), Judgement::Replay);
        assert_eq!(at(7 * DAY + 1, &row), Judgement::TooOld);
        (row.meta_code, row.meta_error_subcode) = (Some(100), Some(2_804_087));
        assert_eq!(at(0, &row), Judgement::NotReplayable);
        assert_eq!(at(8 * DAY, &row), Judgement::TooOld);
    }

    #[test]
    fn every_call_is_counted_once_among_the_matched() {
        let mut counts = Counts::default();
        for judgement in [Judgement::Replay, Judgement::Replay, Judgement::TooOld, Judgement::NotReplayable] {
            counts.take(judgement);
        }
        assert_eq!(counts, Counts { matched: 4, replayable: 2, replayed: 0, too_old: 1, not_replayable: 1 });
    }
}
