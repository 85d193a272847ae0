//! The `OpenAPI` document that a running ingest serves: its examples do what it says, and every kind of answer is as it is
//! described there. What needs no real queue is held against it in `ingest/tests`.

use anyhow::{Context as _, ensure};
use e2e::{
    answer::Answer,
    deployment::Deployment,
    event::{purchase, with_click},
    merchant::{Merchant, send},
};
use serde_json::{Value, json};
use uuid::Uuid;

const ENDPOINT: &str = "/paths/~1external~1v1~1businesses~1{business_id}~1conversion_events";

pub(crate) async fn as_it_answers(deployment: &Deployment) -> anyhow::Result<()> {
    let merchant = Merchant::open(deployment).await?;
    let page = deployment.http.get(format!("{}/docs", merchant.ingest)).send().await?;
    ensure!(page.status() == 200 && page.headers().contains_key("content-security-policy"), "{page:?}");
    let document: Value = deployment.http.get(format!("{}/openapi.json", merchant.ingest)).send().await?.json().await?;

    for answer in reported(&merchant, &document).await? {
        conforms(&document, "post", &answer)?;
    }
    for answer in asked(&merchant, deployment).await? {
        conforms(&document, "get", &answer)?;
    }
    Ok(())
}

/// The examples of the document are forwarded; and some that are refused.
async fn reported(merchant: &Merchant, document: &Value) -> anyhow::Result<Vec<Answer>> {
    let examples = document.pointer(&format!("{ENDPOINT}/post/requestBody/content/application~1json/examples"));
    let mut answers = Vec::new();
    for (name, example) in examples.and_then(Value::as_object).context("no examples")? {
        let answer = merchant.call(&example["value"]).await?;
        answer.expect(200, "forwarded").with_context(|| name.clone())?;
        answers.push(answer);
    }
    answers.push(merchant.call(&purchase("ORD-7821")).await?);
    answers.push(merchant.prefer("respond-async", &purchase("ORD-2")).await?);
    answers.push(merchant.prefer("wait=1", &purchase("ORD-3")).await?);
    answers.push(merchant.call(&with_click("sandbox-invalid-clid", "ORD-4")).await?);
    answers.push(merchant.call(&json!({"event_name": "Lead"})).await?);
    answers.push(send(merchant.request().body("{")).await?);
    let own = merchant.url_of(&merchant.business);
    answers.push(send(merchant.bare(&own).body("{}")).await?);
    let other = merchant.url_of(&Uuid::now_v7().to_string());
    answers.push(send(merchant.bare(&other).header("X-API-KEY", &merchant.key).body("{}")).await?);
    let statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    ensure!(statuses == [200, 200, 200, 202, 200, 400, 400, 400, 401, 404], "{statuses:?}");
    Ok(answers)
}

/// What became of them, and what is not to be had.
async fn asked(merchant: &Merchant, deployment: &Deployment) -> anyhow::Result<Vec<Answer>> {
    let rejected = merchant.call(&with_click("sandbox-invalid-clid", "ORD-5")).await?.call;
    let forwarded = merchant.call(&purchase("ORD-5")).await?.call;
    let duplicate = merchant.call(&purchase("ORD-5")).await?.call;
    for call in [rejected, forwarded, duplicate] {
        deployment.analyst.final_row(call).await?;
    }
    let mut answers = Vec::new();
    for query in ["order_id=ORD-5", &format!("call_id={rejected}"), "order_id=unknown", ""] {
        answers.push(send(merchant.asks(&format!("{}?{query}", merchant.url_of(&merchant.business)))).await?);
    }
    let statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    ensure!(statuses == [200, 200, 404, 400], "{statuses:?}");
    Ok(answers)
}

fn conforms(document: &Value, method: &str, answer: &Answer) -> anyhow::Result<()> {
    let schema = format!("{ENDPOINT}/{method}/responses/{}/content/application~1json/schema", answer.status);
    let schema =
        document.pointer(&schema).with_context(|| format!("{} of {method} is not described", answer.status))?;
    let root = json!({"components": document["components"], "allOf": [schema]});
    let validator = jsonschema::options().offline().should_validate_formats(true).build(&root)?;
    let fault = validator.validate(&answer.body).err().map(|fault| fault.to_string());
    ensure!(fault.is_none(), "{method}: {} is not as described: {fault:?}", answer.body);
    Ok(())
}
