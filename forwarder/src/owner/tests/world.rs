//! A partition's world under the test's thumb: a log that lands what the test lets land, acknowledgements that it gives
//! or holds back, a group that answers as it says, and a Meta behind the real dispatcher.

use std::{
    collections::HashMap,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use futures::future::{BoxFuture, FutureExt as _};
use schemas::{
    Call, CallId, CallRecord, ConversionEvent, Lane, LedgerRecord, OrderKey, Verdict,
    ledger::{Accepted, CLAIM_KEY, Claim},
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, sleep},
};
use tracing::Span;
use uuid::Uuid;
use worker::vital::Vital;

use super::super::{
    Address, Mail, Owner, Workshop,
    kafka::{self, Landing},
};
use crate::{
    clock,
    group::Confirmation,
    inputs::{Arrival, Arrived, Input, Reservation},
    meta::{
        Answer, Class, Dispatcher, Limits,
        channel::{Channel, ChannelFault, Channels, DatasetKey, Route},
        client::Bearer,
        request::Envelope,
        wire::{Request, Wire},
    },
    publish::{Broken, TierCopy},
    tail::LedgerRead,
    tenure::Tenure,
    tiers::Tiers,
};

pub(super) const PARTITION: i32 = 3;
const HTTP_TIMEOUT: Duration = Duration::from_secs(15);

/// An acknowledgement that can be held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Ack {
    Record,
    Verdict,
    Tier,
}

/// Where a panic of ours is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fails {
    /// In the owner itself.
    Owner,
    Settle,
    Delay,
    Confirm,
    Credit,
    Inputs,
}

#[derive(Default)]
struct Seen {
    log: Vec<(Vec<u8>, LedgerRecord)>,
    /// Written by the owner and not landed yet.
    on_the_way: Vec<(Vec<u8>, LedgerRecord)>,
    lands: bool,
    follower: Option<mpsc::Sender<LedgerRead>>,
    followed_from: Vec<i64>,
    rows: Vec<CallRecord>,
    verdicts: Vec<Verdict>,
    copies: Vec<TierCopy>,
    asked: Vec<oneshot::Sender<Confirmation>>,
    inputs: Option<mpsc::UnboundedSender<Arrival>>,
    committed: HashMap<Input, i64>,
    /// What was committed of the live lane at each commit that was waited for.
    commits: Vec<Option<i64>>,
    /// What panics when it is next asked for.
    panics: Option<Fails>,
    /// What is never acknowledged: the producer fails for good.
    breaks: Option<Ack>,
    requests: Vec<Instant>,
}

impl Seen {
    fn land(&mut self) {
        for (key, record) in std::mem::take(&mut self.on_the_way) {
            self.append(key, record);
        }
    }

    fn append(&mut self, key: Vec<u8>, record: LedgerRecord) -> i64 {
        let offset = i64::try_from(self.log.len()).unwrap();
        self.log.push((key.clone(), record.clone()));
        if let Some(follower) = &self.follower {
            follower.try_send(LedgerRead { offset, key, record: Ok(record) }).unwrap();
        }
        offset
    }
}

/// What the owner's world has seen, and the levers of the test.
#[derive(Clone)]
pub(super) struct World {
    seen: Arc<Mutex<Seen>>,
    held: watch::Sender<Vec<Ack>>,
    /// What Meta says; `None` while it hangs.
    meta: watch::Sender<Option<Class>>,
    pub(super) vital: Vital,
}

impl World {
    /// An empty log, a Kafka that takes everything, and a Meta that counts everything.
    pub(super) fn new() -> Self {
        let seen = Seen { lands: true, ..Seen::default() };
        Self {
            seen: Arc::new(Mutex::new(seen)),
            held: watch::Sender::new(Vec::new()),
            meta: watch::Sender::new(Some(Class::Accepted)),
            vital: Vital::default(),
        }
    }

