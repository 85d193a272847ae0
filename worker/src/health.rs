//! Whether a worker can do its work, dependency by dependency.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde::Serialize;
use time::OffsetDateTime;

use crate::shutdown::Shutdown;

/// The health of a worker: ready when every dependency is up and no drain is under way.
#[derive(Clone, Default)]
pub struct Health {
    dependencies: Arc<Mutex<BTreeMap<&'static str, State>>>,
    shutdown: Shutdown,
}

/// One thing that a worker needs. It starts as down.
#[derive(Clone)]
pub struct Dependency {
    name: &'static str,
    health: Health,
}

#[derive(Clone)]
struct State {
    /// None as long as nothing is known.
    up: Option<bool>,
    detail: String,
    since: OffsetDateTime,
}

/// What `/readyz` says.
#[derive(Debug, Serialize)]
pub struct Readiness {
    /// Whether the worker can do its work.
    pub ready: bool,
    /// Whether it is about to end.
    pub draining: bool,
    /// Each thing that it needs.
    pub dependencies: BTreeMap<&'static str, Standing>,
}

/// How a dependency stands.
#[derive(Debug, Serialize)]
pub struct Standing {
    /// Whether it works.
    pub up: bool,
    /// What is wrong, for people; empty where nothing is.
    pub detail: String,
    /// Since when it has stood so.
    #[serde(with = "time::serde::rfc3339")]
    pub since: OffsetDateTime,
}

impl Health {
    /// The health of a worker that ends on `shutdown`.
    #[must_use]
    pub fn new(shutdown: Shutdown) -> Self {
        Self { dependencies: Arc::default(), shutdown }
    }

    /// A dependency by its name in `/readyz`. Asking twice gives the same one.
    pub fn dependency(&self, name: &'static str) -> Dependency {
        let starting = State { up: None, detail: "starting".into(), since: OffsetDateTime::now_utc() };
        self.lock().entry(name).or_insert(starting);
        Dependency { name, health: self.clone() }
    }

    /// How everything stands now.
    pub fn readiness(&self) -> Readiness {
        let draining = self.shutdown.is_requested();
        let states = self.lock();
        let up = |state: &State| state.up == Some(true);
        let standing = |state: &State| Standing { up: up(state), detail: state.detail.clone(), since: state.since };
        Readiness {
            // Before it has said what it needs, a worker can do nothing: a deploy that took it for ready would go on
            // and end the next one.
            ready: !draining && !states.is_empty() && states.values().all(up),
            draining,
            dependencies: states.iter().map(|(name, state)| (*name, standing(state))).collect(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, State>> {
        self.dependencies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Dependency {
    /// It works. Logged once, when it changes or is first known.
    pub fn up(&self) {
        self.set(true, String::new());
    }

    /// It does not. Logged once, when it changes or is first known.
    pub fn down(&self, why: impl Into<String>) {
        self.set(false, why.into());
    }

    /// Whether it works now, as `/readyz` says at the same moment.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.health.lock().get(self.name).is_some_and(|state| state.up == Some(true))
    }

    fn set(&self, up: bool, detail: String) {
        let mut states = self.health.lock();
        let Some(state) = states.get_mut(self.name) else { return };
        if state.up != Some(up) {
            if up {
                tracing::info!(dependency = self.name, "up");
            } else {
                tracing::warn!(dependency = self.name, %detail, "down");
            }
            state.since = OffsetDateTime::now_utc();
        }
        state.up = Some(up);
        state.detail = detail;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::captured::Captured;

    #[test]
    fn a_worker_is_ready_when_all_is_up_and_no_drain_is_under_way() {
        let shutdown = Shutdown::default();
        let health = Health::new(shutdown.clone());
        let (kafka, store) = (health.dependency("kafka"), health.dependency("clickhouse"));
        assert!(!health.readiness().ready);
        kafka.up();
        store.down("refused");
        assert!(!health.readiness().ready);
        assert_eq!(health.readiness().dependencies["clickhouse"].detail, "refused");
        store.up();
        assert!(health.readiness().ready);
        shutdown.request();
        assert!(!health.readiness().ready);
    }

    #[test]
    fn a_worker_that_has_not_said_what_it_needs_is_not_ready() {
        assert!(!Health::default().readiness().ready);
    }

    #[test]
    fn what_is_away_from_the_start_is_logged_once() {
        let log = Captured::default();
        let sink = log.clone();
        let subscriber = tracing_subscriber::fmt().without_time().with_writer(move || sink.clone()).finish();
        tracing::subscriber::with_default(subscriber, || {
            let kafka = Health::default().dependency("kafka");
            kafka.down("refused");
            kafka.down("refused again");
            kafka.up();
            kafka.up();
        });
        let text = log.text();
        assert_eq!(text.matches("WARN").count(), 1, "{text}");
        assert_eq!(text.matches("INFO").count(), 1, "{text}");
    }

    #[test]
    fn since_is_the_moment_of_the_change() {
        let health = Health::default();
        let kafka = health.dependency("kafka");
        kafka.down("refused");
        let since = |health: &Health| health.readiness().dependencies["kafka"].since;
        let fell = since(&health);
        kafka.down("still refused");
        assert_eq!(since(&health), fell);
        let told = serde_json::to_value(health.readiness()).unwrap();
        let told = told["dependencies"]["kafka"]["since"].as_str().unwrap().to_owned();
        let rfc3339 = time::format_description::well_known::Rfc3339;
        assert_eq!(OffsetDateTime::parse(&told, &rfc3339).unwrap(), fell);
    }

    #[test]
    fn a_dependency_and_readiness_say_the_same() {
        let health = Health::default();
        let kafka = health.dependency("kafka");
        assert!(!kafka.is_up(), "nothing is known yet");
        for up in [true, false, true] {
            if up {
                kafka.up();
            } else {
                kafka.down("refused");
            }
            assert_eq!((kafka.is_up(), health.readiness().ready), (up, up));
        }
    }

    #[test]
    fn asking_twice_gives_the_same_dependency() {
        let health = Health::default();
        health.dependency("kafka").up();
        health.dependency("kafka");
        assert!(health.readiness().ready);
    }
}
