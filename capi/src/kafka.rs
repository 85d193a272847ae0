//! How commands write to Kafka.

use std::time::Duration;

use rdkafka::ClientConfig;
use worker::{
    health::Health,
    producer::{Patience, ProduceError, Producer},
};

use crate::failure::Failure;

/// How long Kafka may take for one message before a command gives up.
const PATIENCE: Duration = Duration::from_secs(15);

/// A producer. The exit code tells how it went: nobody asks for a command's health.
pub(crate) fn producer(config: ClientConfig, linger: Duration) -> Result<Producer, Failure> {
    Ok(Producer::new(config, linger, Patience::Bounded(PATIENCE), Health::default().dependency("kafka"))?)
}

/// A message that was not acknowledged. Whether it was written or not, repeating the command is harmless.
pub(crate) fn not_written(error: ProduceError) -> Failure {
    match error {
        ProduceError::NotWritten(error) => Failure::Other(format!("Kafka refuses a message: {error}")),
        ProduceError::Unknown(error) | ProduceError::Fatal(error) => {
            Failure::Unavailable(format!("Kafka does not acknowledge: {error}; the command may be repeated"))
        }
    }
}

/// A topic that does not exist.
pub(crate) fn not_set_up(topic: &str) -> Failure {
    Failure::Unavailable(format!("topic {topic} does not exist: run `capi setup`"))
}
