//! From a message to its row.

use std::time::{SystemTime, UNIX_EPOCH};

use schemas::{CallRecord, ConversionEvent, DecodeError, Message as _, Topics};

use crate::row::CallRow;

/// The topics that the recorder reads.
#[derive(Clone, Debug)]
pub(crate) struct Sources {
    /// Records: outcomes from the forwarder, refused calls and expired waits from ingest.
    records: String,
    /// Events that nobody waits for: each is a pending row.
    backfill: String,
}

impl Sources {
    pub(crate) fn new(topics: &Topics) -> Self {
        Self { records: topics.records(), backfill: topics.events_backfill() }
    }

    pub(crate) fn names(&self) -> [&str; 2] {
        [&self.records, &self.backfill]
    }

    /// The row of a message. `recorded_at` is when its batch left, in Unix milliseconds.
    ///
    /// # Errors
    /// Where it cannot be read: a dead letter.
    pub(crate) fn read(&self, message: &impl rdkafka::Message, recorded_at: i64) -> Result<CallRow, DecodeError> {
        let payload = message.payload().unwrap_or_default();
        if message.topic() == self.backfill {
            ConversionEvent::decode(payload).map(|event| CallRow::pending(event, recorded_at))
        } else {
            CallRecord::decode(payload).map(|record| CallRow::new(record, recorded_at))
        }
    }
}

/// Now, in Unix milliseconds.
pub(crate) fn unix_millis() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use rdkafka::message::{OwnedMessage, Timestamp};
    use schemas::{Call, CallId, ConversionStatus, Lane, Outcome};

    use super::*;

    fn message(topic: &str, payload: Option<Vec<u8>>) -> OwnedMessage {
        OwnedMessage::new(payload, None, topic.into(), Timestamp::NotAvailable, 0, 0, None)
    }

    fn event() -> ConversionEvent {
        ConversionEvent { call: Call::blank(CallId::now(), 1), lane: Lane::Backfill, progress: None }
    }

    #[test]
    fn each_topic_holds_one_kind_of_message() {
        let sources = Sources::new(&Topics::new("t"));
        let outcome = Outcome::new(200, ConversionStatus::Forwarded);
        let record = CallRecord { call: event().call, lane: Some(Lane::Live), outcome, rests_on: 9 };
        let status =
            |topic, payload| sources.read(&message(topic, Some(payload)), 7).map(|row| row.conversion_status());
        assert_eq!(status("t.records", record.encode()).ok(), Some("forwarded"));
        assert_eq!(status("t.events.backfill", event().encode()).ok(), Some("pending"));
        assert!(matches!(status("t.records", event().encode()), Err(DecodeError::WrongMessage { .. })));
        assert!(matches!(status("t.events.backfill", record.encode()), Err(DecodeError::WrongMessage { .. })));
    }

    #[test]
    fn what_cannot_be_read_is_an_error_and_no_row() {
        let sources = Sources::new(&Topics::new("t"));
        for payload in [None, Some(vec![]), Some(b"{}".to_vec()), Some(vec![0xC3, 0x01, 0, 0, 0, 0, 0, 0, 0, 0, 1])] {
            assert!(sources.read(&message("t.records", payload), 7).is_err());
        }
    }
}
