//! `capi setup`'s part, and the check at a recorder's boot.

use std::time::Duration;

use capi_recorder::{
    migrate::{MigrateError, migrate},
    settings::ClickHouseSettings,
    verify::{SchemaFault, verify},
};
use worker::health::Health;

use crate::database::{Database, WINDOW};

async fn check(settings: &ClickHouseSettings, window: Duration) -> Result<(), SchemaFault> {
    verify(settings, window, &Health::default().dependency("clickhouse")).await
}

#[tokio::test]
async fn from_nothing_to_all_and_the_second_time_changes_nothing() {
    let database = Database::empty();
    let first = migrate(&database.settings, WINDOW).await.unwrap();
    assert_eq!(first.applied, ["0001_call_records"]);
    assert!(first.views_rebuilt);
    check(&database.settings, WINDOW).await.unwrap();
    let second = migrate(&database.settings, WINDOW).await.unwrap();
    assert_eq!((second.applied.len(), second.views_rebuilt), (0, false));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_at_once_do_no_harm() {
    let database = Database::empty();
    let settings = &database.settings;
    let runs = (0..6).map(|_| migrate(settings, WINDOW));
    for run in futures::future::join_all(runs).await {
        run.unwrap();
    }
    check(settings, WINDOW).await.unwrap();
    assert_eq!(database.ask("SELECT count() FROM migrations FINAL").await, ["1"]);
}

#[tokio::test]
async fn another_window_rebuilds_the_views_and_is_refused_until_then() {
    let database = Database::new().await;
    let week = Duration::from_hours(7 * 24);
    let refused = check(&database.settings, week).await.unwrap_err();
    assert!(matches!(refused, SchemaFault::View { .. }));
    assert!(refused.to_string().contains("`capi setup`"), "{refused}");
    assert!(migrate(&database.settings, week).await.unwrap().views_rebuilt);
    check(&database.settings, week).await.unwrap();
    check(&database.settings, WINDOW).await.unwrap_err();
}

#[tokio::test]
async fn other_columns_are_refused_by_name() {
    let database = Database::new().await;
    database.run("ALTER TABLE call_records MODIFY COLUMN total_ms Int32").await;
    let refused = check(&database.settings, WINDOW).await.unwrap_err().to_string();
    assert!(refused.contains("total_ms Int32") && refused.contains("`capi setup`"), "{refused}");
}

#[tokio::test]
async fn a_missing_database_table_or_view_is_refused() {
    let database = Database::empty();
    let refused = check(&database.settings, WINDOW).await.unwrap_err().to_string();
    assert!(refused.contains("does not exist") && refused.contains("`capi setup`"), "{refused}");
    database.create().await;
    let refused = check(&database.settings, WINDOW).await.unwrap_err().to_string();
    assert!(refused.contains("call_records") && refused.contains("does not exist"), "{refused}");
    migrate(&database.settings, WINDOW).await.unwrap();
    database.run("DROP VIEW failure_rates").await;
    let refused = check(&database.settings, WINDOW).await.unwrap_err().to_string();
    assert!(refused.contains("failure_rates"), "{refused}");
    assert!(migrate(&database.settings, WINDOW).await.unwrap().views_rebuilt);
}

#[tokio::test]
async fn a_database_of_a_newer_release_is_left_alone() {
    let database = Database::new().await;
    database.run("INSERT INTO migrations (number, name, checksum) VALUES (9999, '9999_later', '')").await;
    let refused = migrate(&database.settings, WINDOW).await.unwrap_err();
    assert!(matches!(refused, MigrateError::Newer { number: 9999, .. }));
}
