//! The way to ClickHouse: its client, and what its errors mean to us.

use std::time::Duration;

use clickhouse::{Client, error::Error};

use crate::settings::ClickHouseSettings;

/// How long the server works on one statement before it gives up (`max_execution_time`).
const SERVER_LIMIT: Duration = Duration::from_secs(30);
/// How long we wait for its answer: longer than it works, so that it is the server that ends a statement, and says so.
pub const ANSWER_LIMIT: Duration = Duration::from_secs(40);
/// How long one piece of an insert may take to leave. The server waits 30 s for a piece (`http_receive_timeout`).
pub const SEND_LIMIT: Duration = Duration::from_secs(35);
/// How much of an error is kept.
const ERROR_KEPT: usize = 600;

/// A client for the settings' database.
pub fn client(settings: &ClickHouseSettings) -> Client {
    server(settings).with_database(settings.clickhouse_database.as_str())
}

/// A client for no database in particular: the one to come is not there yet.
pub fn server(settings: &ClickHouseSettings) -> Client {
    Client::default()
        .with_url(settings.clickhouse_url.as_str())
        .with_user(&settings.clickhouse_user)
        .with_password(settings.clickhouse_password.reveal())
        .with_product_info("capi", env!("CARGO_PKG_VERSION"))
        .with_setting("max_execution_time", SERVER_LIMIT.as_secs().to_string())
}

/// Why a statement did not succeed: each is something else to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Nothing was heard, or the server cannot just now: the same statement may succeed later.
    #[error("ClickHouse is away: {0}")]
    Away(String),
    /// The rows are at fault: they would be refused again.
    #[error("ClickHouse refuses the rows: {0}")]
    Rows(String),
    /// Someone must act first: rights, a missing table, another schema.
    #[error("ClickHouse refuses: {0}")]
    Operator(String),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        let text = shortened(&error);
        match &error {
            Error::BadResponse(answer) => match exception_code(answer) {
                Some(code) if AWAY.contains(&code) => Self::Away(text),
                Some(code) if ROWS.contains(&code) => Self::Rows(text),
                Some(_) => Self::Operator(text),
                // No exception of ClickHouse's: something between us and it, or a server that starts or stops.
                None => Self::Away(text),
            },
            Error::Network(_) | Error::TimedOut | Error::Decompression(_) => Self::Away(text),
            _ => Self::Operator(text),
        }
    }
}

/// Waits for an answer as long as [`ANSWER_LIMIT`].
///
/// # Errors
/// Where there is none, or it is a refusal.
pub async fn answered<T>(statement: impl Future<Output = Result<T, Error>>) -> Result<T, Fault> {
    answered_within(ANSWER_LIMIT, statement).await
}

/// Waits for an answer as long as `limit`.
///
/// # Errors
/// Where there is none, or it is a refusal.
pub async fn answered_within<T>(
    limit: Duration,
    statement: impl Future<Output = Result<T, Error>>,
) -> Result<T, Fault> {
    match tokio::time::timeout(limit, statement).await {
        Ok(answer) => answer.map_err(Fault::from),
        Err(_) => Err(Fault::Away(format!("no answer within {limit:?}"))),
    }
}

/// The number in `Code: 60. DB::Exception: …`: all of its digits, so that 530 is not 53.
fn exception_code(answer: &str) -> Option<u32> {
    let rest = answer.trim_start().strip_prefix("Code: ")?;
    let (code, _) = rest.split_once('.')?;
    code.parse().ok()
}

fn shortened(error: &Error) -> String {
    let mut text = match error {
        Error::BadResponse(answer) => answer.trim().to_owned(),
        other => with_sources(other),
    };
    if text.len() > ERROR_KEPT {
        text.truncate(text.floor_char_boundary(ERROR_KEPT));
        text.push('…');
    }
    text
}

/// An error of the network says what happened only in its source.
fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        source = inner.source();
    }
    text
}

