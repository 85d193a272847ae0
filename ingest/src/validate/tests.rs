//! Every rule of the contract's section 3 at its edges.

use schemas::{CallId, LineItem, Micros};
use serde_json::{Value, json};

use super::*;

/// 2026-11-20T12:00:00.500Z.
const RECEIVED_AT: i64 = 1_795_176_000_500;

fn example() -> Value {
    json!({
        "cnct_tracking_id": "track", "event_name": "Purchase", "sendout_id": "send",
        "attribution": {"meta_ctwa": {"ctwa_clid": "click", "ad_id": "ad"}},
        "payload": {
            "currency": "USD", "value": 99.97, "order_id": "ORD-7821", "content_type": "product",
            "content_ids": ["data-pass-30d", "phone-case-blk"], "num_items": 2,
            "contents": [
                {"id": "data-pass-30d", "quantity": 1, "item_price": 49.99},
                {"id": "phone-case-blk", "quantity": 1, "item_price": 49.98}
            ],
            "event_time": 1_795_170_000
        }
    })
}

/// The example with the value at a JSON pointer replaced; `None` removes it.
fn example_with(pointer: &str, value: Option<Value>) -> String {
    let mut body = example();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let parent = body.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    match value {
        Some(value) => parent.insert(key.into(), value),
        None => parent.remove(key),
    };
    body.to_string()
}

fn check(body: &str) -> (Call, Vec<Violation>) {
    let mut call = Call::blank(CallId::now(), RECEIVED_AT);
    let violations = validate(&Request::read(body.as_bytes()).unwrap(), &mut call);
    (call, violations)
}

fn faults(body: &str) -> Vec<(String, FieldReason)> {
    check(body).1.into_iter().map(|violation| (violation.field, violation.reason)).collect()
}

/// `path` in the words of an error body, from a JSON pointer.
fn path(pointer: &str) -> String {
    pointer.trim_start_matches('/').replace('/', ".")
}

#[track_caller]
fn accepts(pointer: &str, value: Value) -> Call {
    let body = example_with(pointer, Some(value));
    let (call, violations) = check(&body);
    assert_eq!(violations, [], "{body}");
    call
}

#[track_caller]
fn refuses(pointer: &str, value: Option<Value>, reason: FieldReason) -> Call {
    let body = example_with(pointer, value);
    assert_eq!(faults(&body), [(path(pointer), reason)], "{body}");
    check(&body).0
}

#[test]
fn the_example_is_read_whole() {
    let (call, violations) = check(&example().to_string());
    assert_eq!(violations, []);
    let line = |id: &str, price: i64| LineItem { id: id.into(), quantity: Some(1), item_price: Micros::new(price) };
    let expected = Call {
        event_name: "Purchase".into(),
        event_time: Some(1_795_170_000),
        cnct_tracking_id: "track".into(),
        sendout_id: "send".into(),
        ctwa_clid: "click".into(),
        ad_id: "ad".into(),
        currency: "USD".into(),
        value: Micros::new(99_970_000),
        order_id: "ORD-7821".into(),
        content_type: "product".into(),
        content_ids: vec!["data-pass-30d".into(), "phone-case-blk".into()],
        num_items: Some(2),
        contents: vec![line("data-pass-30d", 49_990_000), line("phone-case-blk", 49_980_000)],
        ..Call::blank(call.call_id, RECEIVED_AT)
    };
    assert_eq!(call, expected);
}

#[test]
fn required_texts_have_their_limits_in_bytes() {
    let fields = [
        ("/cnct_tracking_id", 512),
        ("/sendout_id", 256),
        ("/attribution/meta_ctwa/ctwa_clid", 1024),
        ("/attribution/meta_ctwa/ad_id", 128),
    ];
    for (pointer, most) in fields {
        accepts(pointer, json!("x"));
        accepts(pointer, json!("x".repeat(most)));
        accepts(pointer, json!("é".repeat(most / 2)));
        refuses(pointer, Some(json!("x".repeat(most + 1))), FieldReason::FieldTooLong);
        refuses(pointer, Some(json!(format!("{}é", "x".repeat(most - 1)))), FieldReason::FieldTooLong);
        for missing in [None, Some(json!(null)), Some(json!("")), Some(json!(" \t\u{3000}"))] {
            refuses(pointer, missing, FieldReason::FieldRequired);
        }
        for other in [json!(1), json!(true), json!(["x"]), json!({})] {
            refuses(pointer, Some(other), FieldReason::FieldType);
        }
        for control in ["a\0", "a\nb", "\u{7f}x", "x\u{85}x"] {
            refuses(pointer, Some(json!(control)), FieldReason::FieldValue);
        }
    }
}

