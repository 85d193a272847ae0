//! Moments on the command line: RFC 3339 outside, Unix milliseconds inside.

use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// Reads RFC 3339, such as `2026-11-23T08:00:00Z`, as Unix milliseconds.
pub(crate) fn parse(text: &str) -> Result<i64, String> {
    let moment =
        OffsetDateTime::parse(text, &Rfc3339).map_err(|error| format!("{error}; write it as 2026-11-23T08:00:00Z"))?;
    millis(moment).ok_or_else(|| "too far from now".to_owned())
}

/// Unix milliseconds as RFC 3339 in UTC.
pub(crate) fn format(millis: i64) -> String {
    let moment = OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000).ok();
    moment.and_then(|moment| moment.format(&Rfc3339).ok()).unwrap_or_else(|| format!("{millis} ms"))
}

/// This moment in Unix milliseconds.
pub(crate) fn now() -> i64 {
    millis(OffsetDateTime::now_utc()).unwrap_or(i64::MAX)
}

fn millis(moment: OffsetDateTime) -> Option<i64> {
    i64::try_from(moment.unix_timestamp_nanos() / 1_000_000).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_rfc_3339() {
        assert_eq!(parse("1970-01-01T00:00:01.5Z"), Ok(1500));
        assert_eq!(parse("1970-01-01T02:00:00+01:00"), Ok(3_600_000));
        assert!(parse("yesterday").unwrap_err().contains("2026-11-23T08:00:00Z"));
        assert_eq!(format(1500), "1970-01-01T00:00:01.5Z");
    }
}
