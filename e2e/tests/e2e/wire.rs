//! What leaves for Meta, byte for byte: a listener in Meta's place keeps what it is sent.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, ensure};
use axum::{
    Router,
    extract::State,
    http::{HeaderMap, Uri},
};
use e2e::{
    deployment::{Deployment, Plan},
    event::{now, purchase, with},
    merchant::Merchant,
    port,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// One request: path, headers, body.
type Heard = (String, HeaderMap, String);

#[derive(Clone, Default)]
struct Listener(Arc<Mutex<Vec<Heard>>>);

/// A deployment whose forwarder speaks to a listener of the test's.
pub(crate) fn plan() -> anyhow::Result<Plan> {
    Ok(Plan::default().set("CAPI_META_URL", format!("http://{}", port::free()?)))
}

/// Path, headers and body: everything that the wire has, and nothing beyond it.
pub(crate) async fn what_leaves(deployment: &mut Deployment) -> anyhow::Result<()> {
    let listener = Listener::default();
    let address = deployment.setting("CAPI_META_URL").and_then(|url| url.strip_prefix("http://"));
    let socket = TcpListener::bind(address.context("no address")?).await?;
    let router = Router::new().fallback(listen).with_state(listener.clone());
    let server = tokio::spawn(async move { axum::serve(socket, router).await });

    let merchant = Merchant::open(deployment).await?;
    let body = with(&purchase("ORD \"1\" é"), "/payload/value", json!(1234.5));
    merchant.call(&body).await?.expect(200, "forwarded")?;
    let (path, headers, sent) = listener.last()?;
    ensure!(path == format!("/v26.0/{}/events", merchant.dataset), "{path}");
    let token = format!("Bearer EAAG-token-of-{}", merchant.business);
    ensure!(headers["authorization"] == *token, "not the channel's token");
    ensure!(headers["content-type"] == "application/json", "{headers:?}");
    ensure!(headers.get("traceparent").is_none(), "our trace is none of Meta's business: {headers:?}");
    let expected = json!({"data": [{
        "event_name": "Purchase", "event_time": body["payload"]["event_time"], "event_id": "ORD \"1\" é",
        "action_source": "business_messaging", "messaging_channel": "whatsapp",
        "user_data": {
            "ctwa_clid": body["attribution"]["meta_ctwa"]["ctwa_clid"], "whatsapp_business_account_id": merchant.waba,
        },
        "custom_data": {
            "currency": "USD", "value": 1234.5, "order_id": "ORD \"1\" é", "content_type": "product",
            "content_ids": ["data-pass-30d", "phone-case-blk"], "num_items": 2,
            "contents": [
                {"id": "data-pass-30d", "quantity": 1, "item_price": 49.99},
                {"id": "phone-case-blk", "quantity": 1, "item_price": 49.98},
            ],
        },
    }]});
    ensure!(serde_json::from_str::<Value>(&sent)? == expected, "{sent}, not {expected}");

    // A view without a payload: no custom data, and the call id for an event id.
    let view = json!({
        "cnct_tracking_id": "t", "event_name": "ViewContent", "sendout_id": "s",
        "attribution": {"meta_ctwa": {"ctwa_clid": " keep\u{200b}me ", "ad_id": "a"}},
        "payload": {"event_time": now()},
    });
    let answer = merchant.call(&view).await?;
    answer.expect(200, "forwarded")?;
    let (_, _, sent) = listener.last()?;
    let expected = json!({"data": [{
        "event_name": "ViewContent", "event_time": view["payload"]["event_time"], "event_id": answer.call.to_string(),
        "action_source": "business_messaging", "messaging_channel": "whatsapp",
        "user_data": {"ctwa_clid": " keep\u{200b}me ", "whatsapp_business_account_id": merchant.waba},
    }]});
    ensure!(serde_json::from_str::<Value>(&sent)? == expected, "{sent}, not {expected}");

    let more = ["--partner-agent", "corner-shop", "--test-event-code", "TEST42", "--graph-version", "v25.0"];
    deployment.operator.put_channel(&merchant.business, &merchant.waba, &merchant.dataset, &more).await?;
    deployment.a_change_takes_effect().await;
    merchant.call(&purchase("ORD-2")).await?.expect(200, "forwarded")?;
    let (path, _, sent) = listener.last()?;
    let sent: Value = serde_json::from_str(&sent)?;
    ensure!(path == format!("/v25.0/{}/events", merchant.dataset), "{path}");
    ensure!(sent["partner_agent"] == "corner-shop" && sent["test_event_code"] == "TEST42", "{sent}");
    server.abort();
    Ok(())
}

async fn listen(State(listener): State<Listener>, uri: Uri, headers: HeaderMap, body: String) -> &'static str {
    listener.0.lock().unwrap_or_else(PoisonError::into_inner).push((uri.to_string(), headers, body));
    r#"{"events_received":1,"messages":[],"fbtrace_id":"Atest"}"#
}

impl Listener {
    fn last(&self) -> anyhow::Result<Heard> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).last().cloned().context("nothing was sent")
    }
}
