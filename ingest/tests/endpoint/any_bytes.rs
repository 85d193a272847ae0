//! Whatever is posted gets one of the documented answers, and leaves one record or one event.

use axum::body::Body;
use proptest::{
    collection::vec,
    prelude::{Just, ProptestConfig, Strategy, any, prop_oneof},
    proptest,
};

use crate::harness::{EXAMPLE, Fixture, Got};

/// The example with some of its bytes replaced, removed or repeated.
fn mangled() -> impl Strategy<Value = Vec<u8>> {
    let change = (0..EXAMPLE.len(), 0..EXAMPLE.len(), vec(any::<u8>(), 0..4));
    vec(change, 0..4).prop_map(|changes| {
        let mut body = EXAMPLE.as_bytes().to_vec();
        for (from, to, with) in changes {
            let (from, to) = (from.min(to).min(body.len()), from.max(to).min(body.len()));
            body.splice(from..to.min(from + 8), with);
        }
        body
    })
}

/// Something like JSON, with keys that we know in places where they may not belong.
fn jsonish() -> impl Strategy<Value = String> {
    let text = "[ \\PC\u{0}]{0,6}".prop_map(|text| serde_json::Value::from(text).to_string());
    let number = prop_oneof![
        any::<f64>().prop_map(|number| number.to_string()),
        "-?[0-9]{1,30}(\\.[0-9]{1,9})?([eE]-?[0-9]{1,4})?"
    ];
    let leaf = prop_oneof![Just("null".to_owned()), Just("true".to_owned()), number, text];
    let key = "(cnct_tracking_id|event_name|sendout_id|attribution|meta_ctwa|ctwa_clid|ad_id|payload|currency|value|order_id|content_type|content_ids|num_items|contents|event_time|id|quantity|item_price|x)";
    leaf.prop_recursive(6, 64, 8, move |inner| {
        let pair = (key, inner.clone()).prop_map(|(key, value)| format!("\"{key}\":{value}"));
        prop_oneof![
            vec(inner, 0..6).prop_map(|items| format!("[{}]", items.join(","))),
            vec(pair, 0..8).prop_map(|pairs| format!("{{{}}}", pairs.join(","))),
        ]
    })
}

/// The example with one value replaced by something like JSON.
fn transplanted() -> impl Strategy<Value = String> {
    let values =
        ["\"track\"", "\"Purchase\"", "\"click\"", "\"USD\"", "99.97", "\"ORD-7821\"", "49.98", "2,", "1,", "[\n"];
    (0..values.len(), jsonish())
        .prop_map(move |(at, with)| EXAMPLE.replacen(values[at].trim_end_matches(','), &with, 1))
}

/// Values in place of others: of another type, at and beyond the edges, and text of every odd kind.
fn odd() -> impl Strategy<Value = String> {
    const EDGES: [&str; 30] = [
        "null",
        "true",
        "[]",
        "{}",
        "0",
        "-0",
        "-1",
        "1e999",
        "-1e-999",
        "1E400",
        "2147483648",
        "9223372036854775808",
        "1e12",
        "1000000000000.0000001",
        "0.0000005",
        "18446744073709551616",
        "1746480000.0",
        "4294967296",
        "\"\"",
        "\" \"",
        "\"\\ud800\"",
        "\"\\udc00\\ud800\"",
        "\"\\u0000\"",
        "\"\u{202e}\u{feff}\u{1f468}\u{200d}\"",
        "\"\u{10ffff}\"",
        "\"\u{85}\"",
        "[null]",
        "[[]]",
        "[{}]",
        "[{\"id\":\"x\",\"quantity\":-1}]",
    ];
    prop_oneof![
        proptest::sample::select(&EDGES[..]).prop_map(str::to_owned),
        (1_usize..200).prop_map(|levels| format!("{}{}", "[".repeat(levels), "]".repeat(levels))),
        (1_usize..60).prop_map(|levels| format!("{}1{}", "{\"payload\":".repeat(levels), "}".repeat(levels))),
        (1_usize..3000).prop_map(|length| format!("\"{}\"", "é".repeat(length))),
        (90_usize..120).prop_map(|count| format!("[{}\"x\"]", "\"x\",".repeat(count))),
        (1_usize..400).prop_map(|digits| "9".repeat(digits)),
    ]
}

/// What is done to a member of the example.
#[derive(Clone, Debug)]
enum Change {
    Replace(String),
    Delete,
    /// The member again, with this value.
    Repeat(String),
}

