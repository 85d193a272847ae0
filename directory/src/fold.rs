//! The directory's topic as it is read: each message changes one business ([`change`](crate::change) tells how).

use rdkafka::Message;
use schemas::{Business, DecodeError, Message as _};

use crate::{
    business::BusinessEntry,
    change::{Recent, Written, base},
    id::BusinessId,
    rules::Fault,
    snapshot::Snapshot,
};

/// Why a value of the directory's topic cannot be taken over. The view goes on with what it has of that business.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// The key is no business id, or not that of the value.
    #[error("the key is not the business id of the value")]
    Key,
    /// Not a Business in a known version.
    #[error(transparent)]
    Value(#[from] DecodeError),
    /// A Business that breaks a rule.
    #[error(transparent)]
    Rule(#[from] Fault),
}

/// All businesses, as the messages so far have left them.
#[derive(Default)]
pub(crate) struct Fold {
    snapshot: Snapshot,
    recent: Recent,
}

impl Fold {
    /// All businesses.
    pub(crate) fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// Takes over one message: a value changes the business, a tombstone removes it.
    ///
    /// # Errors
    /// Where the message cannot be understood; nothing has changed then.
    pub(crate) fn apply(&mut self, message: &impl Message) -> Result<(), Unreadable> {
        let written = read(message)?;
        let id = written.id;
        let current = self.snapshot.get(id).map(AsRef::as_ref);
        match self.recent.take(written, current) {
            Some(entry) => self.snapshot.put(entry),
            None => self.snapshot.remove(id),
        }
        Ok(())
    }
}

/// The business that a message is about.
pub(crate) fn id_of(message: &impl Message) -> Result<BusinessId, Unreadable> {
    let key = message.key().unwrap_or_default();
    std::str::from_utf8(key).ok().and_then(BusinessId::parse).ok_or(Unreadable::Key)
}

/// What a message says.
pub(crate) fn read(message: &impl Message) -> Result<Written, Unreadable> {
    let id = id_of(message)?;
    let value = message.payload().map(|payload| value(id, payload)).transpose()?;
    Ok(Written { id, offset: message.offset(), base: base(message), value })
}

fn value(id: BusinessId, payload: &[u8]) -> Result<BusinessEntry, Unreadable> {
    let entry = BusinessEntry::try_from(Business::decode(payload)?)?;
    if entry.id == id { Ok(entry) } else { Err(Unreadable::Key) }
}

#[cfg(test)]
mod tests {
    use rdkafka::message::{OwnedMessage, Timestamp};
    use uuid::Uuid;

    use super::*;

    fn id(number: u128) -> BusinessId {
        Uuid::from_u128(number).into()
    }

    fn message(key: &[u8], payload: Option<&[u8]>) -> OwnedMessage {
        let (key, payload) = (Some(key.to_vec()), payload.map(<[u8]>::to_vec));
        OwnedMessage::new(payload, key, "directory".into(), Timestamp::NotAvailable, 0, 0, None)
    }

    #[test]
    fn a_value_is_a_business_and_a_tombstone_none() {
        let (mut fold, key) = (Fold::default(), id(1).to_string());
        let value = Business::from(BusinessEntry::new(id(1), "Shop")).encode();
        fold.apply(&message(key.as_bytes(), Some(&value))).unwrap();
        assert_eq!(fold.snapshot().business(&key).unwrap().name, "Shop");
        fold.apply(&message(key.as_bytes(), None)).unwrap();
        assert!(fold.snapshot().is_empty());
    }

    #[test]
    fn what_cannot_be_read_changes_nothing() {
        let (mut fold, key) = (Fold::default(), id(1).to_string());
        fold.snapshot.put(BusinessEntry::new(id(1), "Shop"));
        let of_two = Business::from(BusinessEntry::new(id(2), "Shop")).encode();
        let nameless = Business::from(BusinessEntry::new(id(1), "")).encode();
        let mut apply = |key: &[u8], value: &[u8]| fold.apply(&message(key, Some(value)));
        assert!(matches!(apply(key.as_bytes(), b"{}"), Err(Unreadable::Value(_))));
        assert!(matches!(apply(key.as_bytes(), &of_two), Err(Unreadable::Key)));
        assert!(matches!(apply(b"\xff", &of_two), Err(Unreadable::Key)));
        assert!(matches!(apply(key.as_bytes(), &nameless), Err(Unreadable::Rule(_))));
        assert_eq!((fold.snapshot().len(), &*fold.snapshot().business(&key).unwrap().name), (1, "Shop"));
    }
}
