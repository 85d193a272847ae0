//! The sandbox that stands in for Meta: what it is told to do, and what it has counted.

use anyhow::{Context as _, bail};
use serde_json::Value;

/// A running sandbox.
#[derive(Clone)]
pub struct Sandbox {
    base: String,
    http: reqwest::Client,
}

impl Sandbox {
    /// The sandbox at this address.
    pub fn at(base: String, http: reqwest::Client) -> Self {
        Self { base, http }
    }

    /// Where the forwarder finds it.
    pub fn url(&self) -> &str {
        &self.base
    }

    /// Whether it answers.
    pub async fn is_up(&self) -> bool {
        self.http.get(format!("{}/sandbox/control", self.base)).send().await.is_ok()
    }

    /// Reads a page of its control API.
    ///
    /// # Errors
    /// Where it does not answer.
    pub async fn get(&self, path: &str) -> anyhow::Result<Value> {
        let url = format!("{}/sandbox/{path}", self.base);
        Ok(self.http.get(url).send().await?.error_for_status()?.json().await?)
    }

    /// Gives it an order: `outage?behaviour=silence&dataset=1`.
    ///
    /// # Errors
    /// Where it does not take it.
    pub async fn put(&self, order: &str) -> anyhow::Result<()> {
        let answer = self.http.put(format!("{}/sandbox/{order}", self.base)).send().await?;
        if !answer.status().is_success() {
            bail!("the sandbox does not take {order}: {}", answer.text().await?);
        }
        Ok(())
    }

    /// All well again for one dataset.
    ///
    /// # Errors
    /// Where it does not answer.
    pub async fn clear(&self, dataset: &str) -> anyhow::Result<()> {
        let url = format!("{}/sandbox/control?dataset={dataset}", self.base);
        self.http.delete(url).send().await?.error_for_status()?;
        Ok(())
    }

    /// All well again for all.
    ///
    /// # Errors
    /// Where it does not answer.
    pub async fn clear_outage(&self) -> anyhow::Result<()> {
        self.http.delete(format!("{}/sandbox/outage", self.base)).send().await?.error_for_status()?;
        Ok(())
    }

    /// The counted events of a dataset, the newest first.
    ///
    /// # Errors
    /// Where it does not answer.
    pub async fn credited(&self, dataset: &str) -> anyhow::Result<Vec<Value>> {
        let mut page = self.get(&format!("credited?dataset={dataset}&limit=100000")).await?;
        match page["credited"].take() {
            Value::Array(events) => Ok(events),
            _ => bail!("the sandbox answers {page}"),
        }
    }

    /// How often an event was counted in a dataset.
    ///
    /// # Errors
    /// Where the sandbox does not answer.
    pub async fn times_credited(&self, dataset: &str, event_id: &str) -> anyhow::Result<usize> {
        let credited = self.credited(dataset).await?;
        Ok(credited.iter().filter(|event| event["event_id"] == event_id).count())
    }

    /// The counts of one dataset.
    ///
    /// # Errors
    /// Where the sandbox does not answer, or has not met the dataset.
    pub async fn tally(&self, dataset: &str) -> anyhow::Result<Value> {
        let mut statistics = self.get("stats").await?;
        let tally = statistics["datasets"].get_mut(dataset).context("the sandbox knows no such dataset")?;
        Ok(tally.take())
    }

    /// How many requests of a dataset it has read, whatever became of them.
    ///
    /// # Errors
    /// Where the sandbox does not answer.
    pub async fn requests(&self, dataset: &str) -> anyhow::Result<u64> {
        let statistics = self.get("stats").await?;
        Ok(statistics["datasets"][dataset]["requests"].as_u64().unwrap_or(0))
    }
}
