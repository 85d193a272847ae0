//! A rolling deploy under load, and the way back. The release before cannot read the newest versions of the messages
//! ([`earlier`]), so the rule is shown at work: first all readers, then the writers. And the rule broken: what the old
//! readers cannot read waits in the dead letters for the new ones, and nothing is lost.

mod earlier;

use std::{
    fs,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use anyhow::{bail, ensure};
use e2e::{
    answer::Answer,
    checker::{Finding, check},
    cluster::Cluster,
    deployment::{Deployment, Plan},
    event::purchase,
    gather,
    instance::Instance,
    merchant::Merchant,
    operator::Operator,
    wait,
};
use futures::{StreamExt as _, stream};
use serde_json::json;
use tokio::time::sleep;

use self::earlier::Earlier;
use crate::{
    crashes::patient,
    load::{Answered, holds, told},
};

/// Calls at once.
const AT_ONCE: usize = 8;
/// How often a caller tries, at one ingest after the other.
const TRIES: usize = 100;
/// How long it waits in between.
const PAUSE: Duration = Duration::from_millis(50);
/// All programs of a workspace are of one release.
const RELEASE: &str = env!("CARGO_PKG_VERSION");

/// The programs of a release, and the versions that they are told to write.
#[derive(Clone, Copy)]
struct Release<'a> {
    programs: &'a Cluster,
    schemas: &'static str,
}

/// Nothing is lost, doubled or buried, every call is answered, and a call says which release took it as soon as every
/// worker on its way writes that.
pub(crate) async fn a_rolling_deploy_and_back(cluster: &Cluster) -> anyhow::Result<()> {
    // Two of each, so that there is always one to go on.
    let plan = patient(Plan { ingests: 2, forwarders: 2, recorders: 2, ..Plan::default() });
    before_the_deploy(cluster, "upgrade", &plan, async |deployment, before| {
        deployment.sandbox.put("latency?latency=40ms").await?;
        let merchant = Merchant::open(deployment).await?;
        let at_either = [merchant.clone(), merchant.at(deployment.ingest_url(1))];
        let over = AtomicBool::new(false);
        let deploys = async {
            let deployed = deploy_and_back(deployment, &merchant, cluster, before).await;
            over.store(true, Ordering::Relaxed);
            deployed
        };
        let (answered, deployed) = tokio::join!(load(&at_either, &over), deploys);
        deployed?;
        let ended = holds(deployment, &merchant, answered?).await?;
        ensure!(ended.marked == 0, "{} calls are marked without a reason", ended.marked);
        let buried = deployment.operator.list(&["dead-letters", "list"]).await?;
        ensure!(buried.is_empty(), "buried: {buried:?}");
        Ok(())
    })
    .await
}

/// The rule is broken: a worker writes the newest versions while its readers are of the release before. What they cannot
/// read is buried, which they say, and nothing of it reaches Meta; what they can read goes on. Once there are workers that
/// can, it is sent back, and each call ends as if nothing had been.
pub(crate) async fn a_writer_before_its_readers(cluster: &Cluster) -> anyhow::Result<()> {
    before_the_deploy(cluster, "too-early", &Plan::default(), async |deployment, _| {
        let merchant = Merchant::open(deployment).await?;
        let newest = Release { programs: cluster, schemas: "newest" };
        replace(&mut deployment.ingests, newest).await?;
        let live = merchant.prefer("wait=1", &purchase("live")).await?;
        live.expect(200, "pending")?;
        let backfilled = merchant.prefer("respond-async", &purchase("backfilled")).await?;
        backfilled.expect(202, "pending")?;
        are_buried(deployment).await?;
        ensure!(deployment.sandbox.requests(&merchant.dataset).await? == 0, "Meta was asked");

        let released = Release { schemas: "released", ..newest };
        replace(&mut deployment.ingests, released).await?;
        takes(deployment, &merchant, "readable", "").await?;

        replace(&mut deployment.forwarders, released).await?;
        replace(&mut deployment.recorders, released).await?;
        deployment.operator.list(&["dead-letters", "redrive"]).await?;
        for answer in [&live, &backfilled] {
            let row = deployment.analyst.final_row(answer.call).await?;
            ensure!(row["conversion_status"] == "forwarded" && row["possibly_duplicate"] == false, "{row}");
        }
        let told = vec![told(&merchant, "live", &live), told(&merchant, "backfilled", &backfilled)];
        let findings = check(&gather::evidence(deployment, &[merchant], told, Vec::new()).await?);
        // The letters stay where they are, and say that they were sent back.
        ensure!(matches!(findings[..], [Finding::DeadLetters { .. }]), "{findings:?}");
        let letters = deployment.operator.list(&["dead-letters", "list"]).await?;
        ensure!(letters.iter().all(|letter| letter["redriven"] == true), "{letters:?}");
        Ok(())
    })
    .await
}

