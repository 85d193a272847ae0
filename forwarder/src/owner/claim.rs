//! Taking a partition over and giving it up (rules 3, 8 and 12 of the ledger).

use std::sync::Arc;

use schemas::{
    LedgerRecord,
    ledger::{CLAIM_KEY, Claim},
};
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};
use uuid::Uuid;

use crate::{
    clock,
    group::Confirmation,
    hand::{Hand, Stage},
    ledger::Ledger,
    metrics,
    tenure::Tenure,
};

use super::{Mail, Owner, hold};

/// What this process is to the partition.
pub(super) enum Role {
    /// Nothing; calls of an earlier tenure may still finish.
    Idle,
    /// Its claim is written and not yet read back.
    Claiming { tenure: Arc<Tenure>, claim: Uuid },
    /// Its claim is read back, and the group is asked whether it still agrees.
    Confirming { tenure: Arc<Tenure>, epoch: i64, hold_until: Instant },
    /// The one that may start requests.
    Owning { tenure: Arc<Tenure>, epoch: i64, hold_until: Instant },
}

impl Role {
    pub(super) fn tenure(&self) -> Option<&Arc<Tenure>> {
        match self {
            Self::Idle => None,
            Self::Claiming { tenure, .. } | Self::Confirming { tenure, .. } | Self::Owning { tenure, .. } => {
                Some(tenure)
            }
        }
    }

    /// Whether a tenure is the present one.
    pub(super) fn is_of(&self, tenure: &Arc<Tenure>) -> bool {
        self.tenure().is_some_and(|present| Arc::ptr_eq(present, tenure))
    }

    pub(super) fn hold_until(&self) -> Option<Instant> {
        match self {
            Self::Owning { hold_until, .. } => Some(*hold_until),
            _ => None,
        }
    }
}

impl Owner {
    /// A new tenure begins with a claim. What an earlier one left undecided comes again from Kafka.
    pub(super) fn assigned(&mut self, tenure: Arc<Tenure>) {
        self.revoked();
        self.leaving = false;
        if self.draining {
            return;
        }
        // A partition that comes back keeps its ledger: its log was followed all the time.
        if self.log.is_none() {
            self.log = Some(self.shop.tail.follow(self.partition, self.ledger.next_offset()));
        }
        self.claim(tenure);
    }

    /// Another forwarder has the partition, and nothing of ours is under way: its ledger is not needed any more.
    pub(super) fn forget_partition(&mut self) {
        self.leaving = false;
        self.log = None;
        self.shop.tail.leave(self.partition);
        self.ledger = Ledger::new(self.shop.kept_ms);
        self.at_work.clear();
        self.by_intent.clear();
        self.void.clear();
        self.repairing.clear();
    }

    /// Writes a claim; its offset will be the epoch.
    fn claim(&mut self, tenure: Arc<Tenure>) {
        let claim = Claim {
            claim_id: Uuid::now_v7(),
            instance: self.shop.instance.clone(),
            partitions: self.shop.partitions,
            window_ms: self.shop.window_ms,
            at: clock::now_ms(),
        };
        self.role = Role::Claiming { tenure, claim: claim.claim_id };
        self.shop.publisher.ledger(self.partition, CLAIM_KEY.as_bytes(), &LedgerRecord::Claim(claim));
    }

    /// A claim was read: the own one restores the ledger and asks the group, a newer one stops everything until the
    /// group has said whose the partition is.
    pub(super) fn claim_read(&mut self, offset: i64, read: &Claim) {
        if read.partitions != self.shop.partitions {
            // Rule 1: P never changes in place, for orders would leave their ledgers behind.
            tracing::error!(
                claimed = read.partitions,
                found = self.shop.partitions,
                "the partition count was changed in place: restore it"
            );
            return self.shop.halt.cancel();
        }
        match &self.role {
            Role::Claiming { tenure, claim } if *claim == read.claim_id => {
                let (tenure, hold_until) = (tenure.clone(), Instant::now() + hold(self.shop.http_timeout));
                self.role = Role::Confirming { tenure: tenure.clone(), epoch: offset, hold_until };
                self.ask_group(tenure, offset);
            }
            Role::Confirming { tenure, epoch, .. } | Role::Owning { tenure, epoch, .. } if *epoch < offset => {
                tracing::warn!(
                    partition = self.partition,
                    by = read.instance,
                    "another forwarder claims the partition"
                );
                metrics::fenced();
                let tenure = tenure.clone();
                tenure.fence();
                self.ready.send_replace(false);
                self.claim_again(tenure);
            }
            _ => {}
        }
    }

