//! What the pipeline carries, beside what Kafka, ClickHouse and the least service possible carry on the same machine.
//!
//! No figure stands alone: a [`yardstick`] runs in turns with the real program, and the ratio of each turn is what is
//! reported, for a machine that others use is as slow for the one as for the other.
//!
//! | module | holds |
//! |---|---|
//! | [`settings`] | which parts, and how long |
//! | [`machine`] | the facts of the machine and the commit |
//! | [`order`], [`connection`] | a call's bytes, and a connection that sends them |
//! | [`closed`], [`open`] | load: as fast as answers come, or on a schedule |
//! | [`sample`] | medians, percentiles, ratios |
//! | [`yardstick`] | the least services possible, each in a process of its own |
//! | [`topic`] | filling a topic, and watching it fill |
//! | [`cost`] | what a process uses of the machine |
//! | [`part`] | the figures, part by part |
//! | [`table`] | what is printed and kept |

pub mod closed;
pub mod connection;
pub mod cost;
pub mod machine;
pub mod open;
pub mod order;
pub mod part;
pub mod sample;
pub mod settings;
pub mod table;
pub mod topic;
pub mod yardstick;
