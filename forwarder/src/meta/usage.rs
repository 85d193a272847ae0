//! What Meta's headers say about the load that we put on it.

use std::time::Duration;

use reqwest::header::HeaderMap;
use serde_json::Value;

/// The longest that a dataset is held back on the word of a header.
const LONGEST_REGAIN: Duration = Duration::from_hours(24);

/// What the usage headers of one answer say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// How long until calls are taken again.
    pub regain: Option<Duration>,
    /// The fullest of the limits, in per cent; may exceed 100.
    pub percent: Option<u32>,
}

impl Usage {
    /// Reads `X-Business-Use-Case-Usage` (an object of lists, with minutes), `X-App-Usage` (an object) and `Retry-After`
    /// (seconds). What cannot be read says nothing.
    pub fn of(headers: &HeaderMap) -> Self {
        let business = json(headers, "x-business-use-case-usage");
        let entries = business.as_ref().and_then(Value::as_object).into_iter().flat_map(|ids| ids.values());
        let app = json(headers, "x-app-usage");
        let mut usage = Self { regain: retry_after(headers), percent: None };
        for entry in entries.filter_map(Value::as_array).flatten().chain(app.iter()) {
            usage.add(entry);
        }
        usage
    }

    fn add(&mut self, entry: &Value) {
        let minutes = entry["estimated_time_to_regain_access"].as_f64().filter(|minutes| *minutes > 0.0);
        let seconds = minutes.map(|minutes| (minutes * 60.0).min(LONGEST_REGAIN.as_secs_f64()));
        self.regain = self.regain.max(seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()));
        for limit in ["call_count", "total_cputime", "total_time"] {
            // Saturates, and drops a fraction.
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let percent = entry[limit].as_f64().map(|percent| percent as u32);
            self.percent = self.percent.max(percent);
        }
    }
}

fn json(headers: &HeaderMap, name: &str) -> Option<Value> {
    serde_json::from_slice(headers.get(name)?.as_bytes()).ok()
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(reqwest::header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(LONGEST_REGAIN)).filter(|regain| !regain.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(pairs: &[(&'static str, &'static str)]) -> Usage {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(*name, value.parse().unwrap());
        }
        Usage::of(&headers)
    }

    #[test]
    fn the_longest_regain_time_and_the_fullest_limit_count() {
        let business = r#"{"10":[{"type":"ads_management","call_count":95,"estimated_time_to_regain_access":2},
            {"call_count":1,"total_time":101,"estimated_time_to_regain_access":7}],"11":[]}"#
            .replace('\n', "");
        let mut headers = HeaderMap::new();
        headers.insert("x-business-use-case-usage", business.parse().unwrap());
        headers.insert("x-app-usage", r#"{"call_count":28,"total_cputime":25.9,"total_time":3}"#.parse().unwrap());
        assert_eq!(Usage::of(&headers), Usage { regain: Some(Duration::from_mins(7)), percent: Some(101) });
    }

    #[test]
    fn what_cannot_be_read_says_nothing() {
        assert_eq!(usage(&[]), Usage::default());
        assert_eq!(usage(&[("x-app-usage", "[1,2"), ("x-business-use-case-usage", "7")]), Usage::default());
        let odd = r#"{"a":[{"call_count":"x","estimated_time_to_regain_access":-3}, 4],"b":5}"#;
        assert_eq!(usage(&[("x-business-use-case-usage", odd), ("retry-after", "soon")]), Usage::default());
        let zero = r#"{"a":[{"call_count":0,"estimated_time_to_regain_access":0}]}"#;
        assert_eq!(usage(&[("x-business-use-case-usage", zero)]), Usage { regain: None, percent: Some(0) });
    }

    #[test]
    fn a_regain_time_is_bounded() {
        let far = r#"{"a":[{"estimated_time_to_regain_access":1e18}]}"#;
        assert_eq!(usage(&[("x-business-use-case-usage", far)]).regain, Some(LONGEST_REGAIN));
        assert_eq!(usage(&[("retry-after", "30")]).regain, Some(Duration::from_secs(30)));
    }
}
