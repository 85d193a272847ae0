//! The contract between the workers: what travels over Kafka, its Avro schemas, its codec and its topics.
//!
//! | module | holds |
//! |---|---|
//! | [`call`] | what a merchant reported |
//! | [`event`] | a valid call on its way to Meta |
//! | [`outcome`] | what became of a call, and the verdict that carries it back |
//! | [`record`] | the analytics record: call and outcome |
//! | [`ledger`] | the records of the order ledger |
//! | [`business`], [`user`] | the values of the directory |
//! | [`order`] | the order key, and the partition it lives on |
//! | [`money`] | exact decimals |
//! | [`meta`] | Meta's numbers that more than one program goes by |
//! | [`repair`] | which rejections may be sent again once the cause is repaired |
//! | [`codec`] | Avro single-object encoding |
//! | [`write`] | which versions a process writes |
//! | [`topics`] | topic names and how they are created |

pub mod business;
pub mod call;
pub mod codec;
pub mod event;
pub mod ledger;
pub mod meta;
pub mod money;
pub mod order;
pub mod outcome;
pub mod record;
pub mod repair;
pub mod topics;
pub mod user;
pub mod write;

pub use business::{ApiKey, Business, Channel};
pub use call::{Call, CallId, Lane, LineItem};
pub use codec::{DecodeError, Message};
pub use event::{ConversionEvent, Progress};
pub use ledger::LedgerRecord;
pub use money::Micros;
pub use order::{OrderHash, OrderKey};
pub use outcome::{ConversionStatus, FailureStage, MetaError, Outcome, Reason, Verdict};
pub use record::CallRecord;
pub use topics::Topics;
pub use user::{EndedSession, Role, User};
pub use write::WriteSchemas;
