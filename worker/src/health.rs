//! Whether a worker can do its work, dependency by dependency.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use serde::Serialize;

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
    up: bool,
    detail: String,
    since: SystemTime,
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
    /// For how many seconds it has stood so.
    pub for_seconds: u64,
}

impl Health {
    /// The health of a worker that ends on `shutdown`.
    #[must_use]
    pub fn new(shutdown: Shutdown) -> Self {
        Self { dependencies: Arc::default(), shutdown }
    }

    /// A dependency by its name in `/readyz`. Asking twice gives the same one.
    pub fn dependency(&self, name: &'static str) -> Dependency {
        let starting = State { up: false, detail: "starting".into(), since: SystemTime::now() };
        self.lock().entry(name).or_insert(starting);
        Dependency { name, health: self.clone() }
    }

    /// How everything stands now.
    pub fn readiness(&self) -> Readiness {
        let draining = self.shutdown.is_requested();
        let states = self.lock();
        let standing = |state: &State| Standing {
            up: state.up,
            detail: state.detail.clone(),
            for_seconds: state.since.elapsed().unwrap_or_default().as_secs(),
        };
        Readiness {
            ready: !draining && states.values().all(|state| state.up),
            draining,
            dependencies: states.iter().map(|(name, state)| (*name, standing(state))).collect(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, State>> {
        self.dependencies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Dependency {
    /// It works. Logged once, when it changes.
    pub fn up(&self) {
        self.set(true, String::new());
    }

    /// It does not. Logged once, when it changes.
    pub fn down(&self, why: impl Into<String>) {
        self.set(false, why.into());
    }

    fn set(&self, up: bool, detail: String) {
        let mut states = self.health.lock();
        let Some(state) = states.get_mut(self.name) else { return };
        if state.up != up {
            if up {
                tracing::info!(dependency = self.name, "up");
            } else {
                tracing::warn!(dependency = self.name, %detail, "down");
            }
            state.since = SystemTime::now();
        }
        state.up = up;
        state.detail = detail;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn asking_twice_gives_the_same_dependency() {
        let health = Health::default();
        health.dependency("kafka").up();
        health.dependency("kafka");
        assert!(health.readiness().ready);
    }
}
