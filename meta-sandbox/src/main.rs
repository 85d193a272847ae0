//! `capi-meta-sandbox`: serves the sandbox until it is told to stop.

use std::{io::IsTerminal, process::ExitCode};

use anyhow::Context;
use meta_sandbox::{
    Sandbox, serve,
    settings::{LogFormat, Settings},
};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};
use tracing_subscriber::EnvFilter;

/// `sysexits.h`: the command was used wrongly.
const EX_USAGE: u8 = 64;

fn main() -> anyhow::Result<ExitCode> {
    let settings = match Settings::read() {
        Ok(settings) => settings,
        Err(fault) => {
            fault.print().context("cannot write to the terminal")?;
            return Ok(ExitCode::from(if fault.use_stderr() { EX_USAGE } else { 0 }));
        }
    };
    log_to_stderr(settings.log_format);
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(run(settings))?;
    Ok(ExitCode::SUCCESS)
}

async fn run(settings: Settings) -> anyhow::Result<()> {
    let listener = TcpListener::bind(settings.listen)
        .await
        .with_context(|| format!("cannot listen on {} (CAPI_SANDBOX_LISTEN)", settings.listen))?;
    tracing::info!(address = %listener.local_addr()?, "the sandbox listens; GET /sandbox lists what it can do");
    let mut terminate = signal(SignalKind::terminate())?;
    let sandbox = Sandbox::new(settings.latency, settings.credits_kept);
    tokio::select! {
        () = serve::serve(listener, sandbox.router()) => {}
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}

fn log_to_stderr(format: Option<LogFormat>) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let for_people = match format {
        Some(format) => format == LogFormat::Text,
        None => std::io::stderr().is_terminal(),
    };
    if for_people { logs.init() } else { logs.json().init() }
}
