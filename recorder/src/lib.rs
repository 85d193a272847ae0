//! The recorder: Kafka in, ClickHouse out. It is the one writer of the analytics rows.
//!
//! A message's way: `consume` (a thread that polls) → `batch` → `rows` and [`row`] (what is sent) → `insert` (until
//! acknowledged) → commit.
//!
//! | module | holds |
//! |---|---|
//! | [`run`] | the recorder's life: check the world, then batch after batch |
//! | [`settings`] | its settings |
//! | `group`, `consume` | membership in the consumer group; the thread that polls, and what may be in hand |
//! | `batch` | from messages to batches |
//! | `read`, [`row`] | from a message to its row |
//! | `rows` | from messages to the rows of an insert |
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
mod rows;

pub use run::run;
