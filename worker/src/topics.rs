//! What Kafka has, checked at boot: a worker refuses to start where the topics are not as they must be, and waits where
//! Kafka is away.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rdkafka::{
    ClientConfig, ClientContext,
    admin::{AdminClient, AdminOptions, ResourceSpecifier},
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
    producer::{BaseProducer, DeliveryResult, Producer as _, ProducerContext},
};
use schemas::{
    Topics,
    topics::{Partitions, TopicSpec},
};
use tokio::time::sleep;

use crate::health::Dependency;

/// How often an absent Kafka is asked again.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// How often a missing topic is looked for again: a broker may not know yet what `capi setup` has just made.
const NEW_TOPIC_LOOKS: u32 = 5;
/// How long it takes at most to hear what the client has to say already.
const HEAR_LIMIT: Duration = Duration::from_millis(20);
/// How long one question may take.
const ASK_LIMIT: Duration = Duration::from_secs(5);

/// How young a record may not be compacted away.
const COMPACTION_LAG: &str = "min.compaction.lag.ms";

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
    /// A setting that the ledger or the directory rests on does not fit.
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

/// Checks the topics of a deployment, waiting for as long as Kafka is away. With a `window`, the settings of the orders
/// topic must fit it, and those of the directory are looked at as well.
///
/// # Errors
/// Where the topics are not as they must be.
pub async fn verify(
    config: &ClientConfig,
    topics: &Topics,
    window: Option<Duration>,
    health: &Dependency,
) -> Result<TopicMap, TopicFault> {
    let mut looks_left = NEW_TOPIC_LOOKS;
    loop {
        match look(config, topics, window).await {
            Ok(Err(TopicFault::Missing(topic))) if looks_left > 0 => {
                looks_left -= 1;
                health.down(format!("the topic {topic} is not there (yet)"));
                sleep(ASK_EVERY).await;
            }
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

/// Hears why brokers cannot be reached: of a wrong password, certificate or name, the question that fails says only that
/// there was no answer.
#[derive(Clone, Default)]
struct Hearing(Arc<Mutex<Option<String>>>);

impl ClientContext for Hearing {
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "Kafka client");
        // That all brokers are down follows from what was said of each.
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::AllBrokersDown) {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason.to_owned());
        }
    }
}

impl ProducerContext for Hearing {
    type DeliveryOpaque = ();

