//! The operator: the real command line.

use std::{fs, path::PathBuf, process::Stdio};

use anyhow::{Context as _, bail};
use serde_json::Value;
use tokio::{
    io::AsyncWriteExt as _,
    process::{Child, Command},
};

/// Runs `capi` against one deployment.
#[derive(Clone)]
pub struct Operator {
    program: PathBuf,
    environment: Vec<(String, String)>,
    directory: PathBuf,
}

/// What a command said.
#[derive(Debug)]
pub struct Said {
    /// Its exit code.
    pub code: i32,
    /// Its answer.
    pub stdout: String,
    /// Its complaint.
    pub stderr: String,
}

impl Said {
    /// What a command that was started says until its end.
    ///
    /// # Errors
    /// Where it is killed.
    pub async fn of(child: Child) -> anyhow::Result<Self> {
        let output = child.wait_with_output().await?;
        Ok(Self {
            code: output.status.code().context("capi was killed")?,
            stdout: String::from_utf8(output.stdout)?,
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }
}

impl Operator {
    /// In the environment of a deployment.
    pub fn new(program: PathBuf, environment: Vec<(String, String)>, directory: PathBuf) -> Self {
        Self { program, environment, directory }
    }

    /// Runs a command with `--json`, whatever becomes of it.
    ///
    /// # Errors
    /// Where it cannot be run.
    pub async fn run(&self, arguments: &[&str]) -> anyhow::Result<Said> {
        self.run_with(&[], &[arguments, &["--json"]].concat()).await
    }

    /// Runs a command as it is written, with other settings than the deployment's.
    ///
    /// # Errors
    /// Where it cannot be run.
    pub async fn run_with(&self, settings: &[(&str, &str)], arguments: &[&str]) -> anyhow::Result<Said> {
        Said::of(self.spawn(settings, arguments)?).await
    }

    /// Starts a command with `--json`. Dropped, it is killed.
    ///
    /// # Errors
    /// Where it cannot be run.
    pub fn start(&self, arguments: &[&str]) -> anyhow::Result<Child> {
        self.spawn(&[], &[arguments, &["--json"]].concat())
    }

    /// Runs a command with `--json` that reads from its standard input, whatever becomes of it.
    ///
    /// # Errors
    /// Where it cannot be run.
    pub async fn run_reading(&self, input: &str, arguments: &[&str]) -> anyhow::Result<Said> {
        let mut command = self.command(&[], &[arguments, &["--json"]].concat());
        let mut child = command.stdin(Stdio::piped()).spawn()?;
        // A command that refuses its arguments reads nothing.
        let _ = child.stdin.take().context("no stdin")?.write_all(input.as_bytes()).await;
        Said::of(child).await
    }

    fn spawn(&self, settings: &[(&str, &str)], arguments: &[&str]) -> anyhow::Result<Child> {
        Ok(self.command(settings, arguments).spawn()?)
    }

    fn command(&self, settings: &[(&str, &str)], arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(arguments).env_clear().envs(self.environment.iter().cloned()).envs(settings.iter().copied());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }

    /// Runs a command that must succeed; its answer, line by line.
    ///
    /// # Errors
    /// Where it fails.
    pub async fn list(&self, arguments: &[&str]) -> anyhow::Result<Vec<Value>> {
        let said = self.run(arguments).await?;
        if said.code != 0 {
            bail!("capi {} ends with {}: {}", arguments.join(" "), said.code, said.stderr);
        }
        said.stdout.lines().map(|line| serde_json::from_str(line).context("an answer of capi")).collect()
    }

    /// Runs a command that must succeed with an answer of one line.
    ///
    /// # Errors
    /// Where it fails, or answers otherwise.
    pub async fn one(&self, arguments: &[&str]) -> anyhow::Result<Value> {
        let mut answers = self.list(arguments).await?;
        match (answers.pop(), answers.len()) {
            (Some(answer), 0) => Ok(answer),
            (_, more) => bail!("capi {} answers {more} further lines", arguments.join(" ")),
        }
    }

    /// Gives a business a channel.
    ///
    /// # Errors
    /// Where `capi` does not take it.
    pub async fn put_channel(&self, business: &str, waba: &str, dataset: &str, more: &[&str]) -> anyhow::Result<()> {
        let file = self.directory.join(format!("{business}.token"));
        fs::write(&file, format!("EAAG-token-of-{business}\n"))?;
        let file = file.to_string_lossy();
        let put =
            ["channel", "put", business, "--waba-id", waba, "--dataset-id", dataset, "--access-token-file", &file];
        self.list(&[&put, more].concat()).await.map(|_| ())
    }
}