    /// The group decides who is right: only a confirmed tenure claims again.
    fn claim_again(&mut self, tenure: Arc<Tenure>) {
        // The confirmation that follows finds no claim of its own read since, and writes one.
        self.role = Role::Confirming {
            tenure: tenure.clone(),
            epoch: -1,
            hold_until: Instant::now() + hold(self.shop.http_timeout),
        };
        self.ask_group(tenure, -1);
    }

    fn ask_group(&self, tenure: Arc<Tenure>, epoch: i64) {
        let (group, mail) = (self.shop.group.clone(), self.mail.0.clone());
        self.shop.vital.spawn("confirm", async move {
            let confirmation = group.confirm(&tenure).await;
            // The owner ends only when nothing of its tenures is left.
            let _ = mail.send(Mail::Confirmed(tenure, epoch, confirmation));
        });
    }

    /// Only the answer to what was asked last counts: an earlier one was given before the own claim was read (rule 3).
    pub(super) fn confirmed(&mut self, asked: &Arc<Tenure>, asked_at: i64, confirmation: Confirmation) {
        let Role::Confirming { tenure, epoch, hold_until } = &self.role else { return };
        if !Arc::ptr_eq(tenure, asked) || *epoch != asked_at {
            return;
        }
        let (tenure, epoch, hold_until) = (tenure.clone(), *epoch, *hold_until);
        match confirmation {
            Confirmation::Refused => self.revoked(),
            Confirmation::Accepted if epoch == self.ledger.epoch() => self.own(tenure, epoch, hold_until),
            // A newer claim than the own one was read meanwhile, and the group still says that it is ours.
            Confirmation::Accepted => self.claim(tenure),
        }
    }

    /// From here on requests may start and events flow.
    fn own(&mut self, tenure: Arc<Tenure>, epoch: i64, hold_until: Instant) {
        tracing::info!(partition = self.partition, epoch, orders = self.ledger.orders(), "the partition is claimed");
        tenure.confirm();
        self.role = Role::Owning { tenure, epoch, hold_until };
        self.ready.send_replace(true);
        if self.arrivals.is_none() && !self.draining {
            self.open_inputs();
        }
        self.forget_unread_intents();
        self.repair();
        for order in self.waiting.keys().copied().collect::<Vec<_>>() {
            self.wake(&order);
        }
    }

    /// Intents of an earlier tenure that were not read before the own claim are void wherever they land, and their
    /// events come again: what they hold of the dispatcher's room is given back now.
    fn forget_unread_intents(&mut self) {
        let unread = |hand: &Hand| matches!(hand.stage, Stage::Intended { .. }) && !self.role.is_of(&hand.tenure);
        let tokens: Vec<_> = self.hands.iter().filter(|(_, hand)| unread(hand)).map(|(token, _)| *token).collect();
        for token in tokens {
            self.drop_work(token);
        }
    }

    fn open_inputs(&mut self) {
        let (to, arrivals) = mpsc::unbounded_channel();
        self.arrivals = Some(arrivals);
        let (shop, partition, before) = (self.shop.clone(), self.partition, self.reading.take());
        self.reading = Some(self.shop.vital.spawn("inputs", async move {
            // A queue that goes takes the wake-ups of its partition with it: the old ones have to be gone first.
            if let Some(before) = before {
                let _ = before.await;
            }
            shop.inputs.read(partition, to).await;
        }));
    }

    /// The tenure is over. Calls in flight finish and write their results; what was not started comes to the next owner.
    pub(super) fn revoked(&mut self) {
        if let Some(tenure) = self.role.tenure() {
            tenure.revoke();
        }
        self.role = Role::Idle;
        self.frontiers.clear();
        self.stop_taking();
        self.ready.send_replace(false);
    }

    /// The worker ends: the tenure lives on, so that what finishes can be committed.
    pub(super) fn drain(&mut self, drained: oneshot::Sender<()>) {
        self.draining = true;
        self.stop_taking();
        self.drained = Some(drained);
    }

    fn stop_taking(&mut self) {
        self.arrivals = None;
        if let Some(reading) = &self.reading {
            reading.abort();
        }
        self.waiting.clear();
        self.held.clear();
        self.parked.clear();
        self.ask_at = None;
        self.hands.retain(|_, hand| !matches!(hand.stage, Stage::Undecided));
    }
}