    /// What the owners of this world work with.
    pub(super) fn workshop(&self, limits: Limits) -> Arc<Workshop> {
        Arc::new(Workshop {
            publisher: Arc::new(self.clone()),
            tail: Arc::new(self.clone()),
            inputs: Arc::new(self.clone()),
            group: Arc::new(self.clone()),
            dispatcher: Dispatcher::new(self.clone(), Book, limits, self.vital.clone()),
            tiers: Tiers::new([Duration::from_mins(1), Duration::from_mins(10), Duration::from_hours(1)]),
            instance: "one".into(),
            partitions: 12,
            window_ms: 28 * 24 * 3_600_000,
            kept_ms: 36 * 24 * 3_600_000,
            http_timeout: HTTP_TIMEOUT,
            halt: tokio_util::sync::CancellationToken::new(),
            vital: self.vital.clone(),
        })
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap()
    }

    /// A fault of ours panics there.
    pub(super) fn panics_in(&self, place: Fails) {
        self.seen().panics = Some(place);
    }

    fn passes(&self, place: Fails) {
        let panics = self.seen().panics == Some(place);
        assert!(!panics, "a fault of ours");
    }

    fn acknowledged(&self, ack: Ack) -> Landing {
        let (world, mut held) = (self.clone(), self.held.subscribe());
        async move {
            held.wait_for(|held| !held.contains(&ack)).await.unwrap();
            if world.seen().breaks == Some(ack) { Err(Broken) } else { Ok(()) }
        }
        .boxed()
    }

    /// The producer fails for good there.
    pub(super) fn breaks(&self, ack: Ack) {
        self.seen().breaks = Some(ack);
    }

    pub(super) fn hold_back(&self, ack: Ack) {
        self.held.send_replace(vec![ack]);
    }

    pub(super) fn release(&self) {
        self.held.send_replace(Vec::new());
    }

    /// From here on records of the ledger are written, and do not land.
    pub(super) fn hold_log(&self) {
        self.seen().lands = false;
    }

    /// What was written lands, and no more.
    pub(super) fn land(&self) {
        self.seen().land();
    }

    /// The newest of what was written lands; what is older comes late, if ever.
    pub(super) fn land_newest(&self) {
        let mut seen = self.seen();
        if let Some((key, record)) = seen.on_the_way.pop() {
            seen.append(key, record);
        }
    }

    /// What was written and has not landed.
    pub(super) fn on_the_way(&self) -> Vec<LedgerRecord> {
        self.seen().on_the_way.iter().map(|(_, record)| record.clone()).collect()
    }

    /// What is written lands at once again.
    pub(super) fn let_land(&self) {
        let mut seen = self.seen();
        seen.lands = true;
        seen.land();
    }

    pub(super) fn append(&self, key: &OrderKey, record: LedgerRecord) -> i64 {
        self.seen().append(key.as_str().as_bytes().to_vec(), record)
    }

    /// Another forwarder's claim lands.
    pub(super) fn foreign_claim(&self) -> i64 {
        let claim = Claim {
            claim_id: Uuid::now_v7(),
            instance: "another".into(),
            partitions: 12,
            window_ms: 0,
            at: clock::now_ms(),
        };
        self.seen().append(CLAIM_KEY.into(), LedgerRecord::Claim(claim))
    }

    /// The records that landed.
    pub(super) fn log(&self) -> Vec<LedgerRecord> {
        self.seen().log.iter().map(|(_, record)| record.clone()).collect()
    }

    pub(super) fn rows(&self) -> Vec<CallRecord> {
        self.seen().rows.clone()
    }

    pub(super) fn verdicts(&self) -> usize {
        self.seen().verdicts.len()
    }

    /// The calls that the verdicts are about.
    pub(super) fn verdict_calls(&self) -> Vec<CallId> {
        self.seen().verdicts.iter().map(|verdict| verdict.call_id).collect()
    }

    pub(super) fn copies(&self) -> usize {
        self.seen().copies.len()
    }

    pub(super) fn requests(&self) -> usize {
        self.seen().requests.len()
    }

    pub(super) fn committed(&self, input: Input) -> Option<i64> {
        self.seen().committed.get(&input).copied()
    }

    pub(super) fn commits(&self) -> Vec<Option<i64>> {
        self.seen().commits.clone()
    }

    pub(super) fn followed_from(&self) -> Vec<i64> {
        self.seen().followed_from.clone()
    }

    pub(super) fn is_consuming(&self) -> bool {
        self.seen().inputs.as_ref().is_some_and(|inputs| !inputs.is_closed())
    }

    /// The group answers the oldest question that it has not answered.
    pub(super) fn group_says(&self, confirmation: Confirmation) {
        let asked = self.seen().asked.remove(0);
        asked.send(confirmation).unwrap();
    }

