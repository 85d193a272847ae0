//! The recorder: Kafka in, ClickHouse out. It is the one writer of the analytics rows.
//!
//! A message's way: `consume` (a thread that polls) → `read` (its row) → `batch` → `insert` (until acknowledged) → commit.
//!
//! | module | holds |
//! |---|---|
//! | [`run`] | the recorder's life: check the world, then batch after batch |
//! | [`settings`] | its settings |
//! | `group`, `consume` | membership in the consumer group; the thread that polls, and what may be in hand |
//! | `read`, [`row`] | from a message to its row |
//! | `batch` | from rows to batches |
//! | `insert` | from a batch to acknowledged rows |
//! | `offsets` | what may be committed |
//! | `metrics` | what is counted |

pub mod row;
pub mod run;
pub mod settings;

mod batch;
mod consume;
mod group;
mod insert;
mod metrics;
mod offsets;
mod read;

pub use run::run;
