//! HTTP in, Kafka out: takes calls, answers them, and lets no answer leave before what it promises is durable.

pub mod request;
pub mod validate;
