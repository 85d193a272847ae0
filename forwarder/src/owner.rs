//! The owner of a partition: one task that holds its ledger, decides about its events, and lets their offsets pass.
//! Everything that happens to a partition comes to it as a message, and it never waits for one thing alone.
//!
//! [`claim`] takes the partition over and gives it up, [`event`] decides about events, [`readback`] reads the ledger's
//! records, [`report`] turns Meta's answers into results, [`settle`] writes rows and verdicts and moves the frontier;
//! [`kafka`] is what it asks of Kafka.

mod claim;
mod event;
pub mod kafka;
mod readback;
mod report;
mod settle;
#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, HashSet, VecDeque},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use futures::{StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use schemas::{OrderHash, ledger::Accepted};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;
use worker::vital::Vital;

use crate::{
    clock,
    frontier::Frontier,
    group::Confirmation,
    hand::{Hand, Token},
    inputs::{Arrival, Input},
    ledger::{Ledger, decide::Standpoint},
    meta::{Dispatcher, Settled},
    tail::LedgerRead,
    tenure::Tenure,
    tiers::Tiers,
};

use claim::Role;
use kafka::{Coordinates, ReadsEvents, ReadsLedger, Writes};

/// Every request under an intent starts within this time of its read-back (rule 8 of the ledger).
pub const START_WITHIN: Duration = Duration::from_secs(5);
/// Room for what neither the start deadline nor the HTTP time-out covers (rule 12 of the ledger).
const HOLD_SLACK: Duration = Duration::from_secs(10);
/// How often parked events ask for room again.
const PARKED_ASK: Duration = Duration::from_millis(10);
/// How often expired orders are forgotten.
const FORGET_EVERY: Duration = Duration::from_hours(1);
/// Parked events in a row that find no room before the others are left for the next time.
const PARKED_TRIES: usize = 32;

/// How long calls in flight may take to finish, and so a drain: start deadline and HTTP time-out (rule 12 of the ledger).
pub fn drain(http_timeout: Duration) -> Duration {
    START_WITHIN + http_timeout
}

/// T of rule 7: how long an owner leaves alone what an earlier owner had open. It exceeds the longest life of an intent.
pub fn hold(http_timeout: Duration) -> Duration {
    drain(http_timeout) + HOLD_SLACK
}

/// What every owner of this process works with.
pub struct Workshop {
    /// Writes to Kafka.
    pub publisher: Arc<dyn Writes>,
    /// Reads the orders topic.
    pub tail: Arc<dyn ReadsLedger>,
    /// Reads the inputs.
    pub inputs: Arc<dyn ReadsEvents>,
    /// The consumer group.
    pub group: Arc<dyn Coordinates>,
    /// Sends to Meta.
    pub dispatcher: Dispatcher,
    /// The delay tiers.
    pub tiers: Tiers,
    /// The name of this forwarder in its claims.
    pub instance: String,
    /// P.
    pub partitions: i32,
    /// The deduplication window, in milliseconds.
    pub window_ms: i64,
    /// How long the orders topic keeps a record, in milliseconds.
    pub kept_ms: i64,
    /// The longest that Meta's answer is waited for: [`drain`] and [`hold`] follow from it.
    pub http_timeout: Duration,
    /// Ends the worker at once: going on would break what it promises.
    pub halt: CancellationToken,
    /// Starts the tasks without which a partition would stand still.
    pub vital: Vital,
}

/// What an owner is told.
pub enum Mail {
    /// The group gave the partition.
    Assigned(Arc<Tenure>),
    /// The group took it away; it may come back.
    Revoked,
    /// Another has it: the ledger is not needed any more.
    Gone,
    /// The worker ends: start nothing, finish what is under way, then say so.
    Drain(oneshot::Sender<()>),
    /// The group answered what was asked of a tenure at an epoch.
    Confirmed(Arc<Tenure>, i64, Confirmation),
    /// A credit was fetched again, with Meta's answer where it is still there.
    Reread(Token, Option<Accepted>),
}

/// A void record that is the last of its key: the owner writes the order's state after it (rule 6 of the ledger).
struct Void {
    key: Vec<u8>,
    offset: i64,
}

/// The address of an owner.
#[derive(Clone)]
pub struct Address {
    /// Its mail.
    pub mail: mpsc::UnboundedSender<Mail>,
    /// Whether it has claimed its partition and restored the ledger.
    pub ready: watch::Receiver<bool>,
}

/// The owner of a partition.
pub struct Owner {
    partition: i32,
    shop: Arc<Workshop>,
    ledger: Ledger,
    role: Role,
    hands: HashMap<Token, Hand>,
    next_token: Token,
    frontiers: HashMap<Input, Frontier>,
    /// The call of each order that is at work: its intent written, its result not yet read back.
    at_work: HashMap<OrderHash, Token>,
    /// The event of each own intent that counts and has no result yet, by the intent's offset.
    by_intent: HashMap<i64, Token>,
    /// Events that wait for their order to move.
    waiting: HashMap<OrderHash, Vec<Token>>,
    /// Orders whose events wait for the hold to end.
    held: HashSet<OrderHash>,
    /// Events of the backfill lane and of the tiers that wait for room at their dataset, and since when.
    parked: VecDeque<(Token, Instant)>,
    /// When the parked events ask for room again. A busy partition does not move it.
    ask_at: Option<Instant>,
    /// Orders whose last record is void.
    void: HashMap<OrderHash, Void>,
    /// What the repair of each order that is on its way repairs, by its epoch and the offset of the void record. There is
    /// one at a time: of two, the first would make the second void, which would have to be repaired, and so on for ever.
    repairing: HashMap<OrderHash, (i64, i64)>,
    /// What the dispatcher will say of each event that it has.
    reports: FuturesUnordered<BoxFuture<'static, (Token, Option<Settled>)>>,
    /// What each event that ended is settled with, on its way to Kafka; `None` where that never lands.
    settling: FuturesUnordered<BoxFuture<'static, Option<Token>>>,
    /// The partition of the orders topic, while it is followed.
    log: Option<mpsc::Receiver<LedgerRead>>,
    /// Events, while they are taken.
    arrivals: Option<mpsc::UnboundedReceiver<Arrival>>,
    /// The task that reads the inputs, or did.
    reading: Option<JoinHandle<()>>,
    mail: (mpsc::UnboundedSender<Mail>, mpsc::UnboundedReceiver<Mail>),
    ready: watch::Sender<bool>,
    leaving: bool,
    draining: bool,
    drained: Option<oneshot::Sender<()>>,
    forget_at: Instant,
}

