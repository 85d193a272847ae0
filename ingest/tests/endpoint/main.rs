//! The endpoint from the request to the answer, over a queue in memory: every check, every answer, every record.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]
#![expect(unreachable_pub, reason = "the modules of a test binary have no outside")]

mod abuse;
mod any_bytes;
mod checks;
mod conformity;
mod harness;
mod limits;
mod lookup;
mod openapi;
mod overload;
mod server;
mod wait;
