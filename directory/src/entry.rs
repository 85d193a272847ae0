//! What stands under a key of the directory's topic and changes part by part: a business, or a user.

mod business;
mod user;

use std::fmt::Debug;

pub(crate) use business::put_key;

use crate::{fold::Unreadable, rules::Fault, subject::Subject};

/// A value of the topic that commands change.
pub(crate) trait Entry: Clone + Debug + PartialEq {
    /// What tells it from others of its kind.
    type Id: Clone + Debug + PartialEq;

    /// Whether the value before stands where the last one cannot be read.
    const OUTLIVES_UNREADABLE: bool;

    /// What a message about it is about.
    fn subject(id: &Self::Id) -> Subject;

    fn decode(id: &Self::Id, payload: &[u8]) -> Result<Self, Unreadable>;

    fn encode(&self) -> Vec<u8>;

    /// Whether every rule holds.
    fn check(&self) -> Result<(), Fault>;

    /// What stands once `theirs`, which was made from `base`, has come, where `current` stood before.
    fn merge(base: Option<&Self>, theirs: &Self, current: &Self) -> Self;

    /// The same where what `theirs` was made from is not known any more: as it is, but for what is never taken back.
    fn replace(theirs: &Self, current: &Self) -> Self;
}
