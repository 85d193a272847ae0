//! Why the directory was not read or changed.

use schemas::DecodeError;

use crate::{id::BusinessId, rules::Fault, token::TokenError, users::UserName};

/// Why a business or a user was not read or changed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no such business.
    #[error("there is no business {0}")]
    UnknownBusiness(BusinessId),
    /// There is no such user.
    #[error("there is no user {0}")]
    UnknownUser(UserName),
    /// The business has no such key.
    #[error("business {business} has no key {key_id}")]
    UnknownKey {
        /// The business.
        business: BusinessId,
        /// The key's public id.
        key_id: String,
    },
    /// The change would break a rule.
    #[error(transparent)]
    Rule(#[from] Fault),
    /// The token of the business cannot be decrypted with the keys at hand.
    #[error("business {business}: {fault}")]
    Token {
        /// The business.
        business: BusinessId,
        /// What is wrong with it.
        fault: TokenError,
    },
    /// A later release has written this: changing it here would undo what this one does not know of.
    #[error("{subject} was written by a later release: {fault}")]
    Newer {
        /// The business or the user.
        subject: String,
        /// What this release does not know.
        fault: DecodeError,
    },
    /// Too many others change the same: nothing is lost, but whose change stands is not known.
    #[error("others kept changing {0} meanwhile: look at it, and repeat the command where it did not take")]
    Contended(String),
    /// The directory's topic does not exist.
    #[error("topic {0} does not exist: run `capi setup`")]
    NotSetUp(String),
    /// Kafka cannot be reached or refuses; a change may or may not have been written, and the command may be repeated.
    #[error("Kafka is not available: {0}")]
    Unavailable(String),
}
