//! Many events in one request.

use serde_json::{Value, json};

use crate::harness::{CLICK_ID, Harness, purchase, read};

fn batch(size: usize) -> Vec<Value> {
    (0..size).map(|index| purchase(CLICK_ID, &format!("ORD-{index}"))).collect()
}

#[tokio::test]
async fn a_thousand_events_fit_and_one_more_does_not() {
    let sandbox = Harness::start().await;
    let (status, body) = read(sandbox.send(&batch(1000)).await.unwrap()).await;
    assert_eq!((status, &body["events_received"]), (200, &json!(1000)));
    assert_eq!(sandbox.send(&batch(1001)).await.unwrap().status().as_u16(), 400);
    let statistics = sandbox.statistics().await;
    assert_eq!((statistics.all.events, statistics.all.credited), (1000, 1000));
    assert_eq!(statistics.requests_by_events.get(&1000), Some(&1));
}

#[tokio::test]
async fn one_bad_event_refuses_its_batch_without_a_name() {
    let sandbox = Harness::start().await;
    let mut too_old = batch(50);
    too_old[33]["event_time"] = json!(1_700_000_000);
    let mut unknown_click = batch(50);
    unknown_click[49]["user_data"]["ctwa_clid"] = json!("sandbox-invalid-clid-7");
    for (events, subcode) in [(too_old, 2_804_003), (unknown_click, 2_804_087)] {
        let (status, body) = read(sandbox.send(&events).await.unwrap()).await;
        assert_eq!((status, &body["error"]["error_subcode"]), (400, &json!(subcode)));
        assert!(!body.to_string().contains("ORD-"), "{body}");
        assert!(sandbox.credited().await.is_empty());
    }
    assert_eq!(sandbox.statistics().await.all.events, 100);
}

#[tokio::test]
async fn a_drop_leaves_out_its_event_or_all() {
    let sandbox = Harness::start().await;
    let mut events = batch(4);
    events[1]["user_data"]["ctwa_clid"] = json!("sandbox-drop-once-a");
    events[2]["user_data"]["ctwa_clid"] = json!("sandbox-drop-b");
    let (_, body) = read(sandbox.send(&events).await.unwrap()).await;
    assert_eq!(body["events_received"], 2);
    assert_eq!(sandbox.credited().await, ["ORD-0", "ORD-3"]);
    events[2]["user_data"]["ctwa_clid"] = json!("sandbox-drop-all");
    let (_, body) = read(sandbox.send(&events).await.unwrap()).await;
    assert_eq!(body["events_received"], 0);
    assert_eq!(sandbox.credited().await.len(), 2);
}

#[tokio::test]
async fn an_order_counted_twice_is_found() {
    let sandbox = Harness::start().await;
    sandbox.send(&batch(3)).await.unwrap();
    let found = sandbox.repeated().await;
    assert_eq!((found.events, found.distinct, found.repeated), (3, 3, 0));
    sandbox.send(&batch(1)).await.unwrap();
    let other = sandbox.send_body("/v26.0/2/events", &json!({"data": batch(2)})).await.unwrap();
    assert_eq!(other.status().as_u16(), 200);
    let found = sandbox.repeated().await;
    assert_eq!((found.events, found.distinct, found.repeated), (6, 5, 1));
    let named: Vec<_> =
        found.orders.iter().map(|order| (order.dataset.as_str(), order.event_id.as_str(), order.times)).collect();
    assert_eq!(named, [("1", "ORD-0", 2)]);
    let filtered: Value = sandbox.get("/sandbox/credited?dataset=2&event_id=ORD-1").await;
    assert_eq!((&filtered["matching"], &filtered["events"]), (&json!(1), &json!(6)));
    let orders: Value = sandbox.get("/sandbox/credited/orders?dataset=1&limit=2").await;
    assert_eq!(orders["orders"].as_array().unwrap().len(), 2);
}
