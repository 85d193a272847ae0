//! How often, for how long, and from which seed.

use std::{
    env,
    str::FromStr,
    time::{Duration, Instant},
};

use anyhow::anyhow;

/// What a run is told.
pub(crate) struct Settings {
    /// The seed of its first round; each further round has the next number.
    pub(crate) seed: u64,
    rounds: Option<u64>,
    end: Option<Instant>,
}

impl Settings {
    /// From the environment: one round with a fresh seed where nothing is said.
    pub(crate) fn from_env() -> anyhow::Result<Self> {
        let minutes: Option<u64> = read("CAPI_FAULTS_MINUTES")?;
        Ok(Self {
            seed: read("CAPI_FAULTS_SEED")?.unwrap_or_else(|| u64::from(rand::random::<u32>())),
            rounds: read("CAPI_FAULTS_ROUNDS")?,
            end: minutes.map(|minutes| Instant::now() + Duration::from_mins(minutes)),
        })
    }

    /// Whether another round follows so many.
    pub(crate) fn go_on_after(&self, rounds: u64) -> bool {
        let time_left = self.end.is_some_and(|end| Instant::now() < end);
        let most = self.rounds.unwrap_or(if self.end.is_some() { u64::MAX } else { 1 });
        rounds == 0 || (rounds < most && (time_left || self.end.is_none()))
    }
}

fn read<T: FromStr>(name: &str) -> anyhow::Result<Option<T>> {
    let Some(text) = env::var(name).ok().filter(|text| !text.is_empty()) else { return Ok(None) };
    text.parse().map(Some).map_err(|_| anyhow!("{name}={text} is not a number"))
}
