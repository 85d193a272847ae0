//! Every page, over a directory and a ClickHouse that are made up here: full, empty, and away; with every parameter wrong;
//! and for somebody whose business it is not. What real ones answer is tested end to end.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test: also what is not inside a test function")]
#![expect(unreachable_pub, reason = "the modules of a test binary have no outside")]

mod calls;
mod changes;
mod clickhouse;
mod door;
mod fixture;
mod overview;
mod reports;
mod tenants;
