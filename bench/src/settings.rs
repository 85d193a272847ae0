//! Which parts run, and how long.

use std::{env, time::Duration};

use anyhow::bail;

/// The parts, in the order in which they run.
pub const PARTS: &[&str] = &["ingest", "synchronous", "forwarder", "recorder", "ledger", "views", "growth"];

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Whether it may take an hour.
    pub is_long: bool,
    /// The parts that run; all where none is named.
    pub only: Vec<String>,
}

impl Settings {
    /// As `LONG` and `ONLY` say.
    ///
    /// # Errors
    /// Where a part is named that there is not.
    pub fn from_env() -> anyhow::Result<Self> {
        let said = |name: &str| env::var(name).unwrap_or_default();
        Self::read(&said("LONG"), &said("ONLY"))
    }

    fn read(long: &str, only: &str) -> anyhow::Result<Self> {
        let only: Vec<_> = only.split([',', ' ']).filter(|part| !part.is_empty()).map(str::to_owned).collect();
        if let Some(unknown) = only.iter().find(|part| !PARTS.contains(&part.as_str())) {
            bail!("there is no part `{unknown}`; the parts are {}", PARTS.join(", "));
        }
        Ok(Self { is_long: !matches!(long, "" | "0"), only })
    }

    /// Whether a part runs.
    pub fn wants(&self, part: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|wanted| wanted == part)
    }

    /// The one for a quick run, or the one for a long run.
    pub fn pick<T>(&self, quick: T, long: T) -> T {
        if self.is_long { long } else { quick }
    }

    /// Turns of yardstick and subject.
    pub fn turns(&self) -> usize {
        self.pick(3, 7)
    }

    /// How long one turn of either lasts.
    pub fn turn(&self) -> Duration {
        self.pick(Duration::from_millis(1500), Duration::from_secs(5))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_chosen_by_name() {
        let all = Settings::read("", "").unwrap();
        assert!(!all.is_long && PARTS.iter().all(|part| all.wants(part)));
        let some = Settings::read("1", "ingest, views").unwrap();
        assert!(some.is_long && some.wants("ingest") && some.wants("views") && !some.wants("ledger"));
        assert!(Settings::read("", "ingets").unwrap_err().to_string().contains("ingest, synchronous"));
        assert!(!Settings::read("0", "").unwrap().is_long);
    }
}
