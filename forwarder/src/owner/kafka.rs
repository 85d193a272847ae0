//! What an owner asks of Kafka, as narrow as it asks it. Each trait has one implementation that runs, and one that the
//! owner's tests script.

use std::sync::Arc;

use futures::future::BoxFuture;
use schemas::{CallRecord, LedgerRecord, Verdict, ledger::Accepted};
use tokio::sync::mpsc;
use tracing::Span;

use crate::{
    group::Confirmation,
    inputs::{Arrival, Input},
    publish::{Broken, TierCopy},
    tail::LedgerRead,
    tenure::Tenure,
};

/// Ends when all in-sync replicas have the message.
pub type Landing = BoxFuture<'static, Result<(), Broken>>;

/// Writes. A message is on its way once the method returns, or as soon as there is room for it.
pub trait Writes: Send + Sync {
    /// A record of the order ledger, without waiting: whether it counts is seen when it is read back.
    fn ledger(&self, partition: i32, key: &[u8], record: &LedgerRecord);

    /// A row to be recorded.
    fn record(&self, record: &CallRecord, span: &Span) -> Landing;

    /// A verdict, to the partition on which somebody waits.
    fn verdict(&self, partition: i32, verdict: &Verdict, span: &Span) -> Landing;

    /// The copy of an event that waits in a tier, in the partition of its order.
    fn tier(&self, partition: i32, copy: TierCopy, span: &Span) -> Landing;
}

/// Reads the order ledger.
pub trait ReadsLedger: Send + Sync {
    /// Follows a partition from an offset.
    fn follow(&self, partition: i32, from: i64) -> mpsc::Receiver<LedgerRead>;

    /// Stops following a partition.
    fn leave(&self, partition: i32);

    /// The credit at an offset, with Meta's answer; `None` where compaction took it.
    fn accepted_at(&self, partition: i32, offset: i64) -> BoxFuture<'_, Option<Accepted>>;
}

/// Reads events.
pub trait ReadsEvents: Send + Sync {
    /// Reads all inputs of a partition for as long as the future is polled. Nothing of them flows before.
    fn read(&self, partition: i32, to: mpsc::UnboundedSender<Arrival>) -> BoxFuture<'_, ()>;
}

/// Says whose a partition is, and keeps how far its inputs are done.
pub trait Coordinates: Send + Sync {
    /// Asks the group whether a tenure is still alive (rule 3 of the ledger).
    fn confirm<'a>(&'a self, tenure: &'a Arc<Tenure>) -> BoxFuture<'a, Confirmation>;

    /// Everything before `offset` is done: it may be committed for as long as the tenure lives.
    fn advance(&self, tenure: &Arc<Tenure>, input: Input, offset: i64);

    /// Commits what is ready and waits for the answer.
    fn commit_now(&self) -> BoxFuture<'_, ()>;
}
