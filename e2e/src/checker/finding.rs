//! What the checker can find, each in a sentence for the report.

use schemas::Lane;
use uuid::Uuid;

use super::evidence::{Committed, Status};
use crate::history::Fault;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Finding {
    /// A call was lost, or its row.
    #[error("call {call} was answered {status} and has no row")]
    NoRow {
        /// The call.
        call: Uuid,
        /// What its caller was told.
        status: u16,
    },
    /// A reader sees a call more than once.
    #[error("call {call} has {rows} rows")]
    ManyRows {
        /// The call.
        call: Uuid,
        /// How many.
        rows: usize,
    },
    /// Nothing more will happen to a call that waits.
    #[error("call {call} of order {order} is pending for ever")]
    PendingForEver {
        /// The call.
        call: Uuid,
        /// Its order.
        order: String,
    },
    /// Caller and analyst were told different things.
    #[error("call {call} was answered {status} {told}, and its row says {row:?}")]
    RowContradictsAnswer {
        /// The call.
        call: Uuid,
        /// The answer's HTTP status.
        status: u16,
        /// Its `Conversion-Status`, or the reason of its error.
        told: String,
        /// The row's status.
        row: Status,
    },
    /// No call of this lane has such an answer, whatever became of it.
    #[error("call {call} of the {lane:?} lane was answered {status} {told}, which are not of one answer")]
    AnswerContradictsItself {
        /// The call.
        call: Uuid,
        /// The lane that it was made for.
        lane: Lane,
        /// The answer's HTTP status.
        status: u16,
        /// Its `Conversion-Status`, or the reason of its error.
        told: String,
    },
    /// No row of such a status has this lane and this HTTP status.
    #[error("the row of call {call} is {row:?} with HTTP status {http_status} in lane {lane:?}")]
    RowContradictsItself {
        /// The call.
        call: Uuid,
        /// The row's status.
        row: Status,
        /// Its lane.
        lane: Option<Lane>,
        /// Its HTTP status.
        http_status: u16,
    },
    /// The analyst sees another call than the one that was made.
    #[error("the row of call {call} has the {what} {row}, and its caller {told}")]
    RowNotAsReported {
        /// The call.
        call: Uuid,
        /// What differs.
        what: &'static str,
        /// What the caller reported, or was told.
        told: String,
        /// What the row says.
        row: String,
    },
    /// A call ended otherwise than its click id makes Meta answer, and for no other reason that it has.
    #[error("call {call} ended {row:?} {reason}, and its click id {click:?} does not dictate that")]
    WrongEnd {
        /// The call.
        call: Uuid,
        /// The row's status.
        row: Status,
        /// The row's reason.
        reason: String,
        /// The click id.
        click: String,
    },
    /// An acknowledged order came to nothing.
    #[error("order {order} was acknowledged to call {call}, and none of its calls is credited")]
    LostOrder {
        /// The order.
        order: String,
        /// The call that was acknowledged.
        call: Uuid,
    },
    /// Two calls of one order say that they are the one that counts.
    #[error("order {order} is credited to each of the calls {calls:?}")]
    TwoCredits {
        /// The order.
        order: String,
        /// The calls.
        calls: Vec<Uuid>,
    },
    /// A row says `forwarded` of what never arrived.
    #[error("call {call} of order {order} is forwarded, and Meta never counted the order")]
    NeverCounted {
        /// The call.
        call: Uuid,
        /// Its order.
        order: String,
    },
    /// The sale was doubled, and nobody is told.
    #[error("order {order} was counted {times} times, and no row of it says that it may be so")]
    UnmarkedDouble {
        /// The order.
        order: String,
        /// How often it was counted.
        times: usize,
    },
    /// The sale was counted again and again, and not each time was there an answer that may have been lost.
    #[error("order {order} was counted {times} times, of which lost answers explain {at_most}")]
    CountedTooOften {
        /// The order.
        order: String,
        /// How often it was counted.
        times: usize,
        /// How often it may have been.
        at_most: usize,
    },
    /// Something left for Meta that was not written down before, or after it was written down that nothing leaves.
    #[error("a request at {at} carried order {order} to Meta under none of its intents")]
    RequestUnderNoIntent {
        /// The order.
        order: String,
        /// When the request reached Meta, in Unix milliseconds.
        at: i64,
    },
    /// Meta has a sale that we deny.
    #[error("order {order} was counted, and no row of it is forwarded or says that it may be so")]
    CountedInVain {
        /// The order.
        order: String,
    },
    /// Meta has a sale of which there is no row at all.
    #[error("order {order} was counted, and has no row")]
    CountedWithoutRow {
        /// The order.
        order: String,
    },
    /// `possibly_duplicate` although no outcome can have been unknown.
    #[error("call {call} of order {order} says possibly_duplicate, and nothing gave cause for it")]
    FalseMark {
        /// The call.
        call: Uuid,
        /// Its order.
        order: String,
    },
    /// A call took part in an unknown outcome, or was tried after one, and does not say so.
    #[error(
        "call {call} of order {order} does not say possibly_duplicate, and it or an earlier attempt had no known outcome"
    )]
    MissingMark {
        /// The call.
        call: Uuid,
        /// Its order.
        order: String,
    },
    /// A duplicate of a call that is not the credited one.
    #[error("call {call} is a duplicate of {of:?}, which is not credited with order {order}")]
    DuplicateOfUncredited {
        /// The call.
        call: Uuid,
        /// What its row names.
        of: Option<Uuid>,
        /// Its order.
        order: String,
    },
    /// The ledger credits a call whose row does not say so.
    #[error("the ledger credits order {order} to call {call}, whose row says {row:?}")]
    LedgerWithoutRow {
        /// The order.
        order: String,
        /// The call that the ledger credits.
        call: Uuid,
        /// The status of its row, where it has one.
        row: Option<Status>,
    },
    /// A row says `forwarded`, and the ledger does not.
    #[error("call {call} of order {order} is forwarded, and the ledger credits {credited:?}")]
    RowWithoutLedger {
        /// The call.
        call: Uuid,
        /// Its order.
        order: String,
        /// The call that the ledger credits, if any.
        credited: Option<Uuid>,
    },
    /// The row's mark is not the ledger's list.
    #[error(
        "call {call} of order {order}: the row's possibly_duplicate is {row}, and being on the ledger's list {listed}"
    )]
    MarkNotOfLedger {
        /// The call.
        call: Uuid,
        /// Its order.
        order: String,
        /// What the row says.
        row: bool,
        /// What the ledger says.
        listed: bool,
    },
    /// The ledger credits a call that was never tried with success.
    #[error("the ledger credits order {order} to call {call}, of which no intent was accepted")]
    CreditWithoutIntent {
        /// The order.
        order: String,
        /// The call that the ledger credits.
        call: Uuid,
    },
    /// The fold let an intent count that may not.
    #[error(
        "an intent of call {call} counts, and order {order} was credited, at work, or another forwarder's at that time"
    )]
    IntentOutOfTurn {
        /// The order.
        order: String,
        /// The call.
        call: Uuid,
    },
    /// A call was tried of which nobody is told.
    #[error("an intent of order {order} is of call {call}, which has no row of that order")]
    IntentWithoutRow {
        /// The order.
        order: String,
        /// The call.
        call: Uuid,
    },
    /// An attempt without an end.
    #[error("order {order} has an open intent of call {call}")]
    OpenIntent {
        /// The order.
        order: String,
        /// The call.
        call: Uuid,
    },
    /// Something that is done would be done again, or something is not done.
    #[error("{0}")]
    Uncommitted(Committed),
    /// Nobody can say that this group is done.
    #[error("nothing is known of what the {group}s have committed")]
    NoOffsets {
        /// The workers of the group.
        group: &'static str,
    },
    /// Messages that no worker could read, though none was written that cannot be.
    #[error("{letters} messages are in the dead letters")]
    DeadLetters {
        /// How many.
        letters: i64,
    },
    /// A worker was asked to end, nothing that it stands on was away, and it ended with work in its hands.
    #[error("a drain ran out of its time: {0}")]
    DrainRanOut(Fault),
    /// A worker is gone that nobody ended.
    #[error("{worker}")]
    EndedByItself {
        /// Which, and how.
        worker: String,
    },
}
