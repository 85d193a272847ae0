//! One assignment of one partition to this forwarder, from the rebalance that gave it to the one that takes it.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};

/// A partition is ours for a while. The rebalance callback ends a tenure at once; whoever is about to start something
/// for it asks first.
#[derive(Debug)]
pub struct Tenure {
    /// The partition.
    pub partition: i32,
    live: AtomicBool,
    /// One for each claim: what was started under an earlier one stays fenced when a later one is confirmed.
    may_send: Mutex<Arc<AtomicBool>>,
}

impl Tenure {
    /// A tenure that begins now. Nothing may be sent before it is confirmed.
    #[must_use]
    pub fn new(partition: i32) -> Self {
        Self { partition, live: AtomicBool::new(true), may_send: Mutex::default() }
    }

    /// The group takes the partition away: nothing more is started or committed.
    pub fn revoke(&self) {
        self.live.store(false, Ordering::SeqCst);
        self.fence();
    }

    /// A newer claim was read: nothing more is started until the group has confirmed that the partition is still ours.
    pub fn fence(&self) {
        self.permission().store(false, Ordering::SeqCst);
    }

    /// The group confirmed the tenure after its (latest) claim.
    pub fn confirm(&self) {
        *self.permission() = Arc::new(AtomicBool::new(true));
        if !self.is_live() {
            self.fence();
        }
    }

    /// Whether offsets may be committed under it.
    pub fn is_live(&self) -> bool {
        self.live.load(Ordering::SeqCst)
    }

    /// Whether a request may start under its present claim (rule 8 of the ledger); read again just before each one.
    /// It turns false for good when a newer claim is read: the claim that follows has another.
    pub fn may_send(&self) -> Arc<AtomicBool> {
        self.permission().clone()
    }

    /// The same, at this moment.
    pub fn may_send_now(&self) -> bool {
        self.permission().load(Ordering::SeqCst)
    }

    fn permission(&self) -> MutexGuard<'_, Arc<AtomicBool>> {
        self.may_send.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
