//! HTTP in, Kafka out: takes calls, answers them, and lets no answer leave before what it promises is durable.
//!
//! A call walks through these rooms, in this order:
//!
//! | module | step |
//! |---|---|
//! | [`server`] | connections on the public address |
//! | [`router`] | the paths, and what is no call |
//! | [`call`] | the walk through the checks, and the record before the answer |
//! | [`admission`] | overload |
//! | [`auth`], [`limits`] | who calls, how often |
//! | [`body`], [`request`] | what the body says |
//! | [`validate`] | whether its fields keep their rules |
//! | [`prefer`] | whether the caller waits |
//! | [`publish`] | onto the queue |
//! | [`verdict`] | back from it |
//! | [`refusal`], [`answer`] | what the caller is told |
//!
//! [`lookup`] answers who asks later what became of a call, and [`openapi`] describes all of it. [`service`] holds what
//! all calls share, [`settings`] what an operator chooses, and [`run`] puts it together.

pub mod admission;
pub mod answer;
pub mod auth;
pub mod body;
pub mod call;
pub mod limits;
pub mod lookup;
pub mod metrics;
pub mod openapi;
pub mod prefer;
pub mod publish;
pub mod refusal;
pub mod request;
pub mod router;
pub mod run;
pub mod server;
pub mod service;
pub mod settings;
pub mod validate;
pub mod verdict;
