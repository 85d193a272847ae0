//! Kafka is away, killed or hanging: calls are told so, nothing is sent to Meta, nobody floods or spins, and all that was
//! acknowledged is there when it is back, once.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use e2e::{
    answer::Answer,
    checker::{Told, check},
    cluster::Cluster,
    deployment::{Deployment, Plan},
    event::{fresh, purchase},
    gather,
    history::{Deed, Fault, now_ms},
    instance::Instance,
    merchant::Merchant,
    stack::{Engine, Stack},
    usage, wait,
};
use futures::future::try_join_all;
use tokio::time::sleep;

use crate::load::told;

/// Orders that are acknowledged and not yet forwarded when Kafka goes.
const WAITING: usize = 60;
/// What Meta takes for each of them: all of them take longer than an outage lasts.
const LATENCY: &str = "latency?latency=500ms";
/// An intent that was read back before may still be acted on for 5 s (rule 8); the rest is for a busy machine.
const LAST_INTENTS: Duration = Duration::from_secs(7);
/// How long each worker is watched after that.
const WATCHED: Duration = Duration::from_secs(5);
/// An event has 5 s to be acknowledged, and no caller waits much longer; the rest is for a busy machine.
const ANSWERED: Duration = Duration::from_secs(30);
/// Lines that one worker may write about one outage.
const LINES: usize = 20;
/// Lines that its Kafka clients may add, of connections that are reset as soon as they are made: these may also say why.
const CLIENTS_LINES: usize = 12;

pub(crate) async fn kafka_comes_and_goes(cluster: &Cluster) -> anyhow::Result<()> {
    let local = cluster.scratch().join(fresh("e2e-kafka"));
    let stack = Stack::kafka(&local).await?;
    let cluster = cluster.with(stack.brokers(), &cluster.clickhouse);
    let mut deployment = Deployment::start(&cluster, "kafka-away", &Plan::default()).await?;
    let outcome = killed_and_frozen(&mut deployment, &stack).await;
    outcome.map_err(|error| error.context(format!("{}{}", deployment.tails(), stack.tails())))?;
    deployment.discard()?;
    drop(stack);
    Ok(fs::remove_dir_all(local)?)
}

async fn killed_and_frozen(deployment: &mut Deployment, stack: &Stack) -> anyhow::Result<()> {
    let merchant = Merchant::open(deployment).await?;
    let one_at_a_time = ["--max-concurrency", "1"];
    deployment.operator.put_channel(&merchant.business, &merchant.waba, &merchant.dataset, &one_at_a_time).await?;
    deployment.a_change_takes_effect().await;
    let mut outages = Outages { deployment, merchant, told: Vec::new(), faults: Vec::new() };

    let from = outages.load("killed").await?;
    stack.kill(Engine::Kafka).await?;
    outages.away("killed").await?;
    stack.restart(Engine::Kafka).await?;
    outages.back("killed", from).await?;

    let from = outages.load("frozen").await?;
    stack.freeze(Engine::Kafka)?;
    outages.away("frozen").await?;
    stack.thaw(Engine::Kafka)?;
    outages.back("frozen", from).await?;

    let Outages { deployment, merchant, told, faults } = outages;
    let evidence = gather::evidence(deployment, &[merchant], told, faults).await?;
    let findings: Vec<_> = check(&evidence).iter().map(ToString::to_string).collect();
    ensure!(findings.is_empty(), "{}", findings.join("\n"));
    Ok(())
}

/// A merchant through outages: what it was told, and what was done.
struct Outages<'a> {
    deployment: &'a mut Deployment,
    merchant: Merchant,
    told: Vec<Told>,
    faults: Vec<Fault>,
}

