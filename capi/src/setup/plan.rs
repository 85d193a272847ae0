//! What has to be done to the topics: a pure function of what they must be like and what there is.

use std::{collections::BTreeMap, fmt};

use schemas::topics::{Partitions, TopicSpec};
use serde::Serialize;

use crate::failure::Failure;

/// From this many copies on, a write waits for two of them.
const REPLICATED: i32 = 3;

/// How many partitions and copies topics are made with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    /// P.
    pub(super) per_order: i32,
    /// V.
    pub(super) verdicts: i32,
    /// Copies; `None` for 3 where there are brokers for it, else 1.
    pub(super) replication: Option<i32>,
}

/// A topic that exists.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    pub(super) partitions: usize,
    /// Copies of the partition that has the fewest.
    pub(super) replicas: usize,
    /// What is set on the topic itself.
    pub(super) settings: BTreeMap<String, String>,
}

/// What has to be done.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) create: Vec<Topic>,
    pub(super) alter: Vec<Topic>,
    pub(super) steps: Vec<Step>,
}

/// A topic with all settings it is to have.
#[derive(Debug)]
pub(super) struct Topic {
    pub(super) name: String,
    pub(super) partitions: i32,
    pub(super) replication: i32,
    pub(super) settings: BTreeMap<String, String>,
}

/// What was done to one topic, or to the tables.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Step {
    pub(super) kind: Kind,
    pub(super) name: String,
    pub(super) done: Done,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    Topic,
    Migration,
    Views,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Done {
    Created,
    Updated,
    Unchanged,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let done = match self.done {
            Done::Created => "created",
            Done::Updated => "updated",
            Done::Unchanged => "unchanged",
        };
        let kind = match self.kind {
            Kind::Topic => "topic",
            Kind::Migration => "migration",
            Kind::Views => "views of",
        };
        write!(f, "{done:<9} {kind} {}", self.name)
    }
}

impl Sizes {
    /// With the number of copies decided.
    pub(super) fn for_brokers(self, brokers: usize) -> Self {
        let usual = if brokers >= 3 { REPLICATED } else { 1 };
        Self { replication: Some(self.replication.unwrap_or(usual)), ..self }
    }

    fn partitions(self, spec: &TopicSpec) -> i32 {
        match spec.partitions {
            Partitions::PerOrder => self.per_order,
            Partitions::PerInstance => self.verdicts,
            Partitions::One => 1,
        }
    }
}

/// What makes `found` into `specs`.
///
/// # Errors
/// Where a partition count differs: changing it in place would move orders away from their ledger.
pub(super) fn plan(specs: &[TopicSpec], found: &BTreeMap<String, Found>, sizes: Sizes) -> Result<Plan, Failure> {
    let mut plan = Plan::default();
    for spec in specs {
        let partitions = sizes.partitions(spec);
        let done = match found.get(&spec.name) {
            None => {
                plan.create.push(topic(spec, partitions, sizes.replication.unwrap_or(1), BTreeMap::new()));
                Done::Created
            }
            Some(found) => {
                counts_match(spec, partitions, found.partitions)?;
                let replicas = i32::try_from(found.replicas).unwrap_or(i32::MAX);
                let wanted = topic(spec, partitions, replicas, found.settings.clone());
                if wanted.settings == found.settings {
                    Done::Unchanged
                } else {
                    plan.alter.push(wanted);
                    Done::Updated
                }
            }
        };
        plan.steps.push(Step { kind: Kind::Topic, name: spec.name.clone(), done });
    }
    Ok(plan)
}

