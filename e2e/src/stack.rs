//! A Kafka and a ClickHouse of a test's own, which it may kill: started by the project's own scripts, and ended for
//! certain.

use std::{
    env, fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use tokio::{net::TcpStream, time::sleep};

use crate::{
    port,
    process::{self, Process},
    wait,
};

/// The scripts of the local stack.
const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/local");
/// Lines of each log that a failed test shows.
const SHOWN: usize = 15;

/// A running stack. Dropped, it is killed; its folder stays.
pub struct Stack {
    local: PathBuf,
    environment: Vec<(String, String)>,
    kafka: u16,
    clickhouse: u16,
}

/// What a stack is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// The broker.
    Kafka,
    /// The warehouse.
    ClickHouse,
}

impl Engine {
    /// Its name in the local scripts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kafka => "kafka",
            Self::ClickHouse => "clickhouse",
        }
    }
}

impl Stack {
    /// Starts both in this folder.
    ///
    /// # Errors
    /// Where one of them does not come up.
    pub async fn start(local: &Path) -> anyhow::Result<Self> {
        let stack = Self::prepare(local)?;
        stack.script("stack.sh").await?;
        Ok(stack)
    }

    /// Starts Kafka alone in this folder.
    ///
    /// # Errors
    /// Where it does not come up.
    pub async fn kafka(local: &Path) -> anyhow::Result<Self> {
        let stack = Self::prepare(local)?;
        stack.restart(Engine::Kafka).await?;
        Ok(stack)
    }

    fn prepare(local: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(local)?;
        let (kafka, controller, clickhouse) = (port::free()?.port(), port::free()?.port(), port::free()?.port());
        let ours = [
            ("CAPI_LOCAL_DIR", local.to_string_lossy().into_owned()),
            ("CAPI_LOCAL_KAFKA_PORT", kafka.to_string()),
            ("CAPI_LOCAL_KAFKA_CONTROLLER_PORT", controller.to_string()),
            ("CAPI_LOCAL_CLICKHOUSE_PORT", clickhouse.to_string()),
        ];
        // What another stack is told, or its clients, is not for this one.
        let passed_on = env::vars().filter(|(name, _)| !name.starts_with("CAPI_"));
        let environment = passed_on.chain(ours.map(|(name, value)| (name.to_owned(), value))).collect();
        let stack = Self { local: local.to_owned(), environment, kafka, clickhouse };
        process::stop_at_the_end(local)?;
        Ok(stack)
    }

    /// Kafka's bootstrap servers.
    pub fn brokers(&self) -> String {
        format!("127.0.0.1:{}", self.kafka)
    }

    /// ClickHouse's HTTP address.
    pub fn clickhouse(&self) -> String {
        format!("http://127.0.0.1:{}", self.clickhouse)
    }

    /// `kill -9`, and waits until it is gone: a process of many threads keeps its port for a moment. What it had
    /// acknowledged is in its files.
    ///
    /// # Errors
    /// Where it does not run, or does not end.
    pub async fn kill(&self, engine: Engine) -> anyhow::Result<()> {
        self.signal(engine, "-KILL")?;
        let port = if engine == Engine::Kafka { self.kafka } else { self.clickhouse };
        let is_gone = async || Ok(TcpStream::connect(("127.0.0.1", port)).await.is_err().then_some(()));
        wait::until(&format!("the end of {}", engine.name()), is_gone).await
    }

    /// Stops it where it stands: whoever is connected stays so, and gets no answer any more.
    ///
    /// # Errors
    /// Where it does not run.
    pub fn freeze(&self, engine: Engine) -> anyhow::Result<()> {
        self.signal(engine, "-STOP")
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// Where it does not run.
    pub fn thaw(&self, engine: Engine) -> anyhow::Result<()> {
        self.signal(engine, "-CONT")
    }

    fn signal(&self, engine: Engine, signal: &str) -> anyhow::Result<()> {
        let file = self.local.join("run").join(format!("{}.pid", engine.name()));
        let text = fs::read_to_string(&file).with_context(|| format!("{} does not run", engine.name()))?;
        let pid = text.split_whitespace().next().context("an empty pid file")?;
        let sent = std::process::Command::new("kill").args([signal, pid]).status()?;
        ensure!(sent.success(), "kill {signal} of {} failed", engine.name());
        Ok(())
    }

    /// Waits until ClickHouse has an insert in its hands, for a few seconds: to be killed then hurts most.
    pub async fn an_insert_runs(&self) {
        let spool = self.local.join("clickhouse").join("front-spool");
        let runs = || fs::read_dir(&spool).is_ok_and(|mut files| files.next().is_some());
        for _ in 0..3000 {
            if runs() {
                return;
            }
            sleep(Duration::from_millis(1)).await;
        }
    }

    /// Starts it again, and waits until it is up.
    ///
    /// # Errors
    /// Where it does not come up.
    pub async fn restart(&self, engine: Engine) -> anyhow::Result<()> {
        self.script(&format!("{}.sh", engine.name())).await
    }

    /// The end of each log, for the report of a failed test.
    pub fn tails(&self) -> String {
        let logs = ["kafka", "clickhouse"].map(|name| self.local.join("logs").join(format!("{name}.log")));
        logs.map(|log| format!("--- {}\n{}\n", log.display(), process::tail(&log, SHOWN))).concat()
    }

    async fn script(&self, name: &str) -> anyhow::Result<()> {
        let log = self.local.join("scripts.log");
        let mut script = Process::start(&Path::new(SCRIPTS).join(name), &self.environment, log.clone())?;
        let status = script.finish().await?;
        ensure!(status.success(), "{name} ends with {status}: {}", process::tail(&log, SHOWN));
        Ok(())
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // One that was killed and not started again is no matter here.
        let ended = [Engine::Kafka, Engine::ClickHouse].map(|engine| self.signal(engine, "-KILL"));
        if ended.iter().all(Result::is_ok) {
            // Else whoever outlives this process looks after it.
            let _ = process::is_stopped(&self.local);
        }
    }
}
