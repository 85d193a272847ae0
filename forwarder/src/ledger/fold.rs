//! The fold of one partition of the orders topic: which records count (rules 2 to 6 of the ledger), and what they leave.
//! The same `apply` serves a restore and live reading, and it sees only the log: two forwarders that read the same
//! records have the same ledger.
//!
//! A compacted log lacks records. What survives is the last record of each key, and it carries the order's whole state,
//! so where nothing is known of an order its record counts as it stands; an intent of an epoch whose claim is gone shows
//! that the claim was there.

use schemas::{
    LedgerRecord, OrderHash,
    ledger::{Acceptance, Accepted, Intent, OpenIntent, Refused, State},
};

use super::memory::{Memory, Order};

/// Whether a record counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It changed the ledger, and may be acted on.
    Counts,
    /// It changed nothing. If it is the last of its key, the owner repairs the key.
    Void,
}

/// The ledger of one partition.
pub struct Ledger {
    /// Offset of the last claim; -1 before the first.
    epoch: i64,
    /// Offset of the next record to apply.
    next: i64,
    orders: Memory,
    /// How long the orders topic keeps a record, in milliseconds: what is older is forgotten, as it will be there.
    kept_ms: i64,
}

impl Ledger {
    /// An empty ledger. `kept_ms` is the retention of the orders topic.
    #[must_use]
    pub fn new(kept_ms: i64) -> Self {
        Self { epoch: -1, next: 0, orders: Memory::default(), kept_ms }
    }

    /// The current epoch: the offset of the partition's last claim; -1 before the first.
    pub fn epoch(&self) -> i64 {
        self.epoch
    }

    /// The offset to read on from; everything before it is in the ledger.
    pub fn next_offset(&self) -> i64 {
        self.next
    }

    /// The offset that the ledger was read up to: what a pending or too old row rests on.
    pub fn read_up_to(&self) -> i64 {
        (self.next - 1).max(0)
    }

    /// How many orders are known.
    pub fn orders(&self) -> usize {
        self.orders.count()
    }

    /// The state of an order; `None` where nothing is known of it.
    pub fn order(&self, order: &OrderHash) -> Option<Order> {
        self.orders.get(order)
    }

    /// Frees the memory of what is older than a record's life, with a day's margin: by then the log has nothing
    /// written at a time at which it would still have counted.
    pub fn forget_expired(&mut self, now_ms: i64) {
        self.orders.forget(now_ms - self.kept_ms - 24 * 3_600_000);
    }

    /// Passes an offset that holds nothing to fold: a control record, or one that nobody can read.
    pub fn skip(&mut self, offset: i64) {
        self.next = self.next.max(offset + 1);
    }

    /// Applies the record at `offset`. `order` is the hash of its key.
    pub fn apply(&mut self, offset: i64, order: OrderHash, record: &LedgerRecord) -> Effect {
        self.skip(offset);
        let known = self.known(&order, written_at(record));
        let left = match record {
            LedgerRecord::Claim(_) => {
                self.epoch = offset;
                return Effect::Counts;
            }
            LedgerRecord::Intent(intent) => self.intent(offset, known, intent),
            LedgerRecord::Accepted(result) => accepted(offset, known.as_ref(), result),
            LedgerRecord::Refused(result) => refused(known.as_ref(), result),
            LedgerRecord::State(state) => self.repaired(known.as_ref(), state),
        };
        match left {
            Some(left) => {
                self.orders.put(order, Order { last: offset, ..left });
                Effect::Counts
            }
            None => Effect::Void,
        }
    }

    /// The order, unless it has outlived the topic's retention at the time the record was written: a restore would not
    /// find it then, so nobody may.
    fn known(&self, order: &OrderHash, at: i64) -> Option<Order> {
        self.orders.get(order).filter(|known| known.at + self.kept_ms > at)
    }

    /// Whether an epoch is the partition's. A later one than the last claim read shows a claim that was compacted away.
    fn current(&mut self, epoch: i64) -> bool {
        self.epoch = self.epoch.max(epoch);
        self.epoch == epoch
    }

    /// Rule 4: the epoch is current, the order is not accepted, and the open intent is the one overridden. An expired
    /// acceptance is overridden like an intent.
    fn intent(&mut self, offset: i64, known: Option<Order>, intent: &Intent) -> Option<Order> {
        if !self.current(intent.epoch) {
            return None;
        }
        if let Some(known) = known {
            let standing = known.accepted.map(|accepted| accepted.offset).or(known.open.map(|open| open.intent));
            if standing.unwrap_or(0) != intent.overrides {
                return None;
            }
        }
        let open = OpenIntent { intent: offset, epoch: intent.epoch, call: intent.call };
        Some(Order { open: Some(open), listed: intent.listed.clone(), at: intent.at, ..Order::default() })
    }

    /// Rule 6: the owner's repair replaces the state by what the state was when the void record was read. A result that
    /// landed between the two would be taken back by it, so it is void then, and followed by another.
    fn repaired(&mut self, known: Option<&Order>, state: &State) -> Option<Order> {
        let overtaken = known.is_some_and(|known| known.last > state.after);
        (self.current(state.epoch) && !overtaken).then(|| Order {
            accepted: state.accepted,
            open: state.open,
            listed: state.listed.clone(),
            at: state.at,
            ..Order::default()
        })
    }
}

/// Rule 5: a result counts if its intent is open, whatever the epoch, or if nothing is known of the order.
fn settles(known: Option<&Order>, intent: i64) -> bool {
    known.is_none_or(|known| known.open.is_some_and(|open| open.intent == intent))
}

fn accepted(offset: i64, known: Option<&Order>, result: &Accepted) -> Option<Order> {
    settles(known, result.intent).then(|| Order {
        accepted: Some(Acceptance { offset, call: result.call, at: result.at }),
        listed: result.listed.clone(),
        at: result.at,
        ..Order::default()
    })
}

fn refused(known: Option<&Order>, result: &Refused) -> Option<Order> {
    settles(known, result.intent).then(|| Order { listed: result.listed.clone(), at: result.at, ..Order::default() })
}

fn written_at(record: &LedgerRecord) -> i64 {
    match record {
        LedgerRecord::Claim(record) => record.at,
        LedgerRecord::Intent(record) => record.at,
        LedgerRecord::Accepted(record) => record.at,
        LedgerRecord::Refused(record) => record.at,
        LedgerRecord::State(record) => record.at,
    }
}

#[cfg(test)]
mod tests;
