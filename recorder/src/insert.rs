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

use crate::{
    consume::Taken,
    metrics,
    read::{Sources, unix_millis},
    row::CallRow,
    rows::{Fate, Rows},
};

/// The wait after the first failure; it doubles up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// The longest wait between two attempts: ClickHouse is found again within this time.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// How long an attempt may still take once the worker is to end: the rest of the drain is for the commit.
const LAST_ATTEMPT: Duration = Duration::from_secs(15);

/// Where rows go.
pub(crate) trait Sink {
    /// Whether it is there.
    ///
    /// # Errors
    /// Where it does not answer.
    fn ping(&self) -> impl Future<Output = Result<(), Fault>> + Send;

    /// Stores these rows, all or none as far as the caller knows. `token` names them: the same token, the same rows.
    ///
    /// # Errors
    /// Where they are not acknowledged.
    fn store(&self, rows: &mut Rows<'_>, token: Uuid) -> impl Future<Output = Result<(), Fault>> + Send;
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
}

impl Sink for Table {
    async fn ping(&self) -> Result<(), Fault> {
        answered(self.client.query_raw("SELECT 1").execute()).await
    }

    async fn store(&self, rows: &mut Rows<'_>, token: Uuid) -> Result<(), Fault> {
        let stored = self.send(rows, token).await;
        if matches!(stored, Err(Fault::Operator(_))) {
            // Perhaps the table has changed since its columns were remembered.
            self.client.clear_cached_metadata().await;
        }
        stored
    }
}

impl Table {
    async fn send(&self, rows: &mut Rows<'_>, token: Uuid) -> Result<(), Fault> {
        // The first one asks the server for the columns; later ones remember.
        let mut insert = answered(self.client.insert::<CallRow>(CALL_RECORDS))
            .await?
            .with_timeouts(Some(SEND_LIMIT), Some(ANSWER_LIMIT))
            .with_setting("insert_deduplication_token", token.to_string());
        for row in rows {
            if let Err(error) = insert.write(&row).await {
                // Where the connection broke it is the end that knows why; it is no success, whatever it says.
                return Err(insert.end().await.err().unwrap_or(error).into());
            }
        }
        // Without a row it is no insert: nothing was sent.
        Ok(insert.end().await?)
    }
}

/// The worker ends before ClickHouse has the rows: they come again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Abandoned;

/// Stores batches.
pub(crate) struct Inserter<S> {
    sink: S,
    sources: Sources,
    health: Dependency,
    shutdown: Shutdown,
}

/// Messages whose rows are one insert, however often it is tried.
struct Part<'m> {
    messages: &'m [Taken],
    recorded_at: i64,
    token: Uuid,
}

impl<S: Sink> Inserter<S> {
    pub(crate) fn new(sink: S, sources: Sources, health: Dependency, shutdown: Shutdown) -> Self {
        Self { sink, sources, health, shutdown }
    }

    /// Asks ClickHouse whether it is there, for the health's sake.
    pub(crate) async fn ping(&self) {
        match self.sink.ping().await {
            Ok(()) => self.health.up(),
            Err(fault) => self.health.down(fault.to_string()),
        }
    }

    /// Returns once the row of every message is acknowledged, or refused for itself; and what became of each, in order.
    /// While ClickHouse is away, or someone must act first, the same rows are tried for as long as the worker lives. Where
    /// it refuses rows, halves are tried, down to the one at fault: the others are not held up by it.
    ///
    /// # Errors
    /// Where the worker is to end first.
    pub(crate) async fn insert(&self, messages: &[Taken]) -> Result<Vec<Fate>, Abandoned> {
        let (mut fates, mut left) = (Vec::with_capacity(messages.len()), vec![messages]);
        let recorded_at = unix_millis();
        while let Some(messages) = left.pop() {
            let part = Part { messages, recorded_at, token: Uuid::now_v7() };
            match self.settle(&part).await? {
                Ok(stored) => fates.extend(stored),
                Err(why) if messages.len() == 1 => fates.push(Fate::Refused(why)),
                Err(_) => {
                    let (first, second) = messages.split_at(messages.len() / 2);
                    left.extend([second, first]);
                }
            }
        }
        Ok(fates)
    }

    /// Tries these rows until they are stored, or refused for what they are; then why.
    async fn settle(&self, part: &Part<'_>) -> Result<Result<Vec<Fate>, String>, Abandoned> {
        let mut wait = FIRST_WAIT;
        loop {
            match self.attempt(part).await? {
                Ok(fates) => {
                    self.health.up();
                    return Ok(Ok(fates));
                }
                Err(Fault::Rows(why)) => return Ok(Err(why)),
                Err(fault) => {
                    tracing::warn!(%fault, rows = part.messages.len(), "not stored: the same rows again");
                    self.health.down(fault.to_string());
                }
            }
            tokio::select! {
                () = self.shutdown.requested() => return Err(Abandoned),
                () = sleep(wait) => wait = (2 * wait).min(LONGEST_WAIT),
            }
        }
    }

