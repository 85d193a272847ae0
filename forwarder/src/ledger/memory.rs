//! What is known of each order, in few bytes: of ten million orders nearly all are credited and closed, and need a
//! call, a time and an offset each. The others, with an open intent or a list, are kept whole.

use std::collections::HashMap;

use schemas::{
    CallId, OrderHash,
    ledger::{Acceptance, Listed, OpenIntent},
};
use uuid::Uuid;

use super::closed::{Closed, ClosedOrders};

/// The state of one order: what its last counting record says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Order {
    /// The credit, if any.
    pub accepted: Option<Acceptance>,
    /// The intent without a result, if any.
    pub open: Option<OpenIntent>,
    /// Its list.
    pub listed: Listed,
    /// When the last counting record was written, in Unix milliseconds.
    pub at: i64,
    /// Offset of the last counting record.
    pub last: i64,
}

impl Order {
    /// The order's list with these calls on it as well.
    #[must_use]
    pub fn listed_with(&self, calls: impl IntoIterator<Item = CallId>) -> Listed {
        self.listed.iter().chain(calls).collect()
    }
}

/// Orders by the hash of their key.
#[derive(Default)]
pub struct Memory {
    closed: ClosedOrders,
    whole: HashMap<OrderHash, Order>,
}

impl Memory {
    /// What is known of an order; `None` where nothing is.
    pub fn get(&self, order: &OrderHash) -> Option<Order> {
        if let Some(order) = self.whole.get(order) {
            return Some(order.clone());
        }
        self.closed.get(order).as_ref().map(Closed::open_up)
    }

    /// Remembers an order's state.
    pub fn put(&mut self, hash: OrderHash, order: Order) {
        if let Some(closed) = Closed::pack(&order) {
            self.whole.remove(&hash);
            self.closed.insert(hash, closed);
        } else {
            self.closed.remove(&hash);
            self.whole.insert(hash, order);
        }
    }

    /// Forgets what was last written before `before`, in Unix milliseconds.
    pub fn forget(&mut self, before: i64) {
        self.closed.forget(before);
        self.whole.retain(|_, order| order.at >= before);
    }

    /// How many orders are known.
    pub fn count(&self) -> usize {
        self.closed.len() + self.whole.len()
    }
}

impl Closed {
    /// `None` where the order has to be kept whole.
    fn pack(order: &Order) -> Option<Self> {
        if order.open.is_some() || !order.listed.is_empty() {
            return None;
        }
        // A repair is younger than the credit it repeats, and both places and times are to be kept then.
        let restated =
            order.accepted.as_ref().is_some_and(|credit| credit.offset != order.last || credit.at != order.at);
        if restated {
            return None;
        }
        let call = order.accepted.as_ref().map_or([0; 16], |credit| *credit.call.as_bytes());
        Some(Self { call, offset: order.last, at: u32::try_from(order.at / 1000).ok()? })
    }

    fn open_up(&self) -> Order {
        let at = i64::from(self.at) * 1000;
        let credited = self.call != [0; 16];
        let call = CallId::from(Uuid::from_bytes(self.call));
        let accepted = credited.then_some(Acceptance { offset: self.offset, call, at });
        Order { accepted, at, last: self.offset, ..Order::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(key: &str) -> OrderHash {
        OrderHash::of(key.as_bytes())
    }

    #[test]
    fn what_is_put_is_got() {
        let call = CallId::now();
        let accepted = Some(Acceptance { offset: 7, call, at: 5000 });
        let credit = Order { accepted, at: 5000, last: 7, ..Order::default() };
        let orders = [
            credit.clone(),
            Order { at: 5000, last: 8, ..Order::default() },
            Order { at: 9000, last: 9, ..credit.clone() },
            Order { listed: Listed::from([call]), ..credit },
            Order { open: Some(OpenIntent { intent: 1, epoch: 0, call }), at: 1, ..Order::default() },
        ];
        let mut memory = Memory::default();
        for order in orders {
            memory.put(hash("a"), order.clone());
            assert_eq!(memory.get(&hash("a")), Some(order));
            assert_eq!(memory.count(), 1);
        }
    }

    #[test]
    fn what_is_old_is_forgotten() {
        let mut memory = Memory::default();
        memory.put(hash("old"), Order { at: 1000, ..Order::default() });
        memory.put(hash("young"), Order { at: 2000, ..Order::default() });
        memory
            .put(hash("old and whole"), Order { at: 1000, listed: Listed::from([CallId::now()]), ..Order::default() });
        memory.forget(2000);
        assert_eq!(memory.get(&hash("old")), None);
        assert!(memory.get(&hash("young")).is_some());
        assert_eq!(memory.count(), 1);
    }
}
