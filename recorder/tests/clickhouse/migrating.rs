//! `capi setup`'s part, and the check at a recorder's boot.

use std::time::Duration;

use schemas::{Call, CallRecord, ConversionStatus, Lane, Outcome};
use warehouse::{
    ClickHouseSettings,
    migrate::{MigrateError, migrate},
    verify::{SchemaFault, verify},
};
use worker::health::Health;

use crate::{
    database::{Database, WINDOW},
    story::purchase,
};

async fn check(settings: &ClickHouseSettings, window: Duration) -> Result<(), SchemaFault> {
    verify(settings, window, &Health::default().dependency("clickhouse")).await
}

#[tokio::test]
async fn from_nothing_to_all_and_the_second_time_changes_nothing() {
    let database = Database::empty();
    let first = migrate(&database.settings, WINDOW).await.unwrap();
    assert_eq!(
        first.applied,
        ["0001_call_records", "0002_release", "0003_by_order_id", "0004_by_order_id_of_old_rows"]
    );
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
    assert_eq!(database.ask("SELECT count() FROM migrations FINAL").await, ["4"]);
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

/// `capi setup` of the next release comes first: until its recorders are there, those of this one start and insert.
#[tokio::test]
async fn a_recorder_starts_on_what_the_next_release_has_set_up() {
    let database = Database::new().await;
    database.run("ALTER TABLE call_records ADD COLUMN later String DEFAULT 'x' AFTER call_id").await;
    check(&database.settings, WINDOW).await.unwrap();
    let outcome = Outcome::new(200, ConversionStatus::Forwarded);
    let call = Call { release: "0.1.0".into(), ..purchase("A-1").call() };
    database.record([CallRecord { call, lane: Some(Lane::Live), outcome, rests_on: 7 }]).await;
    assert_eq!(database.ask("SELECT later, release FROM call_records").await, ["x 0.1.0"]);
    let rebuilt = format!(
        "CREATE OR REPLACE VIEW calls AS SELECT call_id, later FROM call_records COMMENT \
         'capi views 0, deduplication window {} s'",
        WINDOW.as_secs()
    );
    database.run(&rebuilt).await;
    // Views that are not this release's are an older one's, unless a newer release was here.
    check(&database.settings, WINDOW).await.unwrap_err();
    database.run("INSERT INTO migrations (number, name, checksum) VALUES (9999, '9999_later', '')").await;
    check(&database.settings, WINDOW).await.unwrap();
    check(&database.settings, 2 * WINDOW).await.unwrap_err();
    database.run("ALTER TABLE call_records ADD COLUMN unfilled String").await;
    let refused = check(&database.settings, WINDOW).await.unwrap_err().to_string();
    assert!(refused.contains("unfilled without a default"), "{refused}");
}

#[tokio::test]
async fn a_database_of_a_newer_release_is_left_alone() {
    let database = Database::new().await;
    database.run("INSERT INTO migrations (number, name, checksum) VALUES (9999, '9999_later', '')").await;
    let refused = migrate(&database.settings, WINDOW).await.unwrap_err();
    assert!(matches!(refused, MigrateError::Newer { number: 9999, .. }));
}
