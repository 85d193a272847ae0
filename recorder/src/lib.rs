//! The recorder: Kafka in, ClickHouse out. It is the one writer of the analytics rows.
//!
//! | module | holds |
//! |---|---|
//! | [`settings`] | its settings |
//! | [`clickhouse`] | the way to ClickHouse, and what its errors mean |
//! | [`schema`] | tables and views, compiled in |
//! | [`migrate`] | brings ClickHouse to what this release needs (`capi setup`) |
//! | [`verify`] | checks at boot that it is so |

pub mod clickhouse;
pub mod migrate;
pub mod settings;
pub mod verify;

mod schema;

pub use migrate::migrate;
