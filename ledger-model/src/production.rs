//! The forwarder's own code, asked about the model's small states. A rule of the fold is switched off here, around the
//! call: by another record than was written, or by another effect than was given.

use std::sync::LazyLock;

use forwarder::{
    frontier::Frontier,
    ledger::{
        Decision, Effect, Ledger, Order, decide,
        decide::{Candidate, Standpoint},
    },
};
use schemas::{
    Call as Reported, CallId, CallRecord, ConversionStatus, LedgerRecord, OrderHash, Outcome,
    ledger::{Acceptance, Accepted, CLAIM_KEY, Claim, Intent, Listed, OpenIntent, Refused, State},
};
use uuid::Uuid;

use crate::{
    rules::Rule,
    setup::Setup,
    world::{Call, Calls, Credit, Fold, Kind, Known, Offset, Open, Record, Row, SLOTS, Status},
};

/// The key of the order of both calls, where they are of one.
pub(crate) const ORDER: &[u8] = b"order";

const WINDOW: i64 = 28 * 24 * 3_600_000;
const KEPT: i64 = WINDOW + 8 * 24 * 3_600_000;
const START: i64 = 1_800_000_000_000;

static SLOT_KEYS: LazyLock<[OrderHash; SLOTS]> =
    LazyLock::new(|| [OrderHash::of(ORDER), OrderHash::of(b"another order, or the same in another partition")]);

/// A call's id; none is nil, which means none.
pub(crate) fn call_id(call: Call) -> CallId {
    CallId::from(Uuid::from_bytes([call + 1; 16]))
}

fn call_of(id: CallId) -> Call {
    id.as_bytes()[0] - 1
}

fn ids(calls: Calls) -> Listed {
    calls.iter().map(call_id).collect()
}

fn calls_of(listed: &Listed) -> Calls {
    listed.iter().fold(Calls::default(), |calls, id| calls.with(call_of(id)))
}

fn time(late: bool) -> i64 {
    START + i64::from(late) * WINDOW
}

fn small(offset: i64) -> Offset {
    Offset::try_from(offset).unwrap()
}

fn acceptance(credit: Credit) -> Acceptance {
    Acceptance { offset: credit.offset.into(), call: call_id(credit.call), at: time(credit.late) }
}

fn credit(accepted: Acceptance) -> Credit {
    Credit { offset: small(accepted.offset), call: call_of(accepted.call), late: accepted.at > START }
}

fn open_intent(open: Open) -> OpenIntent {
    OpenIntent { intent: open.intent.into(), epoch: open.epoch.into(), call: call_id(open.call) }
}

fn open(open: OpenIntent) -> Open {
    Open { intent: small(open.intent), epoch: small(open.epoch), call: call_of(open.call) }
}

fn order(known: &Known) -> Order {
    Order {
        accepted: known.accepted.map(acceptance),
        open: known.open.map(open_intent),
        listed: ids(known.listed),
        at: time(known.late),
        last: known.last.into(),
    }
}

fn known(order: &Order) -> Known {
    Known {
        accepted: order.accepted.map(credit),
        open: order.open.map(open),
        listed: calls_of(&order.listed),
        last: small(order.last),
        late: order.at > START,
    }
}

fn claim(at: i64) -> LedgerRecord {
    LedgerRecord::Claim(Claim { claim_id: Uuid::nil(), instance: String::new(), partitions: 1, window_ms: WINDOW, at })
}

fn record(record: &Record) -> LedgerRecord {
    let at = time(record.late);
    match record.kind {
        Kind::Claim => claim(at),
        Kind::Intent { epoch, call, overrides, listed } => LedgerRecord::Intent(Intent {
            epoch: epoch.into(),
            call: call_id(call),
            overrides: overrides.into(),
            listed: ids(listed),
            at,
        }),
        Kind::Accepted { intent, call, listed } => LedgerRecord::Accepted(Accepted {
            intent: intent.into(),
            call: call_id(call),
            listed: ids(listed),
            at,
            events_received: Some(1),
            fbtrace_id: String::new(),
            http_status: 200,
            forward_attempts: 1,
            forward_ms: 1,
        }),
        Kind::Refused { intent, call, listed } => {
            LedgerRecord::Refused(Refused { intent: intent.into(), call: call_id(call), listed: ids(listed), at })
        }
        Kind::State { epoch, after, accepted, open, listed } => LedgerRecord::State(State {
            epoch: epoch.into(),
            after: after.into(),
            open: open.map(open_intent),
            accepted: accepted.map(acceptance),
            listed: ids(listed),
            at,
        }),
    }
}

