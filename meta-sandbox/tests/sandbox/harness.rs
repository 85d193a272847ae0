//! A sandbox of its own for each test, and what a sender says to it.

use std::{
    net::SocketAddr,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use meta_sandbox::{
    Sandbox,
    api::{CreditedEvents, CreditedOrders},
    books::statistics::Statistics,
    serve,
};
use reqwest::{Client, Method, Response};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::net::TcpListener;

pub(crate) const TOKEN: &str = "EAAG-secret-token";
pub(crate) const CLICK_ID: &str = "ARAkLkA8rmlFeiCktEJQ-QTwRiyYHAFDLMNDBH0CD3qpjd0HR4irJ6LEkR7JwFF4XvnO2E4Nx0";

pub(crate) struct Harness {
    pub(crate) address: SocketAddr,
    pub(crate) client: Client,
}

pub(crate) fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

/// The endpoint page's example as the forwarder would send it.
pub(crate) fn purchase(click_id: &str, order_id: &str) -> Value {
    json!({
        "event_name": "Purchase",
        "event_time": now(),
        "event_id": order_id,
        "action_source": "business_messaging",
        "messaging_channel": "whatsapp",
        "user_data": {"ctwa_clid": click_id, "whatsapp_business_account_id": "102290129340398"},
        "custom_data": {
            "currency": "USD", "value": 99.97, "order_id": order_id, "content_type": "product",
            "content_ids": ["data-pass-30d"], "num_items": 2,
            "contents": [{"id": "data-pass-30d", "quantity": 1, "item_price": 49.99}],
        },
    })
}

impl Harness {
    pub(crate) async fn start() -> Self {
        // A second test of the process finds it installed already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(serve::serve(listener, Sandbox::new(Duration::ZERO, 1_000).router()));
        Self { address, client: Client::builder().no_proxy().build().unwrap() }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Sends events to dataset 1 as the forwarder does.
    pub(crate) async fn send(&self, events: &[Value]) -> reqwest::Result<Response> {
        self.send_body("/v26.0/1/events", &json!({"data": events})).await
    }

    pub(crate) async fn send_body(&self, path: &str, body: &Value) -> reqwest::Result<Response> {
        self.client.post(self.url(path)).bearer_auth(TOKEN).json(body).send().await
    }

    /// The status and the JSON of the answer to one event with this click id.
    pub(crate) async fn ask(&self, click_id: &str) -> (u16, Value) {
        read(self.send(&[purchase(click_id, "ORD-1")]).await.unwrap()).await
    }

    pub(crate) async fn order(&self, method: Method, path: &str) -> u16 {
        self.client.request(method, self.url(path)).send().await.unwrap().status().as_u16()
    }

    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> T {
        self.client.get(self.url(path)).send().await.unwrap().json().await.unwrap()
    }

    pub(crate) async fn statistics(&self) -> Statistics {
        self.get("/sandbox/stats").await
    }

    /// Waits for as long as it takes, which the test runner bounds.
    pub(crate) async fn until(&self, holds: impl Fn(&Statistics) -> bool) {
        while !holds(&self.statistics().await) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// The ids of the counted events, the oldest first.
    pub(crate) async fn credited(&self) -> Vec<String> {
        let credited: CreditedEvents = self.get("/sandbox/credited?limit=1000").await;
        credited.credited.into_iter().rev().map(|event| event.event_id).collect()
    }

    pub(crate) async fn repeated(&self) -> CreditedOrders {
        self.get("/sandbox/credited/repeated").await
    }
}

pub(crate) async fn read(response: Response) -> (u16, Value) {
    (response.status().as_u16(), response.json().await.unwrap())
}
