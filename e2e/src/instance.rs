//! One instance of a worker: where it listens, whether it is ready, how it is ended.

use std::{
    ffi::OsStr,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitStatus,
};

use anyhow::{Context as _, bail};

use crate::{
    history::{Deed, Fault, now_ms},
    port,
    process::{Process, Signal},
    wait,
};

/// What a forwarder logs that ends well and leaves calls to whoever is next.
const LEFT_CALLS: &str = "calls are still in flight at the end of the drain";

/// The three workers, and the console.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// HTTP in, Kafka out.
    Ingest,
    /// Kafka in, Meta out.
    Forwarder,
    /// Kafka in, ClickHouse out.
    Recorder,
    /// Web pages.
    Console,
}

impl Kind {
    /// The program's name.
    pub fn program(self) -> &'static str {
        match self {
            Self::Ingest => "capi-ingest",
            Self::Forwarder => "capi-forwarder",
            Self::Recorder => "capi-recorder",
            Self::Console => "capi-console",
        }
    }
}

/// An instance. It keeps its addresses and its name through restarts.
pub struct Instance {
    program: PathBuf,
    environment: Vec<(String, String)>,
    log: PathBuf,
    /// The public address; only ingest and the console have one.
    pub public: SocketAddr,
    /// Where `/livez`, `/readyz` and `/metrics` are.
    pub admin: SocketAddr,
    process: Process,
    http: reqwest::Client,
    /// Whether nobody has asked the process to end.
    is_to_live: bool,
    frozen_since: Option<i64>,
    history: Vec<Fault>,
}

impl Instance {
    /// Starts the instance `name` of a worker in the environment of its deployment.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub fn start(
        program: PathBuf,
        name: &str,
        mut environment: Vec<(String, String)>,
        directory: &Path,
        http: reqwest::Client,
    ) -> anyhow::Result<Self> {
        let (public, admin) = (port::free()?, port::free()?);
        environment.push(("CAPI_LISTEN".into(), public.to_string()));
        environment.push(("CAPI_ADMIN_LISTEN".into(), admin.to_string()));
        let log = directory.join(format!("{name}.log"));
        let process = Process::start(&program, &environment, log.clone())?;
        let (is_to_live, frozen_since, history) = (true, None, Vec::new());
        Ok(Self { program, environment, log, public, admin, process, http, is_to_live, frozen_since, history })
    }

    /// Waits until it says that it is ready.
    ///
    /// # Errors
    /// Where it ends, or does not become ready.
    pub async fn ready(&mut self) -> anyhow::Result<()> {
        let (http, url) = (self.http.clone(), format!("http://{}/readyz", self.admin));
        let process = std::sync::Mutex::new(&mut self.process);
        wait::until(&format!("{} to be ready", self.log.display()), async || {
            let ended = process.lock().map_or(Ok(None), |mut process| process.ended())?;
            if let Some(status) = ended {
                bail!("it ended with {status} before it was ready");
            }
            let ready = http.get(&url).send().await.is_ok_and(|answer| answer.status().is_success());
            Ok(ready.then_some(()))
        })
        .await
    }

    /// The page of its admin address.
    ///
    /// # Errors
    /// Where it does not answer.
    pub async fn admin_page(&self, path: &str) -> anyhow::Result<(u16, String)> {
        let answer = self.http.get(format!("http://{}{path}", self.admin)).send().await?;
        Ok((answer.status().as_u16(), answer.text().await?))
    }

    /// `kill -9`.
    ///
    /// # Errors
    /// Where it has ended by itself, or the operating system does not take it.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        self.lives()?;
        let from = now_ms();
        self.is_to_live = false;
        self.process.kill().await?;
        self.note(Deed::Killed, from);
        Ok(())
    }

    /// Stops it where it stands.
    ///
    /// # Errors
    /// Where it has ended.
    pub async fn freeze(&mut self) -> anyhow::Result<()> {
        self.lives()?;
        self.frozen_since = Some(now_ms());
        self.process.signal(Signal::Stop).await
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// Where it has ended.
    pub async fn thaw(&mut self) -> anyhow::Result<()> {
        self.process.signal(Signal::Continue).await?;
        if let Some(from) = self.frozen_since.take() {
            self.note(Deed::Frozen, from);
        }
        Ok(())
    }

    /// Asks for a drain, and waits for the end.
    ///
    /// # Errors
    /// Where it has ended already, or does not end.
    pub async fn drain(&mut self) -> anyhow::Result<ExitStatus> {
        self.lives()?;
        let (from, said_before) = (now_ms(), fs::read(&self.log)?.len());
        self.is_to_live = false;
        self.process.signal(Signal::Terminate).await?;
        let status = self.process.end().await?;
        let said = fs::read(&self.log)?;
        let left_calls = String::from_utf8_lossy(said.get(said_before..).unwrap_or_default()).contains(LEFT_CALLS);
        let deed = match status.success() {
            true if left_calls => Deed::DrainLeftCalls,
            true => Deed::Drained,
            false => Deed::DrainRanOut,
        };
        self.note(deed, from);
        Ok(status)
    }

    /// Waits for an end that it comes to by itself.
    ///
    /// # Errors
    /// Where it goes on.
    pub async fn ended(&mut self) -> anyhow::Result<ExitStatus> {
        self.process.end().await
    }

    /// Starts it again after its end, and waits until it is ready.
    ///
    /// # Errors
    /// Where it cannot be started, or does not become ready.
    pub async fn restart(&mut self) -> anyhow::Result<()> {
        self.process = Process::start(&self.program, &self.environment, self.log.clone())?;
        self.is_to_live = true;
        self.ready().await
    }

    /// Gives it another setting, from its next start on.
    pub fn set(&mut self, name: &str, value: &str) {
        self.environment.retain(|(known, _)| known != name);
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// Makes it another release's program of the same name, from its next start on.
    ///
    /// # Errors
    /// Where there is no such program.
    pub fn becomes(&mut self, of: impl FnOnce(&str) -> anyhow::Result<PathBuf>) -> anyhow::Result<()> {
        let name = self.program.file_name().and_then(OsStr::to_str).context("a program without a name")?;
        self.program = of(name)?;
        Ok(())
    }

    /// What was done to it so far.
    pub fn history(&self) -> &[Fault] {
        &self.history
    }

    /// Whether it has ended though nobody asked it to, and how.
    ///
    /// # Errors
    /// Where the operating system does not say.
    pub fn ended_by_itself(&mut self) -> anyhow::Result<Option<String>> {
        let ended = if self.is_to_live { self.process.ended()? } else { None };
        Ok(ended.map(|status| format!("{} ended by itself with {status}", self.log.display())))
    }

    /// An end that nobody asked for would else be taken for the one that is to come.
    fn lives(&mut self) -> anyhow::Result<()> {
        self.ended_by_itself()?.map_or(Ok(()), |end| bail!(end))
    }

    fn note(&mut self, deed: Deed, from: i64) {
        let name = self.environment.iter().find(|(name, _)| name == "CAPI_INSTANCE");
        // Without a name a forwarder claims by its process, and the others by nothing.
        let of = name.map_or_else(|| format!("process {}", self.process.pid()), |(_, name)| name.clone());
        self.history.push(Fault { deed, of, from, until: now_ms() });
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Its log.
    pub fn log(&self) -> &Path {
        &self.log
    }
}
