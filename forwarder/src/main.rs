//! The forwarder's program.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// In place of glibc's, for Kafka's client too (`override`), and without huge pages (`no_thp`), with which a worker holds
/// twice the memory.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    worker::run::main("capi-forwarder", capi_forwarder::run)
}
