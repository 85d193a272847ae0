//! The topics: what is missing is made, and what is set otherwise is set right.

use std::{
    collections::{BTreeMap, HashSet},
    time::Duration,
};

use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, AlterConfig, ConfigSource, NewTopic, ResourceSpecifier, TopicReplication},
    client::DefaultClientContext,
    error::{KafkaError, RDKafkaErrorCode},
    metadata::{Metadata, MetadataTopic},
};
use schemas::topics::TopicSpec;
use tokio::time::{sleep, timeout};

use super::plan::{Found, Plan, Sizes, Step, plan};
use crate::failure::Failure;

/// How long Kafka may take for one answer.
const LIMIT: Duration = Duration::from_secs(10);
/// How long its brokers may take to lead the partitions of new topics.
const LED_WITHIN: Duration = Duration::from_mins(1);
/// How often they are asked.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Brings the topics up to date; what was done, in the order of `specs`.
pub(super) async fn bring_up_to_date(
    config: &ClientConfig,
    specs: &[TopicSpec],
    sizes: Sizes,
) -> Result<Vec<Step>, Failure> {
    let cluster = Cluster::of(config)?;
    let metadata = cluster.admin.inner().fetch_metadata(None, LIMIT)?;
    let found = cluster.found(specs, &metadata).await?;
    let plan = plan(specs, &found, sizes.for_brokers(metadata.brokers().len()))?;
    cluster.create(&plan).await?;
    cluster.wait_for(&plan).await?;
    cluster.alter(&plan).await?;
    Ok(plan.steps)
}

struct Cluster {
    admin: AdminClient<DefaultClientContext>,
    options: AdminOptions,
}

impl Cluster {
    fn of(config: &ClientConfig) -> Result<Self, Failure> {
        let options = AdminOptions::new().request_timeout(Some(LIMIT)).operation_timeout(Some(LIMIT));
        Ok(Self { admin: config.create()?, options })
    }

    /// The topics of ours that exist.
    async fn found(&self, specs: &[TopicSpec], metadata: &Metadata) -> Result<BTreeMap<String, Found>, Failure> {
        let ours = |name: &str| specs.iter().any(|spec| spec.name == name);
        let mut found = BTreeMap::new();
        for topic in metadata.topics().iter().filter(|topic| topic.error().is_none() && ours(topic.name())) {
            let settings = self.settings(topic.name()).await?;
            let replicas = topic.partitions().iter().map(|partition| partition.replicas().len()).min().unwrap_or(1);
            found.insert(topic.name().to_owned(), Found { partitions: topic.partitions().len(), replicas, settings });
        }
        Ok(found)
    }

    /// What is set on a topic itself: defaults and the brokers' settings are left to them.
    async fn settings(&self, topic: &str) -> Result<BTreeMap<String, String>, Failure> {
        let described = self.admin.describe_configs(&[ResourceSpecifier::Topic(topic)], &self.options).await?;
        let mut settings = BTreeMap::new();
        for resource in described {
            let entries = resource.map_err(KafkaError::AdminOp)?.entries.into_iter();
            let own = entries.filter(|entry| entry.source == ConfigSource::DynamicTopic);
            settings.extend(own.filter_map(|entry| Some((entry.name, entry.value?))));
        }
        Ok(settings)
    }

    async fn create(&self, plan: &Plan) -> Result<(), Failure> {
        let new: Vec<_> = plan
            .create
            .iter()
            .map(|topic| NewTopic {
                name: &topic.name,
                num_partitions: topic.partitions,
                replication: TopicReplication::Fixed(topic.replication),
                config: topic.settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect(),
            })
            .collect();
        if new.is_empty() {
            return Ok(());
        }
        for result in self.admin.create_topics(&new, &self.options).await? {
            match result {
                // Another `capi setup` was quicker.
                Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((topic, error)) => return Err(refused("create", &topic, error)),
            }
        }
        Ok(())
    }

    /// Returns once the new topics can be used: Kafka answers when they are decided on, and a busy broker hears of them
    /// later. A worker that is started next must find them.
    async fn wait_for(&self, plan: &Plan) -> Result<(), Failure> {
        let known = async {
            while !self.all_led(plan)? {
                sleep(LOOK_EVERY).await;
            }
            Ok(())
        };
        timeout(LED_WITHIN, known).await.unwrap_or_else(|_| {
            Err(Failure::Unavailable("Kafka's brokers do not know the new topics yet: run `capi setup` again".into()))
        })
    }

    /// Whether every partition of the new topics has a leader.
    fn all_led(&self, plan: &Plan) -> Result<bool, Failure> {
        if plan.create.is_empty() {
            return Ok(true);
        }
        let metadata = self.admin.inner().fetch_metadata(None, LIMIT)?;
        let is_led = |topic: &&MetadataTopic| {
            topic.error().is_none() && topic.partitions().iter().all(|partition| partition.error().is_none())
        };
        let led: HashSet<_> = metadata.topics().iter().filter(is_led).map(MetadataTopic::name).collect();
        Ok(plan.create.iter().all(|topic| led.contains(topic.name.as_str())))
    }

    /// Kafka replaces all settings of a topic at once, so that the plan holds those that are not ours too.
    async fn alter(&self, plan: &Plan) -> Result<(), Failure> {
        let changes: Vec<_> = plan
            .alter
            .iter()
            .map(|topic| {
                let change = AlterConfig::new(ResourceSpecifier::Topic(&topic.name));
                topic.settings.iter().fold(change, |change, (name, value)| change.set(name, value))
            })
            .collect();
        if changes.is_empty() {
            return Ok(());
        }
        for result in self.admin.alter_configs(&changes, &self.options).await? {
            if let Err((topic, error)) = result {
                return Err(refused("set up", &format!("{topic:?}"), error));
            }
        }
        Ok(())
    }
}

fn refused(what: &str, topic: &str, error: RDKafkaErrorCode) -> Failure {
    let sentence = format!("Kafka does not {what} {topic}: {error}");
    match error {
        RDKafkaErrorCode::InvalidReplicationFactor => {
            Failure::Usage(format!("{sentence}; --replication-factor is at most the number of brokers"))
        }
        RDKafkaErrorCode::PolicyViolation
        | RDKafkaErrorCode::TopicAuthorizationFailed
        | RDKafkaErrorCode::ClusterAuthorizationFailed
        | RDKafkaErrorCode::InvalidConfig
        | RDKafkaErrorCode::InvalidTopic => Failure::Other(sentence),
        _ => Failure::Unavailable(sentence),
    }
}
