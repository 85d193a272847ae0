//! The control API.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{CLICK_ID, Harness, purchase, read};

async fn statuses(sandbox: &Harness, path: &str, times: usize) -> Vec<u16> {
    let mut statuses = Vec::new();
    for _ in 0..times {
        let body = json!({"data": [purchase(CLICK_ID, "ORD-1")]});
        statuses.push(sandbox.send_body(path, &body).await.unwrap().status().as_u16());
    }
    statuses
}

#[tokio::test]
async fn an_outage_lasts_until_it_is_cleared() {
    let sandbox = Harness::start().await;
    assert_eq!(sandbox.order(Method::PUT, "/sandbox/outage?behaviour=html-502&dataset=1").await, 200);
    assert_eq!(statuses(&sandbox, "/v26.0/1/events", 2).await, [502, 502]);
    assert_eq!(statuses(&sandbox, "/v26.0/2/events", 1).await, [200]);
    assert_eq!(sandbox.order(Method::PUT, "/sandbox/outage?behaviour=throttle-429").await, 200);
    assert_eq!(statuses(&sandbox, "/v26.0/2/events", 1).await, [429]);
    assert_eq!(sandbox.order(Method::DELETE, "/sandbox/outage?dataset=1").await, 200);
    assert_eq!(statuses(&sandbox, "/v26.0/1/events", 1).await, [429]);
    assert_eq!(sandbox.order(Method::DELETE, "/sandbox/control").await, 200);
    assert_eq!(statuses(&sandbox, "/v26.0/1/events", 1).await, [200]);
    assert_eq!(sandbox.credited().await.len(), 2);
}

#[tokio::test]
async fn an_outage_may_count_and_still_refuses_bad_events() {
    let sandbox = Harness::start().await;
    sandbox.order(Method::PUT, "/sandbox/outage?behaviour=html-502-counted").await;
    assert_eq!(statuses(&sandbox, "/v26.0/1/events", 1).await, [502]);
    let mut old = purchase(CLICK_ID, "ORD-2");
    old["event_time"] = json!(1_700_000_000);
    assert_eq!(sandbox.send(&[old]).await.unwrap().status().as_u16(), 400);
    assert_eq!(sandbox.credited().await, ["ORD-1"]);
}

#[tokio::test]
async fn a_script_is_followed_step_by_step() {
    let sandbox = Harness::start().await;
    let path = "/sandbox/script?steps=throttle:2,ok,html-502-counted";
    assert_eq!(sandbox.order(Method::PUT, path).await, 200);
    assert_eq!(statuses(&sandbox, "/v26.0/1/events", 5).await, [400, 400, 200, 502, 200]);
    assert_eq!(sandbox.credited().await.len(), 3);
    assert_eq!(sandbox.repeated().await.orders[0].times, 3);
}

#[tokio::test]
async fn a_misread_order_is_refused_and_changes_nothing() {
    let sandbox = Harness::start().await;
    for path in [
        "/sandbox/outage?behaviour=trottle",
        "/sandbox/outage",
        "/sandbox/script?steps=ok:lots",
        "/sandbox/latency?latency=soon",
    ] {
        assert_eq!(sandbox.order(Method::PUT, path).await, 400, "{path}");
    }
    assert_eq!(sandbox.ask(CLICK_ID).await.0, 200);
}

#[tokio::test]
async fn requests_are_shown_without_secrets() {
    let sandbox = Harness::start().await;
    sandbox.ask("sandbox-code2-once").await;
    sandbox.ask("sandbox-code2-once").await;
    let seen: Value = sandbox.get("/sandbox/requests?dataset=1").await;
    assert_eq!(
        (&seen[1]["status"], &seen[1]["outcome"], &seen[1]["credited"]),
        (&json!(500), &json!("code2"), &json!(0))
    );
    assert_eq!((&seen[0]["status"], &seen[0]["outcome"], &seen[0]["credited"]), (&json!(200), &json!("ok"), &json!(1)));
    assert!(seen[0]["headers"].as_array().unwrap().contains(&json!("authorization")));
    assert!(!seen.to_string().contains(crate::harness::TOKEN));
}

/// A test that asks what became of an order needs the requests that were refused unread as well.
#[tokio::test]
async fn requests_are_shown_with_what_they_carried() {
    let sandbox = Harness::start().await;
    sandbox.order(Method::PUT, "/sandbox/outage?behaviour=html-502").await;
    let sent = sandbox.send(&[purchase(CLICK_ID, "ORD-1"), purchase(CLICK_ID, "ORD-2")]).await.unwrap();
    assert_eq!(sent.status(), 502);
    let seen: Value = sandbox.get("/sandbox/requests").await;
    let carried = |id: &str| json!({"event_name": "Purchase", "event_id": id});
    assert_eq!(seen[0]["carried"], json!([carried("ORD-1"), carried("ORD-2")]));
}

#[tokio::test]
async fn a_reset_forgets_everything() {
    let sandbox = Harness::start().await;
    assert_eq!(sandbox.ask("sandbox-code2-once").await.0, 500);
    assert_eq!(sandbox.ask("sandbox-code2-once").await.0, 200);
    sandbox.order(Method::PUT, "/sandbox/outage?behaviour=code1").await;
    assert_eq!(sandbox.order(Method::POST, "/sandbox/reset").await, 204);
    assert_eq!(sandbox.statistics().await.all.requests, 0);
    assert!(sandbox.credited().await.is_empty());
    assert_eq!(sandbox.ask("sandbox-code2-once").await.0, 500);
}

#[tokio::test]
async fn every_behaviour_is_listed_for_people_and_programs() {
    let sandbox = Harness::start().await;
    let rows: Value = sandbox.get("/sandbox/behaviours.json").await;
    let text = sandbox.client.get(sandbox.url("/sandbox/behaviours")).send().await.unwrap().text().await.unwrap();
    for row in rows.as_array().unwrap() {
        assert!(text.contains(row["name"].as_str().unwrap()), "{row}");
    }
    let response = sandbox.client.get(sandbox.url("/sandbox")).send().await.unwrap();
    assert!(response.text().await.unwrap().contains("/sandbox/script"));
    let (status, _) = read(sandbox.send_body("/v26.0/1/nothing", &json!({})).await.unwrap()).await;
    assert_eq!(status, 400);
}
