//! A Kafka client that has lost its brokers for good, and how the process comes by new ones.
//!
//! librdkafka forgets a broker that the cluster does not list, as it is for a moment after every broker that hung or
//! started anew. Two faults of it follow (2.12; found by freezing brokers): where the cluster lists no broker at all, the
//! client forgets those that it was started with as well, and asks nobody any more; and where the broker is listed again,
//! a partition may be left with the forgotten one ("not migrating away from preferred replica"), where nobody serves it.
//! Neither is told by an error, and neither ends: only a new client helps. A worker has several, with positions, memberships
//! and producers' sequences, so the whole process drains and starts anew in its place, with the same id.

use std::{
    env, fmt, io,
    os::unix::process::CommandExt as _,
    process::Command,
    sync::{LazyLock, Mutex, PoisonError},
    time::Duration,
};

use rdkafka::Statistics;
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How often a client that nobody else asks for its statistics gives them, in milliseconds (`statistics.interval.ms`).
pub const LOOK_EVERY_MS: &str = "5000";
/// A client takes a moment to forget a broker, and to hand its partitions over.
const LOST_AFTER: Duration = Duration::from_secs(15);

/// A coordinator that was found is connected to within a moment.
const WITHOUT_COORDINATOR: Duration = Duration::from_secs(30);

/// Some client of this process is lost. One for the process, for the process is what starts anew.
static ANY: LazyLock<CancellationToken> = LazyLock::new(CancellationToken::new);

/// Whoever runs this process wants it to end.
static ENDS: LazyLock<CancellationToken> = LazyLock::new(CancellationToken::new);

/// Resolves once a client of this process is lost.
pub async fn any() {
    ANY.cancelled().await;
}

/// Whether a client of this process is lost.
fn is_any() -> bool {
    ANY.is_cancelled()
}

/// The process is to end, and not to start anew.
pub fn let_end() {
    ENDS.cancel();
}

/// Whether the process is to start anew.
pub fn starts_anew() -> bool {
    is_any() && !ENDS.is_cancelled()
}

/// This program takes this process over, with the same arguments and environment. Returns only where that failed.
pub fn start_anew() -> io::Error {
    let mut arguments = env::args_os();
    let name = arguments.next().unwrap_or_default();
    // By this name it is found even where a deploy has replaced the file.
    Command::new("/proc/self/exe").arg0(name).args(arguments).exec()
}

/// Watches the statistics of one client.
#[derive(Debug, Default)]
pub struct Watch(Mutex<Option<Suspicion>>);

/// A client that looks lost.
#[derive(Clone, Copy, Debug)]
struct Suspicion {
    since: Instant,
    /// Its attempts to connect until then. A client that goes on trying is in an outage, and not lost.
    attempts: i64,
}

impl Watch {
    /// Looks at what the client says of itself, as it comes from librdkafka, and reads it.
    pub fn look(&self, statistics: &[u8]) -> Option<Statistics> {
        self.judge(statistics);
        serde_json::from_slice(statistics).ok()
    }

    /// The same, where nobody reads them.
    pub(crate) fn judge(&self, statistics: &[u8]) {
        let client: Option<Client> = serde_json::from_slice(statistics).ok();
        let looks_lost = client.and_then(|client| Some((client.lost()?, client.attempts())));
        let mut suspicion = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((how, attempts)) = looks_lost else {
            *suspicion = None;
            return;
        };
        let held = suspicion.filter(|suspicion| suspicion.attempts == attempts);
        let Suspicion { since, .. } = *suspicion.insert(held.unwrap_or(Suspicion { since: Instant::now(), attempts }));
        if since.elapsed() >= LOST_AFTER && !is_any() {
            tracing::error!("a Kafka client has lost its brokers for good ({how}): the worker drains and starts anew");
            ANY.cancel();
        }
    }
}

/// The part of a client's statistics that tells.
#[derive(Deserialize)]
struct Client {
    brokers: Brokers,
    cgrp: Option<Group>,
}

/// A client's standing with the coordinator of its group.
#[derive(Deserialize)]
struct Group {
    state: String,
    /// Milliseconds in this state.
    stateage: u128,
}

/// Not a map: a broker and the forgotten one of the same name are two entries.
struct Brokers(Vec<Broker>);

#[derive(Deserialize)]
struct Broker {
    nodeid: i32,
    source: String,
    state: String,
    connects: i64,
    toppars: Partitions,
}

/// How many partitions a broker is to serve.
struct Partitions(usize);

impl Client {
    fn lost(&self) -> Option<&'static str> {
        let Self { brokers: Brokers(brokers), cgrp } = self;
        if brokers.iter().all(|broker| broker.source == "logical" || broker.is_left_alone()) {
            return Some("it asks none");
        }
        let forgotten = |broker: &Broker| {
            let again = brokers.iter().any(|other| other.nodeid == broker.nodeid && other.state == "UP");
            broker.nodeid >= 0 && broker.state != "UP" && broker.source == "learned" && broker.toppars.0 > 0 && again
        };
        if brokers.iter().any(forgotten) {
            return Some("partitions are left with one that it has forgotten");
        }
        let is_connected = brokers.iter().any(|broker| broker.source != "logical" && broker.state == "UP");
        let is_alone = cgrp.as_ref().is_some_and(Group::has_no_coordinator);
        (is_connected && is_alone).then_some("it finds no way to its group's coordinator")
    }

    fn attempts(&self) -> i64 {
        self.brokers.0.iter().filter(|broker| broker.source != "logical").map(|broker| broker.connects).sum()
    }
}

