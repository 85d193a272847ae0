//! A service over a queue in memory, and a forwarder that answers at once.

use std::{
    net::IpAddr,
    num::NonZeroU32,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, to_bytes},
    response::Response,
};
use capi_ingest::{
    admission::Capacity,
    publish::{Append, NotDurable, Publisher, Queue},
    router::{Peer, router},
    service::{Pipeline, Service, Terms},
    verdict::Waiters,
};
use clap::Parser;
use directory::{BusinessEntry, ChannelEntry, DirectoryView, Snapshot, keys::NewKey};
use futures::{FutureExt, future::BoxFuture};
use http::{HeaderMap, Request};
use schemas::{CallRecord, ConversionEvent, ConversionStatus, Message, Outcome, Topics, Verdict};
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use uuid::Uuid;
use warehouse::ClickHouseSettings;
use worker::health::{Dependency, Health};

use crate::conformity;

/// The body of the endpoint's page, without the event's time.
pub const EXAMPLE: &str = r#"{
    "cnct_tracking_id": "track", "event_name": "Purchase", "sendout_id": "send",
    "attribution": {"meta_ctwa": {"ctwa_clid": "click", "ad_id": "ad"}},
    "payload": {
        "currency": "USD", "value": 99.97, "order_id": "ORD-7821", "content_type": "product",
        "content_ids": ["data-pass-30d", "phone-case-blk"], "num_items": 2,
        "contents": [
            {"id": "data-pass-30d", "quantity": 1, "item_price": 49.99},
            {"id": "phone-case-blk", "quantity": 1, "item_price": 49.98}
        ]
    }
}"#;
/// P, and the partition on which verdicts are waited for.
pub const PARTITIONS: i32 = 12;
pub const VERDICT_PARTITION: i32 = 3;

/// How the queue takes a message.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    Acknowledges,
    Refuses,
    /// Never answers.
    Hangs,
    /// Has a fault that nobody foresaw.
    Panics,
}

/// What the forwarder makes of an event that somebody waits for; `None`: nothing yet.
type Forwarder = Box<dyn Fn(&ConversionEvent) -> Option<Outcome> + Send + Sync>;

pub struct Memory {
    pub messages: Mutex<Vec<Append>>,
    pub mood: Mutex<Mood>,
    /// The mood towards one topic only; empty for all.
    pub moody_topic: Mutex<&'static str>,
    forwarder: Forwarder,
    waiters: Arc<Waiters>,
}

struct MemoryQueue(Arc<Memory>);

impl Queue for MemoryQueue {
    fn append(&self, message: Append) -> BoxFuture<'_, Result<(), NotDurable>> {
        async move {
            let is_concerned = message.topic.ends_with(*self.0.moody_topic.lock().unwrap());
            let mood = if is_concerned { *self.0.mood.lock().unwrap() } else { Mood::Acknowledges };
            match mood {
                Mood::Refuses => return Err(NotDurable),
                Mood::Hangs => std::future::pending().await,
                Mood::Panics => panic!("a fault that nobody foresaw"),
                Mood::Acknowledges => self.0.messages.lock().unwrap().push(message.clone()),
            }
            if message.verdict_partition.is_some() {
                let event = ConversionEvent::decode(&message.payload).unwrap();
                if let Some(outcome) = (self.0.forwarder)(&event) {
                    self.0.waiters.deliver(Verdict { call_id: event.call.call_id, outcome });
                }
            }
            Ok(())
        }
        .boxed()
    }
}

pub struct Fixture {
    pub router: Router,
    pub service: Arc<Service>,
    pub queue: Dependency,
    pub memory: Arc<Memory>,
    pub waiters: Arc<Waiters>,
    pub drain: CancellationToken,
    pub business: String,
    pub key: String,
    pub key_id: String,
}

/// What a fixture is made of.
pub struct Setup {
    pub change: fn(&mut BusinessEntry),
    pub capacity: Capacity,
    pub forwarder: Forwarder,
}

impl Default for Setup {
    fn default() -> Self {
        let capacity = Capacity { calls: 1000, body_bytes: 1 << 30 };
        Self { change: |_| (), capacity, forwarder: Box::new(|_| Some(forwarded())) }
    }
}

pub fn forwarded() -> Outcome {
    Outcome { events_received: Some(1), ..Outcome::new(200, ConversionStatus::Forwarded) }
}

impl Fixture {
    pub fn new() -> Self {
        Self::with(Setup::default())
    }

    pub fn with(setup: Setup) -> Self {
        let fixture = Self::closed(setup);
        fixture.open();
        fixture
    }

