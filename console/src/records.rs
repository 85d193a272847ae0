//! ClickHouse, as the pages ask it: read only, bounded in time, in rows and in how many ask at once.

use std::time::{Duration, Instant};

use bytes::Bytes;
use clickhouse::{Client, Compression, query::Query};
use serde::de::DeserializeOwned;
use tokio::sync::{Semaphore, SemaphorePermit};
use warehouse::{
    ClickHouseSettings,
    client::{answered_within, client},
};

use crate::{
    fault::Fault,
    metrics,
    tenant::{Select, Value},
};

/// Questions at once, of all pages together: a page asks up to five.
const AT_ONCE: usize = 16;
/// How long a question waits for its turn.
const TURN: Duration = Duration::from_secs(2);
/// How long ClickHouse may work on one.
const WORK: Duration = Duration::from_secs(5);
/// How long it is waited for: a little longer, so that it is ClickHouse that ends it, and says so.
const PATIENCE: Duration = Duration::from_secs(7);
/// What one question may read and take.
const LIMITS: [(&str, &str); 4] = [
    ("max_rows_to_read", "200000000"),
    ("max_result_rows", "100000"),
    ("max_result_bytes", "67108864"),
    ("max_memory_usage", "2147483648"),
];
/// How values are written: amounts as text, so that no digit is lost, and numbers as numbers.
const FORMS: [(&str, &str); 4] = [
    ("output_format_json_quote_decimals", "1"),
    ("output_format_json_quote_64bit_integers", "0"),
    ("output_format_json_quote_denormals", "0"),
    // A request's body may be any bytes.
    ("output_format_json_validate_utf8", "1"),
];

/// The way to the records.
pub struct Records {
    client: Client,
    at_once: Semaphore,
}

impl Records {
    /// In this ClickHouse, which may be away.
    #[must_use]
    pub fn new(settings: &ClickHouseSettings) -> Self {
        let limited = client(settings)
            .with_setting("max_execution_time", WORK.as_secs().to_string())
            // Nothing is written, whatever is asked; settings may still be chosen.
            .with_setting("readonly", "2");
        let settings = LIMITS.into_iter().chain(FORMS);
        // Answers are a page long: packing them would cost more than it saves.
        let client = settings.fold(limited.with_compression(Compression::None), |client, (name, value)| {
            client.with_setting(name, value)
        });
        Self { client, at_once: Semaphore::new(AT_ONCE) }
    }

    /// Whether ClickHouse answers.
    ///
    /// # Errors
    /// Where it does not.
    pub async fn look(&self) -> Result<(), warehouse::Fault> {
        answered_within(PATIENCE, self.client.query_raw("SELECT 1").fetch_one::<u8>()).await.map(|_| ())
    }

    /// The rows of an answer, each an object of its columns.
    pub(crate) async fn rows<T: DeserializeOwned>(&self, select: Select) -> Result<Vec<T>, Fault> {
        let text = self.text(&select, "JSONEachRow").await?;
        let rows = serde_json::Deserializer::from_slice(&text).into_iter().collect::<Result<_, _>>();
        rows.map_err(|error| {
            tracing::error!(%error, "ClickHouse answers otherwise than was asked");
            Fault::RecordsRefused
        })
    }

    /// An answer in a format of ClickHouse's own, whole.
    pub(crate) async fn text(&self, select: &Select, format: &'static str) -> Result<Bytes, Fault> {
        let _turn = self.turn().await?;
        let (query, since) = (self.query(select), Instant::now());
        let answer = answered_within(PATIENCE, async move { query.fetch_bytes(format)?.collect().await }).await;
        let answer = answer.map_err(|fault| fault_of(&fault));
        metrics::queried(outcome(&answer), since.elapsed());
        answer
    }

    async fn turn(&self) -> Result<SemaphorePermit<'_>, Fault> {
        let turn = tokio::time::timeout(TURN, self.at_once.acquire()).await;
        turn.ok().and_then(Result::ok).ok_or_else(|| {
            metrics::queried("busy", TURN);
            Fault::Busy
        })
    }

    fn query(&self, select: &Select) -> Query {
        let query = self.client.query_raw(&select.sql());
        select.values().iter().fold(query, |query, (name, value)| match value {
            Value::Text(text) => query.param(name, text),
            Value::Number(number) => query.param(name, number),
        })
    }
}

fn outcome<T>(answer: &Result<T, Fault>) -> &'static str {
    match answer {
        Ok(_) => "answered",
        Err(Fault::RecordsAway) => "away",
        Err(_) => "refused",
    }
}

/// What the page says; the log has ClickHouse's own words, which may hold values of calls.
fn fault_of(fault: &warehouse::Fault) -> Fault {
    let text = fault.to_string();
    // TIMEOUT_EXCEEDED, TOO_MANY_ROWS, TOO_MANY_BYTES, TOO_MANY_ROWS_OR_BYTES: of this question, not of the server.
    if ["Code: 159.", "Code: 158.", "Code: 307.", "Code: 396."].iter().any(|code| text.contains(code)) {
        return Fault::TooMuch;
    }
    tracing::warn!(%fault, "a page cannot be filled");
    match fault {
        warehouse::Fault::Away(_) => Fault::RecordsAway,
        warehouse::Fault::Rows(_) | warehouse::Fault::Operator(_) => Fault::RecordsRefused,
    }
}
