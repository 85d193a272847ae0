//! What ClickHouse has, checked at boot: a recorder refuses to start where tables or views are not as this release and
//! this window need them, and waits where ClickHouse is away.
//!
//! `capi setup` of the next release comes before its recorders. Until they are all there, those of this release go on
//! and may start again: the table may have further columns that fill themselves, and the views are the next release's,
//! as long as the window is the same.

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

use clickhouse::Client;
use serde::Deserialize;
use tokio::time::sleep;
use worker::health::Dependency;

use crate::{
    client::{Fault, answered, server},
    schema::{CALL_RECORDS, CALLS, CALLS_COLUMNS, MIGRATIONS, TABLE_ONLY_COLUMNS, Views},
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
    let columns = columns(client, database).await?;
    let table = columns.get(CALL_RECORDS).map(Vec::as_slice).unwrap_or_default();
    if let Some(difference) = obstacle(table) {
        return Ok(Err(SchemaFault::Columns { table: CALL_RECORDS, difference }));
    }
    let (found, views) = (labels(client, database).await?, Views::new(window));
    let is_newer = is_newer(client, database).await?;
    let calls = columns.get(CALLS).map(Vec::as_slice).unwrap_or_default();
    if let Some(difference) = difference(calls, CALLS_COLUMNS).filter(|_| !is_newer || calls.is_empty()) {
        return Ok(Err(SchemaFault::Columns { table: CALLS, difference }));
    }
    let expected = views.label();
    for view in Views::names() {
        let found = found.get(view).cloned().unwrap_or_default();
        if found != expected && !(is_newer && views.same_window(&found)) {
            return Ok(Err(SchemaFault::View { view, found, expected }));
        }
    }
    Ok(Ok(()))
}

/// Whether a newer release has set the database up: it then has a migration that this one does not know.
async fn is_newer(client: &Client, database: &Database) -> Result<bool, Fault> {
    let query = format!("SELECT max(number) FROM {database}.migrations");
    let newest: u32 = answered(client.query_raw(&query).fetch_one()).await?;
    Ok(MIGRATIONS.iter().all(|migration| migration.number < newest))
}

#[derive(Clone, Debug, Deserialize, clickhouse::Row)]
struct Column {
    table: String,
    name: String,
    r#type: String,
    default_kind: String,
}

/// The columns of every table, in order.
async fn columns(client: &Client, database: &Database) -> Result<BTreeMap<String, Vec<Column>>, Fault> {
    let query = format!(
        "SELECT table, name, type, default_kind FROM system.columns WHERE database = '{database}' ORDER BY table, position"
    );
    let columns: Vec<Column> = answered(client.query_raw(&query).fetch_all()).await?;
    let mut tables = BTreeMap::<_, Vec<_>>::new();
    for column in columns {
        tables.entry(column.table.clone()).or_default().push(column);
    }
    Ok(tables)
}

/// What keeps rows out of the table, in words. Rows name their columns, so that others may stand between them.
fn obstacle(found: &[Column]) -> Option<String> {
    if found.is_empty() {
        return Some("it does not exist".into());
    }
    let mut ours = CALLS_COLUMNS.iter().chain(TABLE_ONLY_COLUMNS);
    let wrong = |(name, kind): &(&str, &str)| match found.iter().find(|column| column.name == *name) {
        None => Some(format!("it lacks {name}")),
        Some(column) if column.r#type != *kind => Some(format!("it has {name} {} instead of {kind}", column.r#type)),
        Some(_) => None,
    };
    let is_ours =
        |column: &Column| CALLS_COLUMNS.iter().chain(TABLE_ONLY_COLUMNS).any(|(name, _)| column.name == *name);
    let unfilled = |column: &&Column| column.default_kind.is_empty() && !is_ours(column);
    ours.find_map(wrong).or_else(|| {
        let column = found.iter().find(unfilled)?;
        Some(format!("it has the further column {} without a default", column.name))
    })
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
fn difference(found: &[Column], expected: &[(&str, &str)]) -> Option<String> {
    if found.is_empty() {
        return Some("it does not exist".into());
    }
    let mut found = found.iter().map(|column| (column.name.as_str(), column.r#type.as_str()));
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

    fn column(name: &str, kind: &str, default_kind: &str) -> Column {
        let (table, default_kind) = ("t".into(), default_kind.into());
        Column { table, name: name.into(), r#type: kind.into(), default_kind }
    }

    fn found(columns: &[(&str, &str)]) -> Vec<Column> {
        columns.iter().map(|(name, kind)| column(name, kind, "")).collect()
    }

    #[test]
    fn a_table_may_have_further_columns_that_fill_themselves() {
        let mut table = found(&[TABLE_ONLY_COLUMNS, CALLS_COLUMNS].concat());
        assert_eq!(obstacle(&table), None);
        table.insert(1, column("later", "String", "DEFAULT"));
        assert_eq!(obstacle(&table), None);
        table.push(column("unfilled", "String", ""));
        assert_eq!(obstacle(&table).unwrap(), "it has the further column unfilled without a default");
    }

    #[test]
    fn a_table_needs_every_column_of_a_row() {
        let all = [CALLS_COLUMNS, TABLE_ONLY_COLUMNS].concat();
        for (at, (name, _)) in all.iter().enumerate() {
            let mut table = found(&all);
            table[at].r#type = "Point".into();
            assert!(obstacle(&table).unwrap().starts_with(&format!("it has {name} Point instead of ")));
            table.remove(at);
            assert_eq!(obstacle(&table).unwrap(), format!("it lacks {name}"));
        }
        assert_eq!(obstacle(&[]).unwrap(), "it does not exist");
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
