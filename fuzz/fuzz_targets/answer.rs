//! Anything that may come back from Meta: one answer, within its bounds, without what must not be written down.
#![no_main]

use std::time::Duration;

use arbitrary::{Arbitrary, Unstructured};
use capi_forwarder::meta::{Answer, Class, usage::Usage};
use libfuzzer_sys::fuzz_target;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

/// A click id with all that JSON writes in another way.
const SECRET: &str = "AR\"Xh\\7/788é";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[derive(Arbitrary, Debug)]
struct Given<'d> {
    status: u16,
    sent: u8,
    business_usage: &'d [u8],
    app_usage: &'d [u8],
    retry_after: &'d [u8],
    /// Puts the click id in place of every `~` of the body.
    echoes: bool,
    /// Adds all that makes an error of Graph, so that the rest is looked at.
    is_error: bool,
}

fuzz_target!(|data: &[u8]| {
    let mut u = Unstructured::new(data);
    let Ok(given) = Given::arbitrary(&mut u) else { return };
    let body = body(&given, u.take_rest());
    let usage = Usage::of(&headers(&given));
    assert!(usage.regain.is_none_or(|regain| !regain.is_zero() && regain <= DAY), "{usage:?}");
    let answer = Answer::read(given.status, usage, &body, usize::from(given.sent), [SECRET]);
    holds(&answer, usize::from(given.sent));
});

fn body(given: &Given<'_>, rest: &[u8]) -> Vec<u8> {
    let Ok(text) = std::str::from_utf8(rest) else { return rest.to_vec() };
    let text = if given.echoes { text.replace('~', SECRET) } else { text.to_owned() };
    if !given.is_error {
        return text.into_bytes();
    }
    let inner = serde_json::json!({ "blame": text }).to_string();
    serde_json::json!({ "error": {
        "code": given.status, "error_subcode": text, "error_user_title": text, "message": text, "error_data": inner,
    } })
    .to_string()
    .into_bytes()
}

fn headers(given: &Given<'_>) -> HeaderMap {
    let pairs = [
        ("x-business-use-case-usage", given.business_usage),
        ("x-app-usage", given.app_usage),
        ("retry-after", given.retry_after),
    ];
    let valid = pairs.map(|(name, value)| Some((HeaderName::from_static(name), HeaderValue::from_bytes(value).ok()?)));
    valid.into_iter().flatten().collect()
}

fn holds(answer: &Answer, sent: usize) {
    assert!(answer.detail.len() <= 8192 && answer.fbtrace_id.len() <= 128);
    let message = answer.error.as_ref().map_or("", |error| error.message.as_str());
    assert!(message.len() <= 4096);
    let escaped = serde_json::Value::from(SECRET).to_string();
    let twice = serde_json::Value::from(escaped.trim_matches('"')).to_string();
    for secret in [SECRET, escaped.trim_matches('"'), twice.trim_matches('"')] {
        assert!(!message.contains(secret) && !answer.detail.contains(secret), "{answer:?}");
    }
    match answer.class {
        Class::Accepted => assert!(answer.error.is_none() && answer.events_received.is_some_and(|n| n >= sent as u64)),
        Class::Dropped => assert!(answer.error.is_none() && answer.events_received.is_some_and(|n| n < sent as u64)),
        Class::NotSent => panic!("an answer came, so something was sent: {answer:?}"),
        // What was counted is told with a status that is none of success: nobody knows.
        Class::Unknown => {}
        _ => assert!(answer.error.is_some(), "{answer:?}"),
    }
}
