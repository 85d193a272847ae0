//! `capi backfill` through the whole pipeline: killed and resumed, without its endpoint, with a rate limit.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use e2e::{
    deployment::Deployment,
    event::{now, purchase, with, without},
    merchant::Merchant,
    operator::Said,
    wait,
};
use serde_json::{Value, json};
use tokio::{process::Child, time::sleep};

/// Calls at once: as many as may be repeated after a kill.
const CONNECTIONS: usize = 16;
const EIGHT_DAYS: i64 = 8 * 24 * 3600;

/// A merchant's input, and the command that sends it.
struct Input<'d> {
    deployment: &'d Deployment,
    merchant: &'d Merchant,
    file: PathBuf,
    key: PathBuf,
}

impl<'d> Input<'d> {
    fn new(deployment: &'d Deployment, merchant: &'d Merchant, name: &str, text: &str) -> anyhow::Result<Self> {
        let file = deployment.directory().join(format!("{}-{name}", merchant.business));
        let key = deployment.directory().join(format!("{}.key", merchant.business));
        fs::write(&file, text)?;
        fs::write(&key, format!("{}\n", merchant.key))?;
        Ok(Self { deployment, merchant, file, key })
    }

    fn beside(&self, ending: &str) -> PathBuf {
        PathBuf::from(format!("{}{ending}", self.file.display()))
    }

    fn start(&self, more: &[&str]) -> anyhow::Result<Child> {
        let (file, key) = (self.file.to_string_lossy(), self.key.to_string_lossy());
        let connections = CONNECTIONS.to_string();
        let command = ["backfill", &file, "--url", &self.merchant.ingest, "--business", &self.merchant.business];
        let how = ["--api-key-file", &key, "--connections", &connections];
        self.deployment.operator.start(&[&command[..], &how, more].concat())
    }

    /// Runs it to its end, which has this exit code; its report.
    async fn run(&self, code: i32, more: &[&str]) -> anyhow::Result<Value> {
        report(self.start(more)?, code).await
    }

    /// The journal's entries by their fates.
    fn entries(&self, fate: &str) -> Vec<Vec<String>> {
        let journal = fs::read_to_string(self.beside(".capi-journal")).unwrap_or_default();
        let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        // The last line may be about to be written.
        let whole = journal.rsplit_once('\n').map_or("", |(whole, _)| whole);
        whole.lines().map(words).filter(|words| words[0] == fate).collect()
    }

    /// Waits until so many lines have been accepted.
    async fn reaches(&self, accepted: usize) -> anyhow::Result<()> {
        wait::until("lines to be accepted", async || Ok((self.entries("accepted").len() >= accepted).then_some(())))
            .await
    }

    /// The merchant's rows, by their calls.
    async fn rows(&self) -> anyhow::Result<BTreeMap<String, Value>> {
        let select = format!(
            "SELECT toString(call_id) AS call, conversion_status, reason, order_id FROM calls WHERE business_id = '{}'",
            self.merchant.business
        );
        let rows = self.deployment.analyst.rows(&select).await?;
        let by_call = |row: Value| Some((row["call"].as_str()?.to_owned(), row));
        Ok(rows.into_iter().filter_map(by_call).collect())
    }

    /// How often each order was counted.
    async fn credited(&self) -> anyhow::Result<BTreeMap<String, usize>> {
        let mut credited = BTreeMap::new();
        for event in self.deployment.sandbox.credited(&self.merchant.dataset).await? {
            *credited.entry(event["event_id"].as_str().context("no event id")?.to_owned()).or_default() += 1;
        }
        Ok(credited)
    }
}

async fn report(child: Child, code: i32) -> anyhow::Result<Value> {
    let said = Said::of(child).await?;
    ensure!(said.code == code, "it ends with {}, not {code}: {} {}", said.code, said.stdout, said.stderr);
    said.stdout.lines().last().and_then(|line| serde_json::from_str(line).ok()).context("no report")
}

fn expect(report: &Value, wanted: &Value) -> anyhow::Result<()> {
    e2e::analyst::expect(report, wanted)
}