    fn delivery(&self, _: &DeliveryResult<'_>, (): ()) {}
}

/// Kafka did not answer.
#[derive(Debug, thiserror::Error)]
#[error("{error}{}", why.as_ref().map(|why| format!(": {why}")).unwrap_or_default())]
pub struct Unanswered {
    error: KafkaError,
    /// What its client said of its connections meanwhile.
    why: Option<String>,
}

impl From<KafkaError> for Unanswered {
    fn from(error: KafkaError) -> Self {
        Self { error, why: None }
    }
}

/// One look: an error where Kafka did not answer, else what it said.
async fn look(
    config: &ClientConfig,
    topics: &Topics,
    window: Option<Duration>,
) -> Result<Result<TopicMap, TopicFault>, Unanswered> {
    let counts = partition_counts(config).await?;
    let specs = topics.specs(window.unwrap_or_default());
    let map = match check_counts(&specs, &counts, topics) {
        Ok(map) => map,
        Err(fault) => return Ok(Err(fault)),
    };
    if window.is_none() {
        return Ok(Ok(map));
    }
    let rests = [topics.orders(), topics.directory()];
    for spec in specs.iter().filter(|spec| rests.contains(&spec.name)) {
        if let Err(fault) = check_settings(spec, &settings(config, &spec.name).await?) {
            return Ok(Err(fault));
        }
    }
    Ok(Ok(map))
}

/// Every topic of the cluster, with its partition count.
///
/// # Errors
/// Where Kafka does not answer.
pub async fn partition_counts(config: &ClientConfig) -> Result<BTreeMap<String, i32>, Unanswered> {
    let hearing = Hearing::default();
    // No admin client: that one does not pass on what it hears.
    let client: BaseProducer<Hearing> = config.create_with_context(hearing.clone())?;
    let fetched = tokio::task::spawn_blocking(move || {
        let metadata = client.client().fetch_metadata(None, ASK_LIMIT).inspect_err(|_| {
            client.poll(HEAR_LIMIT);
        })?;
        let count = |topic: &rdkafka::metadata::MetadataTopic| {
            (topic.name().to_owned(), i32::try_from(topic.partitions().len()).unwrap_or(i32::MAX))
        };
        Ok(metadata.topics().iter().filter(|topic| topic.error().is_none()).map(count).collect())
    });
    let counts: KafkaResult<_> = fetched.await.map_err(|_| KafkaError::Canceled)?;
    counts.map_err(|error| {
        let why = hearing.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        Unanswered { error, why }
    })
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

/// What is dropped too early is lost: an order that was accepted, a business. The other settings are a matter of speed
/// and room, which an operator may change.
fn check_settings(spec: &TopicSpec, found: &BTreeMap<String, String>) -> Result<(), TopicFault> {
    let rested_on = |name: &str| matches!(name, "cleanup.policy" | "retention.ms" | COMPACTION_LAG);
    for (name, expected) in spec.settings.iter().filter(|(name, _)| rested_on(name)) {
        let is = found.get(*name).map_or("", String::as_str);
        if !fits(name, is, expected) {
            let least = if *name == COMPACTION_LAG { "at least " } else { "" };
            let (topic, found, expected) = (spec.name.clone(), is.to_owned(), format!("{least}{expected}"));
            return Err(TopicFault::Setting { topic, name, found, expected });
        }
    }
    Ok(())
}

/// A compaction that comes later than `capi setup` has it drops nothing that the ledger rests on: it only takes room.
fn fits(name: &str, is: &str, expected: &str) -> bool {
    if name != COMPACTION_LAG {
        return same_list(is, expected);
    }
    matches!((is.parse::<u64>(), expected.parse()), (Ok(is), Ok(least)) if is >= least)
}

/// Kafka keeps a list in any order: `compact,delete` is `delete,compact`.
fn same_list(one: &str, other: &str) -> bool {
    let sorted = |text: &str| text.split(',').map(|part| part.trim().to_owned()).collect::<BTreeSet<_>>();
    sorted(one) == sorted(other)
}

/// The settings of a topic.
async fn settings(config: &ClientConfig, topic: &str) -> KafkaResult<BTreeMap<String, String>> {
    let admin: AdminClient<Quiet> = config.create_with_context(Quiet)?;
    let options = AdminOptions::new().request_timeout(Some(ASK_LIMIT));
    let described = admin.describe_configs(&[ResourceSpecifier::Topic(topic)], &options).await?;
    let resource = described.into_iter().next().ok_or(KafkaError::Canceled)?;
    let resource = resource.map_err(KafkaError::AdminOp)?;
    Ok(resource.entries.into_iter().filter_map(|entry| Some((entry.name, entry.value?))).collect())
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

    const WINDOW: Duration = Duration::from_hours(28 * 24);

    /// What a topic's settings are said to be after a change of them.
    fn check_topic(name: &str, change: impl Fn(&mut BTreeMap<String, String>)) -> Result<(), TopicFault> {
        let spec = Topics::new("t").specs(WINDOW).into_iter().find(|spec| spec.name == name).unwrap();
        let mut found = spec.settings.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        change(&mut found);
        check_settings(&spec, &found)
    }

    #[test]
    fn what_capi_setup_makes_passes() {
        for topic in ["t.orders", "t.directory"] {
            assert_eq!(check_topic(topic, |_| {}), Ok(()), "{topic}");
        }
        let other_order = |found: &mut BTreeMap<_, _>| {
            found.insert("cleanup.policy".into(), "delete,compact".into());
        };
        assert_eq!(check_topic("t.orders", other_order), Ok(()));
    }

    #[test]
    fn a_ledger_that_is_compacted_later_passes() {
        let later = |found: &mut BTreeMap<String, String>| {
            let lag = found.get_mut("min.compaction.lag.ms").unwrap();
            *lag = (lag.parse::<u64>().unwrap() + 1).to_string();
        };
        assert_eq!(check_topic("t.orders", later), Ok(()));
        let sooner = |found: &mut BTreeMap<String, String>| {
            let lag = found.get_mut("min.compaction.lag.ms").unwrap();
            *lag = (lag.parse::<u64>().unwrap() - 1).to_string();
        };
        let fault = check_topic("t.orders", sooner).unwrap_err();
        assert!(fault.to_string().contains("at least"), "{fault}");
    }

    #[test]
    fn a_ledger_that_forgets_is_refused() {
        let too_short = (35_u64 * 24 * 3600 * 1000).to_string();
        for (topic, name, value) in [
            ("t.orders", "retention.ms", too_short.as_str()),
            ("t.orders", "retention.ms", "-1"),
            ("t.orders", "cleanup.policy", "delete"),
            ("t.orders", "cleanup.policy", "compact"),
            ("t.orders", "min.compaction.lag.ms", "0"),
            ("t.directory", "cleanup.policy", "delete"),
        ] {
            let changed = check_topic(topic, |found| {
                found.insert(name.into(), value.into());
            });
            let fault = changed.unwrap_err();
            assert!(matches!(&fault, TopicFault::Setting { name: told, found, .. } if *told == name && found == value));
            assert!(fault.to_string().contains("`capi setup`"), "{fault}");
        }
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
