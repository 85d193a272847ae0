//! Follows what the group decides: an owner for every partition that is ours, and none that is waited for when the
//! worker ends.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, MissedTickBehavior, interval, timeout_at},
};
use worker::{health::Dependency, shutdown::Shutdown};

use crate::{
    group::Change,
    metrics,
    owner::{Address, Mail, Owner, Workshop, drain},
    tenure::Tenure,
};

/// How often readiness is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The owners of this process.
pub struct Assignment {
    shop: Arc<Workshop>,
    owners: HashMap<i32, Address>,
    held: Vec<i32>,
    joined: bool,
    partitions: Dependency,
}

impl Assignment {
    /// No partition yet. `partitions` is the health entry that says whether all that are assigned are claimed.
    pub fn new(shop: Arc<Workshop>, partitions: Dependency) -> Self {
        Self { shop, owners: HashMap::new(), held: Vec::new(), joined: false, partitions }
    }

    /// Follows the group until the worker is to end, then drains.
    pub async fn follow(mut self, mut changes: mpsc::UnboundedReceiver<Change>, shutdown: Shutdown) {
        let mut look = interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                Some(change) = changes.recv() => self.change(change),
                _ = look.tick() => self.look(),
                () = shutdown.requested() => break,
            }
        }
        self.drain().await;
    }

    fn change(&mut self, change: Change) {
        match change {
            Change::Assigned(tenures) => {
                self.joined = true;
                self.held = tenures.iter().map(|tenure| tenure.partition).collect();
                tracing::info!(partitions = ?self.held, "assigned");
                self.let_go();
                tenures.into_iter().for_each(|tenure| self.assign(tenure));
            }
            Change::Revoked(partitions) => {
                tracing::info!(?partitions, "revoked");
                self.held.clear();
                self.joined = false;
                for partition in partitions {
                    self.tell(partition, Mail::Revoked);
                }
            }
        }
        self.look();
    }

    /// Partitions that went to another forwarder: their ledgers are not needed any more.
    fn let_go(&mut self) {
        let gone: Vec<i32> = self.owners.keys().copied().filter(|partition| !self.held.contains(partition)).collect();
        for partition in gone {
            self.tell(partition, Mail::Gone);
        }
    }

    fn assign(&mut self, tenure: Arc<Tenure>) {
        let shop = self.shop.clone();
        let partition = tenure.partition;
        let owner = self.owners.entry(partition).or_insert_with(|| Owner::spawn(partition, shop));
        // An owner runs for as long as the process does.
        let _ = owner.mail.send(Mail::Assigned(tenure));
    }

    fn tell(&self, partition: i32, mail: Mail) {
        if let Some(owner) = self.owners.get(&partition) {
            let _ = owner.mail.send(mail);
        }
    }

    /// Ready once every partition assigned is claimed and its ledger restored.
    fn look(&self) {
        let claimed = self.held.iter().filter(|partition| self.is_claimed(**partition)).count();
        metrics::partitions(self.held.len(), claimed);
        if self.joined && claimed == self.held.len() {
            self.partitions.up();
        } else {
            let why = if self.joined { "assigned partitions are claimed" } else { "(no assignment yet)" };
            self.partitions.down(format!("{claimed} of {} {why}", self.held.len()));
        }
    }

    fn is_claimed(&self, partition: i32) -> bool {
        self.owners.get(&partition).is_some_and(|owner| *owner.ready.borrow())
    }

    /// Calls in flight finish, what is done is committed; the rest comes to whoever is next.
    async fn drain(self) {
        let until = Instant::now() + drain(self.shop.http_timeout);
        let mut waits = Vec::new();
        for owner in self.owners.values() {
            let (drained, wait) = oneshot::channel();
            if owner.mail.send(Mail::Drain(drained)).is_ok() {
                waits.push(wait);
            }
        }
        for wait in waits {
            if timeout_at(until, wait).await.is_err() {
                tracing::warn!("calls are still in flight at the end of the drain: their events are read again");
                break;
            }
        }
        self.shop.group.commit_now().await;
    }
}
