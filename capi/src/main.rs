//! The command line of the pipeline: setting it up, its businesses, channels, keys and users, and sending again.

mod backfill;
mod business;
mod channel;
mod cli;
mod clickhouse_faults;
mod dead_letters;
mod failure;
mod kafka;
mod key;
mod link;
mod moment;
mod output;
mod replay;
mod setup;
mod store;
mod user;

use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::{EnvFilter, Layer as _, layer::SubscriberExt as _, util::SubscriberInitExt as _};

use crate::{cli::Cli, failure::Failure, output::Output};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(fault) => return failure::of_arguments(&fault),
    };
    log();
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

#[tokio::main]
async fn run(cli: Cli) -> Result<(), Failure> {
    cli.command.run(&Output::new(cli.json)).await
}

/// Warnings on stderr, or what `RUST_LOG` asks for. What Kafka's client says of its connections is left out: a command
/// that fails says why itself.
fn log() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| {
        EnvFilter::new("warn,librdkafka=off,rdkafka=off,capi_worker::producer=off,capi_directory::view=off")
    });
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).without_time();
    tracing_subscriber::registry().with(lines.with_filter(worker::telemetry::discreet(filter))).init();
}
