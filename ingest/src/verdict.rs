//! Waiting for Meta's verdict: the event goes out with the partition on which this instance listens, and the forwarder
//! answers there.

mod listen;
mod standing;
mod wait;
mod waiters;

pub use listen::Listener;
pub use wait::{DRAIN_WAIT, Patience};
pub use waiters::{Waiter, Waiters};