/// A topic with our settings over those it has.
fn topic(spec: &TopicSpec, partitions: i32, replication: i32, mut settings: BTreeMap<String, String>) -> Topic {
    settings.extend(spec.settings.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    if replication >= REPLICATED {
        settings.insert("min.insync.replicas".to_owned(), "2".to_owned());
    }
    Topic { name: spec.name.clone(), partitions, replication, settings }
}

fn counts_match(spec: &TopicSpec, wanted: i32, found: usize) -> Result<(), Failure> {
    if usize::try_from(wanted) == Ok(found) {
        return Ok(());
    }
    let name = &spec.name;
    let advice = match spec.partitions {
        Partitions::PerOrder => format!(
            "the partition count decides which forwarder owns an order and never changes in place: give --partitions \
             {found}, or set up new topics under another CAPI_TOPIC_PREFIX"
        ),
        Partitions::PerInstance => {
            format!("give --verdict-partitions {found}, or delete the topic while no ingest runs")
        }
        Partitions::One => "it must have one: delete it, and set it up again".to_owned(),
    };
    Err(Failure::Data(format!("{name} has {found} partitions, not {wanted}; {advice}")))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use schemas::Topics;

    use super::*;

    const SIZES: Sizes = Sizes { per_order: 12, verdicts: 16, replication: Some(1) };

    fn specs() -> Vec<TopicSpec> {
        Topics::new("t").specs(Duration::from_hours(24))
    }

    /// The cluster after a plan was carried out.
    fn after(plan: &Plan) -> BTreeMap<String, Found> {
        let found = |topic: &Topic| Found {
            partitions: usize::try_from(topic.partitions).unwrap(),
            replicas: usize::try_from(topic.replication).unwrap(),
            settings: topic.settings.clone(),
        };
        plan.create.iter().map(|topic| (topic.name.clone(), found(topic))).collect()
    }

    #[test]
    fn an_empty_cluster_gets_all_topics_and_a_second_time_changes_nothing() {
        let first = plan(&specs(), &BTreeMap::new(), SIZES).unwrap();
        let partitions: Vec<_> = first.create.iter().map(|topic| topic.partitions).collect();
        assert_eq!(partitions, [12, 12, 12, 12, 12, 12, 12, 16, 1, 1]);
        assert!(first.steps.iter().all(|step| step.done == Done::Created));
        let second = plan(&specs(), &after(&first), SIZES).unwrap();
        assert!(second.create.is_empty() && second.alter.is_empty());
        assert!(second.steps.iter().all(|step| step.done == Done::Unchanged));
    }

    #[test]
    fn a_setting_is_put_right_and_those_of_others_are_kept() {
        let mut found = after(&plan(&specs(), &BTreeMap::new(), SIZES).unwrap());
        let orders = found.get_mut("t.orders").unwrap();
        orders.settings.insert("retention.ms".into(), "1".into());
        orders.settings.insert("max.message.bytes".into(), "2000000".into());
        let plan = plan(&specs(), &found, SIZES).unwrap();
        assert_eq!(plan.alter.len(), 1);
        assert_eq!(plan.alter[0].settings["max.message.bytes"], "2000000");
        assert_eq!(plan.alter[0].settings["retention.ms"], (9_u64 * 24 * 3600 * 1000).to_string());
    }

    #[test]
    fn three_copies_need_two_in_sync() {
        let sizes = Sizes { replication: None, ..SIZES };
        let replicated = plan(&specs(), &BTreeMap::new(), sizes.for_brokers(3)).unwrap();
        assert!(replicated.create.iter().all(|topic| topic.replication == 3));
        assert!(replicated.create.iter().all(|topic| topic.settings["min.insync.replicas"] == "2"));
        let single = plan(&specs(), &BTreeMap::new(), sizes.for_brokers(2)).unwrap();
        assert!(single.create.iter().all(|topic| topic.replication == 1));
        assert!(single.create.iter().all(|topic| !topic.settings.contains_key("min.insync.replicas")));
    }

    #[test]
    fn another_partition_count_is_refused_with_advice() {
        for (name, advice) in [
            ("t.orders", "--partitions 5"),
            ("t.verdicts", "--verdict-partitions 5"),
            ("t.directory", "set it up again"),
        ] {
            let mut found = after(&plan(&specs(), &BTreeMap::new(), SIZES).unwrap());
            found.get_mut(name).unwrap().partitions = 5;
            let failure = plan(&specs(), &found, SIZES).unwrap_err().to_string();
            assert!(failure.starts_with(name) && failure.contains(advice), "{failure}");
        }
    }
}
