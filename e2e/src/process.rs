//! Programs that run beside the test, and their certain end.

use std::{
    fmt,
    fs::{self, OpenOptions},
    io::Write as _,
    path::{Path, PathBuf},
    process::{ChildStdin, ExitStatus, Stdio},
    sync::{Mutex, OnceLock, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, bail};
use tokio::{
    process::{Child, Command},
    time::timeout,
};

/// What a worker may take to drain, with room for a busy machine.
const DRAIN: Duration = Duration::from_secs(40);

/// A running program, whose output goes to a file. Dropped, it is killed.
pub struct Process {
    child: Child,
    pid: u32,
    log: PathBuf,
}

/// A signal, as `kill` names it.
#[derive(Clone, Copy, Debug)]
pub enum Signal {
    /// Asks for a drain.
    Terminate,
    /// Stops the process where it stands, as a long pause of its machine would.
    Stop,
    /// Lets it go on.
    Continue,
}

impl Process {
    /// Starts a program with this environment only; what it says is added to `log`.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub fn start(program: &Path, environment: &[(String, String)], log: PathBuf) -> anyhow::Result<Self> {
        let output = OpenOptions::new().create(true).append(true).open(&log)?;
        let child = Command::new(program)
            .env_clear()
            .envs(environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let pid = child.id().context("it has ended already")?;
        Undertaker::tell('+', pid)?;
        Ok(Self { child, pid, log })
    }

    /// Ends it with SIGKILL, as the kernel would: it can do nothing about it.
    ///
    /// # Errors
    /// Where the operating system does not take it.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        self.child.kill().await?;
        Undertaker::tell('-', self.pid)
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// Where the process has ended.
    pub async fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let name = match signal {
            Signal::Terminate => "-TERM",
            Signal::Stop => "-STOP",
            Signal::Continue => "-CONT",
        };
        let status = Command::new("kill").arg(name).arg(self.pid.to_string()).status().await?;
        if !status.success() {
            bail!("kill {name} {} failed", self.pid);
        }
        Ok(())
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// Where it does not come.
    pub async fn end(&mut self) -> anyhow::Result<ExitStatus> {
        let status = timeout(DRAIN, self.child.wait()).await.context("it does not end")??;
        Undertaker::tell('-', self.pid)?;
        Ok(status)
    }

    /// Waits for the end of what ends by itself, and bounds its own time.
    ///
    /// # Errors
    /// Where the operating system does not say.
    pub async fn finish(&mut self) -> anyhow::Result<ExitStatus> {
        let status = self.child.wait().await?;
        Undertaker::tell('-', self.pid)?;
        Ok(status)
    }

    /// Its exit status, where it has ended.
    ///
    /// # Errors
    /// Where the operating system does not say.
    pub fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Where its output goes.
    pub fn log(&self) -> &Path {
        &self.log
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.child.start_kill().is_ok() {
            // Reaped by tokio from here on.
            let _ = Undertaker::tell('-', self.pid);
        }
    }
}

/// The last lines of a log.
pub fn tail(log: &Path, lines: usize) -> String {
    let text = fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

/// Whatever becomes of this process, what the local scripts run in the folder `local` ends with it.
///
/// # Errors
/// Where nobody can be told.
pub fn stop_at_the_end(local: &Path) -> anyhow::Result<()> {
    Undertaker::tell('!', local.display())
}

/// It is stopped already.
///
/// # Errors
/// Where nobody can be told.
pub fn is_stopped(local: &Path) -> anyhow::Result<()> {
    Undertaker::tell('.', local.display())
}

/// A shell that outlives this process, however it ends, and then kills what is left of its programs and stops what the
/// local scripts run for it: nothing of a test run stays behind, not even of one that was killed.
struct Undertaker {
    ear: Mutex<ChildStdin>,
}

const UNDERTAKER: &str = r#"
    trap '' INT TERM HUP
    alive=" "
    local=
    while read -r sign what; do
        case $sign in
            +) alive="$alive$what " ;;
            -) case $alive in *" $what "*) alive="${alive%% "$what" *} ${alive#* "$what" }" ;; esac ;;
            !) local=$what ;;
            .) local= ;;
        esac
    done
    for pid in $alive; do kill -9 "$pid"; done
    [ -z "$local" ] || CAPI_LOCAL_DIR=$local "$0"
"#;

/// What stops all that the local scripts run.
const DOWN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/local/down.sh");

impl Undertaker {
    fn tell(sign: char, what: impl fmt::Display) -> anyhow::Result<()> {
        static ONLY: OnceLock<Option<Undertaker>> = OnceLock::new();
        let undertaker = ONLY.get_or_init(|| Self::call().ok()).as_ref().context("cannot start sh")?;
        let mut ear = undertaker.ear.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(writeln!(ear, "{sign} {what}")?)
    }

    fn call() -> anyhow::Result<Self> {
        let mut shell = std::process::Command::new("sh")
            .args(["-c", UNDERTAKER, DOWN])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let ear = shell.stdin.take().context("no pipe")?;
        Ok(Self { ear: Mutex::new(ear) })
    }
}