impl Outages<'_> {
    /// Acknowledged orders that are still to be forwarded; says when.
    async fn load(&mut self, outage: &str) -> anyhow::Result<i64> {
        self.deployment.sandbox.put(LATENCY).await?;
        let merchant = &self.merchant;
        let calls = (0..WAITING).map(async |at| {
            let order = format!("{outage}-{at}");
            let prefer = if at % 4 == 0 { "respond-async" } else { "wait=0" };
            // On a machine with too much to do, Kafka may need longer than a call waits: it is sent again, as it says.
            let answer = wait::until("an order to be taken", async || {
                let answer = merchant.prefer(prefer, &purchase(&order)).await?;
                ensure!(answer.status < 300 || answer.status == 503, "{} {}", answer.status, answer.body);
                Ok((answer.status < 300).then_some(answer))
            });
            anyhow::Ok(told(merchant, &order, &answer.await?))
        });
        self.told.extend(try_join_all(calls).await?);
        Ok(now_ms())
    }

    async fn away(&mut self, outage: &str) -> anyhow::Result<()> {
        let began = Instant::now();
        let lines = self.each(|worker| lines_of(worker.log()))?;
        is_unavailable(&self.merchant, outage).await?;
        for worker in self.deployment.instances() {
            says_away(worker).await?;
        }
        is_unavailable(&self.merchant, outage).await?;

        sleep(LAST_INTENTS.saturating_sub(began.elapsed())).await;
        let asked = self.deployment.sandbox.requests(&self.merchant.dataset).await?;
        let busy = self.each(|worker| usage::cpu(worker.pid()))?;
        let watched = Instant::now();
        sleep(WATCHED).await;
        let (busy_now, wall) = (self.each(|worker| usage::cpu(worker.pid()))?, watched.elapsed());
        for (was, is) in busy.iter().zip(&busy_now) {
            ensure!(is.saturating_sub(*was) < wall / 4, "a worker spins: from {busy:?} to {busy_now:?} in {wall:?}");
        }
        let asked_now = self.deployment.sandbox.requests(&self.merchant.dataset).await?;
        ensure!(asked_now == asked, "Meta was asked {} times without Kafka", asked_now - asked);
        let lines_now = self.each(|worker| lines_of(worker.log()))?;
        for (was, is) in lines.iter().zip(&lines_now) {
            let flooded = is.own - was.own >= LINES || is.clients - was.clients >= CLIENTS_LINES;
            ensure!(!flooded, "a worker floods its log: from {lines:?} to {lines_now:?}");
        }
        for worker in self.deployment.instances() {
            // Still so, after all that.
            says_away(worker).await?;
            ensure!(worker.ended_by_itself()?.is_none(), "{:?}", worker.ended_by_itself());
        }
        Ok(())
    }

    /// Everyone is there again by itself, and a call is taken at once; also those that were not taken meanwhile.
    async fn back(&mut self, outage: &str, from: i64) -> anyhow::Result<()> {
        self.deployment.sandbox.put("latency?latency=0ms").await?;
        for worker in self.deployment.instances() {
            worker.ready().await?;
        }
        self.faults.push(Fault { deed: Deed::KafkaKilled, of: "kafka".into(), from, until: now_ms() });
        for order in [format!("{outage}-new"), away_order(outage)] {
            let answer = self.merchant.prefer("wait=0", &purchase(&order)).await?;
            answer.expect(200, "pending").context("ready, and does not take a call")?;
            self.told.push(told(&self.merchant, &order, &answer));
        }
        Ok(())
    }

    fn each<T>(&mut self, ask: impl Fn(&Instance) -> anyhow::Result<T>) -> anyhow::Result<Vec<T>> {
        self.deployment.instances().map(|worker| ask(worker)).collect()
    }
}

/// An order whose call is refused while Kafka is away, and sent again as it says.
fn away_order(outage: &str) -> String {
    format!("{outage}-away")
}

async fn is_unavailable(merchant: &Merchant, outage: &str) -> anyhow::Result<()> {
    let began = Instant::now();
    let answer: Answer = merchant.call(&purchase(&away_order(outage))).await?;
    answer.expect_error(503, "UNAVAILABLE")?;
    ensure!(began.elapsed() < ANSWERED, "the answer took {:?}", began.elapsed());
    ensure!(answer.header("retry-after").parse::<u64>().is_ok(), "{:?}", answer.headers);
    answer.detail("RetryInfo").map(|_| ())
}

/// It lives, and says that it is not ready and why, once it has noticed.
async fn says_away(worker: &Instance) -> anyhow::Result<()> {
    wait::until(&format!("{} to miss Kafka", worker.log().display()), async || {
        let (ready, says) = worker.admin_page("/readyz").await?;
        let says: serde_json::Value = serde_json::from_str(&says)?;
        // Calls and rows need brokers that answer; a forwarder that has lost its partitions to time says that.
        let away = says["dependencies"]["kafka"]["up"] == false || says["dependencies"]["partitions"]["up"] == false;
        Ok((ready == 503 && away).then_some(()))
    })
    .await?;
    let (alive, _) = worker.admin_page("/livez").await?;
    ensure!(alive == 200, "{} is not alive: {alive}", worker.log().display());
    Ok(())
}

/// The lines of a log.
#[derive(Debug)]
struct Lines {
    own: usize,
    /// Of librdkafka itself.
    clients: usize,
}

fn lines_of(log: &Path) -> anyhow::Result<Lines> {
    let text = String::from_utf8_lossy(&fs::read(log)?).into_owned();
    let clients = text.lines().filter(|line| line.contains(" librdkafka: ")).count();
    Ok(Lines { own: text.lines().count() - clients, clients })
}
