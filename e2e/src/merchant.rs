//! A merchant: a business with a channel and a key, and its calls.

use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Context as _;
use reqwest::RequestBuilder;
use serde_json::Value;
use uuid::Uuid;

use crate::{answer::Answer, deployment::Deployment};

/// A business of its own, with a dataset of its own: tests do not see each other.
#[derive(Clone)]
pub struct Merchant {
    /// Business id.
    pub business: String,
    /// Dataset id at Meta.
    pub dataset: String,
    /// WhatsApp business account id.
    pub waba: String,
    /// The plaintext of its key.
    pub key: String,
    /// The public part of the key.
    pub key_id: String,
    /// Where ingest takes its calls.
    pub ingest: String,
    address: String,
    http: reqwest::Client,
}

impl Merchant {
    /// A business with a channel and a key, known to every worker.
    ///
    /// # Errors
    /// Where `capi` fails.
    pub async fn open(deployment: &Deployment) -> anyhow::Result<Self> {
        let merchant = Self::sign_up(deployment).await?;
        deployment.operator.put_channel(&merchant.business, &merchant.waba, &merchant.dataset, &[]).await?;
        deployment.a_change_takes_effect().await;
        Ok(merchant)
    }

    /// A business with a key; its channel may come later.
    ///
    /// # Errors
    /// Where `capi` fails.
    pub async fn without_channel(deployment: &Deployment) -> anyhow::Result<Self> {
        let merchant = Self::sign_up(deployment).await?;
        deployment.a_change_takes_effect().await;
        Ok(merchant)
    }

    async fn sign_up(deployment: &Deployment) -> anyhow::Result<Self> {
        let business = Uuid::now_v7().to_string();
        deployment.operator.one(&["business", "put", &business, "--name", "Corner Shop"]).await?;
        let (key_id, key) = new_key(deployment, &business, &[]).await?;
        Ok(Self {
            business,
            dataset: digits(),
            waba: digits(),
            key,
            key_id,
            ingest: deployment.ingest_url(0),
            address: client_address(),
            http: deployment.http.clone(),
        })
    }

    /// The same merchant, calling another instance of ingest.
    #[must_use]
    pub fn at(&self, ingest: String) -> Self {
        Self { ingest, ..self.clone() }
    }

    /// The endpoint of a business.
    pub fn url_of(&self, business: &str) -> String {
        format!("{}/external/v1/businesses/{business}/conversion_events", self.ingest)
    }

    /// A call before its body, from this merchant's own address, without a key: failures of one test do not use up what
    /// another address is allowed.
    pub fn bare(&self, url: &str) -> RequestBuilder {
        self.http.post(url).header("X-Forwarded-For", &self.address).header("Content-Type", "application/json")
    }

    /// A call before its body, with the key.
    pub fn request(&self) -> RequestBuilder {
        self.bare(&self.url_of(&self.business)).header("X-API-KEY", &self.key)
    }

    /// A question before its query, with the key.
    pub fn asks(&self, url: &str) -> RequestBuilder {
        self.http.get(url).header("X-Forwarded-For", &self.address).header("X-API-KEY", &self.key)
    }

    /// Calls the endpoint, and reads the answer.
    ///
    /// # Errors
    /// Where there is none.
    pub async fn call(&self, body: &Value) -> anyhow::Result<Answer> {
        send(self.request().body(body.to_string())).await
    }

    /// Calls with a `Prefer` header.
    ///
    /// # Errors
    /// Where there is no answer.
    pub async fn prefer(&self, prefer: &str, body: &Value) -> anyhow::Result<Answer> {
        send(self.request().header("Prefer", prefer).body(body.to_string())).await
    }
}

/// Sends a call, and reads the answer.
///
/// # Errors
/// Where there is none.
pub async fn send(request: RequestBuilder) -> anyhow::Result<Answer> {
    Answer::read(request.send().await.context("a call")?).await
}

/// A new key of a business: its public part and its plaintext.
///
/// # Errors
/// Where `capi` fails.
pub async fn new_key(deployment: &Deployment, business: &str, more: &[&str]) -> anyhow::Result<(String, String)> {
    let create = [&["key", "create", business, "--name", "till"], more].concat();
    let created = deployment.operator.one(&create).await?;
    let text = |name: &str| created[name].as_str().map(str::to_owned).with_context(|| format!("no {name} of a key"));
    Ok((text("key_id")?, text("key")?))
}

/// Sixteen digits, as Meta's ids have.
fn digits() -> String {
    let number = Uuid::now_v7().as_u128() % 9_000_000_000_000_000;
    (1_000_000_000_000_000 + number).to_string()
}

fn client_address() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let [_, high, middle, low] = NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    format!("10.{high}.{middle}.{low}")
}
