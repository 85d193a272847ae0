//! The order ledger: who may send an order, and what the record then says. The log decides: the ledger is the fold of
//! one partition of the orders topic and nothing else, and a forwarder acts on its own record only once it has read it
//! back and the fold says that it counts. Pure: no clock, no input or output.
//!
//! [`memory`] holds orders in few bytes, [`fold`] says which records count, [`decide`] what may be done with an event.

mod closed;
pub mod decide;
mod fold;
pub mod memory;

pub use decide::{Decision, decide};
pub use fold::{Effect, Ledger};
pub use memory::Order;
