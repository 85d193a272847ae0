//! The directory's topic as a command line meets it: read once from beginning to end, and written a value at a time.

use std::time::Duration;

use rdkafka::{
    ClientConfig, Message as _,
    consumer::StreamConsumer,
    error::{KafkaError, RDKafkaErrorCode},
    message::{BorrowedMessage, Header, OwnedHeaders},
    producer::{FutureProducer, FutureRecord},
};
use schemas::Topics;
use tokio::time::timeout;
use worker::outage::Callbacks;

use super::StoreError;
use crate::{
    change::BASE_HEADER,
    subject::Subject,
    view::{PARTITION, from_beginning},
};

/// How long Kafka may be silent before a command gives up.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) struct Topic {
    config: ClientConfig,
    topics: Topics,
    producer: FutureProducer,
}

impl Topic {
    pub(super) fn open(config: &ClientConfig, topics: &Topics) -> Result<Self, StoreError> {
        let mut writing = config.clone();
        writing
            .set("acks", "all")
            .set("enable.idempotence", "true")
            .set("message.timeout.ms", PATIENCE.as_millis().to_string());
        let producer = writing.create().map_err(|error| unavailable(&error))?;
        Ok(Self { config: config.clone(), topics: topics.clone(), producer })
    }

    /// Writes one value, made from the one at `base`, or the removal of it; its offset, once all in-sync replicas have it.
    pub(super) async fn write(
        &self,
        subject: &Subject,
        value: Option<&[u8]>,
        base: Option<i64>,
    ) -> Result<i64, StoreError> {
        let (topic, key) = (self.topics.directory(), subject.key());
        let mut record = FutureRecord { payload: value, ..FutureRecord::to(&topic).partition(PARTITION).key(&key) };
        if let Some(base) = base {
            let header = Header { key: BASE_HEADER, value: Some(&base.to_string()) };
            record = record.headers(OwnedHeaders::new().insert(header));
        }
        match self.producer.send(record, PATIENCE).await {
            Ok(delivery) => Ok(delivery.offset),
            Err((error, _)) => Err(self.fault(&error)),
        }
    }

    pub(super) fn reader(&self) -> Result<Reader<'_>, StoreError> {
        let consumer = from_beginning(&self.config, &self.topics).map_err(|error| unavailable(&error))?;
        Ok(Reader { consumer, topic: self })
    }

    fn fault(&self, error: &KafkaError) -> StoreError {
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => {
                StoreError::NotSetUp(self.topics.directory())
            }
            _ => unavailable(error),
        }
    }
}

fn unavailable(error: &KafkaError) -> StoreError {
    StoreError::Unavailable(error.to_string())
}

/// A consumer on its way from the topic's beginning.
pub(super) struct Reader<'t> {
    consumer: StreamConsumer<Callbacks>,
    topic: &'t Topic,
}

impl Reader<'_> {
    /// Takes every message up to the end of the topic.
    pub(super) async fn to_end(&self, mut take: impl FnMut(&BorrowedMessage<'_>)) -> Result<(), StoreError> {
        while let Some(message) = self.next().await? {
            take(&message);
        }
        Ok(())
    }

    /// Takes every message up to the one at offset `own`, which is in the topic.
    pub(super) async fn through(&self, own: i64, mut take: impl FnMut(&BorrowedMessage<'_>)) -> Result<(), StoreError> {
        loop {
            // An end that was seen before the own write comes first.
            let Some(message) = self.next().await? else { continue };
            take(&message);
            if message.offset() >= own {
                return Ok(());
            }
        }
    }

    /// The next message; `None` at the end. A broker that goes away and returns in time is no fault.
    async fn next(&self) -> Result<Option<BorrowedMessage<'_>>, StoreError> {
        let mut last_error = None;
        let waiting = async {
            loop {
                match self.consumer.recv().await {
                    Ok(message) => return Ok(Some(message)),
                    Err(KafkaError::PartitionEOF(_)) => return Ok(None),
                    Err(error) => match self.topic.fault(&error) {
                        StoreError::Unavailable(why) => last_error = Some(why),
                        fault => return Err(fault),
                    },
                }
            }
        };
        let waited = timeout(PATIENCE, waiting).await;
        waited.unwrap_or_else(|_| {
            let silence = || format!("no answer within {} s", PATIENCE.as_secs());
            Err(StoreError::Unavailable(last_error.unwrap_or_else(silence)))
        })
    }
}
