//! The figures, part by part.

use std::path::Path;

use e2e::cluster::Cluster;

use crate::{settings::Settings, table::Line};

pub mod forwarder;
pub mod growth;
pub mod ingest;
pub mod ledger;
pub mod recorder;
pub mod synchronous;
pub mod views;

/// What every part runs on.
pub struct Ground<'a> {
    /// Kafka, ClickHouse and the programs.
    pub cluster: &'a Cluster,
    /// What was asked for.
    pub settings: &'a Settings,
    /// For the logs of yardsticks.
    pub folder: &'a Path,
}

/// Runs one part.
///
/// # Errors
/// Where something does not start, or answers otherwise than it must.
pub async fn run(part: &str, ground: &Ground<'_>) -> anyhow::Result<Vec<Line>> {
    match part {
        "ingest" => ingest::run(ground).await,
        "synchronous" => synchronous::run(ground).await,
        "forwarder" => forwarder::run(ground).await,
        "recorder" => recorder::run(ground).await,
        "ledger" => ledger::run(ground).await,
        "views" => views::run(ground).await,
        _ => growth::run(ground).await,
    }
}
