//! `capi-ingest`: takes calls over HTTP.

use std::process::ExitCode;

use capi_ingest::{run, settings::Settings};

fn main() -> ExitCode {
    worker::run::main("capi-ingest", |settings: Settings, worker| async { Ok(run::run(settings, worker).await?) })
}
