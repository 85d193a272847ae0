//! What Meta would refuse is refused, with Meta's code.

use serde_json::{Value, json};

use crate::harness::{CLICK_ID, Harness, TOKEN, now, purchase, read};

/// The code and subcode that an event draws after `change`; (0, 0) where it is counted.
async fn drawn(sandbox: &Harness, change: impl FnOnce(&mut Value)) -> (i64, i64) {
    let mut event = purchase(CLICK_ID, "ORD-1");
    change(&mut event);
    let (status, body) = read(sandbox.send(&[event]).await.unwrap()).await;
    let error = &body["error"];
    assert_eq!(status == 200, error.is_null());
    (error["code"].as_i64().unwrap_or(0), error["error_subcode"].as_i64().unwrap_or(0))
}

fn set(pointer: &'static str, value: Value) -> impl FnOnce(&mut Value) {
    move |event| {
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        event.pointer_mut(parent).unwrap()[name] = value;
    }
}

#[tokio::test]
async fn each_fault_of_an_event_draws_its_subcode() {
    let sandbox = Harness::start().await;
    let faults: Vec<(&'static str, Value, i64)> = vec![
        ("/event_name", json!("purchase"), 2_804_066),
        ("/event_name", Value::Null, 2_804_066),
        ("/event_time", json!(now() - 7 * 86_400 - 5), 2_804_003),
        ("/event_time", json!(now() + 120), 2_804_004),
        ("/event_time", json!(now() * 1000), 2_804_004),
        ("/event_time", json!("yesterday"), 0),
        ("/event_id", json!(17), 0),
        ("/messaging_channel", Value::Null, 2_804_063),
        ("/messaging_channel", json!("messenger"), 2_804_064),
        ("/action_source", json!("website"), 2_804_064),
        ("/user_data/ctwa_clid", Value::Null, 2_804_071),
        ("/user_data/ctwa_clid", json!(" "), 2_804_071),
        ("/user_data/ctwa_clid", json!("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"), 2_804_087),
        ("/user_data/page_id", json!("7"), 2_804_131),
        ("/user_data", json!({"page_id": "7", "ctwa_clid": "x"}), 2_804_065),
        ("/user_data/whatsapp_business_account_id", Value::Null, 2_804_116),
        ("/user_data/whatsapp_business_account_id", json!("waba"), 2_804_116),
        ("/custom_data", Value::Null, 2_804_009),
        ("/custom_data/value", Value::Null, 2_804_009),
        ("/custom_data/value", json!("99.97"), 2_804_009),
        ("/custom_data/value", json!(-1), 2_804_009),
        ("/custom_data/currency", Value::Null, 2_804_010),
        ("/custom_data/currency", json!("MRU"), 2_804_011),
        ("/custom_data/currency", json!("usd"), 2_804_011),
        ("/custom_data/currency", json!("ZZZ"), 2_804_011),
        ("/custom_data/contents", json!([{"quantity": 1}]), 2_804_008),
        ("/custom_data/contents", json!([{"id": "a", "item_price": "1"}]), 2_804_008),
        ("/custom_data/contents", json!("a"), 2_804_008),
        ("/custom_data/content_ids", json!([1]), 0),
        ("/custom_data/num_items", json!("2"), 0),
    ];
    for (pointer, value, subcode) in faults {
        let shown = format!("{pointer} = {value}");
        assert_eq!(drawn(&sandbox, set(pointer, value)).await, (100, subcode), "{shown}");
    }
    assert_eq!(sandbox.statistics().await.all.credited, 0);
}

