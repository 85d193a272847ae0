//! A message of the dead-letter topic: a letter, or the mark of one that was redriven.

use std::fmt;

use base64::{Engine, prelude::BASE64_STANDARD};
use rdkafka::{
    Message,
    message::{Header, Headers, OwnedHeaders},
};
use serde::Serialize;
use worker::dead_letters::{AT, CUT, OFFSET, PARTITION, REASON, TOPIC};

use crate::moment;

/// Header of a mark: the number of the letter that was redriven.
const REDRIVEN: &str = "dead-letter-redriven";
/// What a burial adds to the headers of a message, and a redrive takes off again.
const LABELS: [&str; 6] = [TOPIC, PARTITION, OFFSET, REASON, AT, CUT];

/// A message of the dead-letter topic.
pub(crate) enum Note {
    Letter(Letter),
    /// The number of a letter that was redriven.
    Redriven(i64),
}

/// A message that no worker could read. What its labels do not tell is `None`.
#[derive(Debug)]
pub(crate) struct Letter {
    /// Its number: the offset in the dead-letter topic.
    pub(crate) n: i64,
    pub(crate) topic: Option<String>,
    pub(crate) partition: Option<i32>,
    pub(crate) offset: Option<i64>,
    pub(crate) reason: String,
    /// Unix milliseconds.
    pub(crate) at: Option<i64>,
    /// Whether it is only the beginning of a message that was too large.
    pub(crate) is_cut: bool,
    pub(crate) key: Vec<u8>,
    pub(crate) payload: Vec<u8>,
    /// Its own headers, without the labels.
    pub(crate) headers: OwnedHeaders,
}

impl Note {
    pub(crate) fn of(message: &impl Message) -> Self {
        let redriven = label(message, REDRIVEN).and_then(|n| n.parse().ok());
        // What was buried has labels, whatever headers of its own it came with: no message can pass for a mark.
        match redriven.filter(|_| label(message, AT).is_none()) {
            Some(n) => Self::Redriven(n),
            None => Self::Letter(Letter::of(message)),
        }
    }
}

/// The headers of the mark that letter `n` was redriven.
pub(crate) fn mark(n: i64) -> OwnedHeaders {
    OwnedHeaders::new().insert(Header { key: REDRIVEN, value: Some(&n.to_string()) })
}

/// The value of a header. Labels are added last, so that the last one of a name is the label.
fn label(message: &impl Message, name: &str) -> Option<String> {
    let header = message.headers()?.iter().filter(|header| header.key == name).last()?;
    std::str::from_utf8(header.value?).ok().map(str::to_owned)
}

impl Letter {
    fn of(message: &impl Message) -> Self {
        let own = |header: &Header<'_, &[u8]>| !LABELS.contains(&header.key);
        let headers = message.headers().into_iter().flat_map(Headers::iter).filter(own);
        Self {
            n: message.offset(),
            topic: label(message, TOPIC),
            partition: label(message, PARTITION).and_then(|text| text.parse().ok()),
            offset: label(message, OFFSET).and_then(|text| text.parse().ok()),
            reason: label(message, REASON).unwrap_or_default(),
            at: label(message, AT).and_then(|text| text.parse().ok()),
            is_cut: label(message, CUT).is_some(),
            key: message.key().unwrap_or_default().to_vec(),
            payload: message.payload().unwrap_or_default().to_vec(),
            headers: headers.fold(OwnedHeaders::new(), OwnedHeaders::insert),
        }
    }

    /// What is shown of it.
    pub(crate) fn shown(&self, redriven: bool) -> Shown<'_> {
        Shown {
            n: self.n,
            topic: self.topic.as_deref(),
            partition: self.partition,
            offset: self.offset,
            reason: &self.reason,
            key: String::from_utf8_lossy(&self.key).into_owned(),
            payload: BASE64_STANDARD.encode(&self.payload),
            at: self.at.map(moment::format),
            redriven,
        }
    }
}

