//! The directory's topic as it is read: each message changes one business or one user ([`change`](crate::change) tells
//! how), or ends a session.

use rdkafka::Message;
use schemas::{DecodeError, EndedSession, Message as _};

use crate::{
    business::BusinessEntry,
    change::{Recent, Written, base},
    entry::Entry,
    rules::Fault,
    snapshot::Snapshot,
    subject::Subject,
    users::{SessionId, User},
};

/// Why a value of the directory's topic cannot be taken over. The view goes on with what it has of that business; a user
/// of whom the last value cannot be read does not sign in.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// The key is none of the directory's, or not that of the value.
    #[error("the key is not that of the value")]
    Key,
    /// Not what the key says, in a known version.
    #[error(transparent)]
    Value(#[from] DecodeError),
    /// It breaks a rule.
    #[error(transparent)]
    Rule(#[from] Fault),
}

/// All of the directory, as the messages so far have left it.
#[derive(Default)]
pub(crate) struct Fold {
    snapshot: Snapshot,
    businesses: Recent<BusinessEntry>,
    users: Recent<User>,
}

impl Fold {
    /// All of it.
    pub(crate) fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// Takes over one message: a value changes what its key names, a tombstone removes it.
    ///
    /// # Errors
    /// Where the message cannot be understood; nothing has changed then, but that a user is not known any more.
    pub(crate) fn apply(&mut self, message: &impl Message) -> Result<(), Unreadable> {
        match subject_of(message)? {
            Subject::Business(id) => {
                let (written, read) = read::<BusinessEntry>(id, message);
                let current = self.snapshot.get(id).map(AsRef::as_ref);
                match written.map(|written| self.businesses.take(written, current)) {
                    Some(Some(entry)) => self.snapshot.put(entry),
                    Some(None) => self.snapshot.remove(id),
                    None => {}
                }
                read
            }
            Subject::User(name) => {
                let (written, read) = read::<User>(name.clone(), message);
                let current = self.snapshot.user(&name);
                match written.map(|written| self.users.take(written, current)) {
                    Some(Some(user)) => self.snapshot.put_user(user),
                    Some(None) => self.snapshot.remove_user(&name),
                    None => {}
                }
                read
            }
            Subject::Session(id) => {
                match ended(&id, message)? {
                    Some(expires_at) => self.snapshot.put_ended(id, expires_at),
                    None => self.snapshot.remove_ended(&id),
                }
                Ok(())
            }
            Subject::Later => Ok(()),
        }
    }
}

/// What a message is about.
pub(crate) fn subject_of(message: &impl Message) -> Result<Subject, Unreadable> {
    Subject::of_key(message.key().unwrap_or_default()).ok_or(Unreadable::Key)
}

/// What a message says, and whether it can be read. Where it cannot, and what was before does not stand either, it says
/// what a removal says.
pub(crate) fn read<E: Entry>(id: E::Id, message: &impl Message) -> (Option<Written<E>>, Result<(), Unreadable>) {
    let value = message.payload().map(|payload| E::decode(&id, payload)).transpose();
    let written = |value| Written { id, offset: message.offset(), base: base(message), value };
    match value {
        Ok(value) => (Some(written(value)), Ok(())),
        Err(fault) => ((!E::OUTLIVES_UNREADABLE).then(|| written(None)), Err(fault)),
    }
}

/// When the session that was ended would have ended by itself; `None` where it is to be forgotten.
fn ended(id: &SessionId, message: &impl Message) -> Result<Option<i64>, Unreadable> {
    let Some(payload) = message.payload() else { return Ok(None) };
    let ended = EndedSession::decode(payload)?;
    if ended.session_id == id.as_str() { Ok(Some(ended.expires_at)) } else { Err(Unreadable::Key) }
}

#[cfg(test)]
mod tests {
    use rdkafka::message::{OwnedMessage, Timestamp};
    use schemas::Business;
    use uuid::Uuid;

    use super::*;
    use crate::{
        id::BusinessId,
        users::{UserName, tests::merchant},
    };

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

    fn ada() -> UserName {
        "ada".parse().unwrap()
    }

    #[test]
    fn a_value_is_a_user_and_a_tombstone_none() {
        let mut fold = Fold::default();
        fold.apply(&message(b"user:ada", Some(&merchant("ada").encode()))).unwrap();
        assert_eq!(fold.snapshot().user(&ada()), Some(&merchant("ada")));
        assert!(fold.snapshot().is_empty(), "a user is no business");
        fold.apply(&message(b"user:ada", None)).unwrap();
        assert_eq!(fold.snapshot().user(&ada()), None);
    }

    /// It may have taken rights away.
    #[test]
    fn a_user_whose_last_value_cannot_be_read_is_nobody() {
        for wrong in [
            b"{}".to_vec(),
            merchant("bob").encode(),
            EndedSession { session_id: "ada".into(), expires_at: 1 }.encode(),
        ] {
            let mut fold = Fold::default();
            fold.apply(&message(b"user:ada", Some(&merchant("ada").encode()))).unwrap();
            assert!(fold.apply(&message(b"user:ada", Some(&wrong))).is_err());
            assert_eq!(fold.snapshot().user(&ada()), None);
            fold.apply(&message(b"user:ada", Some(&merchant("ada").encode()))).unwrap();
            assert!(fold.snapshot().user(&ada()).is_some());
        }
    }

    #[test]
    fn a_session_is_ended_until_it_is_forgotten() {
        let mut fold = Fold::default();
        fold.snapshot.put_user(merchant("ada"));
        let id: SessionId = "s1".parse().unwrap();
        let ended = |session_id: &str| EndedSession { session_id: session_id.into(), expires_at: 70 }.encode();
        assert!(matches!(fold.apply(&message(b"session:s1", Some(&ended("s2")))), Err(Unreadable::Key)));
        assert!(!fold.snapshot().session_is_ended(&id, &ada(), 5));
        fold.apply(&message(b"session:s1", Some(&ended("s1")))).unwrap();
        assert!(fold.snapshot().session_is_ended(&id, &ada(), 5));
        fold.apply(&message(b"session:s1", None)).unwrap();
        assert!(!fold.snapshot().session_is_ended(&id, &ada(), 5));
    }

    #[test]
    fn what_a_later_release_keeps_here_is_passed_over() {
        let mut fold = Fold::default();
        fold.apply(&message(b"alert-rule:7", Some(b"\x00"))).unwrap();
        assert!(matches!(fold.apply(&message(b"Alert", Some(b"\x00"))), Err(Unreadable::Key)));
    }
}
