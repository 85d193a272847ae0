//! Access tokens, encrypted at rest.
//!
//! A sealed token is `key id (4 bytes) ‖ nonce (24) ‖ XChaCha20-Poly1305 ciphertext and tag`, with the business id as
//! associated data: copied under another business, it cannot be opened.

use std::fmt;

use chacha20poly1305::{
    AeadCore, KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, OsRng, Payload},
};
use zeroize::Zeroizing;

use crate::{
    id::BusinessId,
    rules::Fault,
    secret::{KEY_ID, Key, SecretKeys},
};

const NONCE: usize = 24;
/// Meta's tokens have some 200 bytes.
const TOKEN_MAX: usize = 4096;

/// An access token in the clear. It is wiped when dropped, and no formatting shows it.
#[derive(Clone)]
pub struct AccessToken(Zeroizing<String>);

/// Why a sealed token cannot be opened. Neither says anything of the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Sealed with a key that is neither the current nor the previous one.
    #[error("the access token is encrypted with a key that is neither CAPI_SECRET_KEY nor CAPI_SECRET_KEY_PREVIOUS")]
    UnknownKey,
    /// Cut, altered, or sealed for another business.
    #[error("the encrypted access token is damaged or belongs to another business")]
    Damaged,
}

impl AccessToken {
    /// A token as Meta gives it: visible ASCII, since it travels in a header.
    ///
    /// # Errors
    /// Where it is empty, over 4 KiB, or holds blanks or control characters; the fault does not repeat it.
    pub fn parse(text: Zeroizing<String>) -> Result<Self, Fault> {
        let visible = (1..=TOKEN_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        if visible {
            Ok(Self(text))
        } else {
            Err(Fault::new("an access token has 1 to 4096 visible ASCII characters, without blanks or line breaks"))
        }
    }

    /// The token itself, for the `Authorization` header.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessToken(…)")
    }
}

impl SecretKeys {
    /// Encrypts a token for one business, with the current key.
    ///
    /// # Panics
    /// Never: the cipher fails only beyond 256 GiB, and a token has at most 4 KiB.
    pub fn seal(&self, business: BusinessId, token: &AccessToken) -> Vec<u8> {
        self.seal_with(&XChaCha20Poly1305::generate_nonce(&mut OsRng), business, token)
    }

    #[expect(clippy::expect_used, reason = "the cipher fails only beyond 256 GiB")]
    fn seal_with(&self, nonce: &XNonce, business: BusinessId, token: &AccessToken) -> Vec<u8> {
        let payload = Payload { msg: token.expose().as_bytes(), aad: business.as_bytes() };
        let ciphertext = cipher(self.current()).encrypt(nonce, payload).expect("a short token");
        [&self.current().id()[..], nonce, &ciphertext].concat()
    }

    /// Decrypts the token of one business.
    ///
    /// # Errors
    /// Where the key is unknown, or the bytes are not what [`SecretKeys::seal`] made for this business.
    pub fn open(&self, business: BusinessId, sealed: &[u8]) -> Result<AccessToken, TokenError> {
        let (key_id, rest) = sealed.split_first_chunk::<KEY_ID>().ok_or(TokenError::Damaged)?;
        let (nonce, ciphertext) = rest.split_first_chunk::<NONCE>().ok_or(TokenError::Damaged)?;
        let key = self.with_id(*key_id).ok_or(TokenError::UnknownKey)?;
        let payload = Payload { msg: ciphertext, aad: business.as_bytes() };
        let opened = cipher(key).decrypt(XNonce::from_slice(nonce), payload).map_err(|_| TokenError::Damaged)?;
        let text = String::from_utf8(opened).map_err(|_| TokenError::Damaged)?;
        AccessToken::parse(Zeroizing::new(text)).map_err(|_| TokenError::Damaged)
    }

