//! What `make test` provides: the addresses of Kafka and ClickHouse, and the programs under test.

use std::{
    env,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, anyhow, bail};

/// Kafka, ClickHouse, and where the programs are.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// Kafka's bootstrap servers.
    pub brokers: String,
    /// ClickHouse's HTTP address.
    pub clickhouse: String,
    programs: PathBuf,
}

impl Cluster {
    /// As the environment says.
    ///
    /// # Errors
    /// Where this was not started by `make test`, or not after a build.
    pub fn from_env() -> anyhow::Result<Self> {
        let address = |name| {
            env::var(name).map_err(|_| anyhow!("{name} is not set: run `make test`, which starts Kafka and ClickHouse"))
        };
        Self::at(address("CAPI_KAFKA_BROKERS")?, &address("CAPI_CLICKHOUSE_URL")?)
    }

    /// At these addresses.
    ///
    /// # Errors
    /// Where this is no test of this workspace.
    pub fn at(brokers: String, clickhouse: &str) -> anyhow::Result<Self> {
        let programs = programs()?;
        Ok(Self { brokers, clickhouse: clickhouse.trim_end_matches('/').to_owned(), programs })
    }

    /// The same programs on another Kafka and another ClickHouse.
    #[must_use]
    pub fn with(&self, brokers: impl Into<String>, clickhouse: impl Into<String>) -> Self {
        Self { brokers: brokers.into(), clickhouse: clickhouse.into(), ..self.clone() }
    }

    /// The same Kafka and ClickHouse under the programs of this folder.
    #[must_use]
    pub fn with_programs(&self, folder: &Path) -> Self {
        Self { programs: folder.to_owned(), ..self.clone() }
    }

    /// The path of a program of this workspace.
    ///
    /// # Errors
    /// Where it has not been built.
    pub fn program(&self, name: &str) -> anyhow::Result<PathBuf> {
        let path = self.programs.join(name);
        if !path.is_file() {
            bail!("{} does not exist: run `make test`, which builds it", path.display());
        }
        Ok(path)
    }

    /// A folder for what deployments leave behind: beside the programs, so that it can be read after a failure.
    pub fn scratch(&self) -> PathBuf {
        scratch_beside(&self.programs)
    }

    /// The same, before there is a cluster.
    ///
    /// # Errors
    /// Where this is no test of this workspace.
    pub fn folder() -> anyhow::Result<PathBuf> {
        Ok(scratch_beside(&programs()?))
    }
}

/// This test is target/PROFILE/deps/e2e-…
fn programs() -> anyhow::Result<PathBuf> {
    let executable = env::current_exe()?;
    Ok(executable.ancestors().nth(2).context("this test has no target directory")?.to_owned())
}

fn scratch_beside(programs: &Path) -> PathBuf {
    let target = programs.parent().unwrap_or(Path::new("."));
    target.join("tmp").join("e2e")
}
