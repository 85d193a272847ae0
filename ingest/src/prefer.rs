//! `Prefer` (RFC 7240): whether the caller waits for Meta's verdict, and how long.

use std::time::Duration;

use http::{HeaderMap, HeaderName};

const PREFER: HeaderName = HeaderName::from_static("prefer");

/// What a caller prefers, as far as it could be understood.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Preferences {
    /// `respond-async`: answer as soon as the event is durable.
    pub respond_async: bool,
    /// `wait`: wait so long at most.
    pub wait: Option<Duration>,
}

impl Preferences {
    /// From any number of `Prefer` headers, which count as one list. Of a preference that comes again the first counts;
    /// what cannot be parsed is as if it were not there.
    pub fn of(headers: &HeaderMap) -> Self {
        let mut preferences = Self::default();
        let lines = headers.get_all(PREFER).iter().filter_map(|line| line.to_str().ok());
        for preference in lines.flat_map(|line| Unquoted::split(line, ',')) {
            // Parameters after a semicolon say nothing about the preferences that we know.
            let Some(preference) = Unquoted::split(preference, ';').next() else { continue };
            let (name, value) = preference.split_once('=').unwrap_or((preference, ""));
            let (name, value) = (name.trim(), unquoted(value.trim()));
            if name.eq_ignore_ascii_case("respond-async") && value.is_empty() {
                preferences.respond_async = true;
            } else if name.eq_ignore_ascii_case("wait") && preferences.wait.is_none() {
                preferences.wait = seconds(value);
            }
        }
        preferences
    }
}

/// A value without its quotes, if it has any. No value that we know needs an escape.
fn unquoted(value: &str) -> &str {
    value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value)
}

/// `delta-seconds`; more than can be counted is as long as can be.
fn seconds(value: &str) -> Option<Duration> {
    let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| Duration::from_secs(value.parse().unwrap_or(u64::MAX)))
}

/// The parts of a header between separators that stand outside quotes.
struct Unquoted<'h> {
    rest: Option<&'h str>,
    separator: char,
}

impl<'h> Unquoted<'h> {
    fn split(text: &'h str, separator: char) -> Self {
        Self { rest: Some(text), separator }
    }
}

impl<'h> Iterator for Unquoted<'h> {
    type Item = &'h str;

    fn next(&mut self) -> Option<&'h str> {
        let rest = self.rest?;
        let (mut quoted, mut escaped) = (false, false);
        let end = rest.find(|next: char| {
            match next {
                _ if escaped => escaped = false,
                '\\' if quoted => escaped = true,
                '"' => quoted = !quoted,
                other => return !quoted && other == self.separator,
            }
            false
        });
        self.rest = end.map(|end| &rest[end + self.separator.len_utf8()..]);
        Some(&rest[..end.unwrap_or(rest.len())])
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn preferences(lines: &[&str]) -> (bool, Option<u64>) {
        let lines = lines.iter().map(|line| (PREFER, HeaderValue::from_str(line).unwrap()));
        let preferences = Preferences::of(&lines.collect());
        (preferences.respond_async, preferences.wait.map(|wait| wait.as_secs()))
    }

    type Case = (&'static [&'static str], (bool, Option<u64>));

    #[test]
    fn preferences_are_read_as_the_rfc_writes_them() {
        let cases: [Case; 14] = [
            (&[], (false, None)),
            (&["respond-async"], (true, None)),
            (&["wait=5"], (false, Some(5))),
            (&["respond-async, wait=10"], (true, Some(10))),
            (&["wait=10", "respond-async"], (true, Some(10))),
            (&["RESPOND-ASYNC ,\tWait = 3"], (true, Some(3))),
            (&["wait=\"7\""], (false, Some(7))),
            (&["wait=0"], (false, Some(0))),
            (&["foo; wait=1, wait=2; x=\"a,wait=3\""], (false, Some(2))),
            (&["x=\"a, respond-async, \\\", wait=1\", wait=4"], (false, Some(4))),
            (&["wait=1, wait=2", "wait=3"], (false, Some(1))),
            (&["respond-async=\"\"; priority=5"], (true, None)),
            (&[",,;,=,wait=6,"], (false, Some(6))),
            (&["wait=99999999999999999999999"], (false, Some(u64::MAX))),
        ];
        for (lines, expected) in cases {
            assert_eq!(preferences(lines), expected, "{lines:?}");
        }
    }

    #[test]
    fn what_cannot_be_parsed_is_ignored() {
        for line in [
            "wait",
            "wait=",
            "wait=-1",
            "wait=1.5",
            "wait=1s",
            "wait=\"1",
            "wait=\"1\\\"",
            "respond-async=no",
            "respondasync",
            "\"respond-async\"",
        ] {
            assert_eq!(preferences(&[line]), (false, None), "{line}");
        }
        assert_eq!(preferences(&["wait=x, wait=2"]), (false, Some(2)));
        let not_text = HeaderMap::from_iter([(PREFER, HeaderValue::from_bytes(b"wait=1\xff").unwrap())]);
        assert_eq!(Preferences::of(&not_text), Preferences::default());
    }
}
