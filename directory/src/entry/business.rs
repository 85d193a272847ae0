//! The parts of a business: its details, its channel, each key. The key that a token is sealed with is a part of its own,
//! which follows the token: so that a rotation of keys never undoes a channel that was put meanwhile. A revocation is
//! never taken back, whatever is written after it.

use std::num::NonZeroU32;

use schemas::{ApiKey, Business, Message as _};

use super::Entry;
use crate::{
    business::{BusinessEntry, ChannelEntry},
    fold::Unreadable,
    id::BusinessId,
    rules::Fault,
    subject::Subject,
    token,
};

impl Entry for BusinessEntry {
    type Id = BusinessId;

    /// Its calls go on.
    const OUTLIVES_UNREADABLE: bool = true;

    fn subject(id: &BusinessId) -> Subject {
        Subject::Business(*id)
    }

    fn decode(id: &BusinessId, payload: &[u8]) -> Result<Self, Unreadable> {
        let entry = Self::try_from(Business::decode(payload)?)?;
        if entry.id == *id { Ok(entry) } else { Err(Unreadable::Key) }
    }

    fn encode(&self) -> Vec<u8> {
        Business::from(self.clone()).encode()
    }

    fn check(&self) -> Result<(), Fault> {
        Self::check(self)
    }

    fn merge(base: Option<&Self>, theirs: &Self, current: &Self) -> Self {
        let mut merged = current.clone();
        for key in theirs.keys.iter().filter(|key| base.and_then(|base| base.key(&key.key_id)) != Some(key)) {
            put_key(&mut merged.keys, key.clone());
        }
        if base.map(details) != Some(details(theirs)) {
            (merged.enabled, merged.rate_limit) = (theirs.enabled, theirs.rate_limit);
            merged.name.clone_from(&theirs.name);
        }
        merge_channel(base.and_then(|base| base.channel.as_ref()), theirs.channel.clone(), &mut merged.channel);
        merged
    }

    fn replace(theirs: &Self, current: &Self) -> Self {
        let mut replaced = theirs.clone();
        for key in &mut replaced.keys {
            key.revoked_at = revoked(key, current.key(&key.key_id));
        }
        replaced
    }
}

fn revoked(key: &ApiKey, known: Option<&ApiKey>) -> Option<i64> {
    [key.revoked_at, known.and_then(|known| known.revoked_at)].into_iter().flatten().min()
}

fn merge_channel(base: Option<&ChannelEntry>, theirs: Option<ChannelEntry>, merged: &mut Option<ChannelEntry>) {
    if base.map(put) != theirs.as_ref().map(put) {
        *merged = theirs;
    } else if let (Some(base), Some(theirs), Some(merged)) = (base, theirs, merged)
        && base.access_token != theirs.access_token
        && token::identity(&merged.access_token) == token::identity(&theirs.access_token)
    {
        merged.access_token = theirs.access_token;
    }
}

/// A channel as it was put, whatever key its token is sealed with by now.
fn put(channel: &ChannelEntry) -> ChannelEntry {
    ChannelEntry { access_token: token::identity(&channel.access_token).to_vec(), ..channel.clone() }
}

/// Adds a key, or replaces the one with its id in its place. What is revoked stays so.
pub(crate) fn put_key(keys: &mut Vec<ApiKey>, key: ApiKey) {
    match keys.iter_mut().find(|known| known.key_id == key.key_id) {
        Some(known) => *known = ApiKey { revoked_at: revoked(&key, Some(known)), ..key },
        None => keys.push(key),
    }
}

fn details(entry: &BusinessEntry) -> (&str, bool, Option<NonZeroU32>) {
    (&entry.name, entry.enabled, entry.rate_limit)
}
