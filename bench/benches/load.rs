//! `make bench`: one table, each figure beside a yardstick of the same run. `LONG=1` takes its time, `ONLY=ingest,views`
//! runs some parts.

use std::{fs, process::ExitCode};

use anyhow::Context as _;
use bench::{
    machine::Machine,
    part::{self, Ground},
    settings::{PARTS, Settings},
    table::{Line, Table},
    yardstick,
};
use e2e::{analyst::Analyst, cluster::Cluster, deployment::client, stack::Stack};

/// Where the figures of a whole run are kept.
const RESULTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/RESULTS.md");

const PREFACE: &str = "\
# What it carries

Written by `make bench`; what each figure is, and how it is measured, stands in `bench/src/part/`. A yardstick is the least
service possible in the same turns on the same machine; a ratio is the median over the turns.

";

#[tokio::main]
#[expect(clippy::print_stderr, reason = "it is a program of its own")]
async fn main() -> ExitCode {
    match run().await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether every part could be measured.
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "what it is for")]
async fn run() -> anyhow::Result<bool> {
    if yardstick::serve_if_asked().await? {
        return Ok(true);
    }
    let settings = Settings::from_env()?;
    let scratch = Cluster::folder()?.join(format!("bench-{}", std::process::id()));
    fs::create_dir_all(&scratch)?;
    let stack = Stack::start(&scratch.join("stack")).await?;
    let cluster = Cluster::at(stack.brokers(), &stack.clickhouse())?;
    let mut machine = Machine::look(clickhouse_version(&cluster).await?);
    let ground = Ground { cluster: &cluster, settings: &settings, folder: &scratch };
    let (mut lines, mut is_whole) = (Vec::new(), true);
    for part in PARTS.iter().filter(|part| settings.wants(part)) {
        eprintln!("bench: {part}");
        match part::run(part, &ground).await {
            Ok(measured) => lines.extend(measured),
            Err(error) => {
                is_whole = false;
                eprintln!("bench: {part} failed: {error:#}");
            }
        }
    }
    machine.note("load after", Machine::load());
    print!("{}", report(&machine, &settings, &lines));
    if is_whole && settings.only.is_empty() {
        fs::write(RESULTS, format!("{PREFACE}{}", report(&machine, &settings, &lines))).context(RESULTS)?;
    }
    drop(stack);
    if is_whole {
        fs::remove_dir_all(&scratch)?;
    }
    Ok(is_whole)
}

fn report(machine: &Machine, settings: &Settings, lines: &[Line]) -> String {
    Table { machine, is_long: settings.is_long, lines }.to_string()
}

async fn clickhouse_version(cluster: &Cluster) -> anyhow::Result<String> {
    let analyst = Analyst::new(&cluster.clickhouse, "default", client()?);
    Ok(analyst.run("SELECT version()").await?.trim().to_owned())
}
