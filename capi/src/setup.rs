//! `capi setup`: topics and tables, made or brought up to date.
//!
//! What can be done is done, and what is left is named: a Kafka that is away does not keep the tables waiting.

mod plan;
mod topics;

use std::num::NonZeroU16;

use clap::Args;
use warehouse::{
    ClickHouseSettings,
    migrate::{MigrateError, migrate},
};
use worker::settings::{DedupWindow, KafkaSettings};

use self::plan::{Done, Kind, Sizes, Step};
use crate::{failure::Failure, output::Output};

#[derive(Debug, Args)]
pub(crate) struct Setup {
    /// Partitions of every topic that shares the order key: the most forwarders that can work at once. Never changes
    /// in place
    #[arg(long, env = "CAPI_PARTITIONS", default_value = "12", value_name = "P")]
    partitions: NonZeroU16,
    /// Partitions of the verdicts topic: about one for each ingest instance
    #[arg(long, env = "CAPI_VERDICT_PARTITIONS", default_value = "16", value_name = "V")]
    verdict_partitions: NonZeroU16,
    /// Copies of every topic that is made now [default: 3 where there are 3 brokers or more, else 1]
    #[arg(long, env = "CAPI_REPLICATION_FACTOR", value_name = "COPIES")]
    replication_factor: Option<NonZeroU16>,
    /// How long an accepted order is remembered: decides how long the orders topic keeps it, and what the views count
    #[arg(long, env = "CAPI_DEDUP_WINDOW", default_value = "28d", value_name = "DURATION")]
    dedup_window: DedupWindow,
    #[command(flatten)]
    kafka: KafkaSettings,
    #[command(flatten)]
    clickhouse: ClickHouseSettings,
}

impl Setup {
    pub(crate) async fn run(self, output: &Output) -> Result<(), Failure> {
        let config = self.kafka.client()?;
        let specs = self.kafka.topics().specs(self.dedup_window.0);
        let (topics, tables) = tokio::join!(topics::bring_up_to_date(&config, &specs, self.sizes()), self.tables());
        for step in [&topics, &tables].into_iter().flatten().flatten() {
            output.print(step)?;
        }
        match (topics.err(), tables.err()) {
            (None, None) => Ok(()),
            (Some(failure), None) => Err(left("the topics", &failure)),
            (None, Some(failure)) => Err(left("the tables", &failure)),
            (Some(topics), Some(tables)) => Err(both_left(&topics, &tables)),
        }
    }

    fn sizes(&self) -> Sizes {
        Sizes {
            per_order: self.partitions.get().into(),
            verdicts: self.verdict_partitions.get().into(),
            replication: self.replication_factor.map(|copies| copies.get().into()),
        }
    }

    async fn tables(&self) -> Result<Vec<Step>, Failure> {
        let migrated = migrate(&self.clickhouse, self.dedup_window.0).await?;
        let step = |kind, name: &str, done| Step { kind, name: name.to_owned(), done };
        let mut steps: Vec<_> =
            migrated.applied.iter().map(|name| step(Kind::Migration, name, Done::Created)).collect();
        let rebuilt = if migrated.views_rebuilt { Done::Updated } else { Done::Unchanged };
        steps.push(step(Kind::Views, self.clickhouse.clickhouse_database.as_str(), rebuilt));
        Ok(steps)
    }
}

/// Something is left: it is named, with the failure's own exit code.
fn left(what: &str, failure: &Failure) -> Failure {
    let sentence = format!("{what} are left: {failure}");
    match failure {
        Failure::Usage(_) => Failure::Usage(sentence),
        Failure::Data(_) => Failure::Data(sentence),
        Failure::Unavailable(_) => Failure::Unavailable(sentence),
        Failure::Other(_) => Failure::Other(sentence),
        Failure::Closed => Failure::Closed,
    }
}

/// Both are left: what is away comes back, and so the one that somebody must act on decides the exit code.
fn both_left(topics: &Failure, tables: &Failure) -> Failure {
    let sentence = format!("topics and tables are left: {topics}; {tables}");
    match (topics, tables) {
        (Failure::Unavailable(_), Failure::Unavailable(_)) => Failure::Unavailable(sentence),
        _ => Failure::Other(sentence),
    }
}

impl From<MigrateError> for Failure {
    fn from(error: MigrateError) -> Self {
        let sentence = error.to_string();
        match error {
            MigrateError::Unavailable(_) => Self::Unavailable(sentence),
            MigrateError::Refused(_) | MigrateError::Newer { .. } | MigrateError::Changed { .. } => {
                Self::Other(sentence)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_keeps_its_exit_code() {
        let failure = left("the tables", &Failure::Unavailable("away".into()));
        assert!(matches!(failure, Failure::Unavailable(sentence) if sentence == "the tables are left: away"));
    }

    #[test]
    fn what_somebody_must_act_on_outweighs_what_is_away() {
        let (away, wrong) = (Failure::Unavailable("away".into()), Failure::Data("12 partitions".into()));
        assert!(matches!(both_left(&away, &away), Failure::Unavailable(_)));
        assert!(matches!(both_left(&wrong, &away), Failure::Other(_)));
    }
}