fn once(orders: impl Iterator<Item = String>) -> BTreeMap<String, usize> {
    orders.map(|order| (order, 1)).collect()
}

/// 3,000 lines, killed in the middle and resumed: no answered line is sent again, every order is counted once, the
/// report is that of the rows, and what was refused can be mended and sent.
pub(crate) async fn killed_and_resumed(deployment: &mut Deployment) -> anyhow::Result<()> {
    let merchant = Merchant::open(deployment).await?;
    // So that the kill comes in the middle, however fast the machine is.
    let limit = ["business", "put", &merchant.business, "--name", "Corner Shop", "--rate-limit", "500"];
    deployment.operator.one(&limit).await?;
    deployment.a_change_takes_effect().await;
    let input = Input::new(deployment, &merchant, "orders.ndjson", &lines()?)?;

    let mut killed = input.start(&[])?;
    input.reaches(700).await?;
    killed.kill().await?;
    let answered = input.entries("accepted").len() + input.entries("refused").len();
    ensure!(answered < 3000, "it was done before it was killed");

    let report = input.run(65, &["--wait"]).await?;
    expect(&report, &json!({"lines": 3000, "accepted": 2900, "refused": 100, "unknown": 0, "before": answered}))?;
    the_report_is_that_of_the_rows(&input, &report["verdicts"]).await?;
    let sent = input.rows().await?.len();
    ensure!((3000..=3000 + CONNECTIONS).contains(&sent), "{sent} calls for 3000 lines: answered ones were sent again");
    let sound = || (0..2700).map(|at| format!("ORD-{at}"));
    let credited = input.credited().await?;
    ensure!(credited == once(sound()), "not every order was counted once: {:?}", wrong(&credited));

    // Run again, it sends nothing and says the same.
    let again = input.run(65, &["--wait"]).await?;
    expect(&again, &json!({"accepted": 2900, "refused": 100, "before": 3000, "verdicts": report["verdicts"]}))?;
    ensure!(input.rows().await?.len() == sent, "a finished backfill was sent again");
    a_changed_input_is_noticed(&input).await?;

    let mended = mended(&input)?;
    let report = mended.run(0, &["--wait"]).await?;
    expect(&report["verdicts"], &json!({"forwarded": 100, "duplicate": 0, "rejected": 0}))?;
    let credited = input.credited().await?;
    ensure!(credited == once(sound().chain((0..100).map(|at| format!("BAD-{at}")))), "{:?}", wrong(&credited));
    Ok(())
}

/// Orders on lines, each once.
fn orders(count: usize) -> String {
    let orders: Vec<_> = (0..count).map(|at| purchase(&format!("ORD-{at}")).to_string()).collect();
    orders.join("\n")
}

/// 2,700 orders, and every 27 of them a repeated one, an old one and a refused one.
fn lines() -> anyhow::Result<String> {
    let mut text = String::new();
    for at in 0..2700 {
        writeln!(text, "{}", purchase(&format!("ORD-{at}")))?;
        if at % 27 == 26 {
            let number = at / 27;
            let old = purchase(&format!("OLD-{number}"));
            writeln!(text, "{}", purchase(&format!("ORD-{}", number * 7)))?;
            writeln!(text, "{}", with(&old, "/payload/event_time", json!(now() - EIGHT_DAYS)))?;
            writeln!(text, "{}", without(&purchase(&format!("BAD-{number}")), "/payload/currency"))?;
        }
    }
    Ok(text)
}

fn wrong(credited: &BTreeMap<String, usize>) -> (usize, Vec<(&String, &usize)>) {
    (credited.len(), credited.iter().filter(|(_, times)| **times != 1).take(5).collect())
}

