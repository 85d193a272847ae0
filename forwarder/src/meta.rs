//! The way to Meta: from an event under an intent that counts to what became of it.
//!
//! | module | step |
//! |---|---|
//! | [`dispatcher`] | admission, and a queue for each dataset |
//! | [`dataset`] | a dataset's task: what is sent when, and what follows from the answer |
//! | [`queue`], [`share`], [`gate`], [`concurrency`] | what waits, how much of it, and whether the dataset may be called |
//! | [`batch`], [`refusals`] | the search for a refused batch's bad events, and how large a batch should be |
//! | [`prepare`], [`channel`] | from a batch to a request: what may still be sent, and how |
//! | [`request`] | the envelope as JSON |
//! | [`wire`], [`client`] | one request and its answer |
//! | [`answer`], [`classify`], [`usage`], [`redact`] | what the answer means |
//! | [`ticket`], [`job`] | an event on this way: its exactly one report |
//! | [`retry`] | quick retries |
//! | [`span`], [`metrics`] | what can be seen of it |

pub mod answer;
mod batch;
pub mod channel;
pub mod classify;
pub mod client;
mod concurrency;
mod dataset;
pub mod dispatcher;
mod gate;
pub mod job;
pub mod metrics;
mod prepare;
mod queue;
mod redact;
mod refusals;
pub mod request;
mod retry;
pub mod share;
mod slots;
mod span;
mod ticket;
pub mod usage;
pub mod wire;

pub use answer::Answer;
pub use channel::DirectoryChannels;
pub use classify::Class;
pub use client::{Client, ClientFault, ClientSettings};
pub use dispatcher::{Dispatcher, Limits, OverShare, Permit};
pub use job::{Job, Report, Settled};
