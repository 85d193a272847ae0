//! The forwarder's program.

use std::process::ExitCode;

fn main() -> ExitCode {
    worker::run::main("capi-forwarder", capi_forwarder::run)
}
