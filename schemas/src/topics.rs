//! The topics: their names under a prefix, and how `capi setup` creates them.

use std::time::Duration;

const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// What an event may still need of the log: Meta takes events up to 7 days old, and one day to look at what went wrong.
pub const EVENTS_KEPT: Duration = Duration::from_hours(8 * 24);

/// How long a ledger record is left alone by compaction: a void record that is the last of its key is repaired within
/// this time (rule 6 of the ledger).
pub const LEDGER_COMPACTION_LAG: Duration = Duration::from_hours(6);

/// How long values of the directory are left alone by compaction: what a killed command left half done is repaired from
/// them.
const DIRECTORY_COMPACTION_LAG: Duration = Duration::from_hours(7 * 24);

/// The delay tiers.
pub const TIERS: usize = 3;

/// Topic names under a deployment's prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topics {
    prefix: String,
}

/// How many partitions a topic has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Partitions {
    /// P: equal for all topics that share the order key, and never changed in place.
    PerOrder,
    /// V: one for each ingest instance, more or less.
    PerInstance,
    /// One.
    One,
}

/// What a topic must be like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicSpec {
    /// Full name.
    pub name: String,
    /// Partition count.
    pub partitions: Partitions,
    /// Kafka's topic settings.
    pub settings: Vec<(&'static str, String)>,
}

impl Topics {
    /// The topics of the deployment with this prefix (`CAPI_TOPIC_PREFIX`).
    pub fn new(prefix: impl Into<String>) -> Self {
        Self { prefix: prefix.into() }
    }

    /// Events whose callers wait.
    pub fn events_live(&self) -> String {
        self.named("events.live")
    }

    /// Events whose callers do not wait, and replays.
    pub fn events_backfill(&self) -> String {
        self.named("events.backfill")
    }

    /// Events that wait in delay tier `tier`, from 1 to [`TIERS`].
    pub fn events_retry(&self, tier: usize) -> String {
        self.named(&format!("events.retry.{tier}"))
    }

    /// The order ledger.
    pub fn orders(&self) -> String {
        self.named("orders")
    }

    /// Analytics records.
    pub fn records(&self) -> String {
        self.named("records")
    }

    /// Verdicts on their way back to ingest.
    pub fn verdicts(&self) -> String {
        self.named("verdicts")
    }

    /// Businesses, channels, keys.
    pub fn directory(&self) -> String {
        self.named("directory")
    }

    /// What no worker could read.
    pub fn dead_letters(&self) -> String {
        self.named("dead-letters")
    }

    /// A consumer group of this deployment.
    pub fn group(&self, worker: &str) -> String {
        self.named(worker)
    }

    fn named(&self, name: &str) -> String {
        format!("{}.{name}", self.prefix)
    }

    /// Every topic, as it must be. `window` is the deduplication window.
    pub fn specs(&self, window: Duration) -> Vec<TopicSpec> {
        use Partitions::{One, PerInstance, PerOrder};
        let mut specs = vec![
            spec(self.events_live(), PerOrder, deleted(EVENTS_KEPT)),
            spec(self.events_backfill(), PerOrder, deleted(EVENTS_KEPT)),
        ];
        specs.extend((1..=TIERS).map(|tier| spec(self.events_retry(tier), PerOrder, deleted(EVENTS_KEPT))));
        specs.extend([
            spec(self.orders(), PerOrder, ledger(window)),
            spec(self.records(), PerOrder, deleted(EVENTS_KEPT)),
            spec(self.verdicts(), PerInstance, deleted(10 * MINUTE)),
            spec(self.directory(), One, directory()),
            spec(self.dead_letters(), One, deleted(30 * DAY)),
        ]);
        specs
    }
}

/// How long the orders topic keeps a record: the window, and as long as an event of its last moment may still come.
pub fn ledger_kept(window: Duration) -> Duration {
    window + EVENTS_KEPT
}

fn spec(name: String, partitions: Partitions, settings: Vec<(&'static str, String)>) -> TopicSpec {
    TopicSpec { name, partitions, settings }
}

/// Messages are dropped by age: a segment is closed in time for that.
fn deleted(kept: Duration) -> Vec<(&'static str, String)> {
    let segment = (kept / 10).clamp(MINUTE, DAY);
    vec![("cleanup.policy", "delete".into()), ("retention.ms", millis(kept)), ("segment.ms", millis(segment))]
}

fn directory() -> Vec<(&'static str, String)> {
    vec![
        ("cleanup.policy", "compact".into()),
        ("min.compaction.lag.ms", millis(DIRECTORY_COMPACTION_LAG)),
        ("segment.ms", millis(DAY)),
    ]
}

fn ledger(window: Duration) -> Vec<(&'static str, String)> {
    vec![
        ("cleanup.policy", "compact,delete".into()),
        ("retention.ms", millis(ledger_kept(window))),
        ("min.compaction.lag.ms", millis(LEDGER_COMPACTION_LAG)),
        ("segment.ms", millis(6 * HOUR)),
    ]
}

fn millis(duration: Duration) -> String {
    duration.as_millis().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_topics_have_the_names_that_outsiders_lean_on() {
        let names: Vec<_> = Topics::new("capi").specs(28 * DAY).into_iter().map(|spec| spec.name).collect();
        let expected = "events.live events.backfill events.retry.1 events.retry.2 events.retry.3 orders records verdicts directory dead-letters";
        assert_eq!(names, expected.split(' ').map(|name| format!("capi.{name}")).collect::<Vec<_>>());
    }

    #[test]
    fn a_killed_command_leaves_a_week_for_its_repair() {
        let directory = Topics::new("x").specs(28 * DAY).into_iter().find(|spec| spec.name == "x.directory").unwrap();
        assert!(directory.settings.contains(&("min.compaction.lag.ms", (7_u64 * 24 * 3600 * 1000).to_string())));
    }

    #[test]
    fn the_ledger_outlives_the_window() {
        let orders = Topics::new("x").specs(28 * DAY).into_iter().find(|spec| spec.name == "x.orders").unwrap();
        assert!(orders.settings.contains(&("retention.ms", (36_u64 * 24 * 3600 * 1000).to_string())));
    }
}
