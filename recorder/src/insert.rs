//! From a batch to acknowledged rows: the same rows again until ClickHouse has them. Every row carries the identity of its
//! call, so a batch that was stored and not acknowledged is stored again to no harm.

use std::time::Duration;

use clickhouse::Client;
use tokio::time::{Instant, sleep};
use uuid::Uuid;
use warehouse::{
    client::{ANSWER_LIMIT, Fault, SEND_LIMIT, answered},
    schema::CALL_RECORDS,
};
use worker::{health::Dependency, shutdown::Shutdown};

use crate::{metrics, row::CallRow};

/// The wait after the first failure; it doubles up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// The longest wait between two attempts: ClickHouse is found again within this time.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// How long an attempt may still take once the worker is to end: the rest of the drain is for the commit.
const LAST_ATTEMPT: Duration = Duration::from_secs(15);

/// Where rows go.
pub(crate) trait Sink {
    /// Stores these rows, all or none as far as the caller knows. `token` names the attempt's rows: the same token, the
    /// same rows.
    ///
    /// # Errors
    /// Where they are not acknowledged.
    fn store(&self, rows: &[&CallRow], token: Uuid) -> impl Future<Output = Result<(), Fault>> + Send;
}

/// The table in ClickHouse.
pub(crate) struct Table {
    client: Client,
}

impl Table {
    pub(crate) fn new(client: Client) -> Self {
        // An answer must mean that the rows are stored: not queued (the default of newer servers), and whole.
        let client = client
            .with_setting("async_insert", "0")
            .with_setting("wait_end_of_query", "1")
            .with_setting("insert_deduplicate", "1");
        Self { client }
    }

    async fn send(&self, rows: &[&CallRow], token: Uuid) -> Result<(), Fault> {
        // The first one asks the server for the columns; later ones remember.
        let mut insert = answered(self.client.insert::<CallRow>(CALL_RECORDS))
            .await?
            .with_timeouts(Some(SEND_LIMIT), Some(ANSWER_LIMIT))
            .with_setting("insert_deduplication_token", token.to_string());
        for row in rows {
            if let Err(error) = insert.write(row).await {
                // Where the connection broke it is the end that knows why; it is no success, whatever it says.
                return Err(insert.end().await.err().unwrap_or(error).into());
            }
        }
        Ok(insert.end().await?)
    }

    /// Whether ClickHouse answers.
    ///
    /// # Errors
    /// Where it does not.
    pub(crate) async fn ping(&self) -> Result<(), Fault> {
        answered(self.client.query_raw("SELECT 1").execute()).await
    }
}

impl Sink for Table {
    async fn store(&self, rows: &[&CallRow], token: Uuid) -> Result<(), Fault> {
        let stored = self.send(rows, token).await;
        if matches!(stored, Err(Fault::Operator(_))) {
            // Perhaps the table has changed since its columns were remembered.
            self.client.clear_cached_metadata().await;
        }
        stored
    }
}

/// A row that ClickHouse will not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    /// Its place in the batch.
    pub(crate) at: usize,
    /// ClickHouse's words.
    pub(crate) why: String,
}

/// The worker ends before ClickHouse has the rows: they come again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Abandoned;

/// Stores batches.
pub(crate) struct Inserter<S> {
    sink: S,
    health: Dependency,
    shutdown: Shutdown,
}

impl Inserter<Table> {
    /// Asks ClickHouse whether it is there, for the health's sake.
    pub(crate) async fn ping(&self) {
        match self.sink.ping().await {
            Ok(()) => self.health.up(),
            Err(fault) => self.health.down(fault.to_string()),
        }
    }
}

impl<S: Sink> Inserter<S> {
    pub(crate) fn new(sink: S, health: Dependency, shutdown: Shutdown) -> Self {
        Self { sink, health, shutdown }
    }

    /// Returns once every row is acknowledged or refused for itself. While ClickHouse is away, or someone must act first,
    /// the same rows are tried for as long as the worker lives. Where it refuses rows, halves are tried, down to the one
    /// at fault: the others are not held up by it.
    ///
    /// # Errors
    /// Where the worker is to end first.
    pub(crate) async fn insert(&self, rows: &[&CallRow]) -> Result<Vec<Refused>, Abandoned> {
        let mut refused = Vec::new();
        let mut parts = vec![(0, rows)];
        while let Some((at, part)) = parts.pop() {
            if part.is_empty() {
                continue;
            }
            match self.settle(part).await? {
                None => {}
                Some(why) if part.len() == 1 => refused.push(Refused { at, why }),
                Some(_) => {
                    let (first, second) = part.split_at(part.len() / 2);
                    parts.push((at + first.len(), second));
                    parts.push((at, first));
                }
            }
        }
        Ok(refused)
    }

    /// Tries these rows until they are stored or refused for what they are; then why.
    async fn settle(&self, rows: &[&CallRow]) -> Result<Option<String>, Abandoned> {
        let (token, mut wait) = (Uuid::now_v7(), FIRST_WAIT);
        loop {
            match self.attempt(rows, token).await? {
                Ok(()) => {
                    self.health.up();
                    return Ok(None);
                }
                Err(Fault::Rows(why)) => return Ok(Some(why)),
                Err(fault) => {
                    tracing::warn!(%fault, rows = rows.len(), "not stored: the same rows again");
                    self.health.down(fault.to_string());
                }
            }
            tokio::select! {
                () = self.shutdown.requested() => return Err(Abandoned),
                () = sleep(wait) => wait = (2 * wait).min(LONGEST_WAIT),
            }
        }
    }

