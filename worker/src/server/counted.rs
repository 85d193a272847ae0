//! What the connections of one address are counted as.

use metrics::{counter, gauge};

/// The names of an address's metrics, which the worker that opens it describes.
#[derive(Clone, Copy, Debug)]
pub struct Counted {
    /// A gauge of open connections.
    pub connections: &'static str,
    /// A counter of quiet connections that were asked to make way.
    pub made_way: &'static str,
}

impl Counted {
    /// A connection is open while this is held.
    pub(super) fn open(self) -> Open {
        gauge!(self.connections).increment(1.0);
        Open(self)
    }

    /// A quiet connection is asked to make way.
    pub(super) fn made_way(self) {
        counter!(self.made_way).increment(1);
    }
}

pub(super) struct Open(Counted);

impl Drop for Open {
    fn drop(&mut self) {
        gauge!(self.0.connections).decrement(1.0);
    }
}
