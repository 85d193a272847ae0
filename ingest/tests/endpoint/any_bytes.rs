//! Whatever is posted gets one of the documented answers, and leaves one record or one event.

use axum::body::Body;
use proptest::{
    collection::vec,
    prelude::{Just, ProptestConfig, Strategy, any, prop_oneof},
    proptest,
};

use crate::harness::{EXAMPLE, Fixture};

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
                &records[0].call
            }
            _ => panic!("{got:?}"),
        };
        assert_eq!((call.call_id.to_string().as_str(), call.body.as_slice()), (got.call_id(), body));
    });
}

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
    fn a_value_that_does_not_belong(body in transplanted()) {
        has_one_documented_answer(body.as_bytes());
    }
}
