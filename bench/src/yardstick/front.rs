//! HTTP in, Kafka out, with nothing between.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use axum::{Router, body::Bytes, extract::State, http::StatusCode, routing::any};
use rdkafka::producer::FutureProducer;
use schemas::Topics;
use tokio::sync::oneshot;

use super::{PARTITIONS, Surroundings, kafka, nothing};

/// What the calls share.
struct Front {
    producer: FutureProducer,
    topic: String,
    next: AtomicU64,
    waiting: Mutex<HashMap<[u8; 8], oneshot::Sender<()>>>,
}

impl Front {
    fn new(around: &Surroundings, topic: String) -> anyhow::Result<Arc<Self>> {
        let producer = kafka::producer(around)?;
        Ok(Arc::new(Self { producer, topic, next: AtomicU64::new(0), waiting: Mutex::default() }))
    }

    /// A number, and a partition in turn.
    fn number(&self) -> ([u8; 8], i32) {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let partition = i32::try_from(number % u64::from(PARTITIONS.unsigned_abs())).unwrap_or_default();
        (number.to_be_bytes(), partition)
    }

    fn wait(&self, number: [u8; 8]) -> oneshot::Receiver<()> {
        let (told, waits) = oneshot::channel();
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(number, told);
        waits
    }

    fn tell(&self, verdict: &[u8]) {
        let Some(number) = verdict.first_chunk() else { return };
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(number);
        // A caller that went away is not told.
        let _ = waiting.map(|waiting| waiting.send(()));
    }
}

/// A call's body as it is into Kafka, and 202 once it is acknowledged.
pub(super) async fn ingest(listen: SocketAddr, around: &Surroundings) -> anyhow::Result<()> {
    let front = Front::new(around, Topics::new(around.prefix.as_str()).events_backfill())?;
    let take = async |State(front): State<Arc<Front>>, body: Bytes| {
        let (_, partition) = front.number();
        match kafka::write(&front.producer, &front.topic, partition, &body).await {
            Ok(()) => StatusCode::ACCEPTED,
            Err(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    };
    let router = Router::new().fallback(any(take)).with_state(front);
    nothing::answer(listen, router).await
}

/// The same with a number before it, and 200 once that number comes back.
pub(super) async fn front(listen: SocketAddr, around: &Surroundings) -> anyhow::Result<()> {
    let topics = Topics::new(around.prefix.as_str());
    let front = Front::new(around, topics.events_live())?;
    let verdicts = Arc::clone(&front);
    kafka::read(around, &topics.verdicts(), move |_, verdict| verdicts.tell(verdict)).await?;
    let take = async |State(front): State<Arc<Front>>, body: Bytes| {
        let (number, partition) = front.number();
        let verdict = front.wait(number);
        let event = [&number, body.as_ref()].concat();
        let written = kafka::write(&front.producer, &front.topic, partition, &event).await;
        match (written, verdict.await) {
            (Ok(()), Ok(())) => StatusCode::OK,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        }
    };
    let router = Router::new().fallback(any(take)).with_state(front);
    nothing::answer(listen, router).await
}