/// Users of the console are put while workers of the release before run: those say that they cannot read them, and take
/// calls and change keys as if nothing had been, also once they start anew. The new ones mind nothing of it.
pub(crate) async fn users_before_their_readers(cluster: &Cluster) -> anyhow::Result<()> {
    before_the_deploy(cluster, "users", &Plan::default(), async |deployment, _| {
        let directory = deployment.directory().to_owned();
        let capi = Operator::new(cluster.program("capi")?, deployment.environment().to_vec(), directory);
        let put = ["user", "put", "ada", "--role", "operator"];
        let said = capi.run_reading("correct horse battery", &put).await?;
        ensure!(said.code == 0, "{said:?}");
        let merchant = Merchant::open(deployment).await?;
        takes(deployment, &merchant, "beside-users", "").await?;
        cannot_read(deployment, true).await?;
        let old = deployment.operator.run(&["user", "list"]).await?;
        ensure!(old.code == 65 && old.stderr.contains("unknown schema"), "{old:?}");
        deployment.ingests[0].drain().await?;
        deployment.ingests[0].restart().await?;
        takes(deployment, &merchant, "restarted", "").await?;

        let released = Release { programs: cluster, schemas: "released" };
        for workers in [&mut deployment.ingests, &mut deployment.forwarders, &mut deployment.recorders] {
            replace(workers, released).await?;
        }
        takes(deployment, &merchant, "deployed", "").await?;
        cannot_read(deployment, false).await?;
        let users = capi.list(&["user", "list"]).await?;
        ensure!(users.len() == 1 && users[0]["name"] == "ada", "{users:?}");
        Ok(())
    })
    .await
}

