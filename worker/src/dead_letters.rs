//! Where messages go that no worker can read: our faults, never a merchant's.

use std::time::{SystemTime, UNIX_EPOCH};

use rdkafka::{
    Message,
    message::{Header, Headers as _, OwnedHeaders},
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
/// Header: how many bytes the message had, where only its beginning could be kept.
pub const CUT: &str = "dead-letter-cut";

/// Bytes of a payload that are kept, of a key, of headers, and of a reason. A broker takes no message over 1 MB, and none
/// of ours comes near it; but whoever may write to a topic may write more, and compressed it gets there. What could not
/// be buried would hold up its partition for ever.
const MOST: (usize, usize, usize, usize) = (768 << 10, 16 << 10, 64 << 10, 4 << 10);

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

    /// As much of it as the dead-letter topic takes (`a_letter_that_is_too_large_keeps_its_beginning`).
    fn cut(self) -> Self {
        let (payload, key, headers, reason) = MOST;
        let reason = &self.reason[..self.reason.floor_char_boundary(reason)];
        let size = self.payload.len() + self.key.len() + size_of(&self.headers);
        let headers = if size_of(&self.headers) > headers { OwnedHeaders::new() } else { self.headers };
        let payload = &self.payload[..self.payload.len().min(payload)];
        let key = &self.key[..self.key.len().min(key)];
        let whole = payload.len() + key.len() + size_of(&headers) == size;
        let headers = if whole { headers } else { headers.insert(Header { key: CUT, value: Some(&size.to_string()) }) };
        Self { key, payload, headers, reason, ..self }
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
        let letter = letter.cut();
        let (headers, key, payload) = (letter.labelled(), letter.key, letter.payload);
        self.producer.send(Outgoing { topic: &self.topic, partition: 0, key, payload, headers }).await.map(|_| ())
    }
}

fn size_of(headers: &OwnedHeaders) -> usize {
    headers.iter().map(|header| header.key.len() + header.value.map_or(0, <[u8]>::len)).sum()
}

#[cfg(test)]
mod tests {
    use rdkafka::message::{OwnedMessage, Timestamp};

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

    #[test]
    fn a_letter_that_is_too_large_keeps_its_beginning() {
        let large = vec![7; 2 << 20];
        let header = Header { key: "foreign", value: Some(&large) };
        let letter = |key, payload, headers| Letter {
            topic: "t",
            partition: 0,
            offset: 0,
            key,
            payload,
            headers,
            reason: "unreadable",
        };
        let none = OwnedHeaders::new;
        let cut = |letter: Letter<'_>| {
            let letter = letter.cut();
            let size = letter.key.len() + letter.payload.len() + size_of(&letter.headers);
            let had = letter.headers.iter().find(|header| header.key == CUT).and_then(|header| header.value);
            (size < 900_000, had.map(|had| String::from_utf8_lossy(had).into_owned()))
        };
        assert_eq!(cut(letter(b"k", b"payload", none())), (true, None));
        assert_eq!(cut(letter(b"k", &large, none())), (true, Some("2097153".into())));
        assert_eq!(cut(letter(&large, b"", none())), (true, Some("2097152".into())));
        assert_eq!(cut(letter(b"k", b"", none().insert(header))), (true, Some("2097160".into())));
        let long = "é".repeat(1 << 20);
        assert_eq!(Letter { reason: &long, ..letter(b"", b"", none()) }.cut().reason.len(), 4 << 10);
    }
}
