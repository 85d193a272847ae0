//! One assignment of one partition to this forwarder, from the rebalance that gave it to the one that takes it.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// A partition is ours for a while. The rebalance callback ends a tenure at once; whoever is about to start something
/// for it asks first.
#[derive(Debug)]
pub struct Tenure {
    /// The partition.
    pub partition: i32,
    live: AtomicBool,
    may_send: Arc<AtomicBool>,
}

impl Tenure {
    /// A tenure that begins now. Nothing may be sent before it is confirmed.
    #[must_use]
    pub fn new(partition: i32) -> Self {
        Self { partition, live: AtomicBool::new(true), may_send: Arc::default() }
    }

    /// The group takes the partition away: nothing more is started or committed.
    pub fn revoke(&self) {
        self.live.store(false, Ordering::SeqCst);
        self.fence();
    }

    /// A newer claim was read: nothing more is started until the group has confirmed that the partition is still ours.
    pub fn fence(&self) {
        self.may_send.store(false, Ordering::SeqCst);
    }

    /// The group confirmed the tenure after its claim.
    pub fn confirm(&self) {
        self.may_send.store(true, Ordering::SeqCst);
        if !self.is_live() {
            self.fence();
        }
    }

    /// Whether offsets may be committed under it.
    pub fn is_live(&self) -> bool {
        self.live.load(Ordering::SeqCst)
    }

    /// Whether a request may start under it (rule 8 of the ledger); read again just before each one.
    pub fn may_send(&self) -> Arc<AtomicBool> {
        self.may_send.clone()
    }

    /// The same, at this moment.
    pub fn may_send_now(&self) -> bool {
        self.may_send.load(Ordering::SeqCst)
    }
}