    async fn attempt(&self, part: &Part<'_>) -> Result<Result<Vec<Fate>, Fault>, Abandoned> {
        let (began, mut rows) = (Instant::now(), Rows::new(part.messages, &self.sources, part.recorded_at));
        let stored = tokio::select! {
            stored = self.sink.store(&mut rows, part.token) => stored,
            () = self.last_moment() => return Err(Abandoned),
        };
        metrics::insert(stored.as_ref().copied(), began.elapsed());
        Ok(stored.map(|()| rows.into_fates()))
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

    use rdkafka::Message as _;
    use schemas::{Call, CallId, CallRecord, ConversionStatus, Message as _, Outcome, Topics};
    use worker::health::Health;

    use super::*;
    use crate::consume::taken_for_test;

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
        async fn ping(&self) -> Result<(), Fault> {
            Ok(())
        }

        async fn store(&self, rows: &mut Rows<'_>, token: Uuid) -> Result<(), Fault> {
            if rows.by_ref().count() == 0 {
                return Ok(());
            }
            let mut state = self.0.lock().unwrap();
            let ids: Vec<Uuid> = rows.messages.iter().filter_map(id).collect();
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

    /// The call of a message that can be read.
    fn id(taken: &Taken) -> Option<Uuid> {
        CallRecord::decode(taken.message.payload()?).ok().map(|record| record.call.call_id.uuid())
    }

    fn messages(count: i64) -> Vec<Taken> {
        let message = |offset| {
            let (call, outcome) = (Call::blank(CallId::now(), 1), Outcome::new(200, ConversionStatus::Forwarded));
            taken_for_test(0, offset, 0, CallRecord { call, lane: None, outcome, rests_on: 1 }.encode())
        };
        (0..count).map(message).collect()
    }

    fn stored(count: usize) -> Vec<Fate> {
        vec![Fate::Stored("forwarded"); count]
    }

    fn inserter(fake: &Fake, shutdown: &Shutdown) -> (Inserter<Fake>, Health) {
        let health = Health::new(shutdown.clone());
        (
            Inserter::new(
                fake.clone(),
                Sources::new(&Topics::new("t")),
                health.dependency("clickhouse"),
                shutdown.clone(),
            ),
            health,
        )
    }

    #[tokio::test(start_paused = true)]
    async fn the_same_rows_are_sent_until_they_are_acknowledged() {
        let (fake, shutdown, messages) = (Fake::default(), Shutdown::default(), messages(3));
        fake.0.lock().unwrap().away = 20;
        let (inserter, health) = inserter(&fake, &shutdown);
        let began = Instant::now();
        assert_eq!(inserter.insert(&messages).await, Ok(stored(3)));
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
        let (fake, shutdown, messages) = (Fake::default(), Shutdown::default(), messages(100));
        let poisoned = [0, 41, 42, 99];
        fake.0.lock().unwrap().poison = poisoned.map(|at: usize| id(&messages[at]).unwrap()).to_vec();
        let fates = inserter(&fake, &shutdown).0.insert(&messages).await.unwrap();
        let mut expected = stored(100);
        poisoned.iter().for_each(|at| expected[*at] = Fate::Refused("Code: 117".into()));
        assert_eq!(fates, expected);
        let state = fake.0.lock().unwrap();
        let good = (0..100).filter(|at| !poisoned.contains(at)).map(|at| id(&messages[at]).unwrap());
        assert_eq!(state.stored, good.collect::<Vec<_>>(), "each once, in order");
    }

    #[tokio::test(start_paused = true)]
    async fn parts_of_a_batch_have_tokens_of_their_own() {
        let (fake, shutdown, messages) = (Fake::default(), Shutdown::default(), messages(8));
        fake.0.lock().unwrap().poison = vec![id(&messages[5]).unwrap()];
        inserter(&fake, &shutdown).0.insert(&messages).await.unwrap();
        let state = fake.0.lock().unwrap();
        for (token, ids) in &state.tokens {
            assert!(state.tokens.iter().all(|(other, rows)| (other == token) == (rows == ids)));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_drain_leaves_rows_that_clickhouse_does_not_take() {
        let (fake, shutdown, messages) = (Fake::default(), Shutdown::default(), messages(1));
        fake.0.lock().unwrap().away = usize::MAX;
        let (inserter, health) = inserter(&fake, &shutdown);
        let asked = shutdown.clone();
        tokio::spawn(async move {
            sleep(Duration::from_mins(1)).await;
            asked.request();
        });
        assert_eq!(inserter.insert(&messages).await, Err(Abandoned));
        assert!(fake.0.lock().unwrap().stored.is_empty());
        assert!(health.readiness().dependencies["clickhouse"].detail.contains("connection refused"));
    }

    #[tokio::test(start_paused = true)]
    async fn an_unreadable_message_is_told_and_holds_up_no_other() {
        let (fake, shutdown, mut messages) = (Fake::default(), Shutdown::default(), messages(3));
        messages.insert(1, taken_for_test(0, 9, 0, b"no Avro".to_vec()));
        let (inserter, _) = inserter(&fake, &shutdown);
        let fates = inserter.insert(&messages).await.unwrap();
        assert!(matches!(&fates[1], Fate::Unreadable(why) if why.contains("Avro")), "{fates:?}");
        assert_eq!([&fates[..1], &fates[2..]].concat(), stored(3));
        // Nothing is inserted where there is no row.
        let alone = inserter.insert(&messages[1..2]).await.unwrap();
        assert_eq!(alone, fates[1..2]);
        assert_eq!(fake.0.lock().unwrap().tokens.len(), 1);
    }
}
