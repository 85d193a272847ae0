//! API keys: making them, and who a call comes from.
//!
//! A key is `capi_<key id>_<secret>`, both parts in base62. Only the SHA-256 of the whole is kept: the secret has 256
//! random bits, so that no slow hash is needed to keep it from being guessed.

use std::sync::Arc;

use rand::distr::{Alphanumeric, SampleString};
use schemas::{ApiKey, Reason};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::{
    business::BusinessEntry,
    snapshot::{KeyMatch, Snapshot},
};

const PREFIX: &str = "capi_";
/// 71 bits: enough that two keys of one deployment never share an id by chance.
const KEY_ID_LENGTH: usize = 12;
/// 43 characters of base62 are 256.03 bits.
const SECRET_LENGTH: usize = 43;
/// What a wrong key id is compared with, so that it takes the path of a right one.
const NO_DIGEST: [u8; 32] = [0; 32];

/// A new key: the plaintext, which is shown once, and what is kept of it.
pub struct NewKey {
    /// `capi_<key id>_<secret>`.
    pub plaintext: Zeroizing<String>,
    /// What the directory keeps.
    pub key: ApiKey,
}

impl NewKey {
    /// A new key with full access and no expiry. `created_at` is in Unix milliseconds.
    #[must_use]
    pub fn generate(name: impl Into<String>, created_at: i64) -> Self {
        let mut random = rand::rng();
        let key_id = Alphanumeric.sample_string(&mut random, KEY_ID_LENGTH);
        let secret = Zeroizing::new(Alphanumeric.sample_string(&mut random, SECRET_LENGTH));
        let plaintext = Zeroizing::new([PREFIX, &key_id, "_", &secret].concat());
        let digest = Sha256::digest(plaintext.as_bytes()).into();
        let (scopes, expires_at, revoked_at) = (Vec::new(), None, None);
        Self {
            plaintext,
            key: ApiKey { key_id, name: name.into(), digest, scopes, created_at, expires_at, revoked_at },
        }
    }
}

/// Who a call comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyIdentity {
    /// The key's own business, enabled or not; which one the call is for is another check.
    pub business: Arc<BusinessEntry>,
    /// The key's public id.
    pub key_id: String,
}

/// Why a call is not authenticated. Only who has the secret of a key learns that it expired, was revoked or is scoped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyRefusal {
    /// No key, or an empty one.
    Missing,
    /// Unknown, malformed, with a wrong secret, or sent twice.
    Invalid,
    /// Past its expiry.
    Expired(KeyIdentity),
    /// Revoked by its owner.
    Revoked(KeyIdentity),
    /// Restricted to scopes; this endpoint takes full access only.
    Scoped(KeyIdentity),
}

impl KeyRefusal {
    /// The reason in the answer and in the record.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Missing => Reason::ApiKeyMissing,
            Self::Invalid => Reason::ApiKeyInvalid,
            Self::Expired(_) => Reason::ApiKeyExpired,
            Self::Revoked(_) => Reason::ApiKeyRevoked,
            Self::Scoped(_) => Reason::ApiKeyScoped,
        }
    }

    /// Whose key it was, where its secret was right.
    pub fn identity(&self) -> Option<&KeyIdentity> {
        match self {
            Self::Missing | Self::Invalid => None,
            Self::Expired(identity) | Self::Revoked(identity) | Self::Scoped(identity) => Some(identity),
        }
    }
}

/// Who a call comes from, by the values of its `X-API-KEY` headers. `now` is in Unix milliseconds.
///
/// # Errors
/// Where there is not exactly one value, or it is no live key with full access.
pub fn authenticate<'v>(
    values: impl IntoIterator<Item = &'v [u8]>,
    now: i64,
    snapshot: &Snapshot,
) -> Result<KeyIdentity, KeyRefusal> {
    let mut values = values.into_iter();
    let plaintext = values.next().ok_or(KeyRefusal::Missing)?;
    if values.next().is_some() {
        return Err(KeyRefusal::Invalid);
    }
    if plaintext.is_empty() {
        return Err(KeyRefusal::Missing);
    }
    let KeyMatch { business, key } = genuine(plaintext, snapshot).ok_or(KeyRefusal::Invalid)?;
    let identity = KeyIdentity { business: Arc::clone(business), key_id: key.key_id.clone() };
    if key.expires_at.is_some_and(|expiry| expiry <= now) {
        return Err(KeyRefusal::Expired(identity));
    }
    if key.revoked_at.is_some() {
        return Err(KeyRefusal::Revoked(identity));
    }
    if key.scopes.is_empty() { Ok(identity) } else { Err(KeyRefusal::Scoped(identity)) }
}

/// The key whose plaintext this is. An unknown or malformed id is hashed and compared like a known one, and nothing is
/// copied before the comparison: the time that a refusal takes must not tell which key ids exist. What is compared in
/// constant time are digests, so that not even a fault there would tell the secret character by character.
fn genuine<'s>(plaintext: &[u8], snapshot: &'s Snapshot) -> Option<KeyMatch<'s>> {
    let found = key_id(plaintext).and_then(|key_id| snapshot.key(key_id));
    let digest: [u8; 32] = Sha256::digest(plaintext).into();
    let expected = found.as_ref().map_or(&NO_DIGEST, |found| &found.key.digest);
    if bool::from(digest.ct_eq(expected)) { found } else { None }
}

