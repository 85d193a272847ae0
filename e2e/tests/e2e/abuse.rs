//! Callers that mean no good, through the whole pipeline: one documented answer, and one row.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use e2e::{
    answer::Answer,
    deployment::Deployment,
    event,
    merchant::{Merchant, send},
    wait,
};
use futures::future::try_join_all;
use serde_json::{Value, json};

/// Bodies that nobody means, and some that are fine.
fn bodies() -> Vec<Vec<u8>> {
    let example = event::purchase("ORD-1");
    let text = example.to_string();
    let cut = (0..text.len()).step_by(60).map(|at| text.as_bytes()[..at].to_vec());
    let flipped = (1..text.len()).step_by(45).map(|at| {
        let mut body = text.clone().into_bytes();
        body[at] ^= 0x80 | u8::try_from(at % 128).unwrap_or_default();
        body
    });
    let odd =
        [json!(null), json!([[]]), json!(-1), json!("\u{202e}\u{10ffff}\0"), json!("é".repeat(9000)), json!(1e300)];
    let places = [
        "/event_name",
        "/sendout_id",
        "/attribution",
        "/attribution/meta_ctwa/ctwa_clid",
        "/payload",
        "/payload/value",
        "/payload/contents",
        "/payload/event_time",
        "/payload/order_id",
        "/payload/currency",
    ];
    let misplaced = places.iter().flat_map(|place| odd.iter().map(|with| event::with(&example, place, with.clone())));
    // As much text as a body holds: the record has it twice, as a field and as the body.
    let fullest = event::with(&example, "/event_name", json!("x".repeat(250_000)));
    let huge = vec![b'['; 300_000];
    let misplaced = misplaced.chain([fullest]).map(|body| body.to_string().into_bytes());
    cut.chain(flipped).chain(misplaced).chain([huge, text.clone().into_bytes()]).collect()
}

/// Every `X-Request-Id` has exactly one row, which says what the answer said.
pub(crate) async fn any_bytes(deployment: &Deployment) -> anyhow::Result<()> {
    let merchant = Merchant::open(deployment).await?;
    let mut answers = Vec::new();
    for some in bodies().chunks(16) {
        answers.extend(try_join_all(some.iter().map(|body| send(merchant.request().body(body.clone())))).await?);
    }
    let rows = all_rows(deployment, &merchant, answers.len()).await?;
    for answer in &answers {
        let of_call = rows.iter().filter(|row| row["call_id"] == answer.call.to_string());
        let rows: Vec<_> = of_call.collect();
        ensure!(rows.len() == 1, "{} rows of {}", rows.len(), answer.body);
        agrees(answer, rows[0]).with_context(|| format!("{} and {}", answer.body, rows[0]))?;
    }
    ensure!(rows.len() == answers.len(), "{} rows for {} calls", rows.len(), answers.len());
    Ok(())
}

/// The rows of a merchant, once there are as many as calls.
async fn all_rows(deployment: &Deployment, merchant: &Merchant, calls: usize) -> anyhow::Result<Vec<Value>> {
    let select = format!(
        "SELECT call_id, http_status, conversion_status, failure_stage, reason, error FROM calls WHERE business_id = '{}'",
        merchant.business
    );
    let ask = async || Ok(Some(deployment.analyst.rows(&select).await?).filter(|rows| rows.len() >= calls));
    wait::until("a row for every call", ask).await
}

fn agrees(answer: &Answer, row: &Value) -> anyhow::Result<()> {
    ensure!(row["http_status"] == answer.status, "the status");
    if answer.status == 200 {
        ensure!(answer.body == json!({"events_received": 1}), "the body of a success");
        ensure!(row["conversion_status"] == answer.conversion_status(), "what became of it");
        return Ok(());
    }
    ensure!([400, 413].contains(&answer.status), "no documented status");
    ensure!(row["conversion_status"] == "refused" && row["failure_stage"] == "payload_mapping", "the stage");
    ensure!(row["reason"] == answer.detail("ErrorInfo")?["reason"], "the reason");
    ensure!(row["error"] == answer.body["message"], "the words");
    let known = ["MALFORMED_JSON", "INVALID_FIELDS", "BODY_TOO_LARGE"];
    ensure!(known.iter().any(|known| row["reason"] == *known), "no documented reason");
    Ok(())
}

/// One business over its limit, another beside it that notices nothing.
pub(crate) async fn a_flood_of_one_business(deployment: &Deployment) -> anyhow::Result<()> {
    let (noisy, quiet) = (Merchant::open(deployment).await?, Merchant::open(deployment).await?);
    let put = ["business", "put", &noisy.business, "--name", "Noisy", "--rate-limit", "1"];
    deployment.operator.list(&put).await?;
    deployment.a_change_takes_effect().await;
    let (body, since) = (json!({}), Instant::now());
    let flood = async || try_join_all((0..100).map(|_| noisy.call(&body))).await;
    let orders: Vec<_> = (0..5).map(|order| event::purchase(&format!("ORD-{order}"))).collect();
    let (flood, calls) = tokio::try_join!(flood(), try_join_all(orders.iter().map(|order| quiet.call(order))))?;
    let elapsed = since.elapsed();
    let limited = flood.iter().filter(|answer| answer.status == 429);
    for answer in limited.clone() {
        let seconds = answer.header("retry-after").parse::<u64>();
        ensure!(seconds.is_ok_and(|seconds| seconds >= 1), "{:?}", answer.headers);
    }
    let admitted = flood.iter().filter(|answer| answer.status == 400).count();
    ensure!(admitted + limited.count() == flood.len(), "an answer is neither: {flood:?}");
    // One call a second, and one second's calls at once; each ingest counts for itself.
    let most = deployment.ingests.len() * (usize::try_from(elapsed.as_secs())? + 2);
    ensure!((1..=most).contains(&admitted), "{admitted} of {} calls were let in within {elapsed:?}", flood.len());
    for answer in &calls {
        ensure!(answer.status == 200, "{} {}", answer.status, answer.body);
        // However busy the machine is: a verdict that comes after the answer is one as well.
        let row = deployment.analyst.final_row(answer.call).await?;
        ensure!(row["conversion_status"] == "forwarded", "{row}");
    }
    // Who comes back as told is taken.
    tokio::time::sleep(Duration::from_secs(2)).await;
    ensure!(noisy.call(&body).await?.status == 400, "limited for ever");
    Ok(())
}
