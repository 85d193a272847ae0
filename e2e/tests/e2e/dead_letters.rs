//! What no worker can read: buried, shown, sent back; and the partition goes on.

use anyhow::{Context as _, ensure};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use e2e::{
    analyst::expect,
    deployment::Deployment,
    event::{fresh, purchase},
    merchant::Merchant,
    queue, wait,
};
use serde_json::{Value, json};

/// Garbage on the live lane and among the records becomes a letter each, with its place; calls after it are forwarded.
pub(crate) async fn garbage(deployment: &Deployment) -> anyhow::Result<()> {
    for name in ["events.live", "events.backfill", "records"] {
        let (topic, payload) = (deployment.topic(name), fresh("no Avro"));
        let mut places = Vec::new();
        for partition in [0, 3] {
            let offset = queue::write(&deployment.brokers, &topic, partition, b"a key", payload.as_bytes()).await?;
            places.push((partition, offset));
        }
        for (partition, offset) in places {
            let letter = letter(deployment, &payload, &topic, partition, offset).await?;
            let n = letter["n"].to_string();
            let shown = deployment.operator.one(&["dead-letters", "show", &n]).await?;
            ensure!(shown == letter, "{shown} is not {letter}");
            // The key is no text of ours: it is shown so that it can be recognised.
            ensure!(letter["key"].as_str().is_some_and(|key| !key.is_empty()), "{letter}");
        }
    }
    let merchant = Merchant::open(deployment).await?;
    for order in 0..12 {
        let answer = merchant.call(&purchase(&format!("ORD-{order}"))).await?;
        deployment.analyst.row(answer.expect(200, "forwarded")?.call).await?;
    }
    Ok(())
}

/// The letter of a message, with everything that finds it again.
async fn letter(
    deployment: &Deployment,
    payload: &str,
    topic: &str,
    partition: i32,
    offset: i64,
) -> anyhow::Result<Value> {
    let payload = BASE64_STANDARD.encode(payload);
    let letter = wait::until("the dead letter", async || {
        let letters = deployment.operator.list(&["dead-letters", "list"]).await?;
        let found = |letter: &Value| {
            letter["payload"] == *payload && letter["offset"] == offset && letter["partition"] == partition
        };
        Ok(letters.into_iter().find(found))
    })
    .await?;
    expect(&letter, &json!({"topic": topic, "partition": partition, "offset": offset, "payload": payload}))?;
    ensure!(letter["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{letter}");
    ensure!(letter["at"].as_str().is_some_and(|at| at.ends_with('Z')), "{letter}");
    Ok(letter)
}

/// A letter that is sent back lies in its topic again, and here comes back as a new letter: it is still unreadable.
pub(crate) async fn redrive(deployment: &Deployment) -> anyhow::Result<()> {
    let (topic, payload) = (deployment.topic("events.live"), fresh("still no Avro"));
    let offset = queue::write(&deployment.brokers, &topic, 1, b"k", payload.as_bytes()).await?;
    let first = letter(deployment, &payload, &topic, 1, offset).await?;
    let n = first["n"].to_string();
    deployment.operator.list(&["dead-letters", "redrive", &n, "--dry-run"]).await?;
    deployment.operator.list(&["dead-letters", "redrive", &n]).await?;
    let encoded = first["payload"].as_str().context("a payload")?;
    let second = wait::until("the letter's second burial", async || {
        let letters = deployment.operator.list(&["dead-letters", "list"]).await?;
        let again = |letter: &Value| letter["payload"] == encoded && letter["n"] != first["n"];
        Ok(letters.into_iter().find(again))
    })
    .await?;
    expect(&second, &json!({"topic": topic, "partition": 1}))?;
    ensure!(second["offset"].as_i64() > first["offset"].as_i64(), "{second}");
    let unknown = deployment.operator.run(&["dead-letters", "show", "999999"]).await?;
    ensure!(unknown.code == 65, "{unknown:?}");
    Ok(())
}

/// Of the backfill lane an unreadable message becomes two letters, for two groups read it. It goes back once for
/// both, and its letters do not double with each redrive.
pub(crate) async fn two_groups(deployment: &Deployment) -> anyhow::Result<()> {
    let (topic, payload) = (deployment.topic("events.backfill"), fresh("no Avro for two"));
    queue::write(&deployment.brokers, &topic, 2, b"k", payload.as_bytes()).await?;
    let encoded = BASE64_STANDARD.encode(&payload);
    for burials in [2, 4] {
        let letters = wait::until("both letters of each burial", async || {
            let letters = deployment.operator.list(&["dead-letters", "list"]).await?;
            let ours: Vec<Value> = letters.into_iter().filter(|letter| letter["payload"] == encoded).collect();
            ensure!(ours.len() <= burials, "{} letters of one message", ours.len());
            Ok((ours.len() == burials).then_some(ours))
        })
        .await?;
        let waiting: Vec<String> =
            letters.iter().filter(|letter| letter["redriven"] == false).map(|letter| letter["n"].to_string()).collect();
        ensure!(waiting.len() == 2, "{waiting:?} of {letters:?}");
        let outcomes = deployment.operator.list(&["dead-letters", "redrive", &waiting[0], &waiting[1]]).await?;
        expect(&outcomes[0], &json!({"outcome": "redriven"}))?;
        expect(&outcomes[1], &json!({"outcome": "already_redriven"}))?;
    }
    Ok(())
}
