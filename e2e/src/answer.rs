//! What a merchant got back.

use anyhow::{Context as _, bail};
use reqwest::{Response, header::HeaderMap};
use serde_json::Value;
use uuid::Uuid;

/// An answer, read to its end.
#[derive(Clone, Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// The JSON body.
    pub body: Value,
    /// The call that it answers, from `X-Request-Id`.
    pub call: Uuid,
}

impl Answer {
    /// Reads it. Every answer of the endpoint has an id and a JSON body.
    ///
    /// # Errors
    /// Where one of them is missing.
    pub async fn read(response: Response) -> anyhow::Result<Self> {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await?;
        let id = headers.get("x-request-id").with_context(|| format!("{status} without X-Request-Id: {text}"))?;
        let call = id.to_str()?.parse().context("X-Request-Id")?;
        let body = serde_json::from_str(&text).with_context(|| format!("the body of a {status}: {text}"))?;
        Ok(Self { status, headers, body, call })
    }

    /// A header's text; empty where it is absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// `Conversion-Status`; empty where it is absent.
    pub fn conversion_status(&self) -> &str {
        self.header("conversion-status")
    }

    /// The detail of an error body by the name of its type.
    ///
    /// # Errors
    /// Where there is not exactly one.
    pub fn detail(&self, name: &str) -> anyhow::Result<&Value> {
        let of_type = |detail: &&Value| detail["@type"] == format!("type.googleapis.com/google.rpc.{name}");
        let details: Vec<_> = self.body["details"].as_array().into_iter().flatten().filter(of_type).collect();
        match details[..] {
            [detail] => Ok(detail),
            _ => bail!("{} {name} in {}", details.len(), self.body),
        }
    }

    /// The reason of the error.
    ///
    /// # Errors
    /// Where it has none.
    pub fn reason(&self) -> anyhow::Result<&str> {
        self.detail("ErrorInfo")?["reason"].as_str().with_context(|| format!("no reason in {}", self.body))
    }

    /// The metadata of the error.
    ///
    /// # Errors
    /// Where it has none.
    pub fn metadata(&self) -> anyhow::Result<&Value> {
        Ok(&self.detail("ErrorInfo")?["metadata"])
    }

    /// Path and reason of each violation, in their order.
    ///
    /// # Errors
    /// Where there are none.
    pub fn violations(&self) -> anyhow::Result<Vec<(&str, &str)>> {
        let violations = self.detail("BadRequest")?["field_violations"].as_array().context("no violations")?;
        let texts =
            violations.iter().map(|violation| Some((violation["field"].as_str()?, violation["reason"].as_str()?)));
        texts.collect::<Option<_>>().with_context(|| format!("a violation without field or reason in {}", self.body))
    }

    /// Holds status and `Conversion-Status` of a success against what they should be; the body is always the same.
    ///
    /// # Errors
    /// What differs.
    pub fn expect(&self, status: u16, conversion_status: &str) -> anyhow::Result<&Self> {
        let same = self.status == status && self.conversion_status() == conversion_status;
        if same && self.body == serde_json::json!({"events_received": 1}) {
            return Ok(self);
        }
        bail!(
            "not {status} {conversion_status} but {} {:?} {} to call {}",
            self.status,
            self.conversion_status(),
            self.body,
            self.call
        )
    }

    /// Holds status and reason of an error against what they should be.
    ///
    /// # Errors
    /// What differs.
    pub fn expect_error(&self, status: u16, reason: &str) -> anyhow::Result<&Self> {
        if self.status == status && self.reason().is_ok_and(|found| found == reason) {
            return Ok(self);
        }
        bail!("not {status} {reason} but {} {} to call {}", self.status, self.body, self.call)
    }
}
