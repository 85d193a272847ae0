//! The dead-letter topic, read from beginning to end.

use std::{collections::BTreeSet, time::Duration};

use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    consumer::{Consumer, StreamConsumer},
    error::{KafkaError, RDKafkaErrorCode},
};
use schemas::Topics;
use tokio::time::timeout;
use worker::settings::KafkaSettings;

use super::letter::{Letter, Note};
use crate::{failure::Failure, kafka};

/// How long Kafka may be silent before a command gives up.
const PATIENCE: Duration = Duration::from_secs(10);

/// The dead letters of a deployment.
pub(crate) struct Log {
    config: ClientConfig,
    topic: String,
}

/// No letter has this number.
pub(crate) fn unknown(n: i64) -> Failure {
    Failure::Data(format!("there is no dead letter {n}"))
}

impl Log {
    pub(crate) fn open(settings: &KafkaSettings) -> Result<Self, Failure> {
        let topics: Topics = settings.topics();
        let mut config = settings.client()?;
        config
            // librdkafka polls no consumer without a group; nothing is committed, and no group is joined.
            .set("group.id", topics.group("capi"))
            .set("enable.auto.commit", "false")
            .set("enable.partition.eof", "true")
            .set("auto.offset.reset", "earliest")
            .set("topic.metadata.propagation.max.ms", "1000")
            .set("fetch.wait.max.ms", "50");
        Ok(Self { config, topic: topics.dead_letters() })
    }

    /// The numbers of the letters that were redriven.
    pub(crate) async fn redriven(&self) -> Result<BTreeSet<i64>, Failure> {
        let mut redriven = BTreeSet::new();
        self.read(|note| {
            if let Note::Redriven(n) = note {
                redriven.insert(n);
            }
            Ok(())
        })
        .await?;
        Ok(redriven)
    }

    /// Takes every message up to the end, one at a time: payloads are not gathered in memory.
    pub(crate) async fn read(&self, mut take: impl FnMut(Note) -> Result<(), Failure>) -> Result<(), Failure> {
        let consumer = self.consumer(0)?;
        while let Some(note) = self.next(&consumer).await? {
            take(note)?;
        }
        Ok(())
    }

    /// One letter.
    pub(crate) async fn letter(&self, n: i64) -> Result<Letter, Failure> {
        match self.next(&self.consumer(n)?).await? {
            Some(Note::Letter(letter)) if letter.n == n => Ok(letter),
            _ => Err(unknown(n)),
        }
    }

    /// A consumer of the topic from this offset on.
    fn consumer(&self, offset: i64) -> Result<StreamConsumer, Failure> {
        let consumer: StreamConsumer = self.config.create()?;
        let mut start = TopicPartitionList::new();
        start.add_partition_offset(&self.topic, 0, Offset::Offset(offset))?;
        consumer.assign(&start)?;
        Ok(consumer)
    }

    /// The next message; `None` at the end. A broker that goes away and returns in time is no fault.
    async fn next(&self, consumer: &StreamConsumer) -> Result<Option<Note>, Failure> {
        let mut last_error = KafkaError::MessageConsumption(RDKafkaErrorCode::OperationTimedOut);
        let waiting = async {
            loop {
                match consumer.recv().await {
                    Ok(message) => return Ok(Some(Note::of(&message))),
                    Err(KafkaError::PartitionEOF(_)) => return Ok(None),
                    Err(error) => match error.rdkafka_error_code() {
                        Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => {
                            return Err(kafka::not_set_up(&self.topic));
                        }
                        _ => last_error = error,
                    },
                }
            }
        };
        let waited = timeout(PATIENCE, waiting).await;
        waited.unwrap_or_else(|_| Err(last_error.into()))
    }
}
