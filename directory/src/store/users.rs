//! Changing who signs in, and ending sessions.

use std::{collections::BTreeSet, sync::Arc};

use futures::future::try_join_all;
use rdkafka::{Message as _, message::BorrowedMessage};
use schemas::{EndedSession, Message as _};

use super::{Store, StoreError, stands, take};
use crate::{
    change::History,
    fold::subject_of,
    id::BusinessId,
    snapshot::Snapshot,
    subject::Subject,
    users::{PasswordHash, Role, SessionId, User, UserName},
};

/// How long an ended session is kept after it would have ended by itself: so far apart two clocks may be.
const KEPT_AFTER_MS: i64 = 24 * 60 * 60 * 1000;
/// Ended sessions that one sign-out forgets. Each adds one, so that there are never more than were ended in their time.
const FORGOTTEN_AT_ONCE: usize = 20;

/// What `capi user put` says of a user, all at once.
#[derive(Clone, Debug)]
pub struct UserDetails {
    /// Whether every business is seen, or those below.
    pub role: Role,
    /// What a merchant sees; none of an operator.
    pub businesses: BTreeSet<BusinessId>,
    /// What is kept of the password.
    pub password: PasswordHash,
}

/// Every user, and what could not be read.
#[derive(Debug, Default)]
pub struct Users {
    /// In the order of their names.
    pub users: Vec<Arc<User>>,
    /// A sentence for each user or session whose last value cannot be read: such a user does not sign in.
    pub faults: Vec<String>,
}

impl Store {
    /// Every user.
    ///
    /// # Errors
    /// Where the topic cannot be read to its end.
    pub async fn users(&self) -> Result<Users, StoreError> {
        let (fold, faults) = self.read().await?;
        let mut users: Vec<_> = fold.snapshot().users().cloned().collect();
        users.sort_by(|one, other| one.name.cmp(&other.name));
        let of_users = |key: &[u8]| matches!(Subject::of_key(key), Some(Subject::User(_) | Subject::Session(_)));
        let faults = faults.into_iter().filter(|(key, _)| of_users(key)).map(|(_, fault)| fault).collect();
        Ok(Users { users, faults })
    }

    /// Makes a user, or sets all of one anew, whose sessions are over then. `at` is now, in Unix milliseconds.
    ///
    /// # Errors
    /// Where a business is unknown, a rule is broken, or Kafka does not take it.
    pub async fn put_user(&self, name: &UserName, details: &UserDetails, at: i64) -> Result<User, StoreError> {
        let reader = self.topic.reader()?;
        let (mut history, mut known) = (History::<User>::default(), BTreeSet::new());
        let note = |message: &BorrowedMessage<'_>| {
            note_business(message, &mut known);
            take(name, message, &mut history);
        };
        reader.to_end(note).await?;
        if let Some(unknown) = details.businesses.iter().find(|id| !known.contains(id)) {
            return Err(StoreError::UnknownBusiness(*unknown));
        }
        let from = later_than(stands(name, &history)?.as_ref(), at);
        self.write(name, &reader, history, |user| {
            let UserDetails { role, businesses, password } = details.clone();
            let sessions_from = user.map_or(from, |user| user.sessions_from.max(from));
            Ok(User { name: name.clone(), role, businesses, password, sessions_from })
        })
        .await
    }

    /// Removes a user, whose sessions are over then; also one whose value cannot be read.
    ///
    /// # Errors
    /// Where the user is unknown, or Kafka does not take it.
    pub async fn remove_user(&self, name: &UserName) -> Result<(), StoreError> {
        let (subject, mut is_there) = (Subject::User(name.clone()), false);
        let note = |message: &BorrowedMessage<'_>| {
            if subject_of(message).ok().as_ref() == Some(&subject) {
                is_there = message.payload().is_some();
            }
        };
        self.topic.reader()?.to_end(note).await?;
        if !is_there {
            return Err(StoreError::UnknownUser(name.clone()));
        }
        self.topic.write(&subject, None, None).await.map(|_| ())
    }

    /// Ends every session of a user. `at` is now, in Unix milliseconds.
    ///
    /// # Errors
    /// Where the user is unknown, or Kafka does not take it.
    pub async fn end_sessions(&self, name: &UserName, at: i64) -> Result<User, StoreError> {
        let reader = self.topic.reader()?;
        let history = self.history::<User>(name, &reader).await?;
        let from = later_than(stands(name, &history)?.as_ref(), at);
        self.write(name, &reader, history, |user| {
            let user = user.ok_or_else(|| StoreError::UnknownUser(name.clone()))?;
            Ok(User { sessions_from: user.sessions_from.max(from), ..user })
        })
        .await
    }

    /// Ends one session, which would have ended by itself at `expires_at`; and forgets some of those in `known` that have,
    /// a day ago or longer. Times are in Unix milliseconds; `now` is one of them. Nothing is read, so that a sign-out is
    /// quick however large the directory is.
    ///
    /// # Errors
    /// Where Kafka does not take it.
    pub async fn end_session(
        &self,
        id: &SessionId,
        expires_at: i64,
        known: &Snapshot,
        now: i64,
    ) -> Result<(), StoreError> {
        let ended = EndedSession { session_id: id.to_string(), expires_at };
        self.topic.write(&Subject::Session(id.clone()), Some(&ended.encode()), None).await?;
        let forgotten = known.expired(now.saturating_sub(KEPT_AFTER_MS)).take(FORGOTTEN_AT_ONCE);
        let forgotten = forgotten.map(|id| Subject::Session(id.clone()));
        let forget = async |subject: Subject| self.topic.write(&subject, None, None).await;
        try_join_all(forgotten.map(forget)).await.map(|_| ())
    }
}

/// Now, and in any case later than what was said before: a clock that is behind must not let a session go on.
fn later_than(user: Option<&User>, at: i64) -> i64 {
    user.map_or(at, |user| at.max(user.sessions_from + 1))
}

/// Notes that there is a business, or no more.
fn note_business(message: &BorrowedMessage<'_>, known: &mut BTreeSet<BusinessId>) {
    let Ok(Subject::Business(id)) = subject_of(message) else { return };
    if message.payload().is_some() {
        known.insert(id);
    } else {
        known.remove(&id);
    }
}
