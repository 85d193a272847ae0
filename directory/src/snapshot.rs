//! All businesses at one moment, by id and by key; and who signs in to the console.
//!
//! The indexes are cut into shards that snapshots share: taking one copies a few hundred pointers, and a change copies
//! the shards it touches. So a lookup never waits, a change costs little among 100,000 businesses, and a bulk load
//! between two snapshots copies nothing twice.

use std::{
    collections::HashMap,
    hash::{BuildHasher, Hash, RandomState},
    sync::Arc,
};

use schemas::ApiKey;

use crate::{
    business::BusinessEntry,
    id::BusinessId,
    users::{SessionId, User, UserName},
};

const SHARDS: usize = 256;

/// All businesses at one moment. A clone is cheap and does not follow later changes.
#[derive(Clone)]
pub struct Snapshot {
    businesses: Shards<BusinessId, Arc<BusinessEntry>>,
    keys: Shards<Arc<str>, Arc<BusinessEntry>>,
    users: Shards<UserName, Arc<User>>,
    /// Sessions that were ended before their time, with that time, in Unix milliseconds.
    ended: Shards<SessionId, i64>,
}

/// A key and the business it belongs to, where they lie: nothing is copied before the secret was found to be right.
#[derive(Clone, Copy, Debug)]
pub struct KeyMatch<'s> {
    /// The business, whose `keys` hold the key.
    pub business: &'s Arc<BusinessEntry>,
    /// The key.
    pub key: &'s ApiKey,
}

impl Default for Snapshot {
    fn default() -> Self {
        Self { businesses: Shards::new(), keys: Shards::new(), users: Shards::new(), ended: Shards::new() }
    }
}

impl Snapshot {
    /// The business with this id, in any case, enabled or not; `None` also where the text is no business id.
    pub fn business(&self, id: &str) -> Option<Arc<BusinessEntry>> {
        self.get(BusinessId::parse(id)?).cloned()
    }

    /// The key with this public id, and the business it belongs to.
    pub fn key(&self, key_id: &str) -> Option<KeyMatch<'_>> {
        let business = self.keys.get(key_id)?;
        Some(KeyMatch { business, key: business.key(key_id)? })
    }

    /// How many businesses there are.
    pub fn len(&self) -> usize {
        self.businesses.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Every business, in no order.
    pub fn businesses(&self) -> impl Iterator<Item = &Arc<BusinessEntry>> {
        self.businesses.values()
    }

    /// The user of this name.
    pub fn user(&self, name: &UserName) -> Option<&User> {
        self.users.get(name).map(AsRef::as_ref)
    }

    /// Every user, in no order.
    pub fn users(&self) -> impl Iterator<Item = &Arc<User>> {
        self.users.values()
    }

    /// Whether a session is over: it was ended itself, or all of the user's were, or there is no such user any more.
    /// `since` is the [`sessions_from`](User::sessions_from) of the user whose password was verified when the session
    /// began. It is no clock's time, so that neither a clock that is off nor a view that was a second behind lets a
    /// session that began with an old password outlive it. A session's expiry is another matter, and the caller's.
    pub fn session_is_ended(&self, id: &SessionId, user: &UserName, since: i64) -> bool {
        let goes_on = self.user(user).is_some_and(|user| user.sessions_from <= since);
        !goes_on || self.ended.get(id).is_some()
    }

    /// Sessions that were ended and would have ended by themselves before `now`, in Unix milliseconds.
    pub(crate) fn expired(&self, now: i64) -> impl Iterator<Item = &SessionId> {
        self.ended.entries().filter(move |(_, expires_at)| **expires_at < now).map(|(id, _)| id)
    }

    pub(crate) fn get(&self, id: BusinessId) -> Option<&Arc<BusinessEntry>> {
        self.businesses.get(&id)
    }

    /// Puts a business, or replaces it whole.
    pub fn put(&mut self, entry: BusinessEntry) {
        self.remove(entry.id);
        let entry = Arc::new(entry);
        for key in &entry.keys {
            self.keys.insert(key.key_id.as_str().into(), Arc::clone(&entry));
        }
        self.businesses.insert(entry.id, entry);
    }

    pub(crate) fn remove(&mut self, id: BusinessId) {
        let Some(gone) = self.businesses.remove(&id) else { return };
        for key in &gone.keys {
            if self.keys.get(key.key_id.as_str()).is_some_and(|owner| owner.id == id) {
                self.keys.remove(key.key_id.as_str());
            }
        }
    }
}

