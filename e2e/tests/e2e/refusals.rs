//! Calls that are refused before Meta is asked: each error with its body, its headers and its row.

use anyhow::{Context as _, ensure};
use e2e::{
    analyst::expect,
    answer::Answer,
    deployment::Deployment,
    event,
    instance::{Instance, Kind},
    merchant::{Merchant, new_key, send},
};
use futures::future::try_join_all;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

/// The body of an error of one detail, as the contract shows it.
fn body(code: i32, status: &str, message: &str, reason: &str, stage: &str, call: Uuid) -> Value {
    json!({
        "code": code, "status": status, "message": message,
        "details": [{
            "@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": "capi",
            "metadata": {"failure_stage": stage, "call_id": call.to_string(), "retryable": "false"},
        }],
    })
}

/// Holds a refusal's answer and its row against the contract; the message is the row's `error`.
async fn holds(
    deployment: &Deployment,
    answer: &Answer,
    (http, code, status): (u16, i32, &str),
    (stage, reason): (&str, &str),
    columns: Value,
) -> anyhow::Result<()> {
    let message = answer.body["message"].as_str().context("a message")?;
    ensure!(answer.status == http, "not {http} but {}: {}", answer.status, answer.body);
    ensure!(answer.body == body(code, status, message, reason, stage, answer.call), "{}", answer.body);
    ensure!(answer.conversion_status().is_empty(), "{:?}", answer.headers);
    let row = deployment.analyst.row(answer.call).await?;
    expect(
        &row,
        &json!({
            "http_status": http, "conversion_status": "refused", "success": false, "failure_stage": stage,
            "reason": reason, "events_received": null, "forward_reference_id": "", "meta_http_status": null,
            "duplicate_of": null, "lane": "", "forward_attempts": 0, "possibly_duplicate": false, "forward_ms": null,
        }),
    )?;
    ensure!(row["error"].as_str().is_some_and(|error| error.starts_with(message)), "{row}");
    expect(&row, &columns)
}

/// Every kind of 401, each with its reason, its challenge and a row that holds nothing of the body.
pub(crate) async fn keys(deployment: &Deployment) -> anyhow::Result<()> {
    let merchant = Merchant::open(deployment).await?;
    let (_, expired) = new_key(deployment, &merchant.business, &["--expires-at", "2026-01-01T00:00:00Z"]).await?;
    let (_, scoped) = new_key(deployment, &merchant.business, &["--scope", "messages"]).await?;
    let (revoked_id, revoked) = new_key(deployment, &merchant.business, &[]).await?;
    deployment.operator.list(&["key", "revoke", &merchant.business, &revoked_id]).await?;
    deployment.a_change_takes_effect().await;
    let mut wrong_secret = merchant.key.clone();
    let last = wrong_secret.pop();
    wrong_secret.push(if last == Some('A') { 'B' } else { 'A' });
    let cases = [
        (vec![], "API_KEY_MISSING"),
        (vec![""], "API_KEY_MISSING"),
        (vec!["capi_unknown_key"], "API_KEY_INVALID"),
        (vec!["nonsense"], "API_KEY_INVALID"),
        (vec![&*wrong_secret], "API_KEY_INVALID"),
        (vec![&*merchant.key, &*merchant.key], "API_KEY_INVALID"),
        (vec![&*expired], "API_KEY_EXPIRED"),
        (vec![&*revoked], "API_KEY_REVOKED"),
        (vec![&*scoped], "API_KEY_SCOPED"),
    ];
    for (keys, reason) in cases {
        let mut request = merchant.bare(&merchant.url_of(&merchant.business));
        for key in keys {
            request = request.header("x-api-key", key);
        }
        let answer = send(request.body(event::purchase("ORD-1").to_string())).await?;
        ensure!(!answer.header("www-authenticate").is_empty(), "{:?}", answer.headers);
        let columns = json!({"business_id": merchant.business, "event_name": "", "order_id": "", "body": ""});
        holds(deployment, &answer, (401, 16, "UNAUTHENTICATED"), ("authentication", reason), columns).await?;
    }
    // The header's name is case-insensitive, and the merchant's own key was never held up.
    let request = merchant.bare(&merchant.url_of(&merchant.business)).header("x-ApI-kEy", &merchant.key);
    send(request.body(event::purchase("ORD-1").to_string())).await?.expect(200, "forwarded")?;
    Ok(())
}

