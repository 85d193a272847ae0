//! Brings ClickHouse to what this release needs: `capi setup` calls it, and it is harmless twice, and twice at once.

use std::time::Duration;

use clickhouse::Client;
use serde::Deserialize;

use crate::{
    client::{Fault, answered, client, server},
    schema::{MIGRATIONS, MIGRATIONS_TABLE, Migration, Views},
    settings::{ClickHouseSettings, Database},
    verify::labels,
};

/// What was done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Migrated {
    /// The migrations that were applied now, by name, in order.
    pub applied: Vec<&'static str>,
    /// Whether the views were rebuilt: they were of another release or another window, or were not there.
    pub views_rebuilt: bool,
}

/// Why it was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MigrateError {
    /// ClickHouse does not answer, or cannot just now: try again.
    #[error("{0}")]
    Unavailable(String),
    /// ClickHouse refuses.
    #[error("{0}")]
    Refused(String),
    /// The database was set up by a release that this one does not know.
    #[error("ClickHouse was set up by a newer release (migration {number} {name}): use that release's `capi`")]
    Newer {
        /// The unknown migration's number.
        number: u32,
        /// Its name.
        name: String,
    },
    /// A migration that was applied has been changed since, so the tables are not what this release believes.
    #[error("migration {name} was applied with another text than this release has: it must not change once released")]
    Changed {
        /// The migration.
        name: &'static str,
    },
}

impl From<Fault> for MigrateError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Away(_) => Self::Unavailable(fault.to_string()),
            Fault::Rows(_) | Fault::Operator(_) => Self::Refused(fault.to_string()),
        }
    }
}

/// Creates the database, its tables and its views for this deduplication window, or brings them up to date.
///
/// # Errors
/// Where ClickHouse is away or refuses, or holds what this release does not know.
pub async fn migrate(settings: &ClickHouseSettings, window: Duration) -> Result<Migrated, MigrateError> {
    let database = &settings.clickhouse_database;
    run(&server(settings), &format!("CREATE DATABASE IF NOT EXISTS {database}")).await?;
    let client = client(settings);
    run(&client, MIGRATIONS_TABLE).await?;
    let mut applied = Vec::new();
    for migration in pending(&client).await? {
        run(&client, migration.sql).await?;
        note(&client, migration).await?;
        applied.push(migration.name);
    }
    let views_rebuilt = rebuild_views(&client, database, &Views::new(window)).await?;
    Ok(Migrated { applied, views_rebuilt })
}

#[derive(Deserialize, clickhouse::Row)]
struct Applied {
    number: u32,
    name: String,
    checksum: String,
}

/// The migrations that have not been applied.
async fn pending(client: &Client) -> Result<Vec<&'static Migration>, MigrateError> {
    let query = "SELECT number, name, checksum FROM migrations FINAL ORDER BY number";
    let applied: Vec<Applied> = answered(client.query_raw(query).fetch_all()).await?;
    still_pending(&applied)
}

fn still_pending(applied: &[Applied]) -> Result<Vec<&'static Migration>, MigrateError> {
    let known = |number: u32| MIGRATIONS.iter().find(|migration| migration.number == number);
    for line in applied {
        let Some(migration) = known(line.number) else {
            return Err(MigrateError::Newer { number: line.number, name: line.name.clone() });
        };
        if migration.checksum() != line.checksum {
            return Err(MigrateError::Changed { name: migration.name });
        }
    }
    let is_applied = |migration: &&Migration| applied.iter().any(|line| line.number == migration.number);
    Ok(MIGRATIONS.iter().filter(|migration| !is_applied(migration)).collect())
}

/// Written after the statement succeeded: a stop in between runs it once more, which it bears.
async fn note(client: &Client, migration: &Migration) -> Result<(), MigrateError> {
    let (number, name, checksum) = (migration.number, migration.name, migration.checksum());
    let line = format!("INSERT INTO migrations (number, name, checksum) VALUES ({number}, '{name}', '{checksum}')");
    run(client, &line).await
}

async fn rebuild_views(client: &Client, database: &Database, views: &Views) -> Result<bool, MigrateError> {
    let (found, label) = (labels(client, database).await?, views.label());
    if Views::names().all(|name| found.get(name) == Some(&label)) {
        return Ok(false);
    }
    for statement in views.statements() {
        run(client, &statement).await?;
    }
    Ok(true)
}

async fn run(client: &Client, statement: &str) -> Result<(), MigrateError> {
    Ok(answered(client.query_raw(statement).with_setting("async_insert", "0").execute()).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(migration: &Migration) -> Applied {
        Applied { number: migration.number, name: migration.name.into(), checksum: migration.checksum() }
    }

    #[test]
    fn what_was_applied_is_not_applied_again() {
        assert_eq!(still_pending(&[]).unwrap().len(), MIGRATIONS.len());
        let all: Vec<_> = MIGRATIONS.iter().map(line).collect();
        assert!(still_pending(&all).unwrap().is_empty());
    }

    #[test]
    fn a_changed_migration_is_refused() {
        let changed = Applied { checksum: "other".into(), ..line(&MIGRATIONS[0]) };
        assert!(matches!(still_pending(&[changed]), Err(MigrateError::Changed { .. })));
    }

    #[test]
    fn a_newer_database_is_refused() {
        let newer = Applied { number: 9999, name: "9999_later".into(), checksum: String::new() };
        let error = still_pending(&[newer]).err().unwrap();
        assert!(error.to_string().contains("newer release"), "{error}");
    }
}