/// Codes of a server that cannot just now (`src/Common/ErrorCodes.cpp` of ClickHouse).
const AWAY: &[u32] = &[
    32,  // ATTEMPT_TO_READ_AFTER_EOF: the body broke off
    33,  // CANNOT_READ_ALL_DATA: the same
    159, // TIMEOUT_EXCEEDED
    173, // CANNOT_ALLOCATE_MEMORY
    198, // DNS_ERROR
    201, // QUOTA_EXCEEDED
    202, // TOO_MANY_SIMULTANEOUS_QUERIES
    203, // NO_FREE_CONNECTION
    209, // SOCKET_TIMEOUT
    210, // NETWORK_ERROR
    225, // NO_ZOOKEEPER
    236, // ABORTED
    241, // MEMORY_LIMIT_EXCEEDED
    242, // TABLE_IS_READ_ONLY
    243, // NOT_ENOUGH_SPACE
    252, // TOO_MANY_PARTS
    285, // TOO_FEW_LIVE_REPLICAS
    286, // UNSATISFIED_QUORUM_FOR_PREVIOUS_WRITE
    319, // UNKNOWN_STATUS_OF_INSERT
    394, // QUERY_WAS_CANCELLED
    999, // KEEPER_EXCEPTION
];

/// Codes of rows that cannot be stored, whoever sends them again.
const ROWS: &[u32] = &[
    6,   // CANNOT_PARSE_TEXT
    26,  // CANNOT_PARSE_QUOTED_STRING
    27,  // CANNOT_PARSE_INPUT_ASSERTION_FAILED
    38,  // CANNOT_PARSE_DATE
    41,  // CANNOT_PARSE_DATETIME
    69,  // ARGUMENT_OUT_OF_BOUND
    70,  // CANNOT_CONVERT_TYPE
    72,  // CANNOT_PARSE_NUMBER
    117, // INCORRECT_DATA
    128, // TOO_LARGE_ARRAY_SIZE
    131, // TOO_LARGE_STRING_SIZE
    190, // SIZES_OF_ARRAYS_DONT_MATCH
    321, // VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE
    349, // CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN
    376, // CANNOT_PARSE_UUID
    407, // DECIMAL_OVERFLOW
    469, // VIOLATED_CONSTRAINT
];

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(answer: &str) -> Fault {
        Fault::from(Error::BadResponse(answer.into()))
    }

    #[test]
    fn a_code_is_read_whole() {
        assert!(matches!(fault("Code: 407. DB::Exception: Decimal overflow"), Fault::Rows(_)));
        assert!(matches!(fault("Code: 40. DB::Exception: Checksum doesn't match"), Fault::Operator(_)));
        assert!(matches!(fault("Code: 2020. DB::Exception: new"), Fault::Operator(_)));
        assert!(matches!(fault("Code: 202. DB::Exception: Too many simultaneous queries"), Fault::Away(_)));
    }

    #[test]
    fn what_is_no_exception_comes_from_something_between() {
        assert!(matches!(fault("<html>502 Bad Gateway</html>"), Fault::Away(_)));
        assert!(matches!(fault("503 Service Unavailable"), Fault::Away(_)));
        assert!(matches!(Fault::from(Error::TimedOut), Fault::Away(_)));
    }

    #[test]
    fn a_missing_table_is_the_operators_to_mend() {
        assert!(matches!(fault("Code: 60. DB::Exception: Table capi.call_records does not exist"), Fault::Operator(_)));
        assert!(matches!(fault("Code: 516. DB::Exception: default: Authentication failed"), Fault::Operator(_)));
    }

    #[test]
    fn an_error_is_kept_short() {
        let Fault::Rows(text) = fault(&format!("Code: 117. DB::Exception: {}", "ä".repeat(1000))) else { panic!() };
        assert!(text.len() <= ERROR_KEPT + '…'.len_utf8());
    }
}
