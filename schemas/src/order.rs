//! The order key, and the partition it lives on.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::{Call, CallId};

/// An order: (business, event name, order id). A call without an order id is an order of its own.
/// It is the Kafka key of everything about the order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OrderKey(String);

impl OrderKey {
    /// The order of a valid call.
    pub fn of(call: &Call) -> Self {
        if call.order_id.is_empty() {
            return Self(call.call_id.to_string());
        }
        Self(format!("{}:{}:{}", call.business_id, call.event_name, call.order_id))
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key's hash: what memory keeps of an order, and what chooses its partition.
    pub fn hash(&self) -> OrderHash {
        OrderHash::of(self.0.as_bytes())
    }
}

impl fmt::Display for OrderKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The first 128 bits of SHA-256 over a key: merchants choose order ids, so it must not be possible to make two collide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OrderHash([u8; 16]);

impl OrderHash {
    /// The hash of a Kafka key.
    pub fn of(key: &[u8]) -> Self {
        let digest = Sha256::digest(key);
        let mut hash = [0; 16];
        hash.copy_from_slice(&digest[..16]);
        Self(hash)
    }

    /// 64 bits of it for a table: not those that choose the partition, which all orders of a table may share.
    pub fn spread(&self) -> u64 {
        // The upper half of the number is cut off, which is wanted.
        #[expect(clippy::cast_possible_truncation)]
        let last = u128::from_be_bytes(self.0) as u64;
        last
    }

    /// The partition of this key among `partitions` (rule 1 of the ledger: this one function, and every produce names
    /// its number). `partitions` is at least 1.
    pub fn partition(&self, partitions: i32) -> i32 {
        let [a, b, c, d, ..] = self.0;
        let slot = u32::from_be_bytes([a, b, c, d]) % partitions.max(1).unsigned_abs();
        i32::try_from(slot).unwrap_or_default()
    }
}

/// The partition of a topic that is keyed by call.
pub fn partition_of_call(call: CallId, partitions: i32) -> i32 {
    OrderHash::of(call.as_bytes()).partition(partitions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_those_of_every_release() {
        // Changing one of these moves orders away from their ledger: it needs new topics.
        let partition = |key: &str| OrderHash::of(key.as_bytes()).partition(12);
        assert_eq!([partition("a"), partition("b"), partition("c")], [2, 6, 11]);
        assert_eq!(partition_of_call(CallId::from(uuid::Uuid::nil()), 12), 11);
    }

    #[test]
    fn orders_spread_over_all_partitions() {
        let mut hits = [0; 12];
        for order in 0..12_000 {
            let partition = OrderHash::of(format!("order-{order}").as_bytes()).partition(12);
            hits[usize::try_from(partition).unwrap()] += 1;
        }
        assert!(hits.iter().all(|hit| (800..1200).contains(hit)), "{hits:?}");
    }
}
