//! When the conversion happened.

use super::{FieldReason, field::Findings};
use crate::request::Given;

/// 2000-01-01T00:00:00Z, in Unix seconds: no conversion is older.
pub(crate) const EARLIEST: i64 = 946_684_800;
/// How far a merchant's clock may be ahead of ours, in milliseconds.
const AHEAD: i64 = 60_000;
/// What a column of the record can hold, in Unix seconds.
const RECORDABLE: std::ops::RangeInclusive<i64> = 0..=u32::MAX as i64;

/// The event's Unix seconds: as given, or those of `received_at` (in Unix milliseconds) where none are. An old event is
/// valid here: the forwarder judges the age, since the event may grow too old on its way.
pub(super) fn event_time(given: Given<'_>, received_at: i64, findings: &mut Findings) -> Option<i64> {
    const FIELD: &str = "payload.event_time";
    if given.is_none() {
        return Some(received_at.div_euclid(1000));
    }
    let seconds = findings.integer(FIELD, given, "an integer, in Unix seconds")?;
    let latest = received_at + AHEAD;
    if seconds.saturating_mul(1000) > latest {
        let in_millis = (EARLIEST * 1000..=latest).contains(&seconds);
        let hint = if in_millis { "; this looks like milliseconds: send seconds" } else { "" };
        findings.add(FIELD, FieldReason::EventInFuture, format!("must not be in the future{hint}"));
    } else if seconds < EARLIEST {
        findings.add(FIELD, FieldReason::FieldValue, format!("must be Unix seconds, {EARLIEST} (2000-01-01) or later"));
    }
    RECORDABLE.contains(&seconds).then_some(seconds)
}