    async fn attempt(&self, rows: &[&CallRow], token: Uuid) -> Result<Result<(), Fault>, Abandoned> {
        let began = Instant::now();
        let stored = tokio::select! {
            stored = self.sink.store(rows, token) => stored,
            () = self.last_moment() => return Err(Abandoned),
        };
        metrics::insert(stored.as_ref().copied(), began.elapsed());
        Ok(stored)
    }

    /// When an attempt has to be left alone.
    async fn last_moment(&self) {
        self.shutdown.requested().await;
        sleep(LAST_ATTEMPT).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use schemas::{Call, CallId, CallRecord, ConversionStatus, Outcome};
    use worker::health::Health;

    use super::*;

    /// Stores rows, refuses batches that hold a poisoned one, and is away as often as it is told to be.
    #[derive(Clone, Default)]
    struct Fake(Arc<Mutex<State>>);

    #[derive(Default)]
    struct State {
        away: usize,
        poison: Vec<Uuid>,
        stored: Vec<Uuid>,
        tokens: Vec<(Uuid, Vec<Uuid>)>,
    }

    impl Sink for Fake {
        async fn store(&self, rows: &[&CallRow], token: Uuid) -> Result<(), Fault> {
            let mut state = self.0.lock().unwrap();
            let ids: Vec<Uuid> = rows.iter().map(|row| row.call_id()).collect();
            state.tokens.push((token, ids.clone()));
            if state.away > 0 {
                state.away -= 1;
                return Err(Fault::Away("connection refused".into()));
            }
            if ids.iter().any(|id| state.poison.contains(id)) {
                return Err(Fault::Rows("Code: 117".into()));
            }
            state.stored.extend(ids);
            Ok(())
        }
    }

    fn rows(count: usize) -> Vec<CallRow> {
        let row = |_| {
            let (call, outcome) = (Call::blank(CallId::now(), 1), Outcome::new(200, ConversionStatus::Forwarded));
            CallRow::new(CallRecord { call, lane: None, outcome, rests_on: 1 }, 2)
        };
        (0..count).map(row).collect()
    }

    fn inserter(fake: &Fake, shutdown: &Shutdown) -> (Inserter<Fake>, Health) {
        let health = Health::new(shutdown.clone());
        (Inserter::new(fake.clone(), health.dependency("clickhouse"), shutdown.clone()), health)
    }

    #[tokio::test(start_paused = true)]
    async fn the_same_rows_are_sent_until_they_are_acknowledged() {
        let (fake, shutdown, rows) = (Fake::default(), Shutdown::default(), rows(3));
        fake.0.lock().unwrap().away = 20;
        let (inserter, health) = inserter(&fake, &shutdown);
        let began = Instant::now();
        assert_eq!(inserter.insert(&rows.iter().collect::<Vec<_>>()).await, Ok(vec![]));
        let state = fake.0.lock().unwrap();
        assert_eq!(state.tokens.len(), 21);
        assert!(state.tokens.iter().all(|sent| *sent == state.tokens[0]), "same rows, same token");
        assert_eq!(state.stored.len(), 3);
        assert!(health.readiness().ready);
        // 0.1 + 0.2 + … + 3.2 s, then 14 times 5 s.
        assert_eq!(began.elapsed(), Duration::from_millis(6_300 + 14 * 5_000));
    }

    #[tokio::test(start_paused = true)]
    async fn a_poisoned_row_is_found_and_holds_up_no_other() {
        let (fake, shutdown, rows) = (Fake::default(), Shutdown::default(), rows(100));
        let poisoned = [0, 41, 42, 99];
        fake.0.lock().unwrap().poison = poisoned.map(|at: usize| rows[at].call_id()).to_vec();
        let refused = inserter(&fake, &shutdown).0.insert(&rows.iter().collect::<Vec<_>>()).await.unwrap();
        assert_eq!(refused.iter().map(|refused| refused.at).collect::<Vec<_>>(), poisoned);
        let state = fake.0.lock().unwrap();
        let good = (0..100).filter(|at| !poisoned.contains(at)).map(|at| rows[at].call_id());
        assert_eq!(state.stored, good.collect::<Vec<_>>(), "each once, in order");
    }

    #[tokio::test(start_paused = true)]
    async fn parts_of_a_batch_have_tokens_of_their_own() {
        let (fake, shutdown, rows) = (Fake::default(), Shutdown::default(), rows(8));
        fake.0.lock().unwrap().poison = vec![rows[5].call_id()];
        inserter(&fake, &shutdown).0.insert(&rows.iter().collect::<Vec<_>>()).await.unwrap();
        let state = fake.0.lock().unwrap();
        for (token, ids) in &state.tokens {
            assert!(state.tokens.iter().all(|(other, rows)| (other == token) == (rows == ids)));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_drain_leaves_rows_that_clickhouse_does_not_take() {
        let (fake, shutdown, rows) = (Fake::default(), Shutdown::default(), rows(1));
        fake.0.lock().unwrap().away = usize::MAX;
        let (inserter, health) = inserter(&fake, &shutdown);
        let asked = shutdown.clone();
        tokio::spawn(async move {
            sleep(Duration::from_mins(1)).await;
            asked.request();
        });
        assert_eq!(inserter.insert(&rows.iter().collect::<Vec<_>>()).await, Err(Abandoned));
        assert!(fake.0.lock().unwrap().stored.is_empty());
        assert!(health.readiness().dependencies["clickhouse"].detail.contains("connection refused"));
    }
}
