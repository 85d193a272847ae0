//! Bodies of calls: the endpoint page's example, and what a test makes of it.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use uuid::Uuid;

/// Now, in Unix seconds.
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// A text that nobody has used before.
pub fn fresh(start: &str) -> String {
    format!("{start}-{}", Uuid::now_v7().simple())
}

/// The endpoint page's example for this order, just now.
pub fn purchase(order_id: &str) -> Value {
    json!({
        "cnct_tracking_id": "cnct-7f3a",
        "event_name": "Purchase",
        "sendout_id": "sendout-42",
        "attribution": {"meta_ctwa": {"ctwa_clid": "ARAkLkA8rmlFeiCktEJQ-QTwRiyYHAFDLMNDBH0CD3qpjd0HR4irJ6LEkR7JwFF4XvnO2E4Nx0", "ad_id": "120210000000000001"}},
        "payload": {
            "currency": "USD",
            "value": 99.97,
            "order_id": order_id,
            "content_type": "product",
            "content_ids": ["data-pass-30d", "phone-case-blk"],
            "num_items": 2,
            "contents": [
                {"id": "data-pass-30d", "quantity": 1, "item_price": 49.99},
                {"id": "phone-case-blk", "quantity": 1, "item_price": 49.98}
            ],
            "event_time": now()
        }
    })
}

/// The example with a click id that tells the sandbox what to do.
pub fn with_click(click_id: &str, order_id: &str) -> Value {
    with(&purchase(order_id), "/attribution/meta_ctwa/ctwa_clid", json!(click_id))
}

/// A body in which one thing, named by its JSON pointer, is another, or new.
pub fn with(body: &Value, pointer: &str, new: Value) -> Value {
    let (parent, name) = pointer.rsplit_once('/').unwrap_or_default();
    let mut body = body.clone();
    if let Some(Value::Object(object)) = body.pointer_mut(parent) {
        object.insert(name.to_owned(), new);
    } else if let Some(value) = body.pointer_mut(pointer) {
        *value = new;
    }
    body
}

/// A body that lacks one thing.
pub fn without(body: &Value, pointer: &str) -> Value {
    let (parent, name) = pointer.rsplit_once('/').unwrap_or_default();
    let mut body = body.clone();
    if let Some(Value::Object(object)) = body.pointer_mut(parent) {
        object.remove(name);
    }
    body
}
