//! A worker's life: settings are checked whole, telemetry is set up, the admin address opens, the worker runs; SIGTERM or
//! SIGINT asks it to end, and it has 25 s for that. A vital task that panics asks the same, and the exit code tells. So does
//! a Kafka client that is lost, and the worker starts anew.

use std::{
    net::SocketAddr,
    panic::{AssertUnwindSafe, catch_unwind},
    process::ExitCode,
    time::Duration,
};

use anyhow::Context as _;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    time::timeout,
};

use crate::{
    admin,
    health::Health,
    lost_client, secret_file,
    settings::Settings,
    shutdown::Shutdown,
    telemetry::{self, Telemetry, TelemetryError},
    vital::Vital,
};

/// Settings that cannot work (`EX_USAGE` of sysexits).
const EXIT_USAGE: u8 = 64;
/// How long a worker may take to end: within the 25 s that an orchestrator is promised, with the flush of traces after.
const DRAIN: Duration = Duration::from_secs(23);
/// How long the last spans may take.
const FLUSH: Duration = Duration::from_secs(1);

/// What a worker is given.
#[derive(Clone)]
pub struct Worker {
    /// Asks it to end.
    pub shutdown: Shutdown,
    /// Where it says how it is.
    pub health: Health,
    /// Starts the tasks that it ends with.
    pub vital: Vital,
}

/// Runs a worker from its `main`, and gives its exit code: 0 after a drain, 64 for settings, 1 else.
pub fn main<S, F>(program: &'static str, run: impl FnOnce(S, Worker) -> F) -> ExitCode
where
    S: Settings,
    F: Future<Output = anyhow::Result<()>>,
{
    main_within(program, DRAIN, run)
}

/// The same, for a program that may take another time to end than a worker's 23 s.
pub fn main_within<S, F>(program: &'static str, drain: Duration, run: impl FnOnce(S, Worker) -> F) -> ExitCode
where
    S: Settings,
    F: Future<Output = anyhow::Result<()>>,
{
    let settings = match read_settings::<S>() {
        Ok(settings) => settings,
        Err(code) => return code,
    };
    match live(program, drain, settings, run) {
        // However the drain ended: it may have waited for that client.
        ended if lost_client::starts_anew() => start_anew(program, ended),
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{program} ends: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start_anew(program: &str, ended: anyhow::Result<()>) -> ExitCode {
    if let Err(error) = ended {
        tracing::warn!("{error:#}");
    }
    let error = lost_client::start_anew();
    tracing::error!(%error, "{program} cannot start anew, and ends");
    ExitCode::FAILURE
}

#[expect(clippy::print_stderr, reason = "the log is not set up before the settings are known to be good")]
fn read_settings<S: Settings>() -> Result<S, ExitCode> {
    let settings = S::try_parse().map_err(|error| {
        // Where stdout or stderr is closed, the exit code still speaks.
        let _ = error.print();
        if error.use_stderr() { ExitCode::from(EXIT_USAGE) } else { ExitCode::SUCCESS }
    })?;
    let mut faults = settings.check();
    faults.extend(telemetry::log_filter().err());
    if faults.is_empty() {
        return Ok(settings);
    }
    for fault in faults {
        eprintln!("error: {fault}");
    }
    Err(ExitCode::from(EXIT_USAGE))
}

fn live<S, F>(
    program: &'static str,
    drain: Duration,
    settings: S,
    run: impl FnOnce(S, Worker) -> F,
) -> anyhow::Result<()>
where
    S: Settings,
    F: Future<Output = anyhow::Result<()>>,
{
    let telemetry = telemetry::init(program, settings.log()).inspect_err(tell_without_a_log)?;
    for (setting, file) in settings.secret_files() {
        secret_file::warn_if_open(setting, file);
    }
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start the runtime")?;
    // A panic in the work itself ends the worker like any other fault: a runtime that is dropped by one would wait for
    // whatever blocks.
    let serving = AssertUnwindSafe(|| runtime.block_on(serve(program, drain, settings, run, &telemetry)));
    let ended = catch_unwind(serving).unwrap_or_else(|_| Err(anyhow::anyhow!("the worker itself panicked")));
    flush(telemetry);
    // What still runs in the background ends with the process.
    runtime.shutdown_timeout(Duration::from_millis(200));
    ended
}

#[expect(clippy::print_stderr, reason = "there is no log")]
fn tell_without_a_log(error: &TelemetryError) {
    eprintln!("error: {error}");
}

async fn serve<S, F>(
    program: &'static str,
    drain: Duration,
    settings: S,
    run: impl FnOnce(S, Worker) -> F,
    telemetry: &Telemetry,
) -> anyhow::Result<()>
where
    S: Settings,
    F: Future<Output = anyhow::Result<()>>,
{
    let shutdown = Shutdown::default();
    let health = Health::new(shutdown.clone());
    let vital = Vital::new(shutdown.clone());
    open_admin(settings.admin_listen(), &health, telemetry, &vital).await?;
    listen_for_signals(shutdown.clone(), &vital)?;
    end_with_a_client(shutdown.clone());
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "{program} starts");
    let work = run(settings, Worker { shutdown: shutdown.clone(), health: health.clone(), vital: vital.clone() });
    tokio::pin!(work);
    tokio::select! {
        // Work that ends because it was asked to is a drain, however quick it is.
        biased;
        () = shutdown.requested() => tracing::info!("draining"),
        ended = &mut work => return ended,
    }
    match timeout(drain, work).await {
        Ok(ended) => ended?,
        Err(_) => anyhow::bail!("the drain ran out: what was in flight comes again{}", held_up_by(&health)),
    }
    if let Some(task) = vital.lost() {
        anyhow::bail!("{task} has ended before the worker");
    }
    tracing::info!("drained");
    Ok(())
}

/// What a drain most often waits for: the dependencies that are down.
fn held_up_by(health: &Health) -> String {
    let dependencies = health.readiness().dependencies;
    let down = dependencies.iter().filter(|(_, standing)| !standing.up);
    down.fold(String::new(), |told, (name, standing)| format!("{told}; {name} is down: {}", standing.detail))
}

async fn open_admin(address: SocketAddr, health: &Health, telemetry: &Telemetry, vital: &Vital) -> anyhow::Result<()> {
    let listener = TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
    let router = admin::router(health.clone(), telemetry.metrics.clone());
    vital.spawn_endless("admin", async move { axum::serve(listener, router).await });
    let metrics = telemetry.metrics.clone();
    vital.spawn_endless("metrics", async move {
        let mut tick = tokio::time::interval(Duration::from_secs(5));
        loop {
            tick.tick().await;
            metrics.run_upkeep();
        }
    });
    Ok(())
}

/// A client that is lost asks for a drain.
fn end_with_a_client(shutdown: Shutdown) {
    tokio::spawn(async move {
        lost_client::any().await;
        shutdown.request();
    });
}

/// The first signal asks for a drain, the second ends the process at once.
fn listen_for_signals(shutdown: Shutdown, vital: &Vital) -> anyhow::Result<()> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    vital.spawn_endless("signals", async move {
        for asked in 0.. {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if asked > 0 {
                std::process::exit(1);
            }
            lost_client::let_end();
            shutdown.request();
        }
    });
    Ok(())
}

/// The exporter blocks, and may hang on a receiver that is away: it gets a thread and a second.
fn flush(telemetry: Telemetry) {
    let (done, wait) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        telemetry.flush();
        // Nobody may be waiting any more.
        let _ = done.send(());
    });
    let _ = wait.recv_timeout(FLUSH);
}
