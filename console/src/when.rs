//! Moments and days, as pages show them: in UTC, which is what the views count days by.

use std::fmt;

use serde::{Deserialize, Deserializer};
use time::{
    Date, Duration, OffsetDateTime, PrimitiveDateTime, UtcOffset,
    format_description::{BorrowedFormatItem, well_known::Rfc3339},
    macros::format_description,
};

const DAY: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day]");
const LOCAL: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day]T[hour]:[minute]");
const LOCAL_SECONDS: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]");
const SHOWN: &[BorrowedFormatItem<'_>] =
    format_description!("[day padding:none] [month repr:short] [year], [hour]:[minute]:[second]");
const SHOWN_DAY: &[BorrowedFormatItem<'_>] = format_description!("[day padding:none] [month repr:short] [year]");
const SHORT_DAY: &[BorrowedFormatItem<'_>] = format_description!("[day padding:none] [month repr:short]");

/// A moment, from Unix milliseconds. Shown, it is a `time` element: digits, letters of months and separators, so that
/// templates take it as it is (`|safe`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(OffsetDateTime);

impl Moment {
    /// One that no calendar has is shown as the beginning of time.
    pub(crate) fn of(millis: i64) -> Self {
        let nanos = i128::from(millis) * 1_000_000;
        Self(OffsetDateTime::from_unix_timestamp_nanos(nanos).unwrap_or(OffsetDateTime::UNIX_EPOCH))
    }

    pub(crate) fn millis(self) -> i64 {
        i64::try_from(self.0.unix_timestamp_nanos() / 1_000_000).unwrap_or_default()
    }

    /// What a field of the type `datetime-local` sends, or RFC 3339, or a day.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let local = [LOCAL, LOCAL_SECONDS].iter().find_map(|form| PrimitiveDateTime::parse(text, form).ok());
        let moment = local.map(PrimitiveDateTime::assume_utc);
        let moment = moment.or_else(|| OffsetDateTime::parse(text, &Rfc3339).ok());
        let moment = moment.or_else(|| Some(parse_day(text)?.midnight().assume_utc()));
        moment
            .map(|moment| moment.to_offset(UtcOffset::UTC))
            .filter(|moment| (1970..=2200).contains(&moment.year()))
            .map(Self)
    }

    /// As a field of the type `datetime-local` takes it.
    pub(crate) fn field(self) -> String {
        self.0.format(LOCAL_SECONDS).unwrap_or_default()
    }

    /// As people read it.
    pub(crate) fn shown(self) -> String {
        self.0.format(SHOWN).unwrap_or_default()
    }

    pub(crate) fn rfc3339(self) -> String {
        self.0.format(&Rfc3339).unwrap_or_default()
    }

    pub(crate) fn date(self) -> Date {
        self.0.date()
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, r#"<time datetime="{}">{}</time>"#, self.rfc3339(), self.shown())
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        i64::deserialize(deserializer).map(Self::of)
    }
}

/// Reads a day, such as `2026-11-28`.
pub(crate) fn parse_day(text: &str) -> Option<Date> {
    Date::parse(text, DAY).ok().filter(|day| (1970..=2200).contains(&day.year()))
}

/// A day as fields and statements take it.
pub(crate) fn day_field(day: Date) -> String {
    day.format(DAY).unwrap_or_default()
}

/// A day as people read it.
pub(crate) fn day_shown(day: Date) -> String {
    day.format(SHOWN_DAY).unwrap_or_default()
}

/// A day without its year, for axes.
pub(crate) fn day_short(day: Date) -> String {
    day.format(SHORT_DAY).unwrap_or_default()
}

/// Today.
pub(crate) fn today() -> Date {
    OffsetDateTime::now_utc().date()
}

/// So many days before.
pub(crate) fn days_before(day: Date, days: i64) -> Date {
    day.checked_sub(Duration::days(days)).unwrap_or(Date::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_read_as_browsers_and_programs_write_it() {
        for text in ["2026-11-28T14:02", "2026-11-28T14:02:00", "2026-11-28T14:02:00Z", "2026-11-28T15:02:00+01:00"] {
            assert_eq!(Moment::parse(text).unwrap().shown(), "28 Nov 2026, 14:02:00", "{text}");
        }
        assert_eq!(Moment::parse("2026-11-28").unwrap().field(), "2026-11-28T00:00:00");
        for wrong in ["", "yesterday", "2026-13-01", "0001-01-01", "9999-01-01", "2026-11-28T25:00"] {
            assert_eq!(Moment::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_moment_is_shown_to_people_and_programs() {
        assert_eq!(
            Moment::of(1500).to_string(),
            r#"<time datetime="1970-01-01T00:00:01.5Z">1 Jan 1970, 00:00:01</time>"#
        );
        assert_eq!(Moment::of(i64::MAX).millis(), 0, "what no calendar has breaks no page");
    }
}