/// The verdicts are those of the rows of the journal's calls.
async fn the_report_is_that_of_the_rows(input: &Input<'_>, verdicts: &Value) -> anyhow::Result<()> {
    let (accepted, rows) = (input.entries("accepted"), input.rows().await?);
    let lines: BTreeSet<_> = accepted.iter().map(|words| &words[1]).collect();
    ensure!(lines.len() == 2900 && accepted.len() == 2900, "a line has more than one answer");
    let mut by_status: BTreeMap<&str, u64> = BTreeMap::new();
    for words in &accepted {
        let row = rows.get(&words[3]).with_context(|| format!("call {} has no row", words[3]))?;
        *by_status.entry(row["conversion_status"].as_str().context("no status")?).or_default() += 1;
    }
    let count = |status: &str| by_status.get(status).copied().unwrap_or(0);
    let counts = json!({
        "forwarded": count("forwarded"), "duplicate": count("duplicate"), "rejected": count("rejected"),
        "possibly_duplicate": 0,
    });
    expect(verdicts, &counts)?;
    ensure!(count("forwarded") + count("duplicate") == 2800, "{by_status:?}");
    // What was credited for a call that the kill took the answer of shows as a duplicate.
    ensure!((2700 - CONNECTIONS as u64..=2700).contains(&count("forwarded")), "{by_status:?}");
    let reasons = &verdicts["by_reason"];
    ensure!(reasons[0]["reason"] == "EVENT_TOO_OLD" && reasons[0]["calls"] == 100, "{reasons}");
    ensure!(reasons.as_array().is_some_and(|reasons| reasons.len() == 1), "{reasons}");
    Ok(())
}

async fn a_changed_input_is_noticed(input: &Input<'_>) -> anyhow::Result<()> {
    let before = fs::read_to_string(&input.file)?;
    fs::write(&input.file, before.replacen("ORD-5\"", "ORD-5000\"", 1))?;
    let said = Said::of(input.start(&[])?).await?;
    ensure!(said.code == 65 && said.stderr.contains("line 6 of"), "{said:?}");
    let journal = fs::read_to_string(input.beside(".capi-journal"))?;
    fs::write(&input.file, before)?;
    ensure!(!journal.contains("sending"), "orders with ids need no such note");
    Ok(())
}

/// The file of refusals names every fault with its line; with the fault mended, it is an input.
fn mended<'d>(input: &Input<'d>) -> anyhow::Result<Input<'d>> {
    let text = fs::read_to_string(input.beside(".refused.ndjson"))?;
    let (mut mended, mut lines) = (String::new(), BTreeSet::new());
    for line in text.lines() {
        let mut refused: Value = serde_json::from_str(line)?;
        let violation = &refused["refused"]["violations"][0];
        ensure!(violation["field"] == "payload.currency" && violation["reason"] == "FIELD_REQUIRED", "{line}");
        lines.insert(refused["refused"]["line"].as_u64().context("no line")?);
        refused["call"]["payload"]["currency"] = json!("USD");
        writeln!(mended, "{refused}")?;
    }
    ensure!(lines == (1..=100).map(|number| number * 30).collect::<BTreeSet<_>>(), "{lines:?}");
    ensure!(text.lines().count() == 100, "a refusal stands there twice");
    Input::new(input.deployment, input.merchant, "mended.ndjson", &mended)
}

/// The endpoint is killed in the middle, and comes back; and then it hangs while a call without an order id is on its
/// way: that one is not sent again unless the operator says so.
pub(crate) async fn an_ingest_goes_away(deployment: &mut Deployment) -> anyhow::Result<()> {
    let merchant = Merchant::open(deployment).await?;
    let limit = ["business", "put", &merchant.business, "--name", "Corner Shop", "--rate-limit", "300"];
    deployment.operator.one(&limit).await?;
    deployment.a_change_takes_effect().await;
    let orders = orders(1200);
    let running = Input::new(deployment, &merchant, "orders.ndjson", &orders)?;
    let child = running.start(&["--wait"])?;
    running.reaches(200).await?;
    let file = running.file.clone();
    deployment.ingests[0].kill().await?;
    sleep(Duration::from_secs(2)).await;
    ensure!(accepted_in(&file) < 1200, "it was done before the endpoint went away");
    deployment.ingests[0].restart().await?;
    expect(&report(child, 0).await?, &json!({"lines": 1200, "accepted": 1200, "refused": 0, "unknown": 0}))?;
    let input = Input::new(deployment, &merchant, "orders.ndjson", &orders)?;
    let credited = input.credited().await?;
    ensure!(credited == once((0..1200).map(|at| format!("ORD-{at}"))), "{:?}", wrong(&credited));
    without_order_ids(deployment).await
}

