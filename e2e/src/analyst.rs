//! The analyst: SQL over HTTP, as a dashboard would.

use anyhow::{Context as _, bail};
use serde_json::Value;
use uuid::Uuid;

use crate::wait;

/// Amounts as text, so that no digit is lost; counts as numbers.
const SETTINGS: &str = "SETTINGS output_format_json_quote_decimals = 1, output_format_json_quote_64bit_integers = 0";

/// Every column, and times as numbers besides: seconds of the event, milliseconds of the receipt and of the record.
pub const COLUMNS: &str = "*, toUnixTimestamp(event_time) AS event_s, toUnixTimestamp64Milli(received_at) AS received_ms, \
     toUnixTimestamp64Milli(recorded_at) AS recorded_ms";

/// Asks one deployment's ClickHouse database.
#[derive(Clone)]
pub struct Analyst {
    url: String,
    credentials: Option<(String, String)>,
    http: reqwest::Client,
}

impl Analyst {
    /// Of a database.
    pub fn new(clickhouse: &str, database: &str, http: reqwest::Client) -> Self {
        let user = std::env::var("CAPI_CLICKHOUSE_USER").ok();
        let password = std::env::var("CAPI_CLICKHOUSE_PASSWORD").unwrap_or_default();
        let credentials = user.map(|user| (user, password));
        Self { url: format!("{clickhouse}/?database={database}"), credentials, http }
    }

    /// The rows of a `SELECT`.
    ///
    /// # Errors
    /// Where ClickHouse does not answer, or does not like it.
    pub async fn rows(&self, select: &str) -> anyhow::Result<Vec<Value>> {
        let text = self.run(&format!("{select} {SETTINGS} FORMAT JSONEachRow")).await?;
        text.lines().map(|line| serde_json::from_str(line).context("a row")).collect()
    }

    /// What ClickHouse answers to any statement.
    ///
    /// # Errors
    /// Where it does not answer, or does not like it.
    pub async fn run(&self, statement: &str) -> anyhow::Result<String> {
        let mut request = self.http.post(&self.url).body(statement.to_owned());
        if let Some((user, password)) = &self.credentials {
            request = request.header("X-ClickHouse-User", user).header("X-ClickHouse-Key", password);
        }
        let answer = request.send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        if !status.is_success() {
            bail!("ClickHouse says {status} to {statement}: {text}");
        }
        Ok(text)
    }

    /// The only row of a `SELECT`.
    ///
    /// # Errors
    /// Where there is not exactly one.
    pub async fn one(&self, select: &str) -> anyhow::Result<Value> {
        let mut rows = self.rows(select).await?;
        match (rows.pop(), rows.len()) {
            (Some(row), 0) => Ok(row),
            (_, more) => bail!("{more} further rows for {select}"),
        }
    }

    /// The row of a call, once it is there. A reader must see each call once: several rows are a fault.
    ///
    /// # Errors
    /// Where it does not come.
    pub async fn row(&self, call: Uuid) -> anyhow::Result<Value> {
        self.row_when(call, |_| true).await
    }

    /// The row of a call, once it is final.
    ///
    /// # Errors
    /// Where it does not come.
    pub async fn final_row(&self, call: Uuid) -> anyhow::Result<Value> {
        self.row_when(call, |row| row["conversion_status"] != "pending").await
    }

    /// The row of a call, once it is such a one.
    ///
    /// # Errors
    /// Where it does not become one.
    pub async fn row_when(&self, call: Uuid, such: impl Fn(&Value) -> bool) -> anyhow::Result<Value> {
        let select = format!("SELECT {COLUMNS} FROM calls WHERE call_id = '{call}'");
        wait::until(&format!("the row of call {call}"), async || {
            let mut rows = self.rows(&select).await?;
            if rows.len() > 1 {
                bail!("{} rows of call {call}", rows.len());
            }
            Ok(rows.pop().filter(&such))
        })
        .await
    }

    /// The rows of a `SELECT`, once they are such.
    ///
    /// # Errors
    /// Where they do not become such.
    pub async fn rows_when(&self, select: &str, such: impl Fn(&[Value]) -> bool) -> anyhow::Result<Vec<Value>> {
        wait::until(select, async || {
            let rows = self.rows(select).await?;
            Ok(Some(rows).filter(|rows| such(rows)))
        })
        .await
    }
}

/// Holds a row against what its columns should be.
///
/// # Errors
/// Every column that differs.
pub fn expect(row: &Value, columns: &Value) -> anyhow::Result<()> {
    let columns = columns.as_object().context("columns are an object")?;
    let differs = |(name, wanted): &(&String, &Value)| &row[name.as_str()] != *wanted;
    let differing: Vec<_> = columns
        .iter()
        .filter(differs)
        .map(|(name, wanted)| format!("{name} is {}, not {wanted}", row[name.as_str()]))
        .collect();
    if differing.is_empty() { Ok(()) } else { bail!("{}; the row is {row}", differing.join("; ")) }
}
