//! What Kafka has, checked at boot: a worker refuses to start where the topics are not as they must be, and waits where
//! Kafka is away.

use std::{collections::BTreeMap, time::Duration};

use rdkafka::{
    ClientConfig, ClientContext,
    admin::{AdminClient, AdminOptions, ResourceSpecifier},
    error::{KafkaError, KafkaResult},
};
use schemas::{
    Topics,
    topics::{Partitions, TopicSpec, ledger_kept},
};
use tokio::time::sleep;

use crate::health::Dependency;

/// How often an absent Kafka is asked again.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// How long one question may take.
const ASK_LIMIT: Duration = Duration::from_secs(5);

/// The partition counts of this deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopicMap {
    /// P: of every topic that shares the order key.
    pub per_order: i32,
    /// V: of the verdicts topic.
    pub verdicts: i32,
}

/// Why a worker may not start on these topics. None of these mends itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TopicFault {
    /// A topic is not there.
    #[error("the topic {0} does not exist: run `capi setup`")]
    Missing(String),
    /// The topics that share the order key have different partition counts, so one order would have several owners.
    #[error(
        "{first} has {first_count} partitions and {second} has {second_count}: the topics that share the order key \
         must have the same count, which never changes in place"
    )]
    Unequal {
        /// A topic.
        first: String,
        /// Its partitions.
        first_count: i32,
        /// Another.
        second: String,
        /// Its partitions.
        second_count: i32,
    },
    /// A topic that must have one partition has more.
    #[error("{topic} has {count} partitions and must have 1")]
    NotOne {
        /// The topic.
        topic: String,
        /// Its partitions.
        count: i32,
    },
    /// A setting of the orders topic does not fit.
    #[error(
        "{topic} has {name}={found} and must have {expected}: run `capi setup` with the same CAPI_DEDUP_WINDOW as the workers"
    )]
    Setting {
        /// The topic.
        topic: String,
        /// The setting.
        name: &'static str,
        /// What it is.
        found: String,
        /// What it must be.
        expected: String,
    },
}

/// Checks the topics of a deployment, waiting for as long as Kafka is away. With a `window`, the orders topic's retention
/// must fit it.
///
/// # Errors
/// Where the topics are not as they must be.
pub async fn verify(
    config: &ClientConfig,
    topics: &Topics,
    window: Option<Duration>,
    health: &Dependency,
) -> Result<TopicMap, TopicFault> {
    loop {
        match look(config, topics, window).await {
            Ok(found) => return found,
            Err(error) => {
                health.down(format!("Kafka is away: {error}"));
                sleep(ASK_EVERY).await;
            }
        }
    }
}

/// The client's callbacks. A broker that cannot be reached is told by the question that fails, not by a line for every
/// attempt to connect.
struct Quiet;

impl ClientContext for Quiet {
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "Kafka client");
    }
}

/// One look: an error where Kafka did not answer, else what it said.
async fn look(
    config: &ClientConfig,
    topics: &Topics,
    window: Option<Duration>,
) -> KafkaResult<Result<TopicMap, TopicFault>> {
    let counts = partition_counts(config).await?;
    let specs = topics.specs(window.unwrap_or_default());
    let map = match check_counts(&specs, &counts, topics) {
        Ok(map) => map,
        Err(fault) => return Ok(Err(fault)),
    };
    let Some(window) = window else { return Ok(Ok(map)) };
    let retention = setting(config, &topics.orders(), "retention.ms").await?;
    let expected = ledger_kept(window).as_millis().to_string();
    if retention == expected {
        return Ok(Ok(map));
    }
    Ok(Err(TopicFault::Setting { topic: topics.orders(), name: "retention.ms", found: retention, expected }))
}

