//! The forwarder's metrics. Labels are bounded: inputs, statuses, reasons, effects; never a business or a dataset.
//!
//! What counts every event is looked up once: by its name and labels it takes longer than the counting.

use std::{sync::LazyLock, time::Duration};

use metrics::{Counter, Histogram, counter, gauge, histogram};
use schemas::{CallRecord, ConversionStatus, Lane};

use crate::{inputs::Input, ledger::Effect};

const RECEIVED: &str = "capi_forwarder_events_received_total";
const SETTLED: &str = "capi_forwarder_settled_total";
const OUTCOME: &str = "capi_forwarder_outcome_seconds";
const LEDGER_READ: &str = "capi_forwarder_ledger_records_total";

/// The metrics of every event.
static EVERY_EVENT: LazyLock<EveryEvent> = LazyLock::new(|| EveryEvent {
    live: counter!(RECEIVED, "input" => Input::Live.as_str()),
    backfill: counter!(RECEIVED, "input" => Input::Backfill.as_str()),
    counts: counter!(LEDGER_READ, "effect" => "counts"),
    forwarded: counter!(SETTLED, "status" => "forwarded", "reason" => "none"),
    outcome_live: histogram!(OUTCOME, "lane" => Lane::Live.as_str()),
    outcome_backfill: histogram!(OUTCOME, "lane" => Lane::Backfill.as_str()),
});

struct EveryEvent {
    live: Counter,
    backfill: Counter,
    counts: Counter,
    forwarded: Counter,
    outcome_live: Histogram,
    outcome_backfill: Histogram,
}

/// Help texts, for `/metrics`; and what alerts watch begins at zero: a counter that appears with its first count shows
/// Prometheus no increase.
pub fn describe() {
    use metrics::{describe_counter, describe_gauge, describe_histogram};
    begin();
    describe_counter!(RECEIVED, "Events read, by input.");
    describe_counter!(SETTLED, "Events with a final outcome, by status and reason.");
    describe_histogram!(OUTCOME, "Receipt of the call to its final outcome, by lane.");
    describe_counter!("capi_forwarder_delayed_total", "Events that went to a delay tier, by tier.");
    describe_counter!("capi_forwarder_over_share_total", "Events that were over their dataset's share.");
    describe_counter!("capi_forwarder_dead_letters_total", "Messages that could not be read.");
    describe_counter!(LEDGER_READ, "Ledger records read, by effect.");
    describe_counter!("capi_forwarder_ledger_unreadable_total", "Ledger records that could not be read.");
    describe_counter!("capi_forwarder_ledger_repairs_total", "States written after a void record.");
    describe_counter!("capi_forwarder_rebalances_total", "Assignments received from the group.");
    describe_counter!("capi_forwarder_fenced_total", "Claims of other forwarders read while owning.");
    describe_counter!("capi_forwarder_commit_failures_total", "Offset commits that failed.");
    describe_counter!("capi_forwarder_directory_unreadable_total", "Directory entries that could not be read.");
    describe_counter!(
        "capi_forwarder_possibly_duplicate_total",
        "Events whose final outcome is marked possibly_duplicate."
    );
    describe_gauge!("capi_forwarder_lag_messages", "Messages that are not committed yet, by input, of this instance.");
    describe_gauge!("capi_forwarder_partitions_assigned", "Partitions assigned.");
    describe_gauge!("capi_forwarder_partitions_claimed", "Assigned partitions whose ledger is restored and confirmed.");
}

