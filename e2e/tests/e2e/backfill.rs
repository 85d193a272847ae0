//! A backfill that meets no forwarder at first, so that its batches are large: `pending` rows, the search for the bad
//! event, and a batch that Meta counts short.

use anyhow::ensure;
use e2e::{
    analyst::expect,
    deployment::{Deployment, Plan},
    event::{fresh, purchase, with_click},
    instance::Kind,
    merchant::Merchant,
    wait,
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::{Value, json};
use uuid::Uuid;

/// Calls at once.
const AT_ONCE: usize = 32;

pub(crate) fn plan() -> Plan {
    Plan { forwarders: 0, ..Plan::default() }
}

/// 1,000 calls, one of them with a bad click: 999 are forwarded once, and the bad one alone is rejected.
pub(crate) async fn a_bad_event_among_a_thousand(deployment: &mut Deployment) -> anyhow::Result<()> {
    let (merchant, short) = (Merchant::open(deployment).await?, Merchant::open(deployment).await?);
    let one_at_a_time = ["--max-concurrency", "1"];
    deployment.operator.put_channel(&merchant.business, &merchant.waba, &merchant.dataset, &one_at_a_time).await?;
    let calls = send(&merchant, 1000, 617, "sandbox-invalid-clid").await?;
    send(&short, 200, 100, "sandbox-drop").await?;

    // No forwarder runs, and yet each call has its row: a backfill's progress is one SELECT.
    for (merchant, count) in [(&merchant, 1000), (&short, 200)] {
        let pending = json!([{"conversion_status": "pending", "http_status": 202, "lane": "backfill", "calls": count}]);
        progress(deployment, merchant, &pending).await?;
    }
    ensure!(deployment.sandbox.requests(&merchant.dataset).await? == 0, "who sent that?");

    // While the first request waits for its answer, all that is behind it becomes one batch.
    let (sandbox, dataset) = (deployment.sandbox.clone(), merchant.dataset.as_str());
    sandbox.put(&format!("latency?latency=1500ms&dataset={dataset}")).await?;
    deployment.add(Kind::Forwarder)?;
    wait::until("the first request", async || Ok((sandbox.requests(dataset).await? > 0).then_some(()))).await?;
    sandbox.clear(dataset).await?;
    let done = json!([
        {"conversion_status": "forwarded", "http_status": 202, "lane": "backfill", "calls": 999},
        {"conversion_status": "rejected", "http_status": 202, "lane": "backfill", "calls": 1},
    ]);
    progress(deployment, &merchant, &done).await?;
    let bad = deployment.analyst.row(calls[617]).await?;
    let columns = json!({
        "conversion_status": "rejected", "reason": "META_REJECTED", "meta_error_subcode": 2_804_087,
        "error": "Messaging Event Invalid Ctwa Clid", "possibly_duplicate": false,
    });
    expect(&bad, &columns)?;
    let select =
        format!("SELECT countIf(possibly_duplicate) AS marked FROM calls WHERE business_id = '{}'", merchant.business);
    ensure!(deployment.analyst.one(&select).await?["marked"] == 0, "marked without a reason");
    let tally = deployment.sandbox.tally(&merchant.dataset).await?;
    ensure!(tally["credited"] == 999, "{tally}");
    let repeated = deployment.sandbox.get("credited/repeated").await?;
    ensure!(repeated["repeated"] == 0, "{repeated}");
    ensure!(largest_batch(deployment, &merchant).await? >= 500, "no batch was formed");
    counted_short(deployment, &short).await
}

/// Events of a batch that Meta counts short: forwarded, with the reason, and never sent again on their own.
async fn counted_short(deployment: &Deployment, merchant: &Merchant) -> anyhow::Result<()> {
    let forwarded = json!([{"conversion_status": "forwarded", "http_status": 202, "lane": "backfill", "calls": 200}]);
    progress(deployment, merchant, &forwarded).await?;
    let select = format!(
        "SELECT reason, events_received, count() AS calls FROM calls WHERE business_id = '{}' GROUP BY ALL ORDER BY ALL",
        merchant.business
    );
    let rows = deployment.analyst.rows(&select).await?;
    let of = |reason: &str| rows.iter().find(|row| row["reason"] == reason);
    let short = of("META_DROPPED").filter(|row| row["events_received"].is_null());
    ensure!(short.and_then(|row| row["calls"].as_u64()).is_some_and(|calls| calls >= 2), "{rows:?}");
    ensure!(of("").is_none_or(|row| row["events_received"] == 1), "{rows:?}");
    let tally = deployment.sandbox.tally(&merchant.dataset).await?;
    ensure!(tally["credited"] == 199 && tally["events"] == 200, "{tally}");
    // From now on each event of this dataset goes alone, so that the next drop has a name.
    let dropped = merchant.call(&with_click("sandbox-drop", &fresh("ORD"))).await?;
    dropped.expect_error(400, "META_DROPPED")?;
    Ok(())
}

/// Sends `count` calls down the backfill lane; the one at `odd` has this click id.
async fn send(merchant: &Merchant, count: usize, odd: usize, click: &str) -> anyhow::Result<Vec<Uuid>> {
    let call = async |at: usize| {
        let order = format!("ORD-{at}");
        let body = if at == odd { with_click(click, &order) } else { purchase(&order) };
        let answer = merchant.prefer("respond-async", &body).await?;
        answer.expect(202, "pending")?;
        anyhow::Ok(answer.call)
    };
    stream::iter(0..count).map(call).buffered(AT_ONCE).try_collect().await
}

/// Waits until the merchant's calls stand like this.
async fn progress(deployment: &Deployment, merchant: &Merchant, wanted: &Value) -> anyhow::Result<()> {
    let select = format!(
        "SELECT conversion_status, http_status, lane, count() AS calls FROM calls WHERE business_id = '{}' \
         GROUP BY ALL ORDER BY ALL",
        merchant.business
    );
    deployment.analyst.rows_when(&select, |rows| json!(rows) == *wanted).await.map(|_| ())
}

async fn largest_batch(deployment: &Deployment, merchant: &Merchant) -> anyhow::Result<u64> {
    let requests = deployment.sandbox.get(&format!("requests?limit=2000&dataset={}", merchant.dataset)).await?;
    let events = requests.as_array().into_iter().flatten().filter_map(|request| request["events"].as_u64());
    Ok(events.max().unwrap_or(0))
}