/// After 60 failures in a minute from one address: 429 without a record, while a valid key from there passes.
pub(crate) async fn too_many_failures_from_one_address(deployment: &Deployment) -> anyhow::Result<()> {
    let merchant = Merchant::open(deployment).await?;
    let url = merchant.url_of(&merchant.business);
    let refused = |key: &'static str| send(merchant.bare(&url).header("X-API-KEY", key).body("{}"));
    let answers = try_join_all((0..60).map(|_| refused("wrong"))).await?;
    ensure!(answers.iter().all(|answer| answer.status == 401), "one of the first 60 is no 401");
    let answer = refused("wrong").await?;
    answer.expect_error(429, "RATE_LIMITED")?;
    ensure!(answer.body["code"] == 8 && answer.body["status"] == "RESOURCE_EXHAUSTED", "{}", answer.body);
    ensure!(answer.header("retry-after").parse::<u64>().is_ok_and(|seconds| seconds <= 60), "{:?}", answer.headers);
    answer.detail("RetryInfo")?;
    merchant.call(&event::purchase("ORD-1")).await?.expect(200, "forwarded")?;
    let last = answers.last().context("an answer")?.call;
    deployment.analyst.row(last).await?;
    has_no_row(deployment, answer.call).await
}

/// Calls that came before one whose row is there have theirs too: then a row that is missing will not come.
async fn has_no_row(deployment: &Deployment, call: Uuid) -> anyhow::Result<()> {
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    let rows = deployment.analyst.rows(&format!("SELECT reason FROM calls WHERE call_id = '{call}'")).await?;
    ensure!(rows.is_empty(), "{rows:?}");
    Ok(())
}

/// A valid key on a business that is unknown, foreign, disabled or no id at all: one and the same answer.
pub(crate) async fn businesses(deployment: &Deployment) -> anyhow::Result<()> {
    let merchant = Merchant::open(deployment).await?;
    let (foreign, disabled) = (Merchant::open(deployment).await?, Merchant::open(deployment).await?);
    deployment.operator.list(&["business", "put", &disabled.business, "--name", "Closed", "--disabled"]).await?;
    deployment.a_change_takes_effect().await;
    let order = event::purchase("ORD-1");
    let unknown = Uuid::now_v7().to_string();
    for (caller, asked) in [
        (&merchant, &*unknown),
        (&merchant, &*foreign.business),
        (&merchant, "no-id-at-all"),
        (&disabled, &*disabled.business),
    ] {
        let request = caller.bare(&caller.url_of(asked)).header("X-API-KEY", &caller.key);
        let answer = send(request.body(order.to_string())).await?;
        ensure!(answer.body["message"] == "Business not found", "{}", answer.body);
        let columns = json!({
            "business_id": caller.business, "api_key_id": caller.key_id, "order_id": "ORD-1", "value": "99.97",
            "ad_id": "120210000000000001", "body": order.to_string(),
        });
        let wanted = ((404, 5, "NOT_FOUND"), ("business_lookup", "BUSINESS_NOT_FOUND"));
        holds(deployment, &answer, wanted.0, wanted.1, columns).await?;
        let row = deployment.analyst.row(answer.call).await?;
        ensure!(row["error"].as_str().is_some_and(|error| error.contains(asked)), "{row}");
    }
    ensure!(deployment.sandbox.requests(&merchant.dataset).await? == 0, "Meta was asked");
    // The case of a business id does not matter.
    let url = merchant.url_of(&merchant.business.to_uppercase());
    let answer = send(merchant.bare(&url).header("X-API-KEY", &merchant.key).body(order.to_string())).await?;
    answer.expect(200, "forwarded")?;
    expect(&deployment.analyst.row(answer.call).await?, &json!({"business_id": merchant.business}))
}

/// No WhatsApp Cloud channel: the row holds the call all the same.
pub(crate) async fn no_channel(deployment: &Deployment) -> anyhow::Result<()> {
    let merchant = Merchant::without_channel(deployment).await?;
    let answer = merchant.call(&event::purchase("ORD-1")).await?;
    let columns = json!({"business_id": merchant.business, "order_id": "ORD-1", "currency": "USD", "num_items": 2});
    let wanted = ("channel_lookup", "WHATSAPP_CHANNEL_NOT_CONFIGURED");
    holds(deployment, &answer, (404, 5, "NOT_FOUND"), wanted, columns).await
}

/// Paths and methods that do not exist: the same body shape, and no record.
pub(crate) async fn paths_and_methods(deployment: &Deployment) -> anyhow::Result<()> {
    let merchant = Merchant::open(deployment).await?;
    let elsewhere = format!("{}/external/v1/businesses/{}/events", merchant.ingest, merchant.business);
    let answer = send(merchant.bare(&elsewhere).header("X-API-KEY", &merchant.key).body("{}")).await?;
    answer.expect_error(404, "PATH_NOT_FOUND")?;
    ensure!(answer.body["code"] == 5, "{}", answer.body);
    has_no_row(deployment, answer.call).await?;
    for method in [Method::PATCH, Method::PUT, Method::DELETE] {
        let request = deployment.http.request(method, merchant.url_of(&merchant.business));
        let answer = send(request.header("X-API-KEY", &merchant.key)).await?;
        answer.expect_error(405, "METHOD_NOT_ALLOWED")?;
        ensure!(answer.body["code"] == 12 && answer.body["status"] == "UNIMPLEMENTED", "{}", answer.body);
        ensure!(answer.header("allow") == "GET, HEAD, POST", "{:?}", answer.headers);
    }
    Ok(())
}

