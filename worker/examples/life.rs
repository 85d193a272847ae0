//! A worker that does nothing but live, for `tests/life.rs`.

#![expect(clippy::panic, reason = "a test is about what a panic does")]

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use capi_worker::{
    Worker,
    lost_client::Watch,
    settings::{KafkaSettings, LogSettings, Settings, SettingsFault},
};
use clap::{Parser, ValueEnum};
use tokio::time::sleep;

#[derive(Clone, Copy, ValueEnum)]
enum Work {
    /// Ends when asked.
    Drain,
    /// Never ends.
    Stay,
    /// Fails.
    Fail,
    /// Has a Kafka client that knows no broker, the first time.
    LoseClient,
    /// Panics in a task, and ends when asked.
    Panic,
    /// Panics in a vital task, and ends when asked.
    Lose,
    /// Panics itself.
    Burst,
}

#[derive(Parser)]
#[command(version)]
struct Life {
    #[command(flatten)]
    log: LogSettings,
    #[command(flatten)]
    kafka: KafkaSettings,
    /// What it does
    #[arg(long, default_value = "drain")]
    work: Work,
    /// A file that is there once a client was lost
    #[arg(long, default_value = "lost")]
    marker: PathBuf,
    /// Must not be 0
    #[arg(long, default_value_t = 1)]
    count: u32,
}

impl Settings for Life {
    fn log(&self) -> &LogSettings {
        &self.log
    }

    fn admin_listen(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 0))
    }

    fn secret_files(&self) -> Vec<(&'static str, &Path)> {
        self.kafka.secret_file().into_iter().collect()
    }

    fn check(&self) -> Vec<SettingsFault> {
        let mut faults: Vec<_> = self.kafka.client().err().into_iter().collect();
        if self.count == 0 {
            faults.push(SettingsFault::new("--count must not be 0"));
        }
        faults
    }
}

fn tell(secret: &str) {
    panic!("cannot use {secret}")
}

fn slice(secret: &str) {
    tracing::info!("{}", &secret[secret.len() + 1..]);
}

async fn run(settings: Life, worker: Worker) -> anyhow::Result<()> {
    let kafka = worker.health.dependency("kafka");
    kafka.down("out for lunch");
    tracing::info_span!("forward", call_id = "c-1").in_scope(|| tracing::info!("works"));
    match settings.work {
        Work::Drain => worker.shutdown.requested().await,
        Work::Stay => std::future::pending().await,
        Work::Panic => {
            let _ = tokio::spawn(async { panic!("two\nlines") }).await;
            let secret = std::env::var("LIFE_SECRET").unwrap_or_default();
            for panics in [tell, slice] {
                let secret = secret.clone();
                let _ = tokio::spawn(async move { panics(&secret) }).await;
            }
            tracing::info!("goes on");
            worker.shutdown.requested().await;
        }
        Work::Lose => {
            worker.vital.spawn("reader", async { panic!("a fault of ours") });
            worker.shutdown.requested().await;
            tracing::info!("finishes what is in flight");
        }
        Work::Burst => panic!("a fault of ours"),
        Work::LoseClient => {
            let (brokers, first) = (Watch::default(), !settings.marker.exists());
            std::fs::write(&settings.marker, "")?;
            while first && !worker.shutdown.is_requested() {
                brokers.look(br#"{"brokers": {}}"#);
                sleep(Duration::from_millis(100)).await;
            }
            worker.shutdown.requested().await;
        }
        Work::Fail => anyhow::bail!("no luck"),
    }
    Ok(())
}

fn main() -> ExitCode {
    match std::env::var("LIFE_DRAIN_MS").ok().and_then(|millis| millis.parse().ok()) {
        Some(millis) => capi_worker::run::main_within("life", Duration::from_millis(millis), run),
        None => capi_worker::run::main("life", run),
    }
}