impl Snapshot {
    /// Puts a user, or replaces it whole.
    pub fn put_user(&mut self, user: User) {
        self.users.insert(user.name.clone(), Arc::new(user));
    }

    pub(crate) fn remove_user(&mut self, name: &UserName) {
        self.users.remove(name);
    }

    /// Ends a session, until it is removed from here.
    pub fn put_ended(&mut self, id: SessionId, expires_at: i64) {
        self.ended.insert(id, expires_at);
    }

    pub(crate) fn remove_ended(&mut self, id: &SessionId) {
        self.ended.remove(id);
    }
}

impl FromIterator<BusinessEntry> for Snapshot {
    fn from_iter<I: IntoIterator<Item = BusinessEntry>>(entries: I) -> Self {
        let mut snapshot = Self::default();
        entries.into_iter().for_each(|entry| snapshot.put(entry));
        snapshot
    }
}

/// A map in parts that its clones share until one of them changes a part.
#[derive(Clone)]
struct Shards<K, V> {
    parts: Vec<Arc<HashMap<K, V>>>,
    hasher: RandomState,
    len: usize,
}

impl<K: Clone + Eq + Hash, V: Clone> Shards<K, V> {
    fn new() -> Self {
        Self { parts: vec![Arc::default(); SHARDS], hasher: RandomState::new(), len: 0 }
    }

    fn len(&self) -> usize {
        self.len
    }

    fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: std::borrow::Borrow<Q>,
    {
        self.parts[self.shard(key)].get(key)
    }

    fn insert(&mut self, key: K, value: V) {
        let shard = self.shard(&key);
        self.len += usize::from(Arc::make_mut(&mut self.parts[shard]).insert(key, value).is_none());
    }

    fn remove<Q: Eq + Hash + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: std::borrow::Borrow<Q>,
    {
        let shard = self.shard(key);
        if !self.parts[shard].contains_key(key) {
            return None;
        }
        let removed = Arc::make_mut(&mut self.parts[shard]).remove(key);
        self.len -= usize::from(removed.is_some());
        removed
    }

    fn values(&self) -> impl Iterator<Item = &V> {
        self.entries().map(|(_, value)| value)
    }

    fn entries(&self) -> impl Iterator<Item = (&K, &V)> {
        self.parts.iter().flat_map(|shard| shard.iter())
    }