impl Group {
    /// A client that has brokers finds its coordinator among them within a moment. One that may not ask for it stays in its
    /// first states for ever, and does without.
    fn has_no_coordinator(&self) -> bool {
        self.state.starts_with("wait-broker") && self.stateage >= WITHOUT_COORDINATOR.as_millis()
    }
}

impl Broker {
    /// Neither connected nor connecting.
    fn is_left_alone(&self) -> bool {
        matches!(self.state.as_str(), "INIT" | "DOWN" | "TRY_CONNECT")
    }
}

impl<'de> Deserialize<'de> for Brokers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Brokers;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("brokers by name")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Brokers, A::Error> {
                let mut brokers = Vec::new();
                while let Some((_, broker)) = map.next_entry::<IgnoredAny, Broker>()? {
                    brokers.push(broker);
                }
                Ok(Brokers(brokers))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

impl<'de> Deserialize<'de> for Partitions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let partitions = std::collections::HashMap::<String, IgnoredAny>::deserialize(deserializer)?;
        Ok(Self(partitions.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost(brokers: &[(i32, &str, &str, usize)]) -> Option<&'static str> {
        let entry = |(nodeid, source, state, partitions): &(i32, &str, &str, usize)| {
            let toppars: serde_json::Map<_, _> =
                (0..*partitions).map(|number| (format!("t-{number}"), serde_json::json!({}))).collect();
            let broker = serde_json::json!({"nodeid": nodeid, "source": source, "state": state, "connects": 1, "toppars": toppars, "rtt": {}});
            format!(r#""127.0.0.1:9092/1": {broker}"#)
        };
        let entries: Vec<_> = brokers.iter().map(entry).collect();
        let client: Client =
            serde_json::from_str(&format!(r#"{{"name": "c", "brokers": {{{}}}}}"#, entries.join(","))).unwrap();
        client.lost()
    }

    /// A client at work, one at boot, one in an outage, one between two brokers, one that is handing partitions over.
    #[test]
    fn a_client_that_can_come_back_is_not_lost() {
        assert_eq!(lost(&[(1, "learned", "UP", 12), (-1, "logical", "UP", 0)]), None);
        assert_eq!(lost(&[(-1, "configured", "CONNECT", 0), (-1, "logical", "INIT", 0)]), None);
        assert_eq!(lost(&[(1, "learned", "APIVERSION_QUERY", 4), (-1, "logical", "INIT", 0)]), None);
        assert_eq!(lost(&[(1, "learned", "DOWN", 4), (2, "learned", "UP", 4)]), None);
        assert_eq!(lost(&[(1, "learned", "INIT", 0), (1, "learned", "UP", 4)]), None);
    }

    #[test]
    fn a_client_that_asks_no_broker_is_lost() {
        assert!(lost(&[(-1, "logical", "INIT", 0)]).is_some());
        assert!(lost(&[]).is_some());
        // As it was seen: the forgotten broker lingers, and its partitions are nobody's.
        assert!(lost(&[(1, "learned", "TRY_CONNECT", 0), (-1, "logical", "INIT", 0)]).is_some());
    }

    #[test]
    fn a_client_that_has_brokers_and_no_way_to_its_coordinator_is_lost() {
        let lost = |broker: &str, group: &str, age: i64| {
            let brokers = serde_json::json!({"b": {"nodeid": 1, "source": "learned", "state": broker, "connects": 1,
                "toppars": {}}});
            let client = serde_json::json!({"brokers": brokers, "cgrp": {"state": group, "stateage": age}});
            serde_json::from_value::<Client>(client).unwrap().lost().is_some()
        };
        assert!(lost("UP", "wait-broker-transport", 40_000));
        assert!(!lost("UP", "wait-broker-transport", 4_000));
        assert!(!lost("UP", "query-coord", 40_000), "it may not be allowed to ask");
        assert!(!lost("UP", "up", 40_000));
        assert!(!lost("APIVERSION_QUERY", "wait-broker", 40_000), "an outage");
    }

    #[test]
    fn a_client_whose_partitions_are_with_a_forgotten_broker_is_lost() {
        assert!(lost(&[(1, "learned", "INIT", 4), (1, "learned", "UP", 0)]).is_some());
        assert!(lost(&[(1, "learned", "UP", 3), (1, "learned", "DOWN", 1)]).is_some());
    }

    /// Statistics of a client whose one broker is down after so many attempts to connect.
    fn down_after(attempts: i64) -> Vec<u8> {
        let broker = serde_json::json!({"nodeid": 1, "source": "learned", "state": "DOWN", "connects": attempts,
            "toppars": {}});
        serde_json::json!({"brokers": {"b": broker}}).to_string().into_bytes()
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_goes_on_trying_is_in_an_outage_and_one_that_does_not_is_lost() {
        let watch = Watch::default();
        for attempts in 0..100 {
            watch.judge(&down_after(attempts));
            tokio::time::advance(LOST_AFTER / 2).await;
        }
        assert!(!is_any());
        watch.judge(&down_after(99));
        tokio::time::advance(LOST_AFTER).await;
        watch.judge(&down_after(99));
        assert!(is_any());
    }
}
