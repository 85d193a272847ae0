//! What the recorder counts. Labels are bounded: each is one of a few words of ours.

use std::{collections::BTreeMap, time::Duration};

use metrics::{Gauge, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

use warehouse::Fault;

const ROWS: &str = "capi_recorder_rows_total";
const INSERTS: &str = "capi_recorder_insert_seconds";
const BATCH_ROWS: &str = "capi_recorder_batch_rows";
const BATCH_BYTES: &str = "capi_recorder_batch_bytes";
const ROW_AGE: &str = "capi_recorder_oldest_row_age_seconds";
const DEAD_LETTERS: &str = "capi_recorder_dead_letters_total";
const IN_HAND: &str = "capi_recorder_in_hand_bytes";
const PAUSED: &str = "capi_recorder_paused";
const LAG: &str = "capi_recorder_lag_messages";
const COMMITS: &str = "capi_recorder_commits_total";

/// Says what each metric means, and begins those that alerts watch at zero: a counter that appears with its first count
/// shows Prometheus no increase. Once, at the start.
pub(crate) fn describe() {
    begin();
    describe_counter!(ROWS, "Rows that ClickHouse acknowledged, by conversion_status");
    describe_histogram!(INSERTS, "How long inserts took, by outcome: acknowledged, away, rows (refused) or operator");
    describe_histogram!(BATCH_ROWS, "Rows of an acknowledged insert");
    describe_histogram!(BATCH_BYTES, "Bytes of the messages of an acknowledged insert");
    describe_histogram!(ROW_AGE, "From the oldest message of a batch to its acknowledgement");
    describe_counter!(DEAD_LETTERS, "Messages buried, by cause: unreadable, or refused by ClickHouse");
    describe_gauge!(IN_HAND, "Bytes that are read and not acknowledged yet");
    describe_gauge!(PAUSED, "1 while consumption is paused because ClickHouse does not keep up or is away");
    describe_gauge!(LAG, "Messages of a topic that are not committed yet, over the partitions of this instance");
    describe_counter!(COMMITS, "Commits of offsets, by outcome");
}

fn begin() {
    for cause in ["unreadable", "refused"] {
        counter!(DEAD_LETTERS, "cause" => cause).increment(0);
    }
    for outcome in ["accepted", "failed"] {
        counter!(COMMITS, "outcome" => outcome).increment(0);
    }
    for status in ["forwarded", "duplicate", "pending", "rejected", "refused"] {
        counter!(ROWS, "conversion_status" => status).increment(0);
    }
    // Made, though nothing is recorded: a histogram counts from zero as well.
    for outcome in ["acknowledged", "away", "rows", "operator"] {
        let _ = histogram!(INSERTS, "outcome" => outcome);
    }
    let _ = histogram!(ROW_AGE);
    InHand::empty();
    paused(false);
}

/// Rows of these statuses are in ClickHouse.
pub(crate) fn rows(conversion_statuses: impl Iterator<Item = &'static str>) {
    let mut counts = BTreeMap::new();
    conversion_statuses.for_each(|status| *counts.entry(status).or_default() += 1);
    for (status, count) in counts {
        counter!(ROWS, "conversion_status" => status).increment(count);
    }
}

/// An insert ended, well or not.
pub(crate) fn insert(result: Result<(), &Fault>, took: Duration) {
    let outcome = match result {
        Ok(()) => "acknowledged",
        Err(Fault::Away(_)) => "away",
        Err(Fault::Rows(_)) => "rows",
        Err(Fault::Operator(_)) => "operator",
    };
    histogram!(INSERTS, "outcome" => outcome).record(took);
}

/// A batch is done: all of it is in ClickHouse or buried.
#[expect(clippy::cast_precision_loss, reason = "sizes far below 2^52")]
pub(crate) fn batch(rows: usize, bytes: usize, oldest: Option<Duration>) {
    histogram!(BATCH_ROWS).record(rows as f64);
    histogram!(BATCH_BYTES).record(bytes as f64);
    if let Some(age) = oldest {
        histogram!(ROW_AGE).record(age);
    }
}

/// Why a message was buried.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Buried {
    /// It is no message that this release knows.
    Unreadable,
    /// ClickHouse refuses its row.
    Refused,
}

/// A message is a dead letter.
pub(crate) fn dead_letter(cause: Buried) {
    let cause = match cause {
        Buried::Unreadable => "unreadable",
        Buried::Refused => "refused",
    };
    counter!(DEAD_LETTERS, "cause" => cause).increment(1);
}

/// How much is read and not acknowledged yet: told with every message, so it is looked up once.
pub(crate) struct InHand(Gauge);

impl InHand {
    /// The gauge, at zero.
    pub(crate) fn empty() -> Self {
        let gauge = Self(gauge!(IN_HAND));
        gauge.is(0);
        gauge
    }

    /// So much it is now.
    #[expect(clippy::cast_precision_loss, reason = "sizes far below 2^52")]
    pub(crate) fn is(&self, bytes: usize) {
        self.0.set(bytes as f64);
    }
}

/// Whether consumption is paused.
pub(crate) fn paused(paused: bool) {
    gauge!(PAUSED).set(u8::from(paused));
}

/// How far behind this instance is in a topic.
#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
pub(crate) fn lag(topic: &str, messages: i64) {
    gauge!(LAG, "topic" => topic.to_owned()).set(messages as f64);
}

/// A commit ended.
pub(crate) fn commit(accepted: bool) {
    counter!(COMMITS, "outcome" => if accepted { "accepted" } else { "failed" }).increment(1);
}
