//! Where messages go that no worker can read: our faults, never a merchant's.

use std::time::{SystemTime, UNIX_EPOCH};

use rdkafka::{
    Message,
    message::{Header, OwnedHeaders},
};
use schemas::Topics;

use crate::producer::{Outgoing, ProduceError, Producer};

/// Header: the topic that the message came from.
pub const TOPIC: &str = "dead-letter-topic";
/// Header: the partition of that topic.
pub const PARTITION: &str = "dead-letter-partition";
/// Header: the offset in that partition.
pub const OFFSET: &str = "dead-letter-offset";
/// Header: why it could not be read.
pub const REASON: &str = "dead-letter-reason";
/// Header: when it was buried, in Unix milliseconds.
pub const AT: &str = "dead-letter-at";

/// A message to be buried, with its place.
#[derive(Debug)]
pub struct Letter<'a> {
    /// The topic it came from.
    pub topic: &'a str,
    /// The partition it came from.
    pub partition: i32,
    /// Its offset there.
    pub offset: i64,
    /// Its key.
    pub key: &'a [u8],
    /// Its payload.
    pub payload: &'a [u8],
    /// Its headers, which are kept.
    pub headers: OwnedHeaders,
    /// Why it cannot be read.
    pub reason: &'a str,
}

impl<'a> Letter<'a> {
    /// A message as it was read.
    pub fn of(message: &'a impl Message, reason: &'a str) -> Self {
        let mut headers = OwnedHeaders::new();
        for header in message.headers().into_iter().flat_map(rdkafka::message::Headers::iter) {
            headers = headers.insert(header);
        }
        Self {
            topic: message.topic(),
            partition: message.partition(),
            offset: message.offset(),
            key: message.key().unwrap_or_default(),
            payload: message.payload().unwrap_or_default(),
            headers,
            reason,
        }
    }

    /// Its headers, with its place and the reason.
    fn labelled(&self) -> OwnedHeaders {
        let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let labels = [
            (TOPIC, self.topic.to_owned()),
            (PARTITION, self.partition.to_string()),
            (OFFSET, self.offset.to_string()),
            (REASON, self.reason.to_owned()),
            (AT, at.to_string()),
        ];
        labels
            .iter()
            .fold(self.headers.clone(), |headers, (key, value)| headers.insert(Header { key, value: Some(value) }))
    }
}

/// Buries messages.
#[derive(Clone)]
pub struct DeadLetters {
    producer: Producer,
    topic: String,
}

impl DeadLetters {
    /// Over a producer of the worker's.
    pub fn new(producer: Producer, topics: &Topics) -> Self {
        Self { producer, topic: topics.dead_letters() }
    }

    /// Buries a message, and returns once all in-sync replicas have it: only then may its offset pass (invariant 9).
    ///
    /// # Errors
    /// Where it was not acknowledged.
    pub async fn bury(&self, letter: Letter<'_>) -> Result<(), ProduceError> {
        let (headers, key, payload) = (letter.labelled(), letter.key, letter.payload);
        self.producer.send(Outgoing { topic: &self.topic, partition: 0, key, payload, headers }).await.map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::message::{Headers as _, OwnedMessage, Timestamp};

    use super::*;

    #[test]
    fn a_letter_says_where_it_lay_and_why() {
        let headers = OwnedHeaders::new().insert(Header { key: "traceparent", value: Some("00-1-2-01") });
        let message =
            OwnedMessage::new(Some(b"x".to_vec()), None, "t".into(), Timestamp::NotAvailable, 3, 17, Some(headers));
        let labelled = Letter::of(&message, "unreadable").labelled();
        let value = |key: &str| {
            let header = labelled.iter().find(|header| header.key == key).unwrap();
            std::str::from_utf8(header.value.unwrap()).unwrap().to_owned()
        };
        assert_eq!([value(TOPIC), value(PARTITION), value(OFFSET), value(REASON)], ["t", "3", "17", "unreadable"]);
        assert_eq!(value("traceparent"), "00-1-2-01");
    }
}
