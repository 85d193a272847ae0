//! The fault suite: two ingests, two forwarders, two recorders and Meta's stand-in over a Kafka and a ClickHouse of their
//! own; merchants call in number while everything is killed, frozen, drained, cut off and restarted; then the checker says
//! whether anything was lost, doubled, or marked without cause.
//!
//! A seed says what is tried: the same seed gives the same load and the same schedule. `make test` runs one round with a
//! fresh seed; `make soak` as many as it is told. How often and how long comes from the environment:
//! `CAPI_FAULTS_SEED`, `CAPI_FAULTS_ROUNDS`, `CAPI_FAULTS_MINUTES`.

#[cfg(test)]
mod happened;
#[cfg(test)]
mod load;
#[cfg(test)]
mod perform;
#[cfg(test)]
mod round;
#[cfg(test)]
mod schedule;
#[cfg(test)]
mod settings;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let rounds = Trial::test("faults::nothing_is_lost_and_nothing_doubled", || {
        let runtime = tokio::runtime::Runtime::new()?;
        runtime.block_on(round::all()).map_err(|error| format!("{error:#}").into())
    });
    let repeats = Trial::test("faults::a_seed_repeats_load_and_schedule", || Ok(round::a_seed_repeats()?));
    let idle = Trial::test("faults::a_round_in_which_too_little_happened_is_none", || Ok(happened::too_little()?));
    libtest_mimic::run(&arguments, vec![repeats, idle, rounds]).exit_code()
}
