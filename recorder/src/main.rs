//! The recorder's program.

use std::process::ExitCode;

fn main() -> ExitCode {
    worker::run::main("capi-recorder", capi_recorder::run)
}