    fn shard<Q: Hash + ?Sized>(&self, key: &Q) -> usize {
        // The low byte: a shard's own map hashes with its own seed.
        usize::from(self.hasher.hash_one(key).to_le_bytes()[0]) % SHARDS
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::users::tests::merchant;

    fn id(number: u128) -> BusinessId {
        Uuid::from_u128(number).into()
    }

    fn key(key_id: &str) -> ApiKey {
        ApiKey {
            key_id: key_id.into(),
            name: "key".into(),
            digest: [0; 32],
            scopes: Vec::new(),
            created_at: 0,
            expires_at: None,
            revoked_at: None,
        }
    }

    fn entry(number: u128, keys: &[&str]) -> BusinessEntry {
        BusinessEntry {
            keys: keys.iter().map(|key_id| key(key_id)).collect(),
            ..BusinessEntry::new(id(number), format!("business {number}"))
        }
    }

    #[test]
    fn a_value_replaces_the_business_and_its_keys() {
        let mut snapshot = Snapshot::default();
        snapshot.put(entry(1, &["old", "kept"]));
        snapshot.put(entry(1, &["kept", "new"]));
        assert_eq!(snapshot.len(), 1);
        assert!(snapshot.key("old").is_none());
        for key_id in ["kept", "new"] {
            let found = snapshot.key(key_id).unwrap();
            assert_eq!((found.business.id, found.key.key_id.as_str()), (id(1), key_id));
        }
    }

    #[test]
    fn ids_are_looked_up_in_any_case() {
        let mut snapshot = Snapshot::default();
        snapshot.put(entry(0xabc, &[]));
        assert!(snapshot.business(&id(0xabc).to_string().to_uppercase()).is_some());
        assert!(snapshot.business("shop").is_none());
    }

    #[test]
    fn a_business_goes_with_its_keys_only() {
        let mut snapshot = Snapshot::default();
        snapshot.put(entry(1, &["a"]));
        snapshot.put(entry(2, &["b"]));
        snapshot.remove(id(1));
        snapshot.remove(id(3));
        assert!(snapshot.business(&id(1).to_string()).is_none() && snapshot.key("a").is_none());
        assert_eq!((snapshot.len(), snapshot.key("b").unwrap().business.id), (1, id(2)));
    }

    #[test]
    fn a_key_that_moved_to_another_business_stays_there() {
        let mut snapshot = Snapshot::default();
        snapshot.put(entry(1, &["moved"]));
        snapshot.put(entry(2, &["moved"]));
        snapshot.put(entry(1, &[]));
        assert_eq!(snapshot.key("moved").unwrap().business.id, id(2));
    }

    #[test]
    fn a_snapshot_does_not_follow_later_changes() {
        let mut snapshot: Snapshot = (0..2000).map(|number| entry(number, &[])).collect();
        let before = snapshot.clone();
        snapshot.put(BusinessEntry::new(id(7), "renamed"));
        snapshot.remove(id(8));
        assert_eq!((before.len(), snapshot.len()), (2000, 1999));
        assert_eq!(before.business(&id(7).to_string()).unwrap().name, "business 7");
        assert_eq!(snapshot.businesses().count(), 1999);
        let shared = |a: &Snapshot, b: &Snapshot| {
            a.businesses.parts.iter().zip(&b.businesses.parts).filter(|(a, b)| Arc::ptr_eq(a, b)).count()
        };
        assert!(shared(&before, &snapshot) >= SHARDS - 2);
    }

    #[test]
    fn a_session_goes_on_until_it_or_all_of_the_users_are_ended() {
        let (ada, id): (UserName, SessionId) = ("ada".parse().unwrap(), "s1".parse().unwrap());
        let other = "s2".parse().unwrap();
        let mut snapshot = Snapshot::default();
        assert!(snapshot.session_is_ended(&id, &ada, 5), "there is no such user");
        snapshot.put_user(merchant("ada"));
        assert!(!snapshot.session_is_ended(&id, &ada, 5) && snapshot.session_is_ended(&id, &ada, 4));
        snapshot.put_ended(id.clone(), 70);
        assert!(snapshot.session_is_ended(&id, &ada, 5) && !snapshot.session_is_ended(&other, &ada, 5));
        snapshot.put_user(User { sessions_from: 6, ..merchant("ada") });
        assert!(snapshot.session_is_ended(&other, &ada, 5) && !snapshot.session_is_ended(&other, &ada, 6));
        snapshot.remove_user(&ada);
        assert!(snapshot.session_is_ended(&other, &ada, 6));
    }

    #[test]
    fn what_expired_may_be_forgotten() {
        let mut snapshot = Snapshot::default();
        for (id, expires_at) in [("s1", 70), ("s2", 71)] {
            snapshot.put_ended(id.parse().unwrap(), expires_at);
        }
        let expired = |now| snapshot.expired(now).map(SessionId::as_str).collect::<Vec<_>>();
        assert_eq!((expired(70).len(), expired(71), expired(72).len()), (0, vec!["s1"], 2));
    }
}
