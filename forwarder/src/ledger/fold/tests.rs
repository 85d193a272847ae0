//! Which records count, rule by rule, and that a compacted log tells the same as the whole one.

use std::collections::BTreeMap;

use proptest::prelude::*;
use schemas::{
    CallId,
    ledger::{Claim, Listed},
};
use uuid::Uuid;

use super::*;

const KEPT: i64 = 36 * 24 * 3_600_000;

fn call(number: u8) -> CallId {
    CallId::from(Uuid::from_bytes([number + 1; 16]))
}

fn hash() -> OrderHash {
    OrderHash::of(b"order")
}

fn claim(at: i64) -> LedgerRecord {
    let claim_id = Uuid::nil();
    LedgerRecord::Claim(Claim { claim_id, instance: String::new(), partitions: 1, window_ms: 1, at })
}

fn intent(epoch: i64, number: u8, overrides: i64) -> LedgerRecord {
    LedgerRecord::Intent(Intent { epoch, call: call(number), overrides, listed: Listed::default(), at: 0 })
}

fn accepted_by(intent: i64, number: u8) -> LedgerRecord {
    LedgerRecord::Accepted(Accepted {
        intent,
        call: call(number),
        listed: Listed::default(),
        at: 0,
        events_received: Some(1),
        fbtrace_id: String::new(),
        http_status: 200,
        forward_attempts: 1,
        forward_ms: 1,
    })
}

fn refused_with(intent: i64, number: u8, listed: Listed) -> LedgerRecord {
    LedgerRecord::Refused(Refused { intent, call: call(number), listed, at: 0 })
}

/// Folds records at consecutive offsets, and gives the effect of each.
fn fold(records: &[LedgerRecord]) -> (Ledger, Vec<Effect>) {
    let mut ledger = Ledger::new(KEPT);
    let effects = (0..).zip(records).map(|(offset, record)| ledger.apply(offset, hash(), record)).collect();
    (ledger, effects)
}

fn last_effect(records: &[LedgerRecord]) -> Effect {
    *fold(records).1.last().unwrap()
}

#[test]
fn an_intent_of_an_older_epoch_is_void() {
    assert_eq!(last_effect(&[claim(0), claim(0), intent(0, 1, 0)]), Effect::Void);
    assert_eq!(last_effect(&[claim(0), claim(0), intent(1, 1, 0)]), Effect::Counts);
}

#[test]
fn an_intent_counts_only_over_the_open_one_that_it_names() {
    let records = [claim(0), intent(0, 1, 0), intent(0, 2, 0)];
    assert_eq!(last_effect(&records), Effect::Void);
    assert_eq!(last_effect(&[claim(0), intent(0, 1, 0), intent(0, 2, 1)]), Effect::Counts);
    // The one it names was closed before it landed: it would mark without a cause.
    let closed = [claim(0), intent(0, 1, 0), refused_with(1, 1, Listed::default()), intent(0, 2, 1)];
    assert_eq!(last_effect(&closed), Effect::Void);
}

#[test]
fn no_intent_counts_on_an_accepted_order_unless_it_overrides_an_expired_acceptance() {
    let sold = [claim(0), intent(0, 1, 0), accepted_by(1, 1)];
    assert_eq!(last_effect(&[&sold[..], &[intent(0, 2, 0)]].concat()), Effect::Void);
    assert_eq!(last_effect(&[&sold[..], &[intent(0, 2, 1)]].concat()), Effect::Void);
    assert_eq!(last_effect(&[&sold[..], &[intent(0, 2, 2)]].concat()), Effect::Counts);
}

#[test]
fn a_result_counts_while_its_intent_is_open_whoever_owns_the_partition() {
    let late = [claim(0), intent(0, 1, 0), claim(0), accepted_by(1, 1)];
    assert_eq!(last_effect(&late), Effect::Counts);
    let overridden = [claim(0), intent(0, 1, 0), claim(0), intent(2, 2, 1), accepted_by(1, 1)];
    assert_eq!(last_effect(&overridden), Effect::Void);
    assert_eq!(fold(&overridden).0.order(&hash()).unwrap().open.unwrap().call, call(2));
}

#[test]
fn a_refusal_keeps_the_list_and_is_a_value() {
    let (ledger, _) = fold(&[claim(0), intent(0, 1, 0), refused_with(1, 1, Listed::from([call(1)]))]);
    let order = ledger.order(&hash()).unwrap();
    assert_eq!((order.open, order.accepted, order.listed), (None, None, Listed::from([call(1)])));
    assert_eq!(
        fold(&[claim(0), intent(0, 1, 0), refused_with(1, 1, Listed::default())]).0.order(&hash()),
        Some(Order { last: 2, ..Order::default() })
    );
}

#[test]
fn a_record_whose_predecessors_were_compacted_away_counts_as_it_stands() {
    for record in [accepted_by(70, 1), refused_with(70, 1, Listed::from([call(2)])), intent(60, 1, 50)] {
        let mut ledger = Ledger::new(KEPT);
        assert_eq!(ledger.apply(80, hash(), &record), Effect::Counts, "{record:?}");
        assert!(ledger.order(&hash()).is_some());
    }
}

