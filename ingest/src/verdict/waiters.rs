//! The callers that wait, by call.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use schemas::{CallId, Outcome, Verdict};
use tokio::sync::oneshot;

use crate::metrics;

/// Parts of the map, each behind a lock of its own.
const SHARDS: usize = 64;

/// Every caller of this instance that waits for a verdict.
pub struct Waiters {
    shards: Vec<Mutex<HashMap<CallId, oneshot::Sender<Outcome>>>>,
}

impl Default for Waiters {
    fn default() -> Self {
        Self { shards: (0..SHARDS).map(|_| Mutex::default()).collect() }
    }
}

impl Waiters {
    /// Begins to wait for the verdict on a call. To be done before its event is published: a verdict that finds nobody
    /// is thrown away.
    pub fn register(self: &Arc<Self>, call_id: CallId) -> Waiter {
        let (sender, verdict) = oneshot::channel();
        self.shard(call_id).insert(call_id, sender);
        metrics::waiters(1.0);
        Waiter { call_id, verdict, waiters: Arc::clone(self) }
    }

    /// Hands a verdict to whoever waits for it. A pending one decides nothing: the wait goes on.
    pub fn deliver(&self, verdict: Verdict) {
        if !verdict.outcome.conversion_status.is_final() {
            return;
        }
        let waiting = self.shard(verdict.call_id).remove(&verdict.call_id);
        // It may belong to another instance that listens on the same partition, or come too late: both are nothing new.
        metrics::verdict(waiting.is_some_and(|caller| caller.send(verdict.outcome).is_ok()));
    }

    /// Whether nobody waits: a call that is over leaves nothing behind.
    pub fn is_empty(&self) -> bool {
        self.shards.iter().all(|shard| lock(shard).is_empty())
    }

    fn shard(&self, call_id: CallId) -> MutexGuard<'_, HashMap<CallId, oneshot::Sender<Outcome>>> {
        // The last byte of a UUIDv7 is random.
        lock(&self.shards[usize::from(call_id.as_bytes()[15]) % SHARDS])
    }
}

fn lock<T>(shard: &Mutex<T>) -> MutexGuard<'_, T> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One caller that waits; dropped, it waits no more.
pub struct Waiter {
    call_id: CallId,
    verdict: oneshot::Receiver<Outcome>,
    waiters: Arc<Waiters>,
}

impl Waiter {
    /// The verdict, when it comes.
    pub async fn verdict(&mut self) -> Option<Outcome> {
        (&mut self.verdict).await.ok()
    }

    /// The verdict, if it has come.
    pub fn arrived(&mut self) -> Option<Outcome> {
        self.verdict.try_recv().ok()
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.waiters.shard(self.call_id).remove(&self.call_id);
        metrics::waiters(-1.0);
    }
}

#[cfg(test)]
mod tests {
    use schemas::ConversionStatus;

    use super::*;

    fn verdict(call_id: CallId, status: ConversionStatus) -> Verdict {
        Verdict { call_id, outcome: Outcome::new(200, status) }
    }

    #[tokio::test]
    async fn a_verdict_finds_its_caller() {
        let waiters = Arc::new(Waiters::default());
        let (mut first, mut second) = (waiters.register(CallId::now()), waiters.register(CallId::now()));
        waiters.deliver(verdict(second.call_id, ConversionStatus::Duplicate));
        assert!(first.arrived().is_none());
        assert_eq!(second.verdict().await.unwrap().conversion_status, ConversionStatus::Duplicate);
    }

    #[tokio::test]
    async fn who_waits_no_more_leaves_nothing_behind() {
        let waiters = Arc::new(Waiters::default());
        let waiter = waiters.register(CallId::now());
        let call_id = waiter.call_id;
        drop(waiter);
        assert!(waiters.is_empty());
        waiters.deliver(verdict(call_id, ConversionStatus::Forwarded));
        assert!(waiters.is_empty());
    }

    #[tokio::test]
    async fn a_pending_verdict_decides_nothing() {
        let waiters = Arc::new(Waiters::default());
        let mut waiter = waiters.register(CallId::now());
        waiters.deliver(verdict(waiter.call_id, ConversionStatus::Pending));
        assert!(waiter.arrived().is_none());
        waiters.deliver(verdict(waiter.call_id, ConversionStatus::Rejected));
        assert_eq!(waiter.arrived().unwrap().conversion_status, ConversionStatus::Rejected);
    }
}
