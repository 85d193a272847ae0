//! One round: a stack, a deployment, the load and the schedule at once, and the checker's word on what is left.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Mutex,
    time::Instant,
};

use anyhow::{Context as _, bail, ensure};
use e2e::{
    checker::{Evidence, check},
    cluster::Cluster,
    deployment::{Deployment, Plan},
    gather,
    history::Fault,
    instance::Instance,
    line::Line,
    merchant::Merchant,
    port,
    stack::Stack,
};
use futures::future::try_join_all;
use rand::{SeedableRng as _, rngs::StdRng};

use crate::{
    happened::{Seen, missing},
    load::{self, Planned},
    perform::{ToMeta, USUAL_LATENCY, perform},
    schedule::{self, Schedule},
    settings::Settings,
};

/// Instances of each worker.
const INSTANCES: usize = 2;
/// Businesses, each with a dataset.
const MERCHANTS: usize = 4;

/// What a seed says.
fn plan(seed: u64) -> (Vec<Planned>, Schedule) {
    let mut random = StdRng::seed_from_u64(seed);
    (load::plan(&mut random, MERCHANTS), schedule::plan(&mut random, INSTANCES))
}

/// A run can be tried again only if its seed says all of it.
pub(crate) fn a_seed_repeats() -> anyhow::Result<()> {
    ensure!(plan(7) == plan(7), "one seed, two plans");
    ensure!(plan(7) != plan(8), "two seeds, one plan");
    for seed in 0..100 {
        let (calls, schedule) = plan(seed);
        ensure!(load::is_whole(&calls), "seed {seed} lacks a click id, a form or a preference");
        ensure!(schedule.workers.iter().all(|(_, _, track)| !track.is_empty()), "seed {seed} spares a worker");
    }
    Ok(())
}

/// As many rounds as were asked for. The first that fails ends them.
pub(crate) async fn all() -> anyhow::Result<()> {
    let settings = Settings::from_env()?;
    let mut rounds = 0;
    while settings.go_on_after(rounds) {
        let seed = settings.seed.wrapping_add(rounds);
        let start = Instant::now();
        println!("faults: seed {seed} (again with: make soak SEED={seed} ROUNDS=1)");
        let told = round(seed).await.with_context(|| format!("seed {seed}"))?;
        println!("faults: seed {seed}: {told}, {} s", start.elapsed().as_secs());
        rounds += 1;
    }
    Ok(())
}

/// A round; where all is well its folder goes.
async fn round(seed: u64) -> anyhow::Result<String> {
    let folder = Cluster::folder()?.join(format!("faults-{seed}-{}", std::process::id()));
    let stack = Stack::start(&folder.join("stack")).await?;
    let done = Mutex::default();
    let outcome = on(&stack, seed, &folder, &done).await;
    drop(stack);
    let told = outcome?;
    fs::remove_dir_all(folder)?;
    Ok(told)
}

async fn on(stack: &Stack, seed: u64, folder: &Path, done: &Mutex<Vec<Fault>>) -> anyhow::Result<String> {
    let cluster = Cluster::at(stack.brokers(), &stack.clickhouse())?;
    let near = port::free()?;
    let workers = Plan { ingests: INSTANCES, forwarders: INSTANCES, recorders: INSTANCES, ..Plan::default() };
    // Odd seeds are dynamic members of their groups, even ones static: both are deployed.
    let workers = Plan { is_static: seed.is_multiple_of(2), ..workers };
    let workers = workers.set("CAPI_META_URL", format!("http://{near}")).set("CAPI_META_TIMEOUT", "4s");
    let mut deployment = Deployment::start(&cluster, "faults", &workers).await?;
    match under_faults(stack, &mut deployment, near, seed, done).await {
        Ok((seen, evidence)) => {
            let missing = missing(&plan(seed).1, &seen, &evidence).into_iter();
            let findings = check(&evidence).into_iter().map(|finding| finding.to_string());
            let findings: Vec<_> = findings.chain(missing).map(|finding| format!("* {finding}")).collect();
            if findings.is_empty() {
                deployment.discard()?;
                return Ok(summary(&evidence));
            }
            bail!("{}", report(&findings.join("\n"), seed, folder, &mut deployment, stack, done))
        }
        Err(error) => bail!("{}", report(&format!("* {error:#}"), seed, folder, &mut deployment, stack, done)),
    }
}

async fn under_faults(
    stack: &Stack,
    deployment: &mut Deployment,
    near: std::net::SocketAddr,
    seed: u64,
    done: &Mutex<Vec<Fault>>,
) -> anyhow::Result<(Seen, Evidence)> {
    let (calls, schedule) = plan(seed);
    let far = deployment.sandbox.url().trim_start_matches("http://").to_owned();
    let mut to_meta = ToMeta { near, far: far.clone(), line: Some(Line::open(near, far).await?) };
    deployment.sandbox.put(&format!("latency?latency={USUAL_LATENCY}")).await?;
    let merchants = try_join_all((0..MERCHANTS).map(|_| Merchant::open(deployment))).await?;
    let ingests: Vec<_> = (0..INSTANCES).map(|ingest| deployment.ingest_url(ingest)).collect();
    // Where one of them fails, nobody waits for the other.
    let (told, ()) = tokio::try_join!(
        load::run(&calls, &merchants, &ingests),
        perform(&schedule, deployment, stack, &mut to_meta, done)
    )?;
    let faults = done.lock().unwrap().clone();
    let evidence = gather::evidence(deployment, &merchants, told, faults).await?;
    Ok((seen(deployment, &calls).await?, evidence))
}

/// Asked once all is at rest: what came to Meta last was seen too.
async fn seen(deployment: &mut Deployment, calls: &[Planned]) -> anyhow::Result<Seen> {
    let deeds = |instance: &mut Instance| instance.history().iter().map(|fault| fault.deed).collect();
    let workers = deployment.numbered().map(|(kind, number, instance)| (kind, number, deeds(instance))).collect();
    let statistics = deployment.sandbox.get("stats").await?;
    let answers = statistics["outcomes"].as_object().context("the sandbox counts no outcomes")?;
    Ok(Seen {
        forms: calls.iter().map(|call| call.form).collect(),
        workers,
        answers: answers.keys().cloned().collect(),
    })
}

/// What a round was about.
fn summary(evidence: &Evidence) -> String {
    let marked = evidence.rows.iter().filter(|row| row.marked).count();
    let doubled = evidence.counted.values().filter(|times| **times > 1).count();
    format!(
        "{} answers, {} rows, {} orders at Meta, {doubled} of them counted twice, {marked} calls marked, {} faults",
        evidence.told.len(),
        evidence.rows.len(),
        evidence.counted.len(),
        evidence.faults.len()
    )
}

/// All that is needed to find the cause.
fn report(
    findings: &str,
    seed: u64,
    folder: &Path,
    deployment: &mut Deployment,
    stack: &Stack,
    done: &Mutex<Vec<Fault>>,
) -> String {
    let mut faults = done.lock().unwrap().clone();
    faults.extend(deployment.instances().flat_map(|instance| instance.history().to_vec()));
    faults.sort_by_key(|fault| fault.from);
    let faults: Vec<_> = faults.iter().map(ToString::to_string).collect();
    let folders: [PathBuf; 2] = [folder.to_owned(), deployment.directory().to_owned()];
    format!(
        "{}{}\nseed {seed}: make soak SEED={seed} ROUNDS=1\nwhat was done, in Unix milliseconds:\n{}\nkept: {folders:?}\n{findings}",
        deployment.tails(),
        stack.tails(),
        faults.join("\n"),
    )
}