/// Whether the workers that read the directory count something in it that they cannot read.
async fn cannot_read(deployment: &Deployment, expected: bool) -> anyhow::Result<()> {
    let counts = [
        (&deployment.ingests[0], r#"capi_ingest_unreadable_total{topic="directory"}"#),
        (&deployment.forwarders[0], "capi_forwarder_directory_unreadable_total"),
    ];
    for (worker, metric) in counts {
        let (_, page) = worker.admin_page("/metrics").await?;
        let count = page.lines().find_map(|line| line.strip_prefix(metric)).map(str::trim);
        ensure!(count == Some(if expected { "1" } else { "0" }), "{metric} is {count:?}");
    }
    Ok(())
}

/// The live event, its row that says pending, and the event of the backfill for each of the two groups that read it.
async fn are_buried(deployment: &Deployment) -> anyhow::Result<()> {
    let letters = wait::until("four letters", async || {
        let letters = deployment.operator.list(&["dead-letters", "list"]).await?;
        Ok((letters.len() == 4).then_some(letters))
    })
    .await?;
    let unknown = |reason: &serde_json::Value| reason.as_str().is_some_and(|why| why.contains("unknown schema"));
    ensure!(letters.iter().all(|letter| unknown(&letter["reason"])), "{letters:?}");
    for reader in deployment.forwarders.iter().chain(&deployment.recorders) {
        let said = fs::read_to_string(reader.log())?;
        ensure!(said.contains("unknown schema"), "{} does not say why", reader.log().display());
    }
    Ok(())
}

/// Runs a test on a deployment of the release before.
async fn before_the_deploy(
    cluster: &Cluster,
    name: &str,
    plan: &Plan,
    test: impl AsyncFnOnce(&mut Deployment, &Cluster) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let earlier = Earlier::of(cluster)?;
    let before = cluster.with_programs(&earlier.programs());
    let mut deployment = Deployment::start(&before, name, plan).await?;
    let outcome = test(&mut deployment, &before).await;
    outcome.map_err(|error| error.context(deployment.tails()))?;
    deployment.discard()?;
    earlier.discard()
}

/// The writers are replaced before their readers, which is the worst order.
async fn deploy_and_back(
    deployment: &mut Deployment,
    merchant: &Merchant,
    cluster: &Cluster,
    before: &Cluster,
) -> anyhow::Result<()> {
    let old = Release { programs: before, schemas: "released" };
    let new = Release { programs: cluster, schemas: "released" };
    let newest = Release { schemas: "newest", ..new };
    takes(deployment, merchant, "before", "").await?;
    // The migrations of a release come first, and the workers of the one before go on.
    deployment.operator.list(&["setup"]).await?;
    replace(&mut deployment.ingests, new).await?;
    takes(deployment, merchant, "old-forwarders", "").await?;
    replace(&mut deployment.forwarders, new).await?;
    takes(deployment, merchant, "old-recorders", "").await?;
    replace(&mut deployment.recorders, new).await?;
    takes(deployment, merchant, "deployed", "").await?;

    // Every worker reads the newest versions: now they may be written.
    replace(&mut deployment.ingests, newest).await?;
    takes(deployment, merchant, "released-rows", "").await?;
    replace(&mut deployment.forwarders, newest).await?;
    takes(deployment, merchant, "newest", RELEASE).await?;

    replace(&mut deployment.forwarders, new).await?;
    replace(&mut deployment.ingests, new).await?;
    takes(deployment, merchant, "half-way-back", "").await?;
    is_read(deployment).await?;
    for workers in [&mut deployment.recorders, &mut deployment.forwarders, &mut deployment.ingests] {
        replace(workers, old).await?;
    }
    takes(deployment, merchant, "back", "").await
}

/// What was written so far is read: only then may workers come that cannot read it.
async fn is_read(deployment: &Deployment) -> anyhow::Result<()> {
    let written = gather::offsets(deployment).await?;
    wait::until("the groups to read what was written", async || {
        let read = gather::offsets(deployment).await?;
        Ok(read.iter().zip(&written).all(|(now, then)| now.committed >= then.end).then_some(()))
    })
    .await
}

/// One worker after the other, so that old and new stand side by side meanwhile.
async fn replace(instances: &mut [Instance], by: Release<'_>) -> anyhow::Result<()> {
    for instance in instances {
        let status = instance.drain().await?;
        ensure!(status.code() == Some(0), "{} ends with {status}", instance.log().display());
        instance.becomes(|name| by.programs.program(name))?;
        instance.set("CAPI_WRITE_SCHEMAS", by.schemas);
        instance.restart().await?;
    }
    Ok(())
}

/// A call of this time ends forwarded in either lane, and its row says this release.
async fn takes(deployment: &Deployment, merchant: &Merchant, order: &str, release: &str) -> anyhow::Result<()> {
    let live = merchant.call(&purchase(order)).await?;
    live.expect(200, "forwarded")?;
    let backfilled = merchant.prefer("respond-async", &purchase(&format!("{order}-async"))).await?;
    backfilled.expect(202, "pending")?;
    for answer in [live, backfilled] {
        deployment.analyst.final_row(answer.call).await?;
        let select = format!("SELECT release FROM call_records FINAL WHERE call_id = '{}'", answer.call);
        let row = deployment.analyst.one(&select).await?;
        ensure!(row == json!({"release": release}), "{order}: {row}, not {release:?}");
    }
    Ok(())
}

/// Calls until it is over, each for an order of its own.
async fn load(at_either: &[Merchant; 2], over: &AtomicBool) -> anyhow::Result<Answered> {
    let going_on = |_: &usize| std::future::ready(!over.load(Ordering::Relaxed));
    let calls = stream::iter(0..).take_while(going_on).map(async |at: usize| {
        let order = format!("ORD-{at}");
        anyhow::Ok(told(&at_either[0], &order, &answered(at_either, at, &order).await?))
    });
    let answers: Vec<_> = calls.buffer_unordered(AT_ONCE).collect().await;
    let told = answers.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
    Ok(Answered { told, unanswered: Vec::new() })
}

/// Calls one ingest, and the other where the one is away, as behind a load balancer.
async fn answered(at_either: &[Merchant; 2], at: usize, order: &str) -> anyhow::Result<Answer> {
    let body = purchase(order);
    for merchant in at_either.iter().cycle().skip(at % 2).take(TRIES) {
        match merchant.call(&body).await {
            Ok(answer) if answer.status == 200 => return Ok(answer),
            // It drains, or is not there.
            Ok(answer) if answer.status != 503 => bail!("{order} is answered {} {}", answer.status, answer.body),
            _ => sleep(PAUSE).await,
        }
    }
    bail!("{order} is not answered in {TRIES} tries")
}