impl Owner {
    /// An owner without a tenure. It runs for as long as the process does: a partition that went away may come back.
    pub fn spawn(partition: i32, shop: Arc<Workshop>) -> Address {
        let mail = mpsc::unbounded_channel();
        let (ready, is_ready) = watch::channel(false);
        let address = Address { mail: mail.0.clone(), ready: is_ready };
        let vital = shop.vital.clone();
        let owner = Self {
            partition,
            ledger: Ledger::new(shop.kept_ms),
            shop,
            role: Role::Idle,
            hands: HashMap::new(),
            next_token: 0,
            frontiers: HashMap::new(),
            at_work: HashMap::new(),
            by_intent: HashMap::new(),
            waiting: HashMap::new(),
            held: HashSet::new(),
            parked: VecDeque::new(),
            ask_at: None,
            void: HashMap::new(),
            repairing: HashMap::new(),
            reports: FuturesUnordered::new(),
            settling: FuturesUnordered::new(),
            log: None,
            arrivals: None,
            reading: None,
            mail,
            ready,
            leaving: false,
            draining: false,
            drained: None,
            forget_at: Instant::now() + FORGET_EVERY,
        };
        vital.spawn_endless("owner", owner.run());
        address
    }

    async fn run(mut self) {
        // Kept from round to round: to set a timer anew takes a lock that all timers share.
        let mut alarm = pin!(sleep_until(self.wake_at()));
        loop {
            let wake_at = self.wake_at();
            if alarm.deadline() != wake_at {
                alarm.as_mut().reset(wake_at);
            }
            tokio::select! {
                Some(read) = next_read(&mut self.log) => self.read(read),
                Some(mail) = self.mail.1.recv() => self.open(mail),
                Some(arrival) = next_arrival(&mut self.arrivals) => self.arrived(arrival),
                Some((token, settled)) = self.reports.next() => self.reported(token, settled),
                Some(Some(token)) = self.settling.next() => self.settled(token),
                () = &mut alarm => self.woken(),
            }
            if self.hands.is_empty() {
                self.nothing_in_hand();
            }
        }
    }

    fn open(&mut self, mail: Mail) {
        match mail {
            Mail::Assigned(tenure) => self.assigned(tenure),
            Mail::Revoked => self.revoked(),
            Mail::Gone => {
                self.revoked();
                self.leaving = true;
            }
            Mail::Drain(drained) => self.drain(drained),
            Mail::Confirmed(tenure, epoch, confirmation) => self.confirmed(&tenure, epoch, confirmation),
            Mail::Reread(token, accepted) => self.reread(token, accepted),
        }
    }

    /// What waits for the last call in flight: the end of a drain, and forgetting a partition that is another's.
    fn nothing_in_hand(&mut self) {
        if let Some(drained) = self.drained.take() {
            // Whoever asked may have stopped waiting.
            let _ = drained.send(());
        }
        if self.leaving {
            self.forget_partition();
        }
    }

    fn wake_at(&self) -> Instant {
        let hold = self.role.hold_until().filter(|_| !self.held.is_empty());
        [self.ask_at, hold].into_iter().flatten().fold(self.forget_at, Instant::min)
    }

    fn woken(&mut self) {
        let now = Instant::now();
        if now >= self.forget_at {
            self.ledger.forget_expired(clock::now_ms());
            self.forget_at = now + FORGET_EVERY;
        }
        if self.role.hold_until().is_some_and(|until| now >= until) {
            for order in std::mem::take(&mut self.held) {
                self.wake(&order);
            }
        }
        if self.ask_at.is_some_and(|at| now >= at) {
            self.ask_for_room();
        }
    }

    /// Where this owner stands towards an order.
    fn standpoint(&self, order: &OrderHash, epoch: i64, hold_until: Instant) -> Standpoint {
        let at_work = self.at_work.get(order).and_then(|token| self.hands.get(token));
        Standpoint {
            epoch,
            at_work: at_work.is_some_and(|hand| self.role.is_of(&hand.tenure)),
            hold_over: Instant::now() >= hold_until,
            window_ms: self.shop.window_ms,
            now_ms: clock::now_ms(),
        }
    }
}

/// An owner goes only by a panic, or with the process. What it knew is in doubt then, so nothing more is sent or committed
/// for its partition; the events come again.
impl Drop for Owner {
    fn drop(&mut self) {
        if let Some(tenure) = self.role.tenure() {
            tenure.revoke();
        }
    }
}

async fn next_arrival(arrivals: &mut Option<mpsc::UnboundedReceiver<Arrival>>) -> Option<Arrival> {
    match arrivals {
        Some(arrivals) => arrivals.recv().await,
        None => std::future::pending().await,
    }
}

async fn next_read(log: &mut Option<mpsc::Receiver<LedgerRead>>) -> Option<LedgerRead> {
    match log {
        Some(log) => log.recv().await,
        None => std::future::pending().await,
    }
}