    pub(super) fn questions(&self) -> usize {
        self.seen().asked.len()
    }

    pub(super) fn meta_says(&self, class: Option<Class>) {
        self.meta.send_replace(class);
    }

    /// An event is read.
    pub(super) fn arrive(&self, input: Input, offset: i64, call: Call) {
        self.hand_over(input, offset, ConversionEvent { call, lane: Lane::Live, progress: None });
    }

    /// The copy that went to a tier last is read from there.
    pub(super) fn come_back(&self, offset: i64) {
        let (event, progress) = {
            let seen = self.seen();
            let copy = seen.copies.last().unwrap();
            (copy.event.clone(), copy.progress.clone())
        };
        let tier = usize::try_from(progress.tier).unwrap();
        let event = ConversionEvent { call: event.call.clone(), lane: event.lane, progress: Some(progress) };
        self.hand_over(Input::Retry(tier), offset, event);
    }

    fn hand_over(&self, input: Input, offset: i64, event: ConversionEvent) {
        let event = Arc::new(event);
        let arrived = Arrived {
            input,
            offset,
            key: event.order_key(),
            event,
            verdict_partition: Some(0),
            bytes: 500,
            span: Span::none(),
            reservation: Reservation::free(),
        };
        let inputs = self.seen().inputs.clone().unwrap();
        inputs.send(Arrival::Event(Box::new(arrived))).unwrap();
    }
}

impl kafka::Writes for World {
    fn ledger(&self, _: i32, key: &[u8], record: &LedgerRecord) {
        self.passes(Fails::Owner);
        let mut seen = self.seen();
        seen.on_the_way.push((key.to_vec(), record.clone()));
        if seen.lands {
            seen.land();
        }
    }

    fn record(&self, record: &CallRecord, _: &Span) -> Landing {
        self.passes(Fails::Settle);
        self.seen().rows.push(record.clone());
        self.acknowledged(Ack::Record)
    }

    fn verdict(&self, _: i32, verdict: &Verdict, _: &Span) -> Landing {
        self.seen().verdicts.push(verdict.clone());
        self.acknowledged(Ack::Verdict)
    }

    fn tier(&self, _: i32, copy: TierCopy, _: &Span) -> Landing {
        self.passes(Fails::Delay);
        self.seen().copies.push(copy);
        self.acknowledged(Ack::Tier)
    }
}

impl kafka::ReadsLedger for World {
    fn follow(&self, _: i32, from: i64) -> mpsc::Receiver<LedgerRead> {
        let (to, reads) = mpsc::channel(1000);
        let mut seen = self.seen();
        seen.followed_from.push(from);
        for (offset, (key, record)) in (0..).zip(&seen.log).filter(|(offset, _)| *offset >= from) {
            to.try_send(LedgerRead { offset, key: key.clone(), record: Ok(record.clone()) }).unwrap();
        }
        seen.follower = Some(to);
        reads
    }

    fn leave(&self, _: i32) {
        self.seen().follower = None;
    }

    fn accepted_at(&self, _: i32, offset: i64) -> BoxFuture<'_, Option<Accepted>> {
        self.passes(Fails::Credit);
        let found = match self.seen().log.get(usize::try_from(offset).unwrap()) {
            Some((_, LedgerRecord::Accepted(accepted))) => Some(accepted.clone()),
            _ => None,
        };
        std::future::ready(found).boxed()
    }
}

impl kafka::ReadsEvents for World {
    fn read(&self, _: i32, to: mpsc::UnboundedSender<Arrival>) -> BoxFuture<'_, ()> {
        self.passes(Fails::Inputs);
        self.seen().inputs = Some(to);
        std::future::pending().boxed()
    }
}

impl kafka::Coordinates for World {
    fn confirm<'a>(&'a self, _: &'a Arc<Tenure>) -> BoxFuture<'a, Confirmation> {
        self.passes(Fails::Confirm);
        let (answer, answered) = oneshot::channel();
        self.seen().asked.push(answer);
        async move { answered.await.unwrap() }.boxed()
    }

    fn advance(&self, _: &Arc<Tenure>, input: Input, offset: i64) {
        self.seen().committed.insert(input, offset);
    }

