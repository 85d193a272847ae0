//! The sandbox over real sockets.

// `cfg(test)` always holds here; it tells clippy that helpers are test code too, where `unwrap` may stand.
#[cfg(test)]
mod answers;
#[cfg(test)]
mod batches;
#[cfg(test)]
mod control;
#[cfg(test)]
mod harness;
#[cfg(test)]
mod lines;
#[cfg(test)]
mod refusals;