fn begin() {
    for input in [Input::Live, Input::Backfill, Input::Retry(1)] {
        counter!(RECEIVED, "input" => input.as_str()).increment(0);
        lag(input, 0);
    }
    for (status, reason) in [("forwarded", "none"), ("duplicate", "none"), ("rejected", "META_REJECTED")] {
        counter!(SETTLED, "status" => status, "reason" => reason).increment(0);
    }
    for reason in ["META_DROPPED", "EVENT_TOO_OLD", "WHATSAPP_CHANNEL_NOT_CONFIGURED"] {
        counter!(SETTLED, "status" => "rejected", "reason" => reason).increment(0);
    }
    for tier in 1..=3 {
        counter!("capi_forwarder_delayed_total", "tier" => tier.to_string()).increment(0);
    }
    for effect in ["counts", "void"] {
        counter!(LEDGER_READ, "effect" => effect).increment(0);
    }
    for name in [
        "capi_forwarder_over_share_total",
        "capi_forwarder_dead_letters_total",
        "capi_forwarder_ledger_unreadable_total",
        "capi_forwarder_ledger_repairs_total",
        "capi_forwarder_rebalances_total",
        "capi_forwarder_fenced_total",
        "capi_forwarder_commit_failures_total",
        "capi_forwarder_directory_unreadable_total",
        "capi_forwarder_possibly_duplicate_total",
    ] {
        counter!(name).increment(0);
    }
    partitions(0, 0);
}

/// An event was read.
pub fn event_received(input: Input) {
    match input {
        Input::Live => EVERY_EVENT.live.increment(1),
        Input::Backfill => EVERY_EVENT.backfill.increment(1),
        Input::Retry(_) => counter!(RECEIVED, "input" => input.as_str()).increment(1),
    }
}

/// An event has a final outcome.
pub fn settled(record: &CallRecord) {
    let outcome = &record.outcome;
    match (outcome.conversion_status, outcome.reason) {
        (ConversionStatus::Forwarded, None) => EVERY_EVENT.forwarded.increment(1),
        (status, reason) => {
            let reason = reason.map_or("none", schemas::Reason::as_str);
            counter!(SETTLED, "status" => status.as_str(), "reason" => reason).increment(1);
        }
    }
    let seconds = Duration::from_millis(outcome.total_ms.unsigned_abs());
    match record.lane {
        Some(Lane::Live) => EVERY_EVENT.outcome_live.record(seconds),
        Some(Lane::Backfill) => EVERY_EVENT.outcome_backfill.record(seconds),
        None => histogram!(OUTCOME, "lane" => "none").record(seconds),
    }
    if outcome.possibly_duplicate {
        counter!("capi_forwarder_possibly_duplicate_total").increment(1);
    }
}

/// An event went to a tier.
pub fn delayed(tier: i32) {
    counter!("capi_forwarder_delayed_total", "tier" => tier.to_string()).increment(1);
}

/// An event was over its dataset's share.
pub fn over_share() {
    counter!("capi_forwarder_over_share_total").increment(1);
}

/// How far this instance is behind in an input. In the delay tiers that is what waits to be due.
#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
pub fn lag(input: Input, messages: i64) {
    gauge!("capi_forwarder_lag_messages", "input" => input.as_str()).set(messages as f64);
}

/// A message went to the dead letters.
pub fn buried() {
    counter!("capi_forwarder_dead_letters_total").increment(1);
}

/// A ledger record was read.
pub fn ledger_read(effect: Effect) {
    match effect {
        Effect::Counts => EVERY_EVENT.counts.increment(1),
        Effect::Void => counter!(LEDGER_READ, "effect" => "void").increment(1),
    }
}

/// A ledger record could not be read.
pub fn ledger_unreadable() {
    counter!("capi_forwarder_ledger_unreadable_total").increment(1);
}

/// A state was written after a void record.
pub fn ledger_repaired() {
    counter!("capi_forwarder_ledger_repairs_total").increment(1);
}

/// The group assigned partitions.
pub fn rebalanced() {
    counter!("capi_forwarder_rebalances_total").increment(1);
}

/// Another forwarder's claim was read while owning.
pub fn fenced() {
    counter!("capi_forwarder_fenced_total").increment(1);
}

/// An entry of the directory could not be read.
pub fn directory_unreadable() {
    counter!("capi_forwarder_directory_unreadable_total").increment(1);
}

/// A commit failed.
pub fn commit_failed() {
    counter!("capi_forwarder_commit_failures_total").increment(1);
}

/// How many partitions are assigned, and claimed.
#[expect(clippy::cast_precision_loss, reason = "a partition count is small")]
pub fn partitions(assigned: usize, claimed: usize) {
    gauge!("capi_forwarder_partitions_assigned").set(assigned as f64);
    gauge!("capi_forwarder_partitions_claimed").set(claimed as f64);
}
