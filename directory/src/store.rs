//! Changing a business or a user: read the topic to its end, apply the change, write, and read it back
//! ([`change`](crate::change) tells what happens where two do so at once). For the command line and the console; the
//! workers only read.

mod error;
mod topic;
mod users;

use std::{collections::BTreeMap, num::NonZeroU32, sync::Arc};

pub use error::StoreError;
use rdkafka::{ClientConfig, Message, message::BorrowedMessage};
use schemas::{DecodeError, Topics};
use topic::{Reader, Topic};
pub use users::{UserDetails, Users};

use crate::{
    business::{BusinessEntry, ChannelEntry},
    change::History,
    entry::{Entry, put_key},
    fold::{Fold, Unreadable, read, subject_of},
    id::BusinessId,
    keys::NewKey,
    secret::SecretKeys,
    subject::Subject,
};

/// How often a change is merged with those of others before a command gives up.
const ATTEMPTS: usize = 20;

/// The details of a business that `capi business put` sets, all at once.
#[derive(Clone, Debug)]
pub struct Details {
    /// For people.
    pub name: String,
    /// A disabled business is answered like an unknown one.
    pub enabled: bool,
    /// Calls a second; `None` for no limit.
    pub rate_limit: Option<NonZeroU32>,
}

/// Every business, and what could not be read.
#[derive(Debug, Default)]
pub struct Listing {
    /// In the order of their ids.
    pub businesses: Vec<Arc<BusinessEntry>>,
    /// A sentence for each business whose last value cannot be read: it stands as it was before.
    pub faults: Vec<String>,
}

/// The directory of a deployment, for reading and changing.
pub struct Store {
    topic: Topic,
}

impl Store {
    /// The directory of the deployment with these topics. Nothing is asked of Kafka yet.
    ///
    /// # Errors
    /// Where the client's configuration is wrong.
    pub fn open(config: &ClientConfig, topics: &Topics) -> Result<Self, StoreError> {
        Ok(Self { topic: Topic::open(config, topics)? })
    }

    /// Every business.
    ///
    /// # Errors
    /// Where the topic cannot be read to its end.
    pub async fn list(&self) -> Result<Listing, StoreError> {
        let (fold, faults) = self.read().await?;
        let mut businesses: Vec<_> = fold.snapshot().businesses().cloned().collect();
        businesses.sort_by_key(|entry| entry.id);
        let of_users = |key: &[u8]| matches!(Subject::of_key(key), Some(Subject::User(_) | Subject::Session(_)));
        let faults = faults.into_iter().filter(|(key, _)| !of_users(key)).map(|(_, fault)| fault).collect();
        Ok(Listing { businesses, faults })
    }