#[test]
fn an_intent_shows_the_claim_that_was_compacted_away() {
    let mut ledger = Ledger::new(KEPT);
    ledger.apply(80, hash(), &intent(60, 1, 0));
    assert_eq!(ledger.epoch(), 60);
    assert_eq!(ledger.apply(81, OrderHash::of(b"other"), &intent(59, 2, 0)), Effect::Void);
}

#[test]
fn what_outlived_the_topics_retention_is_not_known_any_more() {
    let mut ledger = Ledger::new(KEPT);
    ledger.apply(0, hash(), &claim(0));
    ledger.apply(1, hash(), &intent(0, 1, 0));
    ledger.apply(2, hash(), &accepted_by(1, 1));
    let later =
        |at| LedgerRecord::Intent(Intent { epoch: 0, call: call(2), overrides: 0, listed: Listed::default(), at });
    assert_eq!(ledger.apply(3, hash(), &later(KEPT - 1)), Effect::Void);
    assert_eq!(ledger.apply(4, hash(), &later(KEPT)), Effect::Counts);
}

#[test]
fn a_repair_restates_the_order() {
    let state = State { epoch: 2, after: 2, open: None, accepted: None, listed: Listed::from([call(1)]), at: 0 };
    let records = [claim(0), intent(0, 1, 0), claim(0), LedgerRecord::State(state.clone())];
    let (ledger, effects) = fold(&records);
    assert_eq!(effects.last(), Some(&Effect::Counts));
    assert_eq!(ledger.order(&hash()).unwrap().listed, Listed::from([call(1)]));
    let stale = State { epoch: 0, ..state };
    assert_eq!(last_effect(&[claim(0), intent(0, 1, 0), claim(0), LedgerRecord::State(stale)]), Effect::Void);
}

#[test]
fn a_repair_takes_back_no_result_that_landed_before_it() {
    // The intent of epoch 0 is open; a new owner repairs a void record, and the old owner's result lands first.
    let records = [claim(0), intent(0, 1, 0), claim(0), intent(0, 2, 0), accepted_by(1, 1)];
    let (mut ledger, effects) = fold(&records);
    assert_eq!(effects[3..], [Effect::Void, Effect::Counts]);
    let open = Some(OpenIntent { intent: 1, epoch: 0, call: call(1) });
    let repair = State { epoch: 2, after: 3, open, accepted: None, listed: Listed::default(), at: 0 };
    assert_eq!(ledger.apply(5, hash(), &LedgerRecord::State(repair.clone())), Effect::Void);
    let order = ledger.order(&hash()).unwrap();
    assert_eq!(order.accepted.unwrap().call, call(1));
    let again = State { after: 5, open: None, accepted: order.accepted, ..repair };
    assert_eq!(ledger.apply(6, hash(), &LedgerRecord::State(again)), Effect::Counts);
    assert_eq!(ledger.order(&hash()).unwrap().accepted, order.accepted);
}

/// One step of a log that forwarders could have written: who writes, and what.
#[derive(Clone, Debug)]
enum Step {
    Claim,
    Intent { order: usize, number: u8, stale: bool },
    Accept { order: usize },
    Refuse { order: usize, listed: bool },
    Late { order: usize },
}

fn step() -> impl Strategy<Value = Step> {
    let order = 0..3_usize;
    prop_oneof![
        1 => Just(Step::Claim),
        4 => (order.clone(), 0..4_u8, prop::bool::weighted(0.2)).prop_map(|(order, number, stale)| Step::Intent { order, number, stale }),
        3 => order.clone().prop_map(|order| Step::Accept { order }),
        3 => (order.clone(), any::<bool>()).prop_map(|(order, listed)| Step::Refuse { order, listed }),
        1 => order.prop_map(|order| Step::Late { order }),
    ]
}

/// The same record, written at another time.
fn at(record: LedgerRecord, at: i64) -> LedgerRecord {
    match record {
        LedgerRecord::Claim(record) => LedgerRecord::Claim(Claim { at, ..record }),
        LedgerRecord::Intent(record) => LedgerRecord::Intent(Intent { at, ..record }),
        LedgerRecord::Accepted(record) => LedgerRecord::Accepted(Accepted { at, ..record }),
        LedgerRecord::Refused(record) => LedgerRecord::Refused(Refused { at, ..record }),
        LedgerRecord::State(record) => LedgerRecord::State(State { at, ..record }),
    }
}

/// A log in which every void record is followed by its repair at once, as an owner leaves it.
struct Log {
    ledger: Ledger,
    /// The time of what is written next.
    now: i64,
    records: Vec<(i64, String, LedgerRecord)>,
    /// Every intent ever written, by order: a late result names one of them.
    intents: BTreeMap<String, Vec<(i64, CallId)>>,
}

impl Log {
    fn new() -> Self {
        Self { ledger: Ledger::new(KEPT), now: 0, records: vec![], intents: BTreeMap::new() }
    }