/// A letter as it is shown: one line of a list.
#[derive(Debug, Serialize)]
pub(crate) struct Shown<'a> {
    n: i64,
    topic: Option<&'a str>,
    partition: Option<i32>,
    offset: Option<i64>,
    reason: &'a str,
    /// Text; what is no UTF-8 in it is replaced.
    key: String,
    /// Base64.
    payload: String,
    /// RFC 3339.
    at: Option<String>,
    redriven: bool,
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.at.as_deref().unwrap_or("?");
        write!(f, "{}  {at}  {}", self.n, self.topic.unwrap_or("?"))?;
        if let (Some(partition), Some(offset)) = (self.partition, self.offset) {
            write!(f, "[{partition}]@{offset}")?;
        }
        write!(f, "  {}", self.reason)?;
        if self.redriven { write!(f, "  (redriven)") } else { Ok(()) }
    }
}

/// A letter with its key and payload, for people too.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct Whole<'a>(pub(crate) Shown<'a>);

impl fmt::Display for Whole<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n  key: {}\n  payload (base64): {}", self.0, self.0.key, self.0.payload)
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::message::{OwnedMessage, Timestamp};

    use super::*;

    fn message(headers: &[(&str, &str)]) -> OwnedMessage {
        let headers = headers
            .iter()
            .fold(OwnedHeaders::new(), |headers, (key, value)| headers.insert(Header { key, value: Some(*value) }));
        let (payload, key) = (Some(b"\x00\xff".to_vec()), Some(b"order".to_vec()));
        OwnedMessage::new(payload, key, "dead".into(), Timestamp::NotAvailable, 0, 5, Some(headers))
    }

    fn letter(headers: &[(&str, &str)]) -> Letter {
        match Note::of(&message(headers)) {
            Note::Letter(letter) => letter,
            Note::Redriven(n) => panic!("a mark of {n}"),
        }
    }

    #[test]
    fn a_letter_tells_where_it_lay() {
        let letter = letter(&[
            ("verdict-partition", "3"),
            (TOPIC, "capi.events.live"),
            (PARTITION, "2"),
            (OFFSET, "17"),
            (REASON, "not Avro"),
            (AT, "1500"),
        ]);
        let json = serde_json::to_value(letter.shown(false)).unwrap();
        let expected = serde_json::json!({
            "n": 5, "topic": "capi.events.live", "partition": 2, "offset": 17, "reason": "not Avro", "key": "order",
            "payload": "AP8=", "at": "1970-01-01T00:00:01.5Z", "redriven": false,
        });
        assert_eq!(json, expected);
        let own: Vec<_> = letter.headers.iter().map(|header| header.key).collect();
        assert_eq!(own, ["verdict-partition"]);
    }

    #[test]
    fn the_offset_is_not_taken_for_the_partition() {
        let letter = letter(&[(OFFSET, "17"), (PARTITION, "2"), (TOPIC, "t")]);
        assert!(letter.shown(true).to_string().contains("t[2]@17"));
    }

    #[test]
    fn of_a_letter_buried_twice_the_last_place_counts() {
        let letter = letter(&[(TOPIC, "first"), (PARTITION, "1"), (TOPIC, "second"), (PARTITION, "2")]);
        assert_eq!((letter.topic.as_deref(), letter.partition), (Some("second"), Some(2)));
        assert_eq!(letter.headers.count(), 0);
    }

    #[test]
    fn a_mark_is_no_letter() {
        let headers = mark(42);
        let message = OwnedMessage::new(None, None, "dead".into(), Timestamp::NotAvailable, 0, 6, Some(headers));
        assert!(matches!(Note::of(&message), Note::Redriven(42)));
    }

    #[test]
    fn a_letter_is_no_mark_whatever_headers_it_came_with() {
        assert_eq!(letter(&[(REDRIVEN, "42"), (TOPIC, "t"), (AT, "1500")]).n, 5);
    }
}
