//! Texts that leave this deployment and come back, such as a browser's cookie: signed, so that nobody makes one up.
//!
//! The key of a signature is derived from the deployment's secret key by its purpose (HMAC-SHA256 twice): what was signed
//! for one purpose is nothing for another, and no signature says anything of the key that access tokens are sealed with.

use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use crate::secret::{Key, SecretKeys};

/// Bytes of a signature.
pub(crate) const SIGNATURE: usize = 32;
/// Apart from whatever else may be derived from the key one day.
const DOMAIN: &[u8] = b"capi signature for ";

impl SecretKeys {
    /// The signature of a message for one purpose, with the current key.
    pub fn sign(&self, purpose: &str, message: &[u8]) -> [u8; SIGNATURE] {
        signing(self.current(), purpose, message).finalize().into_bytes().into()
    }

    /// Whether a message was signed for this purpose, with the current key or the one before: a rotation ends no session.
    /// Takes as long for a wrong signature as for a right one.
    pub fn is_signed(&self, purpose: &str, message: &[u8], signature: &[u8]) -> bool {
        self.all().any(|key| signing(key, purpose, message).verify_slice(signature).is_ok())
    }
}

fn signing(key: &Key, purpose: &str, message: &[u8]) -> Hmac<Sha256> {
    let derived = hmac(key.bytes()).chain_update(DOMAIN).chain_update(purpose).finalize().into_bytes();
    hmac(&derived).chain_update(message)
}

#[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
fn hmac(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("a key of any length")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_holds_for_its_message_and_its_purpose_only() {
        let keys = SecretKeys::new([1; 32], None);
        let signature = keys.sign("session", b"ada");
        assert!(keys.is_signed("session", b"ada", &signature));
        assert!(!keys.is_signed("session", b"bob", &signature));
        assert!(!keys.is_signed("form", b"ada", &signature));
        assert!(!SecretKeys::new([2; 32], None).is_signed("session", b"ada", &signature));
        for at in 0..SIGNATURE {
            let mut altered = signature;
            altered[at] ^= 1;
            assert!(!keys.is_signed("session", b"ada", &altered), "byte {at}");
            assert!(!keys.is_signed("session", b"ada", &signature[..at]), "cut at {at}");
        }
    }

    #[test]
    fn a_rotation_ends_nothing_and_a_lost_key_does() {
        let signature = SecretKeys::new([1; 32], None).sign("session", b"ada");
        assert!(SecretKeys::new([2; 32], Some([1; 32])).is_signed("session", b"ada", &signature));
        assert!(!SecretKeys::new([2; 32], None).is_signed("session", b"ada", &signature));
    }
}
