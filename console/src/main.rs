//! `capi-console`: the web pages that people look at.

use std::process::ExitCode;

use capi_console::{run, settings::Settings};

fn main() -> ExitCode {
    worker::run::main("capi-console", |settings: Settings, worker| async { Ok(run::run(settings, worker).await?) })
}