#[test]
fn texts_are_kept_byte_for_byte() {
    let call = accepts("/attribution/meta_ctwa/ctwa_clid", json!(" Ação\u{200b}\\\" "));
    assert_eq!(call.ctwa_clid, " Ação\u{200b}\\\" ");
    let escaped = example().to_string().replace("\"click\"", r#""\u0041\ud83d\ude00\/""#);
    assert_eq!(check(&escaped).0.ctwa_clid, "A😀/");
    let unpaired = example().to_string().replace("\"click\"", r#""\ud83d""#);
    assert_eq!(faults(&unpaired), [("attribution.meta_ctwa.ctwa_clid".into(), FieldReason::FieldValue)]);
}

#[test]
fn only_two_events_are_supported() {
    accepts("/event_name", json!("ViewContent"));
    for other in ["purchase", "PURCHASE", " Purchase", "Lead", &"x".repeat(1000)] {
        let call = refuses("/event_name", Some(json!(other)), FieldReason::UnsupportedEventName);
        assert_eq!(call.event_name, other);
    }
    refuses("/event_name", Some(json!(7)), FieldReason::FieldType);
    refuses("/event_name", Some(json!("  ")), FieldReason::FieldRequired);
    refuses("/event_name", None, FieldReason::FieldRequired);
}

#[test]
fn a_missing_attribution_is_a_violation_of_its_leaves() {
    let leaf = |name: &str| (format!("attribution.meta_ctwa.{name}"), FieldReason::FieldRequired);
    let leaves = [leaf("ctwa_clid"), leaf("ad_id")];
    assert_eq!(faults(&example_with("/attribution", None)), leaves);
    assert_eq!(faults(&example_with("/attribution", Some(json!(null)))), leaves);
    assert_eq!(faults(&example_with("/attribution", Some(json!({})))), leaves);
    assert_eq!(faults(&example_with("/attribution", Some(json!({"meta_ctwa": {}})))), leaves);
    refuses("/attribution", Some(json!("click")), FieldReason::FieldType);
    refuses("/attribution/meta_ctwa", Some(json!([])), FieldReason::FieldType);
}

#[test]
fn a_purchase_needs_currency_and_value() {
    let both =
        [("payload.currency".into(), FieldReason::FieldRequired), ("payload.value".into(), FieldReason::FieldRequired)];
    for missing in [None, Some(json!(null)), Some(json!({}))] {
        assert_eq!(faults(&example_with("/payload", missing)), both);
    }
    refuses("/payload", Some(json!([])), FieldReason::FieldType);
    refuses("/payload/currency", None, FieldReason::FieldRequired);
    refuses("/payload/currency", Some(json!(" ")), FieldReason::FieldRequired);
    refuses("/payload/value", Some(json!(null)), FieldReason::FieldRequired);
}

#[test]
fn a_view_needs_a_currency_only_with_a_value() {
    let view = |payload: Value| {
        let mut body = example();
        body["event_name"] = json!("ViewContent");
        body["payload"] = payload;
        faults(&body.to_string())
    };
    for payload in [json!(null), json!({}), json!({"currency": "USD"}), json!({"currency": "USD", "value": 0})] {
        assert_eq!(view(payload), []);
    }
    assert_eq!(view(json!({"value": 1})), [("payload.currency".into(), FieldReason::FieldRequired)]);
    let neither =
        [("payload.currency".into(), FieldReason::FieldRequired), ("payload.value".into(), FieldReason::FieldType)];
    assert_eq!(view(json!({"value": "1"})), neither);
}

#[test]
fn an_unknown_event_is_held_to_the_rules_that_do_not_depend_on_it() {
    let mut body = example();
    body["event_name"] = json!("Lead");
    body["payload"] = json!({"value": 1, "num_items": -1});
    let expected = [
        ("event_name".into(), FieldReason::UnsupportedEventName),
        ("payload.currency".into(), FieldReason::FieldRequired),
        ("payload.num_items".into(), FieldReason::FieldValue),
    ];
    assert_eq!(faults(&body.to_string()), expected);
    body["payload"] = json!(null);
    assert_eq!(faults(&body.to_string()), [("event_name".into(), FieldReason::UnsupportedEventName)]);
}

#[test]
fn currencies_are_stored_in_capitals() {
    assert_eq!(accepts("/payload/currency", json!("bRl")).currency, "BRL");
    let call = refuses("/payload/currency", Some(json!("xxx")), FieldReason::InvalidCurrency);
    assert_eq!(call.currency, "xxx");
    refuses("/payload/currency", Some(json!(840)), FieldReason::FieldType);
}

#[test]
fn amounts_are_exact_and_bounded() {
    let amount = |digits: &str| example().to_string().replace("99.97", digits);
    let value = |digits: &str| check(&amount(digits)).0.value.map(Micros::millionths);
    assert_eq!(value("0"), Some(0));
    assert_eq!(value("-0.0"), Some(0));
    assert_eq!(value("0.1000005"), Some(100_000));
    assert_eq!(value("0.1000015"), Some(100_002));
    assert_eq!(value("1e12"), Some(1_000_000_000_000_000_000));
    assert_eq!(value("0.30000000000000004"), Some(300_000));
    for (digits, reason) in [
        ("-0.0000001", FieldReason::FieldValue),
        ("1000000000000.0000001", FieldReason::FieldValue),
        ("1e400", FieldReason::FieldValue),
        ("\"99.97\"", FieldReason::FieldType),
        ("true", FieldReason::FieldType),
        ("[1]", FieldReason::FieldType),
    ] {
        assert_eq!(faults(&amount(digits)), [("payload.value".into(), reason)], "{digits}");
        assert_eq!(value(digits), None);
    }
}

#[test]
fn optional_texts_may_be_absent_but_not_wrong() {
    for blank in [json!(null), json!(""), json!("  ")] {
        assert_eq!(accepts("/payload/order_id", blank.clone()).order_id, "");
        assert_eq!(accepts("/payload/content_type", blank).content_type, "");
    }
    accepts("/payload/order_id", json!("x".repeat(256)));
    refuses("/payload/order_id", Some(json!("x".repeat(257))), FieldReason::FieldTooLong);
    refuses("/payload/order_id", Some(json!("a\u{0}")), FieldReason::FieldValue);
    refuses("/payload/order_id", Some(json!(7821)), FieldReason::FieldType);
    accepts("/payload/content_type", json!("product_group"));
    refuses("/payload/content_type", Some(json!("Product")), FieldReason::FieldValue);
    refuses("/payload/content_type", Some(json!(1)), FieldReason::FieldType);
}

#[test]
fn counts_are_integers_of_31_bits() {
    assert_eq!(accepts("/payload/num_items", json!(0)).num_items, Some(0));
    assert_eq!(accepts("/payload/num_items", json!(i32::MAX)).num_items, Some(i32::MAX));
    assert_eq!(accepts("/payload/num_items", json!(null)).num_items, None);
    for number in [json!(-1), json!(2_147_483_648_i64), json!(u64::MAX)] {
        refuses("/payload/num_items", Some(number), FieldReason::FieldValue);
    }
    for other in [json!(2.0), json!(2.5), json!("2"), json!(false)] {
        refuses("/payload/num_items", Some(other), FieldReason::FieldType);
    }
    for (digits, reason) in [("2e0", FieldReason::FieldType), ("99999999999999999999999", FieldReason::FieldValue)] {
        let body = example().to_string().replace("\"num_items\":2", &format!("\"num_items\":{digits}"));
        assert_eq!(faults(&body), [("payload.num_items".into(), reason)]);
    }
}

#[test]
fn content_ids_are_up_to_a_hundred_texts() {
    accepts("/payload/content_ids", json!([]));
    accepts("/payload/content_ids", json!(vec!["x".repeat(256); 100]));
    let call = refuses("/payload/content_ids", Some(json!(vec!["x"; 101])), FieldReason::TooManyItems);
    assert_eq!(call.content_ids.len(), 100);
    refuses("/payload/content_ids", Some(json!("a")), FieldReason::FieldType);
    let body = example_with("/payload/content_ids", Some(json!(["a", "x".repeat(257), 3, null, " "])));
    let at = |at: usize, reason| (format!("payload.content_ids[{at}]"), reason);
    let expected = [
        at(1, FieldReason::FieldTooLong),
        at(2, FieldReason::FieldType),
        at(3, FieldReason::FieldRequired),
        at(4, FieldReason::FieldRequired),
    ];
    assert_eq!(faults(&body), expected);
    assert_eq!(check(&body).0.content_ids, ["a".to_owned(), "x".repeat(257)]);
}

#[test]
fn lines_without_an_id_are_skipped_whatever_else_they_hold() {
    let lines =
        json!([{"quantity": "x", "item_price": -1}, {"id": null, "quantity": -1}, {"id": " "}, null, {}, {"id": "a"}]);
    let call = accepts("/payload/contents", lines);
    assert_eq!(call.contents, [LineItem { id: "a".into(), quantity: None, item_price: None }]);
}

#[test]
fn lines_are_counted_before_skipping() {
    accepts("/payload/contents", json!(vec![json!({}); 100]));
    refuses("/payload/contents", Some(json!(vec![json!({}); 101])), FieldReason::TooManyItems);
    refuses("/payload/contents", Some(json!({"id": "a"})), FieldReason::FieldType);
}

#[test]
fn lines_are_held_to_the_rules_of_their_fields() {
    let lines = json!([
        {"id": "x".repeat(257)}, {"id": 7}, "a", {"id": "b", "quantity": -1, "item_price": -0.1},
        {"id": "c", "quantity": 1.5, "item_price": "1"}, {"id": "\u{1}"}
    ]);
    let body = example_with("/payload/contents", Some(lines));
    let at = |path: &str, reason| (format!("payload.contents{path}"), reason);
    let expected = [
        at("[0].id", FieldReason::FieldTooLong),
        at("[1].id", FieldReason::FieldType),
        at("[2]", FieldReason::FieldType),
        at("[3].quantity", FieldReason::FieldValue),
        at("[3].item_price", FieldReason::FieldValue),
        at("[4].quantity", FieldReason::FieldType),
        at("[4].item_price", FieldReason::FieldType),
        at("[5].id", FieldReason::FieldValue),
    ];
    assert_eq!(faults(&body), expected);
    let ids: Vec<_> = check(&body).0.contents.into_iter().map(|line| line.id).collect();
    assert_eq!(ids, ["x".repeat(257).as_str(), "b", "c", "\u{1}"]);
}

#[test]
fn event_times_are_unix_seconds_up_to_a_minute_ahead() {
    const FIELD: &str = "/payload/event_time";
    let now = RECEIVED_AT / 1000;
    assert_eq!(accepts(FIELD, json!(null)).event_time, Some(now));
    assert_eq!(accepts(FIELD, json!(946_684_800)).event_time, Some(946_684_800));
    assert_eq!(accepts(FIELD, json!(now + 60)).event_time, Some(now + 60));
    refuses(FIELD, Some(json!(now + 61)), FieldReason::EventInFuture);
    refuses(FIELD, Some(json!(946_684_799)), FieldReason::FieldValue);
    refuses(FIELD, Some(json!(-1)), FieldReason::FieldValue);
    refuses(FIELD, Some(json!("1795170000")), FieldReason::FieldType);
    refuses(FIELD, Some(json!(1_795_170_000.5)), FieldReason::FieldType);
    let call = refuses(FIELD, Some(json!(i64::MAX)), FieldReason::EventInFuture);
    assert_eq!(call.event_time, None, "no column can hold it");
}

#[test]
fn a_time_in_milliseconds_gets_a_hint() {
    let description =
        |time: i64| check(&example_with("/payload/event_time", Some(json!(time)))).1[0].description.clone();
    assert!(description(RECEIVED_AT).contains("milliseconds"));
    assert!(!description(RECEIVED_AT / 1000 + 3600).contains("milliseconds"));
    assert!(!description(RECEIVED_AT * 1000).contains("milliseconds"));
}

#[test]
fn all_violations_come_at_once_and_what_is_readable_is_kept() {
    let body = json!({
        "cnct_tracking_id": 1, "event_name": "Purchase", "attribution": {"meta_ctwa": {"ad_id": "ad"}},
        "payload": {"currency": "usd", "value": -1, "order_id": "ORD-1", "num_items": 3}
    });
    let expected = [
        ("cnct_tracking_id".into(), FieldReason::FieldType),
        ("sendout_id".into(), FieldReason::FieldRequired),
        ("attribution.meta_ctwa.ctwa_clid".into(), FieldReason::FieldRequired),
        ("payload.value".into(), FieldReason::FieldValue),
    ];
    assert_eq!(faults(&body.to_string()), expected);
    let call = check(&body.to_string()).0;
    assert_eq!((call.ad_id.as_str(), call.currency.as_str(), call.order_id.as_str()), ("ad", "USD", "ORD-1"));
    assert_eq!((call.num_items, call.event_time), (Some(3), Some(RECEIVED_AT / 1000)));
}