    /// All that the topic holds, and a sentence for each key whose last value cannot be read.
    async fn read(&self) -> Result<(Fold, BTreeMap<Vec<u8>, String>), StoreError> {
        let (mut fold, mut faults) = (Fold::default(), BTreeMap::new());
        let take = |message: &BorrowedMessage<'_>| {
            let key = message.key().unwrap_or_default();
            match fold.apply(message) {
                Ok(()) => faults.remove(key),
                Err(fault) => faults.insert(key.to_vec(), format!("offset {}: {fault}", message.offset())),
            };
        };
        self.topic.reader()?.to_end(take).await?;
        Ok((fold, faults))
    }

    /// One business.
    ///
    /// # Errors
    /// Where there is none, or the topic cannot be read.
    pub async fn find(&self, id: BusinessId) -> Result<BusinessEntry, StoreError> {
        let history = self.history::<BusinessEntry>(&id, &self.topic.reader()?).await?;
        stands(&id, &history)?.ok_or(StoreError::UnknownBusiness(id))
    }

    /// Makes a business, or sets the details of one; its channel and keys stay.
    ///
    /// # Errors
    /// Where a rule is broken, or Kafka does not take it.
    pub async fn put_business(&self, id: BusinessId, details: &Details) -> Result<BusinessEntry, StoreError> {
        self.change(id, |entry| {
            let mut entry = entry.unwrap_or_else(|| BusinessEntry::new(id, ""));
            entry.name.clone_from(&details.name);
            (entry.enabled, entry.rate_limit) = (details.enabled, details.rate_limit);
            Ok(entry)
        })
        .await
    }

    /// Gives a business its channel, or replaces it whole.
    ///
    /// # Errors
    /// Where the business is unknown, a rule is broken, or Kafka does not take it.
    pub async fn put_channel(&self, id: BusinessId, channel: &ChannelEntry) -> Result<BusinessEntry, StoreError> {
        self.change_known(id, |entry| {
            entry.channel = Some(channel.clone());
            Ok(())
        })
        .await
    }

    /// Takes the channel of a business away; harmless where it has none.
    ///
    /// # Errors
    /// Where the business is unknown, or Kafka does not take it.
    pub async fn remove_channel(&self, id: BusinessId) -> Result<BusinessEntry, StoreError> {
        self.change_known(id, |entry| {
            entry.channel = None;
            Ok(())
        })
        .await
    }

    /// Gives a business a key. Show its plaintext only once this has returned.
    ///
    /// # Errors
    /// Where the business is unknown, a rule is broken, or Kafka does not take it.
    pub async fn create_key(&self, id: BusinessId, new: &NewKey) -> Result<BusinessEntry, StoreError> {
        self.change_known(id, |entry| {
            put_key(&mut entry.keys, new.key.clone());
            Ok(())
        })
        .await
    }

    /// Revokes a key from `at`, in Unix milliseconds, on; one that is revoked already stays as it is.
    ///
    /// # Errors
    /// Where the business or the key is unknown, or Kafka does not take it.
    pub async fn revoke_key(&self, id: BusinessId, key_id: &str, at: i64) -> Result<BusinessEntry, StoreError> {
        self.change_known(id, |entry| {
            let key = entry.keys.iter_mut().find(|key| key.key_id == key_id);
            let key = key.ok_or_else(|| StoreError::UnknownKey { business: id, key_id: key_id.to_owned() })?;
            key.revoked_at.get_or_insert(at);
            Ok(())
        })
        .await
    }

    /// Encrypts the token of a business with the current key, where it is not yet; whether it was. Nothing is written
    /// where it is, or where there is no channel, but to repair what a command that was killed left behind.
    ///
    /// # Errors
    /// Where the business is unknown, the token cannot be decrypted, or Kafka does not take it.
    pub async fn seal_token_anew(&self, id: BusinessId, keys: &SecretKeys) -> Result<bool, StoreError> {
        let sealed_anew = |entry: Option<BusinessEntry>| {
            let mut entry = entry.ok_or(StoreError::UnknownBusiness(id))?;
            let Some(channel) = &mut entry.channel else { return Ok((entry, false)) };
            let anew = keys.seal_anew(id, &channel.access_token);
            let anew = anew.map_err(|fault| StoreError::Token { business: id, fault })?;
            let is_anew = anew.is_some();
            channel.access_token = anew.unwrap_or_else(|| std::mem::take(&mut channel.access_token));
            Ok((entry, is_anew))
        };
        let reader = self.topic.reader()?;
        let history = self.history::<BusinessEntry>(&id, &reader).await?;
        let (_, is_anew) = sealed_anew(stands(&id, &history)?)?;
        if is_anew || history.needs_repair() {
            let change = |entry| sealed_anew(entry).map(|(entry, _)| entry);
            self.write(&id, &reader, history, change).await?;
        }
        Ok(is_anew)
    }

    async fn change_known(
        &self,
        id: BusinessId,
        change: impl Fn(&mut BusinessEntry) -> Result<(), StoreError>,
    ) -> Result<BusinessEntry, StoreError> {
        self.change(id, |entry| {
            let mut entry = entry.ok_or(StoreError::UnknownBusiness(id))?;
            change(&mut entry)?;
            Ok(entry)
        })
        .await
    }

    async fn change(
        &self,
        id: BusinessId,
        change: impl Fn(Option<BusinessEntry>) -> Result<BusinessEntry, StoreError>,
    ) -> Result<BusinessEntry, StoreError> {
        let reader = self.topic.reader()?;
        let history = self.history::<BusinessEntry>(&id, &reader).await?;
        self.write(&id, &reader, history, change).await
    }

    async fn write<E: Entry>(
        &self,
        id: &E::Id,
        reader: &Reader<'_>,
        mut history: History<E>,
        change: impl Fn(Option<E>) -> Result<E, StoreError>,
    ) -> Result<E, StoreError> {
        let subject = E::subject(id);
        let mut changed = change(stands(id, &history)?)?;
        for _ in 0..ATTEMPTS {
            changed.check()?;
            let own = self.topic.write(&subject, Some(&changed.encode()), history.base()).await?;
            reader.through(own, |message| take(id, message, &mut history)).await?;
            let current = stands(id, &history)?;
            let was_removed = current.is_none();
            let merged = match change(current) {
                // It was removed meanwhile and stays so: this is not to be the last value, which compaction keeps.
                Err(fault) if was_removed => {
                    self.topic.write(&subject, None, None).await?;
                    return Err(fault);
                }
                merged => merged?,
            };
            if merged == changed && !was_removed {
                return Ok(changed);
            }
            changed = merged;
        }
        Err(StoreError::Contended(subject.to_string()))
    }

    /// What the topic holds of one business or user.
    async fn history<E: Entry>(&self, id: &E::Id, reader: &Reader<'_>) -> Result<History<E>, StoreError> {
        let mut history = History::default();
        reader.to_end(|message| take(id, message, &mut history)).await?;
        Ok(history)
    }
}

/// What stands of a business or user, which the next change is applied to.
fn stands<E: Entry>(id: &E::Id, history: &History<E>) -> Result<Option<E>, StoreError> {
    history.current().map_err(|fault| StoreError::Newer { subject: E::subject(id).to_string(), fault })
}

/// Takes over a message, where it is about `id`. What cannot be read is taken as the workers take it, but for what a
/// later release wrote.
fn take<E: Entry>(id: &E::Id, message: &BorrowedMessage<'_>, history: &mut History<E>) {
    let subject = E::subject(id);
    if subject_of(message).ok().as_ref() != Some(&subject) {
        return;
    }
    let (written, read) = read(id.clone(), message);
    if let Some(written) = written {
        history.take(written);
    }
    match read {
        Ok(()) => {}
        Err(Unreadable::Value(DecodeError::UnknownSchema(schema))) => history.take_later(schema),
        Err(fault) => {
            tracing::warn!(%subject, %fault, "a value cannot be read: a business stands as before, and a user does not");
        }
    }
}
