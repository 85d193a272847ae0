//! The closed orders, nearly all of ten million: a dense array and an index into it, 50 to 61 bytes an order.

use hashbrown::HashTable;
use schemas::OrderHash;

/// A closed order: credited at `offset`, or refused there with nothing left to remember but that it was (then the call
/// is nil).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Closed {
    pub(super) call: [u8; 16],
    pub(super) offset: i64,
    /// Unix seconds: rounded down, which only makes it expire up to a second early.
    pub(super) at: u32,
}

/// Packed to 44 bytes; aligned for its offset it would take 48.
#[derive(Clone, Copy)]
#[repr(C, packed(4))]
struct Entry {
    order: OrderHash,
    call: [u8; 16],
    offset: i64,
    at: u32,
}

/// Closed orders by the hash of their key.
#[derive(Default)]
pub(super) struct ClosedOrders {
    /// Places in `entries`.
    index: HashTable<u32>,
    entries: Vec<Entry>,
}

impl ClosedOrders {
    pub(super) fn get(&self, order: &OrderHash) -> Option<Closed> {
        let place = self.index.find(order.spread(), |place| self.entries[at(*place)].order == *order)?;
        let Entry { call, offset, at, .. } = self.entries[at(*place)];
        Some(Closed { call, offset, at })
    }

    pub(super) fn insert(&mut self, order: OrderHash, closed: Closed) {
        let entry = Entry { order, call: closed.call, offset: closed.offset, at: closed.at };
        let entries = &mut self.entries;
        let known = self.index.find(order.spread(), |place| entries[at(*place)].order == order);
        if let Some(place) = known {
            entries[at(*place)] = entry;
            return;
        }
        // By an eighth: doubling would leave up to half of the array unused.
        if entries.len() == entries.capacity() {
            entries.reserve_exact(entries.len() / 8 + 64);
        }
        let place = place(entries.len());
        entries.push(entry);
        self.index.insert_unique(order.spread(), place, |place| entries[at(*place)].order.spread());
    }

    pub(super) fn remove(&mut self, order: &OrderHash) {
        let entries = &mut self.entries;
        let Ok(found) = self.index.find_entry(order.spread(), |place| entries[at(*place)].order == *order) else {
            return;
        };
        let (hole, _) = found.remove();
        entries.swap_remove(at(hole));
        // The last entry fills the hole.
        if let Some(moved) = entries.get(at(hole)) {
            let was = place(entries.len());
            if let Some(its) = self.index.find_mut(moved.order.spread(), |place| *place == was) {
                *its = hole;
            }
        }
    }

    /// Forgets those that were last written before `before`, in Unix milliseconds.
    pub(super) fn forget(&mut self, before: i64) {
        let known = self.entries.len();
        self.entries.retain(|entry| i64::from(entry.at) * 1000 >= before);
        if self.entries.len() < known {
            self.entries.shrink_to_fit();
            self.index = HashTable::with_capacity(self.entries.len());
            let entries = &self.entries;
            for (number, entry) in entries.iter().enumerate() {
                let again = |place: &u32| entries[at(*place)].order.spread();
                self.index.insert_unique(entry.order.spread(), place(number), again);
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}

fn at(place: u32) -> usize {
    place as usize
}

/// A partition with four billion orders would need 200 GB for them.
#[expect(clippy::cast_possible_truncation)]
fn place(number: usize) -> u32 {
    number as u32
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::{collection::vec, prelude::*};

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Insert(u8, u32),
        Remove(u8),
        Forget(u32),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            6 => (0..40u8, 0..1000u32).prop_map(|(order, at)| Step::Insert(order, at)),
            3 => (0..40u8).prop_map(Step::Remove),
            1 => (0..500u32).prop_map(Step::Forget),
        ]
    }

    fn hash(order: u8) -> OrderHash {
        OrderHash::of(&[order])
    }

    /// The README's sizing rests on it. The index doubles, and so the worst moment is just after that.
    #[test]
    fn an_order_takes_64_bytes_at_most() {
        let mut orders = ClosedOrders::default();
        for number in 0..100_000_u32 {
            let closed = Closed { call: [1; 16], offset: i64::from(number), at: number };
            orders.insert(OrderHash::of(&number.to_be_bytes()), closed);
            let bytes = orders.entries.capacity() * size_of::<Entry>() + orders.index.allocation_size();
            assert!(number < 1000 || bytes <= 64 * orders.len(), "{bytes} bytes for {} orders", orders.len());
        }
    }

    proptest! {
        #[test]
        fn closed_orders_agree_with_a_simple_map(steps in vec(step(), 0..200)) {
            let (mut orders, mut map) = (ClosedOrders::default(), HashMap::new());
            for (number, step) in (0..).zip(steps) {
                match step {
                    Step::Insert(order, at) => {
                        let closed = Closed { call: [order; 16], offset: number, at };
                        orders.insert(hash(order), closed);
                        map.insert(order, closed);
                    }
                    Step::Remove(order) => {
                        orders.remove(&hash(order));
                        map.remove(&order);
                    }
                    Step::Forget(second) => {
                        orders.forget(i64::from(second) * 1000);
                        map.retain(|_, closed| closed.at >= second);
                    }
                }
                prop_assert_eq!(orders.len(), map.len());
                for order in 0..40 {
                    prop_assert_eq!(orders.get(&hash(order)), map.get(&order).copied());
                }
            }
        }
    }
}