/// Every topic of the cluster, with its partition count.
///
/// # Errors
/// Where Kafka does not answer.
pub async fn partition_counts(config: &ClientConfig) -> KafkaResult<BTreeMap<String, i32>> {
    let admin: AdminClient<Quiet> = config.create_with_context(Quiet)?;
    let fetched = tokio::task::spawn_blocking(move || {
        let metadata = admin.inner().fetch_metadata(None, ASK_LIMIT)?;
        let count = |topic: &rdkafka::metadata::MetadataTopic| {
            (topic.name().to_owned(), i32::try_from(topic.partitions().len()).unwrap_or(i32::MAX))
        };
        Ok(metadata.topics().iter().filter(|topic| topic.error().is_none()).map(count).collect())
    });
    fetched.await.map_err(|_| KafkaError::Canceled)?
}

fn check_counts(specs: &[TopicSpec], counts: &BTreeMap<String, i32>, topics: &Topics) -> Result<TopicMap, TopicFault> {
    let mut per_order: Option<(&str, i32)> = None;
    for spec in specs {
        let count = *counts.get(&spec.name).ok_or_else(|| TopicFault::Missing(spec.name.clone()))?;
        match (spec.partitions, per_order) {
            (Partitions::One, _) if count != 1 => return Err(TopicFault::NotOne { topic: spec.name.clone(), count }),
            (Partitions::PerOrder, None) => per_order = Some((&spec.name, count)),
            (Partitions::PerOrder, Some((first, first_count))) if first_count != count => {
                return Err(TopicFault::Unequal {
                    first: first.to_owned(),
                    first_count,
                    second: spec.name.clone(),
                    second_count: count,
                });
            }
            _ => {}
        }
    }
    let verdicts = counts.get(&topics.verdicts()).copied().unwrap_or(1);
    Ok(TopicMap { per_order: per_order.map_or(1, |(_, count)| count), verdicts })
}

async fn setting(config: &ClientConfig, topic: &str, name: &str) -> KafkaResult<String> {
    let admin: AdminClient<Quiet> = config.create_with_context(Quiet)?;
    let options = AdminOptions::new().request_timeout(Some(ASK_LIMIT));
    let described = admin.describe_configs(&[ResourceSpecifier::Topic(topic)], &options).await?;
    let resource = described.into_iter().next().ok_or(KafkaError::Canceled)?;
    let resource = resource.map_err(KafkaError::AdminOp)?;
    let entry = resource.entries.into_iter().find(|entry| entry.name == name);
    Ok(entry.and_then(|entry| entry.value).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(topics: &Topics) -> BTreeMap<String, i32> {
        let count = |spec: TopicSpec| match spec.partitions {
            Partitions::PerOrder => (spec.name, 12),
            Partitions::PerInstance => (spec.name, 16),
            Partitions::One => (spec.name, 1),
        };
        topics.specs(Duration::ZERO).into_iter().map(count).collect()
    }

    fn check(change: impl Fn(&mut BTreeMap<String, i32>)) -> Result<TopicMap, TopicFault> {
        let topics = Topics::new("t");
        let mut counts = counts(&topics);
        change(&mut counts);
        check_counts(&topics.specs(Duration::ZERO), &counts, &topics)
    }

    #[test]
    fn equal_counts_pass() {
        assert_eq!(check(|_| {}), Ok(TopicMap { per_order: 12, verdicts: 16 }));
    }

    #[test]
    fn a_missing_topic_names_the_command_that_makes_it() {
        let fault = check(|counts| {
            counts.remove("t.orders");
        })
        .unwrap_err();
        assert!(fault.to_string().contains("`capi setup`"), "{fault}");
    }

    #[test]
    fn unequal_counts_are_refused() {
        let fault = check(|counts| {
            counts.insert("t.events.retry.2".into(), 6);
        })
        .unwrap_err();
        assert!(matches!(fault, TopicFault::Unequal { second_count: 6, .. }));
    }

    #[test]
    fn the_directory_has_one_partition() {
        let fault = check(|counts| {
            counts.insert("t.directory".into(), 2);
        })
        .unwrap_err();
        assert!(matches!(fault, TopicFault::NotOne { count: 2, .. }));
    }
}