    /// One whose pipeline is not open yet.
    pub fn closed(setup: Setup) -> Self {
        let NewKey { plaintext, key } = NewKey::generate("test", 0);
        let key_id = key.key_id.clone();
        let id = Uuid::from_u128(0xabc);
        let mut entry = BusinessEntry::new(id.into(), "Shop");
        entry.channel = Some(channel());
        entry.keys.push(key);
        (setup.change)(&mut entry);
        let directory = DirectoryView::from([entry].into_iter().collect::<Snapshot>());
        let drain = CancellationToken::new();
        let trusted_proxies = vec!["10.0.0.0/8".parse().unwrap()];
        let terms = Terms {
            capacity: setup.capacity,
            verdict_wait: Duration::from_secs(10),
            trusted_proxies,
            clickhouse: Flags::parse_from(["test", "--clickhouse-url", "http://127.0.0.1:9"]).clickhouse,
        };
        let queue = Health::default().dependency("kafka");
        queue.up();
        let service = Arc::new(Service::new(directory, queue.clone(), terms, drain.clone()));
        let waiters = Arc::new(Waiters::default());
        let memory = Arc::new(Memory {
            messages: Mutex::default(),
            mood: Mutex::new(Mood::Acknowledges),
            moody_topic: Mutex::new(""),
            forwarder: setup.forwarder,
            waiters: Arc::clone(&waiters),
        });
        let router = router(Arc::clone(&service));
        let (business, key) = (id.to_string(), plaintext.to_string());
        Self { router, service, queue, memory, waiters, drain, business, key, key_id }
    }

    pub fn open(&self) {
        let queue = Box::new(MemoryQueue(Arc::clone(&self.memory)));
        let publisher = Publisher::new(queue, Topics::new("t"), PARTITIONS, VERDICT_PARTITION);
        self.service.open(Pipeline { publisher, waiters: Arc::clone(&self.waiters) });
    }

    pub fn path(&self) -> String {
        path_of(&self.business)
    }

    /// A call with the fixture's key.
    pub fn call(&self) -> http::request::Builder {
        Request::post(self.path()).header("X-API-KEY", &self.key)
    }

    pub async fn post(&self, body: impl Into<Body>) -> Got {
        self.send(self.call().body(body.into()).unwrap()).await
    }

    pub async fn send(&self, request: Request<Body>) -> Got {
        self.send_from("203.0.113.9", request).await
    }

    pub async fn send_from(&self, peer: &str, request: Request<Body>) -> Got {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let response = self.respond_to(peer, request).await;
        let (head, body) = response.into_parts();
        let body = serde_json::from_slice(&to_bytes(body, usize::MAX).await.unwrap()).unwrap();
        let got = Got { http: head.status.as_u16(), headers: head.headers, body };
        conformity::check(&method, &path, &got);
        got
    }

    /// The response as it is.
    pub async fn respond_to(&self, peer: &str, mut request: Request<Body>) -> Response {
        request.extensions_mut().insert(Peer(peer.parse::<IpAddr>().unwrap()));
        self.router.clone().oneshot(request).await.unwrap()
    }

    pub fn messages(&self, topic: &str) -> Vec<Append> {
        self.memory.messages.lock().unwrap().iter().filter(|message| message.topic == topic).cloned().collect()
    }

    pub fn records(&self) -> Vec<CallRecord> {
        self.messages("t.records").iter().map(|message| CallRecord::decode(&message.payload).unwrap()).collect()
    }

    pub fn events(&self, lane: &str) -> Vec<ConversionEvent> {
        let messages = self.messages(&format!("t.events.{lane}"));
        messages.iter().map(|message| ConversionEvent::decode(&message.payload).unwrap()).collect()
    }

    /// The only record, of the answer that was got.
    #[track_caller]
    pub fn record_of(&self, got: &Got) -> CallRecord {
        let records = self.records();
        let [record] = records.as_slice() else { panic!("{} records", records.len()) };
        assert_eq!(record.call.call_id.to_string(), got.call_id());
        assert_eq!(record.rests_on, 0);
        record.clone()
    }

    pub fn mood(&self, topic: &'static str, mood: Mood) {
        *self.memory.moody_topic.lock().unwrap() = topic;
        *self.memory.mood.lock().unwrap() = mood;
    }
}

/// A ClickHouse that is away: nobody listens on the port of the discard service.
#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    clickhouse: ClickHouseSettings,
}

pub fn path_of(business: &str) -> String {
    format!("/external/v1/businesses/{business}/conversion_events")
}

pub fn channel() -> ChannelEntry {
    ChannelEntry {
        waba_id: "1".into(),
        dataset_id: "2".into(),
        access_token: vec![0],
        graph_version: None,
        partner_agent: None,
        test_event_code: None,
        max_concurrency: None,
    }
}

pub fn rate(per_second: u32) -> Option<NonZeroU32> {
    NonZeroU32::new(per_second)
}

#[derive(Debug)]
pub struct Got {
    pub http: u16,
    pub headers: HeaderMap,
    pub body: Value,
}

impl Got {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub fn call_id(&self) -> &str {
        self.header("x-request-id")
    }

    pub fn reason(&self) -> &str {
        self.body["details"][0]["reason"].as_str().unwrap_or_default()
    }

    pub fn stage(&self) -> &str {
        self.body["details"][0]["metadata"]["failure_stage"].as_str().unwrap_or_default()
    }
}