/// The public id in a plaintext key.
fn key_id(plaintext: &[u8]) -> Option<&str> {
    let (key_id, secret) = std::str::from_utf8(plaintext).ok()?.strip_prefix(PREFIX)?.split_once('_')?;
    let base62 = |part: &str| part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    (base62(key_id) && base62(secret)).then_some(key_id)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const NOW: i64 = 1_800_000_000_000;

    /// A business with one key, and the key's plaintext.
    fn with_key(change: impl FnOnce(&mut ApiKey)) -> (Snapshot, String) {
        let NewKey { plaintext, mut key } = NewKey::generate("test", NOW - 1000);
        change(&mut key);
        let mut entry = BusinessEntry::new(Uuid::from_u128(1).into(), "Shop");
        entry.keys.push(key);
        ([entry].into_iter().collect(), plaintext.to_string())
    }

    fn try_key(plaintext: &str, snapshot: &Snapshot) -> Result<KeyIdentity, KeyRefusal> {
        authenticate([plaintext.as_bytes()], NOW, snapshot)
    }

    /// The key with another last character.
    fn guess(plaintext: &str) -> String {
        let (known, last) = plaintext.split_at(plaintext.len() - 1);
        format!("{known}{}", if last == "x" { "y" } else { "x" })
    }

    #[test]
    fn a_key_has_the_documented_form() {
        let NewKey { plaintext, key } = NewKey::generate("test", NOW);
        let parts: Vec<_> = plaintext.split('_').collect();
        assert_eq!((parts.len(), parts[0], parts[1], parts[2].len()), (3, "capi", key.key_id.as_str(), SECRET_LENGTH));
        assert_eq!(key_id(plaintext.as_bytes()), Some(key.key_id.as_str()));
        assert_eq!(key.digest, <[u8; 32]>::from(Sha256::digest(plaintext.as_bytes())));
        assert_ne!(*plaintext, *NewKey::generate("test", NOW).plaintext);
    }

    #[test]
    fn a_live_key_names_its_business() {
        let (snapshot, plaintext) = with_key(|key| key.expires_at = Some(NOW + 1));
        let identity = try_key(&plaintext, &snapshot).unwrap();
        assert_eq!(identity.business.name, "Shop");
        assert_eq!(Some(identity.key_id.as_str()), key_id(plaintext.as_bytes()));
    }

    #[test]
    fn no_key_and_an_empty_key_are_missing() {
        let (snapshot, _) = with_key(|_| ());
        assert_eq!(authenticate([], NOW, &snapshot), Err(KeyRefusal::Missing));
        assert_eq!(try_key("", &snapshot), Err(KeyRefusal::Missing));
    }

    #[test]
    fn unknown_malformed_and_doubled_keys_are_invalid() {
        let (snapshot, plaintext) = with_key(|_| ());
        let unknown = NewKey::generate("other", NOW).plaintext;
        let wrong_secret = guess(&plaintext);
        let spaced = format!(" {plaintext}");
        for wrong in [
            unknown.as_str(),
            &wrong_secret,
            &spaced,
            &plaintext.to_uppercase(),
            "capi_",
            "capi__",
            "x",
            "capi_\u{e9}_x",
        ] {
            assert_eq!(try_key(wrong, &snapshot), Err(KeyRefusal::Invalid), "{wrong}");
        }
        assert_eq!(authenticate([plaintext.as_bytes(); 2], NOW, &snapshot), Err(KeyRefusal::Invalid));
        assert_eq!(authenticate([&b"\xff\xfe"[..]], NOW, &snapshot), Err(KeyRefusal::Invalid));
    }

    #[test]
    fn who_has_the_secret_learns_why_the_key_is_refused() {
        type Change = fn(&mut ApiKey);
        let cases: [(Change, Reason); 4] = [
            (|key| key.expires_at = Some(NOW), Reason::ApiKeyExpired),
            (|key| key.revoked_at = Some(NOW - 1), Reason::ApiKeyRevoked),
            (|key| key.scopes = vec!["messages".into()], Reason::ApiKeyScoped),
            (
                |key| (key.expires_at, key.revoked_at, key.scopes) = (Some(1), Some(2), vec!["messages".into()]),
                Reason::ApiKeyExpired,
            ),
        ];
        for (change, reason) in cases {
            let (snapshot, plaintext) = with_key(change);
            let refusal = try_key(&plaintext, &snapshot).unwrap_err();
            assert_eq!(refusal.reason(), reason);
            assert_eq!(refusal.identity().unwrap().business.name, "Shop");
            assert_eq!(try_key(&guess(&plaintext), &snapshot), Err(KeyRefusal::Invalid));
        }
    }

    #[test]
    fn the_digest_of_no_key_lets_nobody_in() {
        let (snapshot, _) = with_key(|_| ());
        assert!(genuine(b"", &snapshot).is_none());
    }

    #[test]
    fn every_bit_of_the_digest_counts() {
        for bit in 0..256 {
            let (snapshot, plaintext) = with_key(|key| key.digest[bit / 8] ^= 1 << (bit % 8));
            assert_eq!(try_key(&plaintext, &snapshot), Err(KeyRefusal::Invalid), "bit {bit}");
        }
    }
}