    /// The token under the current key, for a rotation; `None` where it is under that key already. It keeps its nonce,
    /// and with it its [`identity`]: a nonce must not meet two messages under one key, and here another key meets the
    /// same message.
    ///
    /// # Errors
    /// Where [`SecretKeys::open`] has one: what cannot be opened cannot be sealed anew.
    pub fn seal_anew(&self, business: BusinessId, sealed: &[u8]) -> Result<Option<Vec<u8>>, TokenError> {
        let token = self.open(business, sealed)?;
        let is_current = sealed.starts_with(&self.current().id());
        Ok((!is_current).then(|| self.seal_with(XNonce::from_slice(identity(sealed)), business, &token)))
    }
}

/// What stays of a sealed token when it is sealed anew, and tells it from every other: its nonce. What is too short to be
/// a sealed token is its own identity.
pub(crate) fn identity(sealed: &[u8]) -> &[u8] {
    sealed.get(KEY_ID..KEY_ID + NONCE).unwrap_or(sealed)
}

fn cipher(key: &Key) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(key.bytes().into())
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn business(number: u128) -> BusinessId {
        Uuid::from_u128(number).into()
    }

    fn token() -> AccessToken {
        AccessToken::parse(Zeroizing::new("EAAGsecret".to_owned())).unwrap()
    }

    #[test]
    fn a_sealed_token_opens_for_its_business_only() {
        let keys = SecretKeys::new([1; 32], None);
        let sealed = keys.seal(business(1), &token());
        assert_eq!(keys.open(business(1), &sealed).unwrap().expose(), "EAAGsecret");
        assert_eq!(keys.open(business(2), &sealed).unwrap_err(), TokenError::Damaged);
        assert!(!sealed.windows(6).any(|window| window == b"secret"));
        assert_ne!(sealed, keys.seal(business(1), &token()));
    }

    #[test]
    fn the_previous_key_still_opens_and_a_lost_one_does_not() {
        let sealed = SecretKeys::new([1; 32], None).seal(business(1), &token());
        let rotated = SecretKeys::new([2; 32], Some([1; 32]));
        assert_eq!(rotated.open(business(1), &sealed).unwrap().expose(), "EAAGsecret");
        let anew = rotated.seal(business(1), &token());
        assert!(SecretKeys::new([2; 32], None).open(business(1), &anew).is_ok());
        assert_eq!(SecretKeys::new([2; 32], None).open(business(1), &sealed).unwrap_err(), TokenError::UnknownKey);
    }

    #[test]
    fn a_token_is_sealed_anew_once_and_for_its_business_only() {
        let sealed = SecretKeys::new([1; 32], None).seal(business(1), &token());
        let rotated = SecretKeys::new([2; 32], Some([1; 32]));
        assert_eq!(rotated.seal_anew(business(2), &sealed), Err(TokenError::Damaged));
        let anew = rotated.seal_anew(business(1), &sealed).unwrap().unwrap();
        let alone = SecretKeys::new([2; 32], None);
        assert_eq!(alone.open(business(1), &anew).unwrap().expose(), "EAAGsecret");
        assert_eq!(rotated.seal_anew(business(1), &anew), Ok(None));
        assert_eq!(rotated.seal_anew(business(1), &sealed).unwrap().as_ref(), Some(&anew), "twice is the same");
        assert_eq!(identity(&anew), identity(&sealed));
        assert_ne!(identity(&anew), identity(&rotated.seal(business(1), &token())));
        assert_eq!(alone.seal_anew(business(1), &sealed), Err(TokenError::UnknownKey));
    }

    #[test]
    fn no_altered_byte_passes() {
        let keys = SecretKeys::new([1; 32], None);
        let sealed = keys.seal(business(1), &token());
        for at in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[at] ^= 1;
            assert!(keys.open(business(1), &altered).is_err(), "byte {at}");
            assert!(keys.open(business(1), &sealed[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn a_token_that_does_not_fit_a_header_is_refused_without_repeating_it() {
        for wrong in ["", "two words", "line\n", "tok\u{e9}n"] {
            let fault = AccessToken::parse(Zeroizing::new(wrong.to_owned())).unwrap_err().to_string();
            assert!(wrong.is_empty() || !fault.contains(wrong));
        }
        assert_eq!(format!("{:?}", token()), "AccessToken(…)");
    }
}
