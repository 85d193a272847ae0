//! What was seen from outside: by the merchants, the analyst, Meta's stand-in, and in Kafka.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
};

use schemas::Lane;
use uuid::Uuid;

use crate::history::Fault;

/// All that the checker judges.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// Every answer that promises a row.
    pub told: Vec<Told>,
    /// Every row that a reader sees.
    pub rows: Vec<Row>,
    /// Every request that reached Meta.
    pub requests: Vec<Request>,
    /// How often Meta counted each order.
    pub counted: BTreeMap<String, usize>,
    /// The order ledger, read to its end.
    pub ledger: LedgerEnd,
    /// How far each group has committed each of its inputs.
    pub offsets: Vec<Committed>,
    /// Messages in the dead letters.
    pub dead_letters: i64,
    /// What was done to the workers and to what they stand on.
    pub faults: Vec<Fault>,
    /// Workers that ended by themselves.
    pub ended: Vec<String>,
    /// The forwarders' wait for an answer of Meta, in milliseconds.
    pub meta_timeout_ms: i64,
    /// The longest that an intent may be at work, in milliseconds: T of the ledger's rule 12.
    pub hold_ms: i64,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Told {
    /// From `X-Request-Id`.
    pub call: Uuid,
    /// The order that was reported.
    pub order: String,
    /// The click id that was reported.
    pub click: String,
    /// Whether the caller wanted to wait.
    pub lane: Lane,
    /// Whether the event was over 7 days old.
    pub too_old: bool,
    /// HTTP status.
    pub status: u16,
    /// `Conversion-Status` of a success, reason of an error.
    pub word: String,
}

/// A row of `calls`.
#[derive(Clone, Debug)]
pub struct Row {
    /// The call.
    pub call: Uuid,
    /// Its order.
    pub order: String,
    /// Its click id.
    pub click: String,
    /// The lane that it came in by; none where it was refused.
    pub lane: Option<Lane>,
    /// Whether its event is over 7 days old.
    pub too_old: bool,
    /// `http_status`.
    pub http_status: u16,
    /// Where it stands.
    pub status: Status,
    /// Why it failed, or what is odd about its success.
    pub reason: String,
    /// `possibly_duplicate`.
    pub marked: bool,
    /// The call that was credited instead.
    pub duplicate_of: Option<Uuid>,
}

/// `conversion_status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Meta has the event.
    Forwarded,
    /// Meta has the order from another call.
    Duplicate,
    /// Not decided.
    Pending,
    /// Failed at Meta.
    Rejected,
    /// Failed before.
    Refused,
}

/// A request that reached Meta.
#[derive(Clone, Debug)]
pub struct Request {
    /// The orders that it carried.
    pub orders: Vec<String>,
    /// When it was read there, in Unix milliseconds.
    pub at: i64,
    /// Whether its answer, or the lack of one, leaves open whether they were counted.
    pub unknown: bool,
    /// Whether any of them was counted.
    pub counted: bool,
}

/// The ledger in the end.
#[derive(Clone, Debug, Default)]
pub struct LedgerEnd {
    /// What the production fold knows of each order.
    pub orders: HashMap<String, OrderEnd>,
    /// Every intent that counted, those of an order in the order of the log.
    pub intents: Vec<Intent>,
}

/// An order in the end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OrderEnd {
    /// The credited call.
    pub credited: Option<Uuid>,
    /// The call of the intent that has no result.
    pub open: Option<Uuid>,
    /// The calls that took part in an unknown outcome.
    pub listed: Vec<Uuid>,
}

/// An intent that counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intent {
    /// The order.
    pub order: String,
    /// The call that was to be sent.
    pub call: Uuid,
    /// The forwarder that wrote it, as its claim names it.
    pub by: String,
    /// When it was written, in Unix milliseconds.
    pub at: i64,
    /// When Kafka had it, by the stamp of the record: nobody can have read it back before.
    pub logged: i64,
    /// Whether no claim of its partition stood between it and the claim that it names.
    pub is_current: bool,
    /// The call of the open intent that it took the place of.
    pub overrides: Option<Uuid>,
    /// The order's list, as it says.
    pub listed: Vec<Uuid>,
    /// Its result, if one counted.
    pub result: Option<IntentResult>,
}

/// The result of an intent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IntentResult {
    /// When it was written, in Unix milliseconds.
    pub at: i64,
    /// Whether Meta took the event.
    pub accepted: bool,
    /// The order's list, as it says.
    pub listed: Vec<Uuid>,
}

/// How far a group is with one partition of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The group.
    pub group: String,
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The offset that it would go on from.
    pub committed: i64,
    /// The partition's end.
    pub end: i64,
}

impl fmt::Display for Committed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { group, topic, partition, committed, end } = self;
        write!(f, "{group} has committed {committed} of {end} in {topic}/{partition}")
    }
}

impl Status {
    /// Reads the column.
    pub fn read(text: &str) -> Option<Self> {
        Some(match text {
            "forwarded" => Self::Forwarded,
            "duplicate" => Self::Duplicate,
            "pending" => Self::Pending,
            "rejected" => Self::Rejected,
            "refused" => Self::Refused,
            _ => return None,
        })
    }
}

/// How a click id makes a call end, sooner or later, where its order has no other call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Credited: at once, or after the trouble that it asks for so many times.
    Credit,
    /// Rejected for good.
    Rejection,
    /// Not counted by an answer of success.
    Drop,
}

/// What the sandbox does about a click id in the end: what is asked for a number of times passes.
pub fn dictated_end(click: &str) -> Ending {
    let Some(wish) = click.strip_prefix("sandbox-") else { return Ending::Credit };
    let passes = |word: &str| {
        let times = word.strip_prefix('x').is_some_and(|times| times.parse::<u32>().is_ok());
        times || ["once", "twice", "thrice"].contains(&word)
    };
    match wish {
        _ if wish.split('-').any(passes) => Ending::Credit,
        _ if wish.starts_with("drop") => Ending::Drop,
        _ => Ending::Rejection,
    }
}
