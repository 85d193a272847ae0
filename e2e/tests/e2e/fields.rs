//! Every field rule at its edges, against the real endpoint: what is taken has its column, what is not has its violation.

use std::{collections::HashMap, fmt::Write as _};

use anyhow::{Context as _, bail, ensure};
use e2e::{
    analyst::{COLUMNS, expect},
    deployment::Deployment,
    event::{fresh, now, purchase, with, without},
    merchant::{Merchant, send},
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::{Value, json};

/// Calls at once.
const AT_ONCE: usize = 16;

/// A body and what it must come to.
struct Case {
    body: String,
    outcome: Expected,
}

enum Expected {
    /// These columns hold these values.
    Taken(Value),
    /// These paths have these reasons.
    Refused(Vec<(String, &'static str)>),
}

/// The example with one thing changed is taken, and shows in the row.
fn taken(pointer: &str, value: &Value, columns: Value) -> Case {
    let body = with(&purchase(&fresh("ORD")), pointer, value.clone()).to_string();
    Case { body, outcome: Expected::Taken(columns) }
}

/// The example with one thing changed is refused, for that thing.
fn refused(pointer: &str, value: &Value, reason: &'static str) -> Case {
    refused_at(pointer, value, &[(&path(pointer), reason)])
}

fn refused_at(pointer: &str, value: &Value, violations: &[(&str, &'static str)]) -> Case {
    let body = with(&purchase(&fresh("ORD")), pointer, value.clone()).to_string();
    raw_refused(body, violations)
}

fn raw_refused(body: String, violations: &[(&str, &'static str)]) -> Case {
    let violations = violations.iter().map(|(path, reason)| ((*path).to_owned(), *reason)).collect();
    Case { body, outcome: Expected::Refused(violations) }
}

/// The example with one thing missing is refused.
fn lacking(pointer: &str, violations: &[(&str, &'static str)]) -> Case {
    raw_refused(without(&purchase(&fresh("ORD")), pointer).to_string(), violations)
}

fn raw_taken(body: String, columns: Value) -> Case {
    Case { body, outcome: Expected::Taken(columns) }
}

/// `/payload/contents/0/id` as violations name it: `payload.contents[0].id`.
fn path(pointer: &str) -> String {
    let mut path = String::new();
    for part in pointer.split('/').skip(1) {
        if part.bytes().all(|byte| byte.is_ascii_digit()) {
            // Writing to a String cannot fail.
            let _ = write!(path, "[{part}]");
        } else {
            path.push_str(if path.is_empty() { "" } else { "." });
            path.push_str(part);
        }
    }
    path
}

/// Calls with every case, and holds answers and rows against what was expected.
async fn hold(deployment: &Deployment, cases: Vec<Case>) -> anyhow::Result<()> {
    let merchant = Merchant::open(deployment).await?;
    let call = async |case: &Case| {
        let answer = send(merchant.request().body(case.body.clone())).await?;
        let held = match &case.outcome {
            Expected::Taken(_) => answer.expect(200, "forwarded").map(|_| ()),
            Expected::Refused(violations) => has_violations(&answer, violations),
        };
        held.with_context(|| format!("{:.300}", case.body))?;
        anyhow::Ok(answer.call.to_string())
    };
    let calls: Vec<String> = stream::iter(&cases).map(call).buffered(AT_ONCE).try_collect().await?;
    let select = format!("SELECT {COLUMNS} FROM calls WHERE business_id = '{}'", merchant.business);
    let rows = deployment.analyst.rows_when(&select, |rows| rows.len() >= cases.len()).await?;
    ensure!(rows.len() == cases.len(), "{} rows of {} calls", rows.len(), cases.len());
    let rows: HashMap<_, _> = rows.iter().filter_map(|row| Some((row["call_id"].as_str()?, row))).collect();
    for (case, call) in cases.iter().zip(&calls) {
        let row = rows.get(call.as_str()).with_context(|| format!("no row of call {call}"))?;
        let (status, reason) = match &case.outcome {
            Expected::Taken(columns) => {
                expect(row, columns).with_context(|| format!("{:.300}", case.body))?;
                ("forwarded", "")
            }
            Expected::Refused(_) => ("refused", "INVALID_FIELDS"),
        };
        expect(row, &json!({"conversion_status": status, "reason": reason, "body": case.body}))?;
    }
    Ok(())
}

fn has_violations(answer: &e2e::answer::Answer, expected: &[(String, &'static str)]) -> anyhow::Result<()> {
    answer.expect_error(400, "INVALID_FIELDS")?;
    let mut found = answer.violations()?;
    let mut expected: Vec<_> = expected.iter().map(|(path, reason)| (path.as_str(), *reason)).collect();
    found.sort_unstable();
    expected.sort_unstable();
    if found == expected { Ok(()) } else { bail!("violations {found:?}, not {expected:?}") }
}

/// Texts that are required: their lengths in bytes, blanks, control characters, other types.
pub(crate) async fn required_texts(deployment: &Deployment) -> anyhow::Result<()> {
    let fields = [
        ("/cnct_tracking_id", "cnct_tracking_id", 512),
        ("/sendout_id", "sendout_id", 256),
        ("/attribution/meta_ctwa/ctwa_clid", "ctwa_clid", 1024),
        ("/attribution/meta_ctwa/ad_id", "ad_id", 128),
    ];
    let mut cases = Vec::new();
    for (pointer, column, most) in fields {
        // Limits are bytes: ã takes two.
        for text in ["x".to_owned(), "x".repeat(most), "ã".repeat(most / 2), " kept, not trimmed ".to_owned()] {
            cases.push(taken(pointer, &json!(text), json!({ column: text })));
        }
        for text in ["x".repeat(most + 1), format!("{}x", "ã".repeat(most / 2))] {
            cases.push(refused(pointer, &json!(text), "FIELD_TOO_LONG"));
        }
        for missing in [json!(null), json!(""), json!(" \t\u{3000}")] {
            cases.push(refused(pointer, &missing, "FIELD_REQUIRED"));
        }
        cases.push(lacking(pointer, &[(&path(pointer), "FIELD_REQUIRED")]));
        for other in [json!(7), json!(true), json!(["x"]), json!({"x": 1})] {
            cases.push(refused(pointer, &other, "FIELD_TYPE"));
        }
        for control in ["a\u{0}b", "line\nbreak", "\u{7f}", "x\u{85}y"] {
            cases.push(refused(pointer, &json!(control), "FIELD_VALUE"));
        }
    }
    hold(deployment, cases).await
}

/// The event's name, and what a missing attribution or payload means.
pub(crate) async fn events_and_objects(deployment: &Deployment) -> anyhow::Result<()> {
    let leaves =
        [("attribution.meta_ctwa.ctwa_clid", "FIELD_REQUIRED"), ("attribution.meta_ctwa.ad_id", "FIELD_REQUIRED")];
    let money = [("payload.currency", "FIELD_REQUIRED"), ("payload.value", "FIELD_REQUIRED")];
    let view = |payload: Value| {
        with(&with(&purchase("unused"), "/event_name", json!("ViewContent")), "/payload", payload).to_string()
    };
    let nothing =
        json!({"event_name": "ViewContent", "currency": "", "value": null, "order_id": "", "num_items": null});
    let cases = vec![
        taken("/event_name", &json!("ViewContent"), json!({"event_name": "ViewContent", "value": "99.97"})),
        refused("/event_name", &json!("purchase"), "UNSUPPORTED_EVENT_NAME"),
        refused("/event_name", &json!("AddToCart"), "UNSUPPORTED_EVENT_NAME"),
        refused("/event_name", &json!(" Purchase"), "UNSUPPORTED_EVENT_NAME"),
        refused("/event_name", &json!(1), "FIELD_TYPE"),
        refused("/event_name", &json!(""), "FIELD_REQUIRED"),
        lacking("/event_name", &[("event_name", "FIELD_REQUIRED")]),
        lacking("/attribution", &leaves),
        refused_at("/attribution", &json!(null), &leaves),
        refused_at("/attribution", &json!({"meta_ctwa": {}}), &leaves),
        refused("/attribution", &json!("x"), "FIELD_TYPE"),
        refused("/attribution/meta_ctwa", &json!([]), "FIELD_TYPE"),
        lacking("/payload", &money),
        refused_at("/payload", &json!({}), &money),
        refused("/payload", &json!([1]), "FIELD_TYPE"),
        raw_taken(view(json!(null)), nothing.clone()),
        raw_taken(view(json!({})), nothing),
        raw_taken(view(json!({"currency": "EUR"})), json!({"currency": "EUR", "value": null})),
        raw_taken(view(json!({"currency": "EUR", "value": 3})), json!({"currency": "EUR", "value": "3"})),
        raw_refused(view(json!({"value": 3})), &[("payload.currency", "FIELD_REQUIRED")]),
        // Unknown fields are ignored.
        taken("/campaign", &json!({"x": [1, {}]}), json!({"sendout_id": "sendout-42"})),
        taken("/payload/tax", &json!("19 %"), json!({"value": "99.97"})),
    ];
    hold(deployment, cases).await
}

/// Currency and amounts: exact decimals within their bounds.
pub(crate) async fn money(deployment: &Deployment) -> anyhow::Result<()> {
    let mut cases = Vec::new();
    for (given, kept) in [("USD", "USD"), ("brl", "BRL"), ("mXn", "MXN"), ("JPY", "JPY")] {
        cases.push(taken("/payload/currency", &json!(given), json!({"currency": kept})));
    }
    for wrong in ["XXX", "XTS", "DEM", "US", "USDT", "€", "ABC"] {
        cases.push(refused("/payload/currency", &json!(wrong), "INVALID_CURRENCY"));
    }
    cases.push(refused("/payload/currency", &json!(840), "FIELD_TYPE"));
    cases.push(lacking("/payload/currency", &[("payload.currency", "FIELD_REQUIRED")]));
    cases.push(lacking("/payload/value", &[("payload.value", "FIELD_REQUIRED")]));
    let amount = |digits: &str| purchase(&fresh("ORD")).to_string().replace("99.97", digits);
    let price = |digits: &str| purchase(&fresh("ORD")).to_string().replace("49.99", digits);
    // Digits as they are written: none passes through binary floating point. Halves go to the even neighbour.
    for (digits, kept) in [
        ("0", "0"),
        ("0.000001", "0.000001"),
        ("0.1000005", "0.1"),
        ("0.1000015", "0.100002"),
        ("0.30000000000000004", "0.3"),
        ("9007199254740.993e-1", "900719925474.0993"),
        ("1000000000000", "1000000000000"),
        ("1E12", "1000000000000"),
    ] {
        cases.push(raw_taken(amount(digits), json!({"value": kept})));
        cases.push(raw_taken(price(digits), json!({"contents.item_price": [kept, "49.98"]})));
    }
    for (digits, reason) in [
        ("-0.01", "FIELD_VALUE"),
        ("1000000000000.01", "FIELD_VALUE"),
        ("1e400", "FIELD_VALUE"),
        ("\"99.97\"", "FIELD_TYPE"),
        ("true", "FIELD_TYPE"),
        ("{}", "FIELD_TYPE"),
    ] {
        cases.push(raw_refused(amount(digits), &[("payload.value", reason)]));
        cases.push(raw_refused(price(digits), &[("payload.contents[0].item_price", reason)]));
    }
    hold(deployment, cases).await
}

/// Order id, content type, content ids, counts.
pub(crate) async fn optional_fields(deployment: &Deployment) -> anyhow::Result<()> {
    let (order, longest) = (fresh("é \"quoted\" "), format!("{:0>256}", fresh("ORD")));
    let mut cases = vec![
        taken("/payload/order_id", &json!(order), json!({"order_id": order})),
        taken("/payload/order_id", &json!(longest), json!({"order_id": longest})),
        taken("/payload/order_id", &json!(null), json!({"order_id": ""})),
        refused("/payload/order_id", &json!("x".repeat(257)), "FIELD_TOO_LONG"),
        refused("/payload/order_id", &json!(7821), "FIELD_TYPE"),
        refused("/payload/order_id", &json!("a\u{1}"), "FIELD_VALUE"),
        taken("/payload/content_type", &json!("product_group"), json!({"content_type": "product_group"})),
        taken("/payload/content_type", &json!(null), json!({"content_type": ""})),
        refused("/payload/content_type", &json!("Product"), "FIELD_VALUE"),
        refused("/payload/content_type", &json!(1), "FIELD_TYPE"),
        taken("/payload/content_ids", &json!([]), json!({"content_ids": []})),
        taken("/payload/content_ids", &json!(vec!["x"; 100]), json!({"content_ids": vec!["x"; 100]})),
        refused("/payload/content_ids", &json!(vec!["x"; 101]), "TOO_MANY_ITEMS"),
        refused("/payload/content_ids", &json!("x"), "FIELD_TYPE"),
        refused_at("/payload/content_ids", &json!(["a", 1]), &[("payload.content_ids[1]", "FIELD_TYPE")]),
        refused_at("/payload/content_ids", &json!(["x".repeat(257)]), &[("payload.content_ids[0]", "FIELD_TOO_LONG")]),
        taken("/payload/num_items", &json!(0), json!({"num_items": 0})),
        taken("/payload/num_items", &json!(i32::MAX), json!({"num_items": i32::MAX})),
        // Forwarded as given, not compared with the contents.
        taken("/payload/num_items", &json!(77), json!({"num_items": 77})),
    ];
    for (wrong, reason) in [
        (json!(-1), "FIELD_VALUE"),
        (json!(1_i64 << 31), "FIELD_VALUE"),
        (json!(1.5), "FIELD_TYPE"),
        (json!("2"), "FIELD_TYPE"),
    ] {
        cases.push(refused("/payload/num_items", &wrong, reason));
        cases.push(refused("/payload/contents/0/quantity", &wrong, reason));
    }
    hold(deployment, cases).await
}

/// Lines: counted before skipping, skipped silently without an id, each held to its rules.
pub(crate) async fn contents(deployment: &Deployment) -> anyhow::Result<()> {
    let skipped = json!([
        {"quantity": "x", "item_price": -1}, {"id": null}, {"id": "  ", "quantity": -1}, {"id": "a"},
    ]);
    let kept = json!({"contents.id": ["a"], "contents.quantity": [null], "contents.item_price": [null]});
    let at = |value: Value, violations: &[(&str, &'static str)]| refused_at("/payload/contents", &value, violations);
    let cases = vec![
        taken("/payload/contents", &skipped, kept),
        taken("/payload/contents", &json!([]), json!({"contents.id": []})),
        taken("/payload/contents", &json!(null), json!({"contents.id": []})),
        taken(
            "/payload/contents",
            &json!([{"id": "x".repeat(256), "quantity": 0, "item_price": 0}]),
            json!({"contents.id": ["x".repeat(256)], "contents.quantity": [0], "contents.item_price": ["0"]}),
        ),
        taken("/payload/contents", &json!(vec![json!({"id": "a"}); 100]), json!({"contents.id": vec!["a"; 100]})),
        at(json!(vec![json!({}); 101]), &[("payload.contents", "TOO_MANY_ITEMS")]),
        at(json!({"id": "a"}), &[("payload.contents", "FIELD_TYPE")]),
        at(json!(["a"]), &[("payload.contents[0]", "FIELD_TYPE")]),
        at(json!([{"id": 5}]), &[("payload.contents[0].id", "FIELD_TYPE")]),
        at(json!([{"id": "x".repeat(257)}]), &[("payload.contents[0].id", "FIELD_TOO_LONG")]),
        at(
            json!([{"id": "a"}, {}, {"id": "b", "quantity": 1.5, "item_price": "1"}]),
            &[("payload.contents[2].quantity", "FIELD_TYPE"), ("payload.contents[2].item_price", "FIELD_TYPE")],
        ),
    ];
    hold(deployment, cases).await
}

/// The event's time: a minute ahead at most, seconds and not milliseconds; the receive time where none is given.
pub(crate) async fn event_time(deployment: &Deployment) -> anyhow::Result<()> {
    const TIME: &str = "/payload/event_time";
    let merchant = Merchant::open(deployment).await?;
    let absent = merchant.call(&without(&purchase(&fresh("ORD")), TIME)).await?;
    let row = deployment.analyst.row(absent.expect(200, "forwarded")?.call).await?;
    ensure!(row["event_s"] == row["received_ms"].as_i64().unwrap_or(0) / 1000, "{row}");

    let (now, week) = (now(), 7 * 24 * 3600);
    let cases = vec![
        taken(TIME, &json!(now + 30), json!({"event_s": now + 30})),
        taken(TIME, &json!(now - week + 600), json!({"event_s": now - week + 600})),
        refused(TIME, &json!(now + 300), "EVENT_IN_FUTURE"),
        refused(TIME, &json!(i64::MAX), "EVENT_IN_FUTURE"),
        refused(TIME, &json!(946_684_799), "FIELD_VALUE"),
        refused(TIME, &json!(-1), "FIELD_VALUE"),
        refused(TIME, &json!("1746480000"), "FIELD_TYPE"),
        refused(TIME, &json!(1.5), "FIELD_TYPE"),
    ];
    hold(deployment, cases).await?;

    let millis = merchant.call(&with(&purchase(&fresh("ORD")), TIME, json!(now * 1000))).await?;
    has_violations(&millis, &[("payload.event_time".to_owned(), "EVENT_IN_FUTURE")])?;
    ensure!(millis.body.to_string().contains("milliseconds"), "no hint in {}", millis.body);
    Ok(())
}

/// Over 7 days old: a valid conversion, recorded, that Meta is not asked about.
pub(crate) async fn an_event_that_is_too_old(deployment: &Deployment) -> anyhow::Result<()> {
    let merchant = Merchant::open(deployment).await?;
    for (order, time) in [("ORD-1", now() - 7 * 24 * 3600 - 5), ("ORD-2", 946_684_800), ("ORD-3", 1_746_480_000)] {
        let answer = merchant.call(&with(&purchase(order), "/payload/event_time", json!(time))).await?;
        answer.expect_error(400, "EVENT_TOO_OLD")?;
        ensure!(answer.metadata()?["failure_stage"] == "meta_forward", "{}", answer.body);
        let row = deployment.analyst.row(answer.call).await?;
        expect(
            &row,
            &json!({
                "conversion_status": "rejected", "failure_stage": "meta_forward", "reason": "EVENT_TOO_OLD",
                "http_status": 400, "success": false, "event_s": time, "forward_attempts": 0, "meta_http_status": null,
                "lane": "live", "events_received": null, "possibly_duplicate": false,
            }),
        )?;
        ensure!(row["error"] == answer.body["message"], "{row}");
    }
    ensure!(deployment.sandbox.requests(&merchant.dataset).await? == 0, "Meta was asked");
    // An order that was accepted is a duplicate whatever its age.
    merchant.call(&purchase("ORD-4")).await?.expect(200, "forwarded")?;
    merchant
        .call(&with(&purchase("ORD-4"), "/payload/event_time", json!(946_684_800)))
        .await?
        .expect(200, "duplicate")?;
    Ok(())
}