    fn write(&mut self, key: &str, record: LedgerRecord) {
        let record = at(record, self.now);
        let offset = self.ledger.next_offset();
        let effect = self.ledger.apply(offset, OrderHash::of(key.as_bytes()), &record);
        if let LedgerRecord::Intent(intent) = &record {
            self.intents.entry(key.into()).or_default().push((offset, intent.call));
        }
        self.records.push((offset, key.into(), record));
        if effect == Effect::Void {
            let order = self.ledger.order(&OrderHash::of(key.as_bytes())).unwrap_or_default();
            let epoch = self.ledger.epoch();
            let Order { accepted, open, listed, .. } = order;
            let state = State { epoch, after: offset, open, accepted, listed, at: 0 };
            self.write(key, LedgerRecord::State(state));
        }
    }

    fn take(&mut self, step: &Step) {
        let key = |order: &usize| format!("order-{order}");
        match step {
            Step::Claim => self.write("claim", claim(0)),
            Step::Intent { order, number, stale } => {
                let known = self.ledger.order(&OrderHash::of(key(order).as_bytes())).unwrap_or_default();
                let epoch = if *stale { 0 } else { self.ledger.epoch() };
                self.write(&key(order), intent(epoch, *number, known.open.map_or(0, |open| open.intent)));
            }
            Step::Accept { order } => {
                if let Some(open) =
                    self.ledger.order(&OrderHash::of(key(order).as_bytes())).and_then(|known| known.open)
                {
                    self.write(&key(order), accepted_by(open.intent, open.call.as_bytes()[0] - 1));
                }
            }
            Step::Refuse { order, listed } => {
                if let Some(open) =
                    self.ledger.order(&OrderHash::of(key(order).as_bytes())).and_then(|known| known.open)
                {
                    let listed = if *listed { Listed::from([open.call]) } else { Listed::default() };
                    self.write(&key(order), refused_with(open.intent, open.call.as_bytes()[0] - 1, listed));
                }
            }
            Step::Late { order } => {
                if let Some((intent, call)) = self.intents.get(&key(order)).and_then(|all| all.first()).copied() {
                    self.write(&key(order), accepted_by(intent, call.as_bytes()[0] - 1));
                }
            }
        }
    }
}

proptest! {
    /// Compaction keeps the last record of each key: a restore from what is left is the ledger of the whole log.
    #[test]
    fn a_compacted_log_restores_the_same_ledger(steps in prop::collection::vec(step(), 1..60), compacted in 0..=100_usize) {
        let mut log = Log::new();
        log.write("claim", claim(0));
        steps.iter().for_each(|step| log.take(step));
        // Compaction never removes a record of the last hours, so only a prefix of the log is compacted.
        let clean = log.records.len() * compacted / 100;
        let mut restored = Ledger::new(KEPT);
        for (at, (offset, key, record)) in log.records.iter().enumerate() {
            let superseded = log.records[at + 1..clean.max(at + 1)].iter().any(|(_, later, _)| later == key);
            let repaired = matches!(log.records.get(at + 1), Some((_, next, LedgerRecord::State(_))) if next == key);
            if at < clean && (superseded || repaired && at + 1 < clean) {
                continue;
            }
            restored.apply(*offset, OrderHash::of(key.as_bytes()), record);
        }
        prop_assert_eq!(restored.epoch(), log.ledger.epoch());
        for order in 0..3 {
            let hash = OrderHash::of(format!("order-{order}").as_bytes());
            prop_assert_eq!(restored.order(&hash), log.ledger.order(&hash), "order {}", order);
        }
    }

    /// Retention deletes the oldest records, and memory keeps their orders a while longer: whoever restored its ledger
    /// from what is left, and whoever followed the log all along, take each later record alike. An owner begins with a
    /// claim, which shows both the epoch.
    #[test]
    fn what_retention_deleted_changes_no_later_effect(
        steps in prop::collection::vec((step(), 0..KEPT / 1000 / 4), 1..40),
        later in prop::collection::vec((0..3_usize, 0..4_u8, 0..60_i64, 0..KEPT / 1000 / 2), 1..12),
    ) {
        let mut log = Log::new();
        log.write("claim", claim(0));
        for (step, passes_s) in &steps {
            log.now += passes_s * 1000;
            log.take(step);
        }
        let mut restored = Ledger::new(KEPT);
        for (offset, key, record) in log.records.iter().filter(|(.., record)| written_at(record) + KEPT > log.now) {
            restored.apply(*offset, OrderHash::of(key.as_bytes()), record);
        }
        let next = log.ledger.next_offset();
        for ledger in [&mut log.ledger, &mut restored] {
            ledger.apply(next, OrderHash::of(b"claim"), &claim(log.now));
        }
        for (offset, (order, number, replaced, passes_s)) in (next + 1..).zip(later) {
            log.now += passes_s * 1000;
            let order = OrderHash::of(format!("order-{order}").as_bytes());
            for record in [accepted_by(replaced, number), intent(next, number, replaced), intent(next, number, 0)] {
                let record = at(record, log.now);
                prop_assert_eq!(log.ledger.apply(offset, order, &record), restored.apply(offset, order, &record), "{:?}", record);
            }
        }
    }
}
