//! The requests that the process may have under way at once.

use std::{future::Future, pin::pin, sync::Arc, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

/// A request that is under way for so long is slow: Meta takes about 0.2 s.
const SLOW_AFTER: Duration = Duration::from_secs(2);

/// Slots for requests, and as many for requests that have become slow. Were there one kind only, a few datasets that do
/// not answer would hold all of them until the HTTP time-out, and everybody's live calls would wait for it.
#[derive(Clone)]
pub(super) struct Slots {
    free: Arc<Semaphore>,
    slow: Arc<Semaphore>,
    most: usize,
}

/// A slot, given back when dropped.
pub(super) struct Slot {
    held: OwnedSemaphorePermit,
    slow: Arc<Semaphore>,
}

impl Slots {
    /// `most` requests that are not slow, and as many that are.
    pub(super) fn new(most: usize) -> Self {
        Self { free: Arc::new(Semaphore::new(most)), slow: Arc::new(Semaphore::new(most)), most }
    }

    /// What one dataset may have of them, whatever its channel says.
    pub(super) fn of_one_dataset(&self) -> u32 {
        u32::try_from(self.most / 2).unwrap_or(u32::MAX).max(1)
    }

    /// A slot that is free now.
    pub(super) fn take(&self) -> Option<Slot> {
        Arc::clone(&self.free).try_acquire_owned().ok().map(|held| self.slot(held))
    }

    /// The next slot that becomes free, in the order of asking.
    pub(super) async fn wait(self) -> Option<Slot> {
        let held = Arc::clone(&self.free).acquire_owned().await.ok()?;
        Some(self.slot(held))
    }

    fn slot(&self, held: OwnedSemaphorePermit) -> Slot {
        Slot { held, slow: Arc::clone(&self.slow) }
    }
}

impl Slot {
    /// Holds the slot while a request is under way. A slow request passes it on to others, as long as few are slow.
    pub(super) async fn hold<T>(self, request: impl Future<Output = T>) -> T {
        let mut request = pin!(request);
        if let Ok(answer) = timeout(SLOW_AFTER, &mut request).await {
            return answer;
        }
        let Ok(_slow) = self.slow.try_acquire_owned() else { return request.await };
        drop(self.held);
        request.await
    }
}
