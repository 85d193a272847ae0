//! The forwarder: Kafka in, Meta out. It is the only way to Meta, and the order ledger decides what may leave.
//!
//! An event's way, and where to read of it:
//!
//! | module | step |
//! |---|---|
//! | [`group`], [`assignment`], [`tenure`] | which partitions are ours, and for how long |
//! | [`inputs`] | reading events, bounded |
//! | [`owner`] | one task for each partition: claims it, decides, reads back, settles |
//! | [`ledger`], [`tail`] | who may send an order: the fold of its log, and the log's reader |
//! | [`meta`] | the way to Meta and back |
//! | [`age`] | whether Meta still takes an event |
//! | [`tiers`], [`outcome`] | what becomes of an event |
//! | [`publish`] | what is written to Kafka |
//! | [`frontier`] | which offsets may be committed |

pub mod age;
pub mod assignment;
pub mod clock;
pub mod frontier;
pub mod group;
pub mod hand;
pub mod inputs;
pub mod ledger;
pub mod meta;
pub mod metrics;
pub mod outcome;
pub mod owner;
pub mod publish;
pub mod run;
pub mod settings;
pub mod tail;
pub mod tenure;
pub mod tiers;

pub use run::run;
pub use settings::Settings;