    fn commit_now(&self) -> BoxFuture<'_, ()> {
        let mut seen = self.seen();
        let live = seen.committed.get(&Input::Live).copied();
        seen.commits.push(live);
        std::future::ready(()).boxed()
    }
}

impl Wire for World {
    fn send(&self, request: Request) -> Pin<Box<dyn Future<Output = Answer> + Send + '_>> {
        drop(request);
        self.seen().requests.push(Instant::now());
        let mut meta = self.meta.subscribe();
        Box::pin(async move {
            let said = tokio::time::timeout(HTTP_TIMEOUT, meta.wait_for(Option::is_some)).await;
            let class = said.map_or(Some(Class::Unknown), |said| *said.unwrap());
            Answer::none(class.unwrap(), String::new())
        })
    }
}

/// Every business has a dataset of its own.
struct Book;

impl Channels for Book {
    fn route(&self, business_id: &str) -> Option<Route> {
        let key = DatasetKey { graph_version: "v26.0".into(), dataset_id: business_id.into() };
        Some(Route { key, max_concurrency: None })
    }

    fn channel(&self, business_id: &str) -> Result<Channel, ChannelFault> {
        Ok(Channel {
            route: self.route(business_id).ok_or(ChannelFault::Missing)?,
            envelope: Envelope { waba_id: "1".into(), partner_agent: None, test_event_code: None },
            bearer: Bearer::new("token").unwrap(),
        })
    }
}

/// An owner in its world, with the tenure that it was last given.
pub(super) struct Stage {
    pub(super) world: World,
    pub(super) owner: Address,
    pub(super) tenure: Arc<Tenure>,
}

impl Stage {
    /// An owner that was just assigned its partition. Its claim is read back; the group has not answered.
    pub(super) async fn assigned() -> Self {
        Self::after(|_| {}).await
    }

    /// The same, with a past in the log.
    pub(super) async fn after(past: impl FnOnce(&World)) -> Self {
        let world = World::new();
        past(&world);
        Self::of(world, Limits::new(clock::now_ms)).await
    }

    pub(super) async fn of(world: World, limits: Limits) -> Self {
        let owner = Owner::spawn(PARTITION, world.workshop(limits));
        let stage = Self { world, owner, tenure: Arc::new(Tenure::new(PARTITION)) };
        stage.tell(Mail::Assigned(stage.tenure.clone())).await;
        stage
    }

    /// An owner whose claim is confirmed, and whose dispatcher may do as much as `limits` say.
    pub(super) async fn within(limits: Limits) -> Self {
        let stage = Self::of(World::new(), limits).await;
        stage.group_says(Confirmation::Accepted).await;
        stage
    }

    /// An owner whose claim is confirmed.
    pub(super) async fn owning() -> Self {
        let stage = Self::assigned().await;
        stage.group_says(Confirmation::Accepted).await;
        stage
    }

    /// The partition is taken away and given again. The new claim is written; the group has not answered.
    pub(super) async fn assign_again(&mut self) {
        self.tell(Mail::Revoked).await;
        self.tenure = Arc::new(Tenure::new(PARTITION));
        self.tell(Mail::Assigned(self.tenure.clone())).await;
    }

    pub(super) async fn tell(&self, mail: Mail) {
        assert!(self.owner.mail.send(mail).is_ok());
        moments().await;
    }

    pub(super) async fn group_says(&self, confirmation: Confirmation) {
        self.world.group_says(confirmation);
        moments().await;
    }

    pub(super) async fn arrive(&self, offset: i64, call: Call) {
        self.world.arrive(Input::Live, offset, call);
        moments().await;
    }

    pub(super) async fn come_back(&self, offset: i64) {
        self.world.come_back(offset);
        moments().await;
    }

    pub(super) fn committed(&self) -> Option<i64> {
        self.world.committed(Input::Live)
    }
}

/// Everything that can happen now, happens.
pub(super) async fn moments() {
    sleep(Duration::from_millis(1)).await;
}

/// A call for an order.
pub(super) fn call(order: &str) -> Call {
    let now = clock::now_ms();
    let mut call = Call::blank(CallId::now(), now);
    call.business_id = "shop".into();
    call.event_name = "Purchase".into();
    call.order_id = order.into();
    call.event_time = Some(now / 1000);
    call
}