fn accepted_in(file: &Path) -> usize {
    let journal = fs::read_to_string(format!("{}.capi-journal", file.display())).unwrap_or_default();
    journal.lines().filter(|line| line.starts_with("accepted ")).count()
}

async fn without_order_ids(deployment: &mut Deployment) -> anyhow::Result<()> {
    let merchant = Merchant::open(deployment).await?;
    let body = without(&purchase(""), "/payload/order_id");
    let text = format!("{body}\n").repeat(5);
    deployment.ingests[0].freeze().await?;
    let input = Input::new(deployment, &merchant, "views.ndjson", &text)?;
    let mut killed = input.start(&[])?;
    wait::until("a call on its way", async || Ok((!input.entries("sending").is_empty()).then_some(()))).await?;
    killed.kill().await?;
    deployment.ingests[0].thaw().await?;
    let input = Input::new(deployment, &merchant, "views.ndjson", &text)?;
    let report = input.run(1, &["--wait"]).await?;
    expect(&report, &json!({"accepted": 4, "unknown": 1, "refused": 0}))?;
    let again = input.run(1, &[]).await?;
    expect(&again, &json!({"accepted": 4, "unknown": 1, "before": 4}))?;
    let resent = input.run(0, &["--resend-unknown", "--wait"]).await?;
    expect(&resent, &json!({"accepted": 5, "unknown": 0, "before": 4}))?;
    expect(&resent["verdicts"], &json!({"forwarded": 5}))?;
    Ok(())
}

/// A table, for a business that may send 50 calls a second: all are accepted, however often the endpoint says 429.
pub(crate) async fn a_business_with_a_rate_limit(deployment: &Deployment) -> anyhow::Result<()> {
    let merchant = Merchant::open(deployment).await?;
    let limit = ["business", "put", &merchant.business, "--name", "Corner Shop", "--rate-limit", "50"];
    deployment.operator.one(&limit).await?;
    deployment.a_change_takes_effect().await;
    let mut table = "Order;Total;cnct_tracking_id;sendout_id;ctwa_clid;ad_id;lines\n".to_owned();
    for at in 0..200 {
        writeln!(table, "ORD-{at};12.50;t;s;click-{at};1202;\"[{{\"\"id\"\":\"\"sku\"\",\"\"quantity\"\":2}}]\"")?;
    }
    let input = Input::new(deployment, &merchant, "orders.csv", &table)?;
    let map = "order_id=Order,value=Total,currency=:USD,event_name=:Purchase,contents=lines";
    let report = input.run(0, &["--delimiter", ";", "--map", map, "--wait"]).await?;
    expect(&report, &json!({"accepted": 200, "refused": 0, "unknown": 0}))?;
    ensure!(report["retried"].as_u64().is_some_and(|retried| retried > 0), "the limit was never met: {report}");
    expect(&report["verdicts"], &json!({"forwarded": 200, "duplicate": 0}))?;
    let select = format!(
        "SELECT count() AS calls, sum(value) AS total, sum(`contents.quantity`[1]) AS units FROM calls \
         WHERE business_id = '{}'",
        merchant.business
    );
    expect(&deployment.analyst.one(&select).await?, &json!({"calls": 200, "total": "2500", "units": 400}))
}

/// A key that is not valid ends the backfill with its first call, and the journal has no line of it.
pub(crate) async fn a_key_that_is_not_valid(deployment: &Deployment) -> anyhow::Result<()> {
    let merchant = Merchant::open(deployment).await?;
    let orders = orders(100);
    let input = Input::new(deployment, &merchant, "orders.ndjson", &orders)?;
    fs::write(&input.key, "capi_unknown_key")?;
    let said = Said::of(input.start(&[])?).await?;
    ensure!(said.code == 65 && said.stderr.contains("API key"), "{said:?}");
    ensure!(input.rows().await?.len() <= 1, "it went on calling");
    fs::write(&input.key, &merchant.key)?;
    expect(&input.run(0, &[]).await?, &json!({"accepted": 100, "before": 0}))
}