/// The example with some of its members changed, whatever their place.
fn restructured() -> impl Strategy<Value = String> {
    let change = prop_oneof![odd().prop_map(Change::Replace), Just(Change::Delete), odd().prop_map(Change::Repeat)];
    vec((0..24_usize, change), 1..5).prop_map(|changes| {
        let mut at = 0;
        let example: serde_json::Value = serde_json::from_str(EXAMPLE).unwrap();
        written(&example, &mut at, &changes)
    })
}

/// The JSON of a value; `at` counts the members on the way.
fn written(value: &serde_json::Value, at: &mut usize, changes: &[(usize, Change)]) -> String {
    match value {
        serde_json::Value::Object(members) => {
            let members = members.iter().filter_map(|(name, value)| {
                let change = changes.iter().find(|(place, _)| place == at).map(|(_, change)| change);
                *at += 1;
                let kept = written(value, at, changes);
                match change {
                    None => Some(format!("\"{name}\":{kept}")),
                    Some(Change::Replace(with)) => Some(format!("\"{name}\":{with}")),
                    Some(Change::Repeat(with)) => Some(format!("\"{name}\":{kept},\"{name}\":{with}")),
                    Some(Change::Delete) => None,
                }
            });
            format!("{{{}}}", members.collect::<Vec<_>>().join(","))
        }
        serde_json::Value::Array(items) => {
            let items: Vec<_> = items.iter().map(|item| written(item, at, changes)).collect();
            format!("[{}]", items.join(","))
        }
        leaf => leaf.to_string(),
    }
}

fn has_one_documented_answer(body: &[u8]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let fixture = Fixture::new();
        let got = fixture.post(Body::from(body.to_vec())).await;
        let (records, events) = (fixture.records(), fixture.events("live"));
        let call = match got.http {
            200 => {
                assert_eq!((records.len(), events.len()), (0, 1));
                &events[0].call
            }
            400 => {
                assert!(["MALFORMED_JSON", "INVALID_FIELDS"].contains(&got.reason()), "{got:?}");
                assert_eq!((records.len(), events.len(), got.stage()), (1, 0, "payload_mapping"));
                is_documented(&got);
                &records[0].call
            }
            _ => panic!("{got:?}"),
        };
        assert_eq!((call.call_id.to_string().as_str(), &call.body[..]), (got.call_id(), body));
    });
}

/// The body of a 400, to its last member (contract, section 2).
fn is_documented(got: &Got) {
    let keys = |value: &serde_json::Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&got.body), ["code", "details", "message", "status"]);
    assert_eq!((&got.body["code"], &got.body["status"]), (&3.into(), &"INVALID_ARGUMENT".into()));
    assert!(!got.body["message"].as_str().unwrap().is_empty());
    let details = got.body["details"].as_array().unwrap();
    assert_eq!(keys(&details[0]), ["@type", "domain", "metadata", "reason"]);
    assert_eq!(keys(&details[0]["metadata"]), ["call_id", "failure_stage", "retryable"]);
    assert_eq!(details.len(), if got.reason() == "INVALID_FIELDS" { 2 } else { 1 }, "{got:?}");
    for violation in details.iter().skip(1).flat_map(|detail| detail["field_violations"].as_array().unwrap()) {
        assert_eq!(keys(violation), ["description", "field", "reason"]);
        assert!(VIOLATIONS.contains(&violation["reason"].as_str().unwrap()), "{violation}");
    }
}

const VIOLATIONS: [&str; 8] = [
    "FIELD_REQUIRED",
    "FIELD_TOO_LONG",
    "FIELD_TYPE",
    "FIELD_VALUE",
    "TOO_MANY_ITEMS",
    "UNSUPPORTED_EVENT_NAME",
    "INVALID_CURRENCY",
    "EVENT_IN_FUTURE",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes(body in vec(any::<u8>(), 0..2000)) {
        has_one_documented_answer(&body);
    }

    #[test]
    fn a_mangled_example(body in mangled()) {
        has_one_documented_answer(&body);
    }

    #[test]
    fn anything_like_json(body in jsonish()) {
        has_one_documented_answer(body.as_bytes());
    }

    #[test]
    fn members_changed_lost_and_repeated(body in restructured()) {
        has_one_documented_answer(body.as_bytes());
    }

    #[test]
    fn a_value_that_does_not_belong(body in transplanted()) {
        has_one_documented_answer(body.as_bytes());
    }
}