impl Fold {
    /// The ledger that has read this log: built through `apply`, as a restore from a compacted log builds it.
    fn ledger(&self) -> Ledger {
        let mut ledger = Ledger::new(KEPT);
        for (slot, held) in self.known.iter().enumerate() {
            let Some(held) = held else { continue };
            let Order { accepted, open, listed, at, last } = order(held);
            let state = State { epoch: self.epoch.into(), after: last, open, accepted, listed, at };
            ledger.apply(last, SLOT_KEYS[slot], &LedgerRecord::State(state));
        }
        ledger.apply(self.epoch.into(), OrderHash::of(CLAIM_KEY.as_bytes()), &claim(START));
        ledger.skip(self.end.into());
        debug_assert!((0..SLOTS).all(|slot| ledger.order(&SLOT_KEYS[slot]).as_ref().map(known) == self.known[slot]));
        ledger
    }

    fn take(&mut self, ledger: &Ledger) {
        self.end = small(ledger.read_up_to());
        self.epoch = small(ledger.epoch());
        self.known = std::array::from_fn(|slot| ledger.order(&SLOT_KEYS[slot]).as_ref().map(known));
    }

    /// A record lands at the log's end. Whether it counts.
    pub(crate) fn append(&mut self, written: &Record, setup: &Setup) -> bool {
        let folded = self.bent(written, setup);
        let mut ledger = self.ledger();
        let offset = i64::from(self.end) + 1;
        let counts = if let Some(folded) = folded {
            ledger.apply(offset, SLOT_KEYS[usize::from(written.slot)], &record(&folded)) == Effect::Counts
        } else {
            ledger.skip(offset);
            false
        };
        self.take(&ledger);
        self.note_void(written, counts);
        counts
    }

    /// The record as the fold is to see it: as it was written, unless a rule of the fold is off. `None`: void.
    fn bent(&self, written: &Record, setup: &Setup) -> Option<Record> {
        let before = self.known[usize::from(written.slot)].unwrap_or_default();
        let mut bent = *written;
        match &mut bent.kind {
            Kind::Intent { epoch, .. } if !setup.keep(Rule::Claim) => *epoch = self.epoch,
            Kind::Intent { overrides, .. } if !setup.keep(Rule::Over) && before.accepted.is_none() => {
                *overrides = before.open.map_or(0, |open| open.intent);
            }
            Kind::Intent { overrides, .. } if !setup.keep(Rule::ExpiredByOffset) && before.accepted.is_some() => {
                *overrides = 0;
            }
            Kind::Refused { listed, .. } if !setup.keep(Rule::Keep) => *listed = Calls::default(),
            Kind::Accepted { .. } | Kind::Refused { .. } if !setup.keep(Rule::Late) => {
                before.open.filter(|open| open.epoch == self.epoch)?;
            }
            Kind::State { after, .. } if !setup.keep(Rule::After) => *after = self.end,
            _ => {}
        }
        Some(bent)
    }

    /// What an owner notes of void records (`owner/readback.rs` `note_repair`).
    fn note_void(&mut self, written: &Record, counts: bool) {
        let void = &mut self.void[usize::from(written.slot)];
        match (written.kind, *void) {
            (Kind::Claim, _) => {}
            (_, _) if !counts => *void = Some((self.end, *written)),
            (Kind::State { after, .. }, Some((offset, _))) if after < offset => {}
            _ => *void = None,
        }
    }

