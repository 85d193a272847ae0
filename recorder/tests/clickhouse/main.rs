//! Tables, views and the recorder's whole way over the real engines. `make test` brings them up and says where they are.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests: also what is not inside a test function")]

mod database;
mod deployment;
mod relay;
mod story;

mod calls;
mod conversions;
mod failures;
mod migrating;
mod recording;
mod revenue;