/// 256 KiB are taken, one byte more is 413; the row keeps the first 64 KiB.
pub(crate) async fn body_size(deployment: &Deployment) -> anyhow::Result<()> {
    const LIMIT: usize = 256 * 1024;
    let merchant = Merchant::open(deployment).await?;
    let sized = |order: &str, size: usize| {
        let body = event::with(&event::purchase(order), "/note", json!("")).to_string();
        let padding = "x".repeat(size - body.len());
        body.replace(r#""note":"""#, &format!(r#""note":"{padding}""#))
    };
    let (largest, too_large) = (sized("ORD-1", LIMIT), sized("ORD-2", LIMIT + 1));
    ensure!((largest.len(), too_large.len()) == (LIMIT, LIMIT + 1), "the bodies are not of the wanted size");
    let answer = send(merchant.request().body(largest.clone())).await?;
    answer.expect(200, "forwarded")?;
    expect(&deployment.analyst.row(answer.call).await?, &json!({"body": largest[..64 * 1024]}))?;
    for body in [too_large, "y".repeat(1 << 20)] {
        let kept = body[..64 * 1024].to_owned();
        let answer = send(merchant.request().body(body)).await?;
        let wanted = ((413, 3, "INVALID_ARGUMENT"), ("payload_mapping", "BODY_TOO_LARGE"));
        holds(deployment, &answer, wanted.0, wanted.1, json!({"body": kept, "business_id": merchant.business})).await?;
    }
    Ok(())
}

/// What is no JSON object that can be read, and a body that is not sent as it is.
pub(crate) async fn malformed_bodies(deployment: &Deployment) -> anyhow::Result<()> {
    let merchant = Merchant::open(deployment).await?;
    let example = event::purchase("ORD-1").to_string();
    let twice = example.replacen('{', r#"{"sendout_id": "other","#, 1);
    let deep = |levels: usize| {
        example.replacen('{', &format!(r#"{{"deep": {}{},"#, "[".repeat(levels), "]".repeat(levels)), 1)
    };
    let bodies = [
        Vec::new(),
        b"   ".to_vec(),
        b"[]".to_vec(),
        b"null".to_vec(),
        br#""text""#.to_vec(),
        b"{".to_vec(),
        br#"{"event_name": "Purchase",}"#.to_vec(),
        format!("{example} x").into_bytes(),
        [br#"{"sendout_id": ""#.as_slice(), &[0xff, 0xfe], br#""}"#].concat(),
        twice.into_bytes(),
        deep(128).into_bytes(),
        deep(10_000).into_bytes(),
    ];
    let wanted = ((400, 3, "INVALID_ARGUMENT"), ("payload_mapping", "MALFORMED_JSON"));
    for body in bodies {
        let answer = send(merchant.request().body(body.clone())).await?;
        let text = String::from_utf8_lossy(&body).into_owned();
        let columns = json!({"business_id": merchant.business, "body": text});
        holds(deployment, &answer, wanted.0, wanted.1, columns).await.with_context(|| format!("of {text:.80}"))?;
    }
    let encoded = send(merchant.request().header("Content-Encoding", "gzip").body(example.clone())).await?;
    holds(deployment, &encoded, wanted.0, wanted.1, json!({})).await?;
    ensure!(deployment.sandbox.requests(&merchant.dataset).await? == 0, "Meta was asked");
    // 127 levels below the object make 128; the content type is not policed.
    let text = merchant.request().header("Content-Type", "text/plain").body(deep(127));
    send(text).await?.expect(200, "forwarded")?;
    Ok(())
}

/// All violations at once, each with its path; what could be read fills the row.
pub(crate) async fn violations(deployment: &Deployment) -> anyhow::Result<()> {
    let merchant = Merchant::open(deployment).await?;
    let body = json!({
        "cnct_tracking_id": 7, "event_name": "Lead", "sendout_id": "s-1",
        "payload": {"currency": "usd", "value": -1, "order_id": "ORD-9", "contents": [{"id": "a", "item_price": "1"}]},
    });
    let answer = merchant.call(&body).await?;
    answer.expect_error(400, "INVALID_FIELDS")?;
    let expected = [
        ("cnct_tracking_id", "FIELD_TYPE"),
        ("event_name", "UNSUPPORTED_EVENT_NAME"),
        ("attribution.meta_ctwa.ctwa_clid", "FIELD_REQUIRED"),
        ("attribution.meta_ctwa.ad_id", "FIELD_REQUIRED"),
        ("payload.value", "FIELD_VALUE"),
        ("payload.contents[0].item_price", "FIELD_TYPE"),
    ];
    let mut found = answer.violations()?;
    found.sort_by_key(|violation| expected.iter().position(|expected| expected == violation));
    ensure!(found == expected, "{found:?}");
    let metadata =
        json!({"failure_stage": "payload_mapping", "call_id": answer.call.to_string(), "retryable": "false"});
    ensure!(*answer.metadata()? == metadata, "{}", answer.body);
    let row = deployment.analyst.row(answer.call).await?;
    expect(
        &row,
        &json!({
            "conversion_status": "refused", "failure_stage": "payload_mapping", "reason": "INVALID_FIELDS",
            "http_status": 400, "error": answer.body["message"], "event_name": "Lead", "cnct_tracking_id": "",
            "sendout_id": "s-1", "currency": "USD", "value": null, "order_id": "ORD-9", "contents.id": ["a"],
            "contents.quantity": [null], "contents.item_price": [null], "body": body.to_string(),
        }),
    )
}

/// Over the business's rate limit: 429 with when to come back, and no record.
pub(crate) async fn the_rate_limit(deployment: &Deployment) -> anyhow::Result<()> {
    let merchant = Merchant::open(deployment).await?;
    let put = ["business", "put", &merchant.business, "--name", "Corner Shop", "--rate-limit", "2"];
    deployment.operator.list(&put).await?;
    deployment.a_change_takes_effect().await;
    let bodies: Vec<_> = (0..20).map(|order| event::purchase(&format!("ORD-{order}"))).collect();
    let answers = try_join_all(bodies.iter().map(|body| merchant.call(body))).await?;
    let (taken, limited): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
    ensure!(!taken.is_empty() && limited.len() >= 10, "{} taken, {} limited", taken.len(), limited.len());
    for answer in &limited {
        answer.expect_error(429, "RATE_LIMITED")?;
        ensure!(answer.body["code"] == 8, "{}", answer.body);
        let seconds = answer.header("retry-after");
        ensure!(seconds.parse::<u64>().is_ok_and(|seconds| seconds >= 1), "{:?}", answer.headers);
        ensure!(answer.detail("RetryInfo")?["retry_delay"] == format!("{seconds}s"), "{}", answer.body);
        ensure!(answer.metadata()?["retryable"] == "true", "{}", answer.body);
    }
    for answer in &taken {
        deployment.analyst.row(answer.call).await?;
    }
    let select = format!("SELECT count() AS calls FROM calls WHERE business_id = '{}'", merchant.business);
    let calls = deployment.analyst.one(&select).await?;
    ensure!(calls["calls"] == taken.len(), "{calls}");
    Ok(())
}

/// While Kafka is away: 503 with when to come back, and a worker that says so instead of ending.
pub(crate) async fn no_queue(deployment: &Deployment) -> anyhow::Result<()> {
    let mut environment = deployment.environment().to_vec();
    environment.push(("CAPI_KAFKA_BROKERS".into(), "127.0.0.1:1".into()));
    let program = deployment.program(Kind::Ingest)?;
    let ingest =
        Instance::start(program, "ingest-without-kafka", environment, deployment.directory(), deployment.http.clone())?;
    e2e::wait::until("the admin address", async || Ok(ingest.admin_page("/livez").await.ok())).await?;
    let (status, readiness) = ingest.admin_page("/readyz").await?;
    ensure!(StatusCode::from_u16(status)? == StatusCode::SERVICE_UNAVAILABLE, "{status} {readiness}");
    let url = format!("http://{}/external/v1/businesses/{}/conversion_events", ingest.public, Uuid::now_v7());
    let ask = async || Ok(deployment.http.post(&url).header("X-API-KEY", "any").body("{}").send().await.ok());
    let answer = Answer::read(e2e::wait::until("an answer", ask).await?).await?;
    answer.expect_error(503, "UNAVAILABLE")?;
    ensure!(answer.body["code"] == 14 && answer.body["status"] == "UNAVAILABLE", "{}", answer.body);
    ensure!(answer.header("retry-after").parse::<u64>().is_ok(), "{:?}", answer.headers);
    answer.detail("RetryInfo")?;
    ensure!(answer.metadata()?["retryable"] == "true", "{}", answer.body);
    Ok(())
}