    /// What a restore finds after compaction left only the last record of each key.
    pub(crate) fn compacted(&self) -> Self {
        let mut left = *self;
        for slot in 0..SLOTS {
            let Some((offset, last)) = self.void[slot] else { continue };
            left.void[slot] = None;
            left.known[slot] = self.restored(slot, offset, &last);
        }
        left
    }

    /// What one record tells, with the last claim before or after it.
    fn restored(&self, slot: usize, offset: Offset, last: &Record) -> Option<Known> {
        let mut ledger = Ledger::new(KEPT);
        let claim_key = OrderHash::of(CLAIM_KEY.as_bytes());
        if self.epoch < offset {
            ledger.apply(self.epoch.into(), claim_key, &claim(START));
        }
        ledger.apply(offset.into(), SLOT_KEYS[slot], &record(last));
        ledger.order(&SLOT_KEYS[slot]).as_ref().map(known)
    }

    /// Whether the record that was appended last and counts is enough to restore its order.
    pub(crate) fn is_restored_by(&self, last: &Record) -> bool {
        let slot = usize::from(last.slot);
        matches!(last.kind, Kind::Claim) || self.restored(slot, self.end, last) == self.known[slot]
    }
}

/// What a decision is asked about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question {
    pub(crate) call: Call,
    pub(crate) received_late: bool,
    /// Whether the event is over 7 days old.
    pub(crate) aged: bool,
    pub(crate) epoch: Offset,
    pub(crate) hold_over: bool,
}

/// What was decided, small.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decided {
    Credited(Credit),
    Duplicate(Credit),
    Wait,
    TooOld,
    Intend { overrides: Offset, listed: Calls },
}

/// `decide`, asked.
pub(crate) fn decided(of: Option<Known>, question: Question, late_day: bool, setup: &Setup) -> Decided {
    let now_ms = time(late_day);
    let received_at = time(question.received_late && setup.keep(Rule::Expiry));
    let age = if question.aged { 8 * 24 * 3600 } else { 0 };
    let event = Candidate { call: call_id(question.call), received_at, event_time: now_ms / 1000 - age };
    let here = Standpoint {
        epoch: question.epoch.into(),
        at_work: false,
        hold_over: question.hold_over || !setup.keep(Rule::Wait),
        window_ms: WINDOW,
        now_ms,
    };
    match decide(of.as_ref().map(order).as_ref(), &event, &here) {
        Decision::Credited(accepted) => Decided::Credited(credit(accepted)),
        Decision::Duplicate(accepted) => Decided::Duplicate(credit(accepted)),
        Decision::Wait | Decision::Hold => Decided::Wait,
        Decision::TooOld => Decided::TooOld,
        Decision::Intend { overrides, listed } => {
            Decided::Intend { overrides: small(overrides), listed: calls_of(&listed) }
        }
    }
}

/// The offset that `Frontier` lets pass in a lane, of which these offsets were received and those are done.
pub(crate) fn committable(received: &[u8], done: &[u8], setup: &Setup) -> Option<u8> {
    if !setup.keep(Rule::Contiguous) {
        return done.iter().max().map(|offset| offset + 1);
    }
    let mut frontier = Frontier::default();
    received.iter().for_each(|offset| frontier.receive((*offset).into()));
    done.iter().for_each(|offset| frontier.done((*offset).into()));
    frontier.committable().map(small)
}

/// The row's version, as the table has it.
pub(crate) fn version(row: Row, setup: &Setup) -> u64 {
    let status = match row.status {
        Status::None | Status::Pending => ConversionStatus::Pending,
        Status::Forwarded => ConversionStatus::Forwarded,
        Status::Duplicate => ConversionStatus::Duplicate,
        Status::Rejected => ConversionStatus::Rejected,
    };
    let rests_on = if setup.keep(Rule::Version) { row.rests_on.into() } else { 0 };
    let outcome = Outcome::new(200, status);
    let record = CallRecord { call: Reported::blank(call_id(0), 0), lane: None, outcome, rests_on };
    let version = record.version();
    if setup.keep(Rule::Final) { version } else { version & !(1 << 63) }
}
