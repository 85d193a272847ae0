//! `capi-ingest`: takes calls over HTTP.

use std::process::ExitCode;

use capi_ingest::{run, settings::Settings};
use mimalloc::MiMalloc;

/// In place of glibc's, for Kafka's client too (`override`), and without huge pages (`no_thp`), with which a worker holds
/// twice the memory.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    worker::run::main("capi-ingest", |settings: Settings, worker| async { Ok(run::run(settings, worker).await?) })
}