#[tokio::test]
async fn what_is_just_right_is_counted() {
    let sandbox = Harness::start().await;
    for (pointer, value) in [
        ("/event_time", json!(now() - 7 * 86_400 + 60)),
        ("/event_time", json!(now() + 30)),
        ("/event_name", json!("ViewContent")),
        ("/custom_data/value", json!(0)),
        ("/custom_data/contents", json!([])),
        ("/custom_data/contents/0/quantity", json!(0)),
    ] {
        let shown = format!("{pointer} = {value}");
        let change = |event: &mut Value| {
            let (parent, name) = pointer.rsplit_once('/').unwrap();
            event.pointer_mut(parent).unwrap()[name] = value;
        };
        assert_eq!(drawn(&sandbox, change).await, (0, 0), "{shown}");
    }
    let view = |event: &mut Value| {
        event["event_name"] = json!("ViewContent");
        event["custom_data"] = Value::Null;
    };
    assert_eq!(drawn(&sandbox, view).await, (0, 0));
}

#[tokio::test]
async fn each_fault_of_the_envelope_is_refused() {
    let sandbox = Harness::start().await;
    let event = purchase(CLICK_ID, "1");
    let sound = json!({"data": [event]});
    let refused: Vec<(&str, Value, i64)> = vec![
        ("/v24.0/1/events", sound.clone(), 2635),
        ("/v99.0/1/events", sound.clone(), 2500),
        ("/events", sound.clone(), 2500),
        ("/v26.0/1/events?access_token=EAAG", sound.clone(), 190),
        ("/v26.0/1/events", json!({"data": [event], "access_token": "EAAG"}), 190),
        ("/v26.0/1/events", json!({}), 100),
        ("/v26.0/1/events", json!({"data": []}), 100),
        ("/v26.0/1/events", json!({"data": event}), 100),
        ("/v26.0/1/events", json!({"data": ["event"]}), 100),
        ("/v26.0/1/events", json!([event]), 100),
    ];
    for (path, body, code) in refused {
        let (status, answer) = read(sandbox.send_body(path, &body).await.unwrap()).await;
        assert_eq!((status, answer["error"]["code"].as_i64()), (400, Some(code)), "{path} {body}");
    }
    assert_eq!(sandbox.statistics().await.alarms.token_outside_header, 2);
    let url = sandbox.url("/v26.0/1/events");
    let (status, answer) = read(sandbox.client.post(&url).json(&sound).send().await.unwrap()).await;
    assert_eq!((status, answer["error"]["code"].as_i64()), (401, Some(190)), "no token");
    for body in [r#"{"data":[{"#, "", "data=%5B%5D"] {
        let request = sandbox.client.post(&url).bearer_auth(TOKEN).header("content-type", "application/json");
        assert_eq!(request.body(body).send().await.unwrap().status().as_u16(), 400, "{body}");
    }
    let as_form = sandbox.client.post(&url).bearer_auth(TOKEN).body(sound.to_string());
    assert_eq!(as_form.send().await.unwrap().status().as_u16(), 400, "not sent as JSON");
    assert_eq!(sandbox.client.get(&url).send().await.unwrap().status().as_u16(), 400, "wrong method");
    assert_eq!(sandbox.statistics().await.all.credited, 0);
}

#[tokio::test]
async fn what_has_no_business_on_the_wire_raises_an_alarm() {
    let sandbox = Harness::start().await;
    let mut event = purchase(CLICK_ID, "1");
    event["event_id"] = Value::Null;
    event["user_data"]["client_ip_address"] = json!("192.0.2.1");
    event["custom_data"]["ad_id"] = json!("7");
    event["custom_data"]["contents"][0]["sku"] = json!("7");
    let body = json!({"data": [event], "partner_agent": "us", "upload_tag": "x"});
    assert_eq!(sandbox.send_body("/v26.0/1/events", &body).await.unwrap().status().as_u16(), 200);
    let alarms = sandbox.statistics().await.alarms;
    let fields: Vec<&str> = alarms.foreign_fields.keys().map(String::as_str).collect();
    let expected = [
        "data[].custom_data.ad_id",
        "data[].custom_data.contents[].sku",
        "data[].user_data.client_ip_address",
        "upload_tag",
    ];
    assert_eq!(fields, expected);
    assert_eq!(alarms.without_event_id, 1);
}
