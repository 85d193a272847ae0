//! What ClickHouse has, checked at boot: a recorder refuses to start where tables or views are not as this release and
//! this window need them, and waits where ClickHouse is away.

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

use clickhouse::Client;
use serde::Deserialize;
use tokio::time::sleep;
use worker::health::Dependency;

use crate::{
    clickhouse::{Fault, answered, server},
    schema::{CALL_RECORDS, CALLS, CALLS_COLUMNS, TABLE_ONLY_COLUMNS, Views},
    settings::{ClickHouseSettings, Database},
};

/// How often an absent ClickHouse is asked again.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// Why the recorder may not start on this database. None of these mends itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SchemaFault {
    /// A table or view is not there, or has other columns.
    #[error("{table} in ClickHouse is not as this release needs it ({difference}): run `capi setup`")]
    Columns {
        /// The table or view.
        table: &'static str,
        /// The first difference.
        difference: String,
    },
    /// A view was built by another release or for another window.
    #[error(
        "the view {view} in ClickHouse was built as \"{found}\", and this worker needs \"{expected}\": run `capi setup` \
         with the same CAPI_DEDUP_WINDOW as the workers"
    )]
    View {
        /// The view.
        view: &'static str,
        /// Its comment.
        found: String,
        /// The comment it would have.
        expected: String,
    },
}

/// Checks tables and views, waiting for as long as ClickHouse is away or does not let us in.
///
/// # Errors
/// Where they are not as they must be.
pub async fn verify(settings: &ClickHouseSettings, window: Duration, health: &Dependency) -> Result<(), SchemaFault> {
    // A database that is not there is no error this way, but an empty answer.
    let (client, database) = (server(settings), &settings.clickhouse_database);
    loop {
        match look(&client, database, window).await {
            Ok(found) => {
                health.up();
                return found;
            }
            Err(fault) => {
                health.down(fault.to_string());
                sleep(ASK_EVERY).await;
            }
        }
    }
}

/// One look: a fault where ClickHouse did not answer, else what it said.
async fn look(client: &Client, database: &Database, window: Duration) -> Result<Result<(), SchemaFault>, Fault> {
    let mut found = columns(client, database).await?;
    let table: Vec<_> = CALLS_COLUMNS.iter().chain(TABLE_ONLY_COLUMNS).copied().collect();
    for (name, expected) in [(CALL_RECORDS, table.as_slice()), (CALLS, CALLS_COLUMNS)] {
        let found = found.remove(name).unwrap_or_default();
        if let Some(difference) = difference(&found, expected) {
            return Ok(Err(SchemaFault::Columns { table: name, difference }));
        }
    }
    let (found, expected) = (labels(client, database).await?, Views::new(window).label());
    for view in Views::names() {
        let found = found.get(view).cloned().unwrap_or_default();
        if found != expected {
            return Ok(Err(SchemaFault::View { view, found, expected }));
        }
    }
    Ok(Ok(()))
}

#[derive(Deserialize, clickhouse::Row)]
struct Column {
    table: String,
    name: String,
    r#type: String,
}

/// The columns of every table, in order.
async fn columns(client: &Client, database: &Database) -> Result<BTreeMap<String, Vec<(String, String)>>, Fault> {
    let query =
        format!("SELECT table, name, type FROM system.columns WHERE database = '{database}' ORDER BY table, position");
    let columns: Vec<Column> = answered(client.query_raw(&query).fetch_all()).await?;
    let mut tables = BTreeMap::<_, Vec<_>>::new();
    for column in columns {
        tables.entry(column.table).or_default().push((column.name, column.r#type));
    }
    Ok(tables)
}

#[derive(Deserialize, clickhouse::Row)]
struct Label {
    name: String,
    comment: String,
}

/// The comment of every table and view.
pub(crate) async fn labels(client: &Client, database: &Database) -> Result<BTreeMap<String, String>, Fault> {
    let query = format!("SELECT name, comment FROM system.tables WHERE database = '{database}'");
    let labels: Vec<Label> = answered(client.query_raw(&query).fetch_all()).await?;
    Ok(labels.into_iter().map(|label| (label.name, label.comment)).collect())
}

/// The first difference, in words.
fn difference(found: &[(String, String)], expected: &[(&str, &str)]) -> Option<String> {
    if found.is_empty() {
        return Some("it does not exist".into());
    }
    let mut found = found.iter().map(|(name, kind)| (name.as_str(), kind.as_str()));
    let mut expected = expected.iter().copied();
    loop {
        let (found, expected) = (found.next(), expected.next());
        if found == expected {
            expected?;
            continue;
        }
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = match (found, expected) {
            (Some((name, kind)), Some((wanted, wanted_kind))) => {
                write!(text, "it has {name} {kind} where {wanted} {wanted_kind} belongs")
            }
            (Some((name, _)), None) => write!(text, "it has the further column {name}"),
            (None, Some((wanted, _))) => write!(text, "it lacks {wanted}"),
            (None, None) => Ok(()),
        };
        return Some(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(columns: &[(&str, &str)]) -> Vec<(String, String)> {
        columns.iter().map(|(name, kind)| ((*name).into(), (*kind).into())).collect()
    }

    #[test]
    fn equal_columns_pass() {
        assert_eq!(difference(&found(CALLS_COLUMNS), CALLS_COLUMNS), None);
    }

    #[test]
    fn every_difference_is_named() {
        let expected = [("a", "String"), ("b", "Int32")];
        let said = |columns: &[(&str, &str)]| difference(&found(columns), &expected).unwrap();
        assert_eq!(said(&[]), "it does not exist");
        assert_eq!(said(&[("a", "String")]), "it lacks b");
        assert_eq!(said(&[("a", "String"), ("b", "Int64")]), "it has b Int64 where b Int32 belongs");
        assert_eq!(said(&[("a", "String"), ("b", "Int32"), ("c", "Date")]), "it has the further column c");
    }
}
