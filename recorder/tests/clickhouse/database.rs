//! A database of its own for each test.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use capi_recorder::row::CallRow;
use clap::Parser;
use clickhouse::Client;
use schemas::CallRecord;
use warehouse::{
    ClickHouseSettings,
    client::{client, server},
    migrate::migrate,
};

/// The window of these tests, unless one says otherwise.
pub(crate) const WINDOW: Duration = Duration::from_hours(28 * 24);

/// What `make test` says in the environment.
pub(crate) fn env(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run these tests with `make test`"))
}

/// Settings of a database that nobody else uses.
pub(crate) fn settings() -> ClickHouseSettings {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    #[derive(Parser)]
    struct Flags {
        #[command(flatten)]
        clickhouse: ClickHouseSettings,
    }
    let name = format!("recorder_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let url = env("CAPI_CLICKHOUSE_URL");
    Flags::parse_from(["test", "--clickhouse-url", &url, "--clickhouse-database", &name]).clickhouse
}

/// A database with tables and views, gone when the test is over.
pub(crate) struct Database {
    pub(crate) settings: ClickHouseSettings,
    client: Client,
}

impl Database {
    /// Set up for [`WINDOW`].
    pub(crate) async fn new() -> Self {
        let database = Self::empty();
        migrate(&database.settings, WINDOW).await.unwrap();
        database
    }

    /// Not even created.
    pub(crate) fn empty() -> Self {
        let settings = settings();
        Self { client: client(&settings), settings }
    }

    /// Runs a statement.
    pub(crate) async fn run(&self, statement: &str) {
        self.client.query_raw(statement).execute().await.unwrap();
    }

    /// Creates the database and nothing in it.
    pub(crate) async fn create(&self) {
        let statement = format!("CREATE DATABASE {}", self.settings.clickhouse_database.as_str());
        server(&self.settings).query_raw(&statement).execute().await.unwrap();
    }

    /// Inserts the rows of these records, all at once, as the recorder does.
    pub(crate) async fn record(&self, records: impl IntoIterator<Item = CallRecord>) {
        let client = self.client.clone().with_setting("async_insert", "0");
        let mut insert = client.insert::<CallRow>("call_records").await.unwrap();
        for record in records {
            insert.write(&CallRow::new(record, 1_750_000_000_000)).await.unwrap();
        }
        insert.end().await.unwrap();
    }

    /// The answer, one line a row, a space between columns; empty text is `''`.
    pub(crate) async fn ask(&self, query: &str) -> Vec<String> {
        let mut answer = self.client.query_raw(query).fetch_bytes("TabSeparated").unwrap();
        let bytes = answer.collect().await.unwrap();
        let field = |field: &str| if field.is_empty() { "''".to_owned() } else { field.to_owned() };
        let line = |line: &str| line.split('\t').map(field).collect::<Vec<_>>().join(" ");
        std::str::from_utf8(&bytes).unwrap().lines().map(line).collect()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // A client of its own: the test's connections live on the test's runtime, which waits here.
        let (client, name) = (server(&self.settings), self.settings.clickhouse_database.as_str().to_owned());
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(client.query_raw(&format!("DROP DATABASE IF EXISTS {name}")).execute())
        });
        // A test that failed says more than its clean-up.
        let _ = dropped.join();
    }
}
