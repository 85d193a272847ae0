//! Kafka in, Kafka out: the hops of the forwarder, with nothing between.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use rdkafka::producer::FutureProducer;
use schemas::Topics;
use tokio::{
    net::TcpListener,
    runtime::Handle,
    sync::{Semaphore, oneshot},
};

use super::{Surroundings, kafka};
use crate::{connection::Connection, order::Request};

/// Events at once, as many as the forwarder has in its hands.
const AT_ONCE: usize = 40_000;
/// About the size of an intent and of a result.
const LEDGER_BYTES: usize = 80;

/// What the events share.
struct Chain {
    producer: FutureProducer,
    topics: Topics,
    meta: Option<SocketAddr>,
    /// Open connections to Meta.
    idle: Mutex<Vec<Connection>>,
    read_back: Mutex<HashMap<[u8; 8], oneshot::Sender<()>>>,
}

/// Relays events until it is killed: intent, Meta where there is one, result; then a verdict where there is Meta, else a
/// record.
pub(super) async fn serve(listen: SocketAddr, around: &Surroundings) -> anyhow::Result<()> {
    let chain = Arc::new(Chain {
        producer: kafka::producer(around)?,
        topics: Topics::new(around.prefix.as_str()),
        meta: around.meta,
        idle: Mutex::default(),
        read_back: Mutex::default(),
    });
    let ledger = Arc::clone(&chain);
    kafka::read(around, &chain.topics.orders(), move |_, record| ledger.was_read(record)).await?;
    let (events, runtime, room) = (Arc::clone(&chain), Handle::current(), Arc::new(Semaphore::new(AT_ONCE)));
    let topic = if chain.meta.is_some() { chain.topics.events_live() } else { chain.topics.events_backfill() };
    kafka::read(around, &topic, move |partition, event| {
        let (chain, event) = (Arc::clone(&events), event.to_vec());
        let Ok(place) = runtime.block_on(Arc::clone(&room).acquire_owned()) else { return };
        runtime.spawn(async move {
            let _place = place;
            if let Err(error) = chain.relay(partition, &event).await {
                super::complain(&error);
            }
        });
    })
    .await?;
    // Whoever started this waits until it listens.
    let listener = TcpListener::bind(listen).await?;
    loop {
        listener.accept().await?;
    }
}

impl Chain {
    async fn relay(&self, partition: i32, event: &[u8]) -> anyhow::Result<()> {
        let number: [u8; 8] = event.first_chunk().copied().unwrap_or_default();
        self.note(partition, number).await?;
        if let Some(meta) = self.meta {
            self.call(meta).await?;
        }
        self.note(partition, number).await?;
        if self.meta.is_some() {
            kafka::write(&self.producer, &self.topics.verdicts(), 0, &number).await
        } else {
            kafka::write(&self.producer, &self.topics.records(), partition, event).await
        }
    }

    /// A record of the ledger, written and read back.
    async fn note(&self, partition: i32, number: [u8; 8]) -> anyhow::Result<()> {
        let (told, waits) = oneshot::channel();
        self.read_back.lock().unwrap_or_else(PoisonError::into_inner).insert(number, told);
        let mut record = [0; LEDGER_BYTES];
        record[..8].copy_from_slice(&number);
        kafka::write(&self.producer, &self.topics.orders(), partition, &record).await?;
        Ok(waits.await?)
    }

    fn was_read(&self, record: &[u8]) {
        let Some(number) = record.first_chunk() else { return };
        let waiting = self.read_back.lock().unwrap_or_else(PoisonError::into_inner).remove(number);
        let _ = waiting.map(|waiting| waiting.send(()));
    }

    async fn call(&self, meta: SocketAddr) -> anyhow::Result<()> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => Connection::open(meta).await?,
        };
        connection.call(Request::to("/v26.0/1/events", "").numbered(1)).await?;
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        Ok(())
    }
}
