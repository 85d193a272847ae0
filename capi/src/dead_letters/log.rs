//! The dead-letter topic, read from beginning to end.

use std::time::Duration;

use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    consumer::{Consumer, StreamConsumer},
    error::{KafkaError, RDKafkaErrorCode},
};
use schemas::Topics;
use tokio::time::timeout;
use worker::settings::KafkaSettings;

use super::{
    letter::{Letter, Note},
    register::Register,
};
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

    /// What the whole topic says of its letters.
    pub(crate) async fn register(&self) -> Result<Register, Failure> {
        let (mut register, mut reading) = (Register::default(), self.from(0)?);
        while let Some(note) = reading.next().await? {
            register.note(&note);
        }
        Ok(register)
    }

    /// One letter.
    pub(crate) async fn letter(&self, n: i64) -> Result<Letter, Failure> {
        match self.from(n)?.next().await? {
            Some(Note::Letter(letter)) if letter.n == n => Ok(letter),
            _ => Err(unknown(n)),
        }
    }

    /// Reads the topic from this offset on.
    pub(crate) fn from(&self, offset: i64) -> Result<Reading<'_>, Failure> {
        let consumer: StreamConsumer = self.config.create()?;
        let mut start = TopicPartitionList::new();
        start.add_partition_offset(&self.topic, 0, Offset::Offset(offset))?;
        consumer.assign(&start)?;
        Ok(Reading { consumer, topic: &self.topic })
    }
}

/// One pass over the topic: a message at a time, so that payloads are not gathered in memory.
pub(crate) struct Reading<'a> {
    consumer: StreamConsumer,
    topic: &'a str,
}

impl Reading<'_> {
    /// The next message; `None` at the end. A broker that goes away and returns in time is no fault.
    pub(crate) async fn next(&mut self) -> Result<Option<Note>, Failure> {
        let mut last_error = KafkaError::MessageConsumption(RDKafkaErrorCode::OperationTimedOut);
        let waiting = async {
            loop {
                match self.consumer.recv().await {
                    Ok(message) => return Ok(Some(Note::of(&message))),
                    Err(KafkaError::PartitionEOF(_)) => return Ok(None),
                    Err(error) => match error.rdkafka_error_code() {
                        Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => {
                            return Err(kafka::not_set_up(self.topic));
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
