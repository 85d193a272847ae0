//! The list of an order: who may have been counted twice.

use serde::{Deserialize, Serialize};

use crate::CallId;

/// The calls of an order that took part in an unknown outcome. It only grows until the order's window ends.
///
/// It travels in every record of the order, so it has a bound: once [`Listed::FULL`] calls are on it, every call of the
/// order counts as listed. An order that was sent that often without an answer has no call that is beyond doubt.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Listed(Vec<CallId>);

impl Listed {
    /// How many calls a list names; it names no further one, and holds them all.
    pub const FULL: usize = 100;

    /// Whether the call may have been counted without anybody knowing.
    pub fn holds(&self, call: CallId) -> bool {
        self.0.len() >= Self::FULL || self.0.contains(&call)
    }

    /// Puts a call on the list.
    pub fn add(&mut self, call: CallId) {
        if !self.holds(call) {
            self.0.push(call);
        }
    }

    /// Whether no outcome of the order is unknown.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The calls that are named.
    pub fn iter(&self) -> impl Iterator<Item = CallId> {
        self.0.iter().copied()
    }
}

impl FromIterator<CallId> for Listed {
    fn from_iter<T: IntoIterator<Item = CallId>>(calls: T) -> Self {
        let mut listed = Self::default();
        calls.into_iter().for_each(|call| listed.add(call));
        listed
    }
}

impl<const N: usize> From<[CallId; N]> for Listed {
    fn from(calls: [CallId; N]) -> Self {
        calls.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_named_once() {
        let (first, second) = (CallId::now(), CallId::now());
        let listed = Listed::from([first, second, first]);
        assert_eq!(listed.iter().collect::<Vec<_>>(), [first, second]);
        assert!(listed.holds(second));
        assert!(!listed.holds(CallId::now()));
    }

    #[test]
    fn a_full_list_holds_every_call_and_grows_no_more() {
        let mut listed: Listed = (1..Listed::FULL).map(|_| CallId::now()).collect();
        let last = CallId::now();
        assert!(!listed.holds(last));
        listed.add(last);
        let full = listed.clone();
        listed.add(CallId::now());
        assert_eq!(listed, full);
        assert!(full.holds(CallId::now()));
    }
}
