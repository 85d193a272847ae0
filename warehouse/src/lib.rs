//! ClickHouse, as all of the system uses it: where it is, what its errors mean, and what it must hold.
//!
//! | module | holds |
//! |---|---|
//! | [`settings`] | where it is, and who asks |
//! | [`client`] | the way to it, and what its errors mean |
//! | [`schema`] | tables and views, compiled in |
//! | [`migrate`] | brings it to what this release needs (`capi setup`) |
//! | [`verify`] | checks at a worker's boot that it is so |

pub mod client;
pub mod migrate;
pub mod schema;
pub mod settings;
pub mod verify;

pub use client::Fault;
pub use settings::ClickHouseSettings;
