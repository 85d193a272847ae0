//! The sandbox over real sockets.

mod answers;
mod batches;
mod control;
mod harness;
mod lines;
mod refusals;
