//! Secrets stay inside: planted, and searched for in everything that the pipeline writes, shows and sends.

pub(crate) mod parrot;
pub(crate) mod planted;
pub(crate) mod rotation;
pub(crate) mod tls;

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use e2e::{
    answer::Answer,
    deployment::{Deployment, Plan, random_key},
    event::{fresh, now, purchase, with, with_click},
    instance::Kind,
    merchant::{Merchant, new_key, send},
    port, queue, wait,
};
use rdkafka::{Message as _, message::Headers as _};
use serde_json::{Value, json};
use tokio::{process::Command, task::JoinHandle, time::sleep};
use uuid::Uuid;

use self::planted::Planted;

/// A deployment that says all it can say, in this form of log.
pub(crate) fn plan(log_format: &str) -> anyhow::Result<Plan> {
    // A ClickHouse that asks for a password is given its own.
    let clickhouse = std::env::var("CAPI_CLICKHOUSE_PASSWORD").or_else(|_| random_key())?;
    let mut plan = Plan::default()
        .set("RUST_LOG", "trace")
        .set("RUST_BACKTRACE", "full")
        .set("CAPI_LOG_FORMAT", log_format)
        .set("CAPI_META_URL", format!("http://{}", port::free()?))
        .set("CAPI_VERDICT_WAIT", "1s")
        .set("CAPI_SECRET_KEY_PREVIOUS", random_key()?)
        .set("CAPI_CLICKHOUSE_PASSWORD", clickhouse)
        .set("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{}", port::free()?))
        .set(
            "OTEL_EXPORTER_OTLP_HEADERS",
            format!("authorization=Bearer {}", random_key()?.replace(['+', '/', '='], ".")),
        )
        .set("OTEL_BSP_SCHEDULE_DELAY", "200");
    // The local Kafka asks for none: what is searched for is what the client says of its settings.
    plan.properties =
        format!("sasl.password={}\nssl.key.password={}\ndebug=conf,security,broker\n", random_key()?, random_key()?);
    Ok(plan)
}

/// Every success, every refusal, every answer of Meta, every command, at every level: no secret is anywhere but where it
/// belongs.
pub(crate) async fn nothing_leaves(deployment: &mut Deployment) -> anyhow::Result<()> {
    let token = format!("Tok/en+{}", random_key()?);
    let (meta, _meta) = parrot::parrot(address(deployment, "CAPI_META_URL")?).await?;
    let (traces, _receiver) = parrot::receiver(address(deployment, "OTEL_EXPORTER_OTLP_ENDPOINT")?).await?;
    let lists = ProcessLists::watch();
    let mut said = Said::default();

    let merchant = Merchant::without_channel(deployment).await?;
    let refused_keys = refused_keys(deployment, &merchant).await?;
    put_channel(deployment, &merchant, &token, &mut said).await?;
    let password = random_key()?;
    put_user(deployment, &merchant, &password, &mut said).await?;
    calls(deployment, &merchant, &refused_keys, &mut said).await?;
    commands(deployment, &merchant, &mut said).await?;
    programs(deployment, &mut said).await?;

    let mut keys = refused_keys;
    keys.push(merchant.key.clone());
    let planted = planted(deployment, &token, &password, &keys)?;
    said.add("the topics", raw_topics(deployment)?);
    said.add("the rows", serde_json::to_vec(&deployment.analyst.rows("SELECT * FROM call_records").await?)?);
    said.add("process lists", lists.seen());
    said.add("what Meta was sent", meta.bytes());
    said.add("the traces", traces.bytes());
    for worker in deployment.ingests.iter().chain(&deployment.forwarders).chain(&deployment.recorders) {
        for page in ["/livez", "/readyz", "/metrics"] {
            said.add(page, worker.admin_page(page).await?.1);
        }
        let log = std::fs::read(worker.log())?;
        no_library_below_info(&log)?;
        said.add(&worker.log().display().to_string(), log);
    }
    said.everything_is_there(&merchant)?;
    for (place, bytes) in &said.0 {
        planted.absent_from(place, bytes)?;
    }
    Ok(())
}

/// The same in the log for people.
pub(crate) async fn nothing_leaves_as_text(deployment: &mut Deployment) -> anyhow::Result<()> {
    nothing_leaves(deployment).await
}

/// Everything that was said, by its place.
#[derive(Default)]
struct Said(Vec<(String, Vec<u8>)>);

impl Said {
    fn add(&mut self, place: &str, bytes: impl Into<Vec<u8>>) {
        self.0.push((place.to_owned(), bytes.into()));
    }

    fn answer(&mut self, answer: &Answer) {
        self.add("an answer", format!("{:?} {}", answer.headers, answer.body));
    }

    /// A search in nothing finds nothing: each place holds what it must hold.
    fn everything_is_there(&self, merchant: &Merchant) -> anyhow::Result<()> {
        let must = [
            ("the topics", merchant.key_id.as_str()),
            ("the topics", "parrot-refuses-the-token"),
            ("the topics", "no Avro"),
            ("the topics", "user:ada"),
            ("the rows", "parrot-refuses-the-click"),
            ("the rows", "API_KEY_REVOKED"),
            ("process lists", "capi-forwarder"),
            ("what Meta was sent", "parrot-hangs-up"),
            ("the traces", "capi-recorder"),
            ("/metrics", "capi_build_info"),
            ("/readyz", "\"ready\":true"),
            ("capi-ingest-1.log", "TRACE"),
            ("capi-forwarder-1.log", "DEBUG"),
            ("--help", "CAPI_SECRET_KEY"),
        ];
        for (place, text) in must {
            let holds = |bytes: &[u8]| bytes.windows(text.len()).any(|window| window == text.as_bytes());
            let found = self.0.iter().any(|(name, bytes)| name.contains(place) && holds(bytes));
            ensure!(found, "{text} is not in {place}");
        }
        Ok(())
    }
}

/// The command lines of all processes, for as long as it lives.
struct ProcessLists {
    seen: Arc<Mutex<BTreeSet<Vec<u8>>>>,
    watching: JoinHandle<()>,
}

impl ProcessLists {
    fn watch() -> Self {
        let seen = Arc::<Mutex<BTreeSet<Vec<u8>>>>::default();
        let list = Arc::clone(&seen);
        let watching = tokio::spawn(async move {
            loop {
                let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
                let lines = processes.filter_map(|process| std::fs::read(process.path().join("cmdline")).ok());
                list.lock().unwrap_or_else(PoisonError::into_inner).extend(lines);
                sleep(Duration::from_millis(50)).await;
            }
        });
        Self { seen, watching }
    }

    fn seen(self) -> Vec<u8> {
        self.watching.abort();
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .flat_map(|line| [line, &b"\n"[..]].concat())
            .collect()
    }
}

/// What is planted: the secrets of the settings, the token, and the secret part of each key.
fn planted(deployment: &Deployment, token: &str, password: &str, keys: &[String]) -> anyhow::Result<Planted> {
    let setting = |name: &str| deployment.setting(name).with_context(|| format!("no {name}"));
    let (current, previous) = (setting("CAPI_SECRET_KEY")?, setting("CAPI_SECRET_KEY_PREVIOUS")?);
    let (current_bytes, previous_bytes) = (BASE64_STANDARD.decode(current)?, BASE64_STANDARD.decode(previous)?);
    let headers = setting("OTEL_EXPORTER_OTLP_HEADERS")?;
    let mut secrets: Vec<(&str, &[u8])> = vec![
        ("the access token", token.as_bytes()),
        ("the password of a user", password.as_bytes()),
        ("CAPI_SECRET_KEY", current.as_bytes()),
        ("the bytes of CAPI_SECRET_KEY", &current_bytes),
        ("CAPI_SECRET_KEY_PREVIOUS", previous.as_bytes()),
        ("the bytes of CAPI_SECRET_KEY_PREVIOUS", &previous_bytes),
        ("the password of OTLP", headers.rsplit(' ').next().unwrap_or_default().as_bytes()),
    ];
    let properties = std::fs::read_to_string(setting("CAPI_KAFKA_PROPERTIES")?)?;
    for (name, value) in
        properties.lines().filter_map(|line| line.split_once('=')).filter(|(name, _)| name.contains("password"))
    {
        secrets.push((name, value.as_bytes()));
    }
    if std::env::var("CAPI_CLICKHOUSE_PASSWORD").is_err() {
        secrets.push(("CAPI_CLICKHOUSE_PASSWORD", setting("CAPI_CLICKHOUSE_PASSWORD")?.as_bytes()));
    }
    secrets.extend(keys.iter().map(|key| ("an API key", key.rsplit('_').next().unwrap_or_default().as_bytes())));
    Planted::new(&secrets)
}

fn address(deployment: &Deployment, setting: &str) -> anyhow::Result<SocketAddr> {
    let url = deployment.setting(setting).and_then(|url| url.strip_prefix("http://"));
    Ok(url.with_context(|| format!("no address in {setting}"))?.parse()?)
}

/// Keys that are genuine and refused all the same: expired, scoped, revoked.
async fn refused_keys(deployment: &Deployment, merchant: &Merchant) -> anyhow::Result<Vec<String>> {
    let business = &merchant.business;
    let (_, expired) = new_key(deployment, business, &["--expires-at", "2020-01-01T00:00:00Z"]).await?;
    let (_, scoped) = new_key(deployment, business, &["--scope", "messages"]).await?;
    let (id, revoked) = new_key(deployment, business, &[]).await?;
    deployment.operator.one(&["key", "revoke", business, &id]).await?;
    Ok(vec![expired, scoped, revoked])
}

async fn put_channel(deployment: &Deployment, merchant: &Merchant, token: &str, said: &mut Said) -> anyhow::Result<()> {
    let file = deployment.directory().join("planted.token");
    std::fs::write(&file, token)?;
    let file = file.to_string_lossy();
    let put = ["channel", "put", &merchant.business, "--waba-id", &merchant.waba, "--dataset-id", &merchant.dataset];
    for json in [&["--json"][..], &[]] {
        let put = [&put[..], &["--access-token-file", &file], json].concat();
        command(deployment, &[], &put, 0, said).await?;
    }
    deployment.a_change_takes_effect().await;
    Ok(())
}

/// One that is taken, and one that breaks a rule.
async fn put_user(deployment: &Deployment, merchant: &Merchant, password: &str, said: &mut Said) -> anyhow::Result<()> {
    let put = ["user", "put", "ada", "--role", "merchant", "--business", &merchant.business];
    for (input, code) in [(password.to_owned(), 0), (format!("{password}\n{password}"), 65)] {
        let outcome = deployment.operator.run_reading(&input, &put).await?;
        ensure!(outcome.code == code, "capi user put ends with {}: {}", outcome.code, outcome.stderr);
        said.add("capi user put", outcome.stdout + &outcome.stderr);
    }
    Ok(())
}

/// Runs a command, and keeps what it says.
async fn command(
    deployment: &Deployment,
    settings: &[(&str, &str)],
    arguments: &[&str],
    code: i32,
    said: &mut Said,
) -> anyhow::Result<()> {
    let outcome = deployment.operator.run_with(settings, arguments).await?;
    ensure!(outcome.code == code, "capi {} ends with {}: {}", arguments.join(" "), outcome.code, outcome.stderr);
    let name = format!("capi {}", arguments.join(" "));
    said.add(&name, outcome.stdout);
    said.add(&name, outcome.stderr);
    Ok(())
}

/// Calls of every kind, over both versions of HTTP, until each has its last row.
async fn calls(
    deployment: &Deployment,
    merchant: &Merchant,
    refused_keys: &[String],
    said: &mut Said,
) -> anyhow::Result<()> {
    let mut calls = Vec::new();
    for order in ["ORD-1", "ORD-1"] {
        calls.push(merchant.call(&purchase(order)).await?);
    }
    for prefer in ["respond-async", "wait=0"] {
        calls.push(merchant.prefer(prefer, &purchase(prefer)).await?);
    }
    for kind in parrot::ANSWERS {
        calls.push(merchant.call(&with_click(&format!("{kind}#{}", now()), kind)).await?);
    }
    calls.push(merchant.call(&with(&purchase("ORD-2"), "/payload/currency", json!("XXX"))).await?);
    calls.push(merchant.call(&with(&purchase("ORD-3"), "/payload/event_time", json!(1))).await?);
    for body in ["{", "[]", "{\"payload\": 1}"] {
        calls.push(send(merchant.request().body(body)).await?);
    }
    let http2 = reqwest::Client::builder().no_proxy().http2_prior_knowledge().build()?;
    for http in [&http2, &deployment.http] {
        let url = merchant.url_of(&merchant.business);
        let over = |key: &str| http.post(&url).header("X-API-KEY", key).body(purchase("ORD-4").to_string());
        calls.push(send(over(&merchant.key)).await?);
        // A guess that is nearly right says as much as the key.
        for key in refused_keys.iter().cloned().chain([format!("{}x", merchant.key), merchant.key.to_uppercase()]) {
            calls.push(send(over(&key)).await?);
        }
        calls.push(send(over(&merchant.key).header("X-API-KEY", &merchant.key)).await?);
    }
    let other = merchant.url_of(&Uuid::now_v7().to_string());
    calls.push(send(merchant.bare(&other).header("X-API-KEY", &merchant.key).body("{}")).await?);
    for answer in &calls {
        deployment.analyst.final_row(answer.call).await?;
        said.answer(answer);
    }
    // No row of these.
    let elsewhere = format!("{}/elsewhere/{}?api_key={}", merchant.ingest, merchant.key, merchant.key);
    for url in [elsewhere, format!("{}?key={}", merchant.url_of(&merchant.business), merchant.key)] {
        said.answer(&send(merchant.bare(&url).header("X-API-KEY", &merchant.key)).await?);
        said.answer(&send(deployment.http.get(&url).header("X-API-KEY", &merchant.key)).await?);
    }
    Ok(())
}

/// Settings beside the deployment's, the arguments of a command, and the code that it ends with.
type Failing<'a> = (&'a [(&'a str, &'a str)], &'a [&'a str], i32);

/// Commands that succeed and commands that fail, for machines and for people.
async fn commands(deployment: &Deployment, merchant: &Merchant, said: &mut Said) -> anyhow::Result<()> {
    let garbage = fresh("no Avro");
    queue::write(&deployment.brokers, &deployment.topic("events.live"), 0, b"key", garbage.as_bytes()).await?;
    let letters = async || Ok((!deployment.operator.list(&["dead-letters", "list"]).await?.is_empty()).then_some(()));
    wait::until("the dead letter", letters).await?;
    let business = merchant.business.as_str();
    let succeed: [&[&str]; 12] = [
        &["--help"],
        &["channel", "put", "--help"],
        &["setup", "--help"],
        &["setup"],
        &["business", "list"],
        &["user", "list"],
        &["business", "show", business],
        &["key", "list", business],
        &["channel", "reencrypt"],
        &["replay", "--business", business, "--dry-run"],
        &["dead-letters", "list"],
        &["dead-letters", "redrive", "--dry-run"],
    ];
    for arguments in succeed {
        command(deployment, &[], arguments, 0, said).await?;
        command(deployment, &[], &[arguments, &["--json"]].concat(), 0, said).await?;
    }
    let setting = |name| deployment.setting(name).unwrap_or_default();
    let (key, password) = (setting("CAPI_SECRET_KEY"), setting("CAPI_CLICKHOUSE_PASSWORD"));
    let (broken, long) = (format!("{key}!"), format!("{key}{key}"));
    let url = format!("http://default:{password}@127.0.0.1:1/?password={password}");
    let away = "http://127.0.0.1:1";
    let fail: [Failing<'_>; 7] = [
        (&[("CAPI_SECRET_KEY", &broken)], &["channel", "reencrypt"], 64),
        (&[("CAPI_SECRET_KEY_PREVIOUS", &long)], &["channel", "reencrypt"], 64),
        (
            &[("CAPI_SECRET_KEY", setting("CAPI_SECRET_KEY_PREVIOUS")), ("CAPI_SECRET_KEY_PREVIOUS", "")],
            &["channel", "reencrypt"],
            65,
        ),
        (&[("CAPI_CLICKHOUSE_URL", &url)], &["replay", "--business", business, "--dry-run"], 64),
        (&[("CAPI_CLICKHOUSE_URL", away)], &["replay", "--business", business, "--dry-run"], 69),
        (&[("CAPI_KAFKA_PROPERTIES", "/nowhere")], &["business", "list"], 64),
        (&[], &["business", "show", "nobody"], 65),
    ];
    for (settings, arguments, code) in fail {
        command(deployment, settings, arguments, code, said).await?;
    }
    Ok(())
}

/// Each worker's `--help`, and its complaints about settings that cannot work.
async fn programs(deployment: &Deployment, said: &mut Said) -> anyhow::Result<()> {
    let setting = |name| deployment.setting(name).unwrap_or_default();
    let (key, password) = (setting("CAPI_SECRET_KEY"), setting("CAPI_CLICKHOUSE_PASSWORD"));
    let properties = deployment.directory().join("broken.properties");
    let text = std::fs::read_to_string(setting("CAPI_KAFKA_PROPERTIES"))?;
    std::fs::write(
        &properties,
        text.replace("sasl.password", "sasl.passwort").replace("debug=conf", "debug=nonsense"),
    )?;
    let broken = [
        ("CAPI_SECRET_KEY", format!("{key}{key}")),
        ("CAPI_CLICKHOUSE_URL", format!("http://default:{password}@127.0.0.1:1")),
        ("CAPI_KAFKA_PROPERTIES", properties.to_string_lossy().into_owned()),
    ];
    for kind in [Kind::Ingest, Kind::Forwarder, Kind::Recorder] {
        for (arguments, settings, code) in [(&["--help"][..], &[][..], 0), (&["--version"], &[], 0), (&[], &broken, 64)]
        {
            let output = Command::new(deployment.program(kind)?)
                .args(arguments)
                .env_clear()
                .envs(deployment.environment().iter().cloned())
                .envs(settings.iter().cloned())
                .kill_on_drop(true)
                .output()
                .await?;
            let name = format!("{} {}", kind.program(), arguments.join(" "));
            ensure!(output.status.code() == Some(code), "{name}: {}", String::from_utf8_lossy(&output.stderr));
            said.add(&name, [output.stdout, output.stderr].concat());
        }
    }
    Ok(())
}

/// At trace level: where a line names its target and level, no library's is below info, but for Kafka's client.
fn no_library_below_info(log: &[u8]) -> anyhow::Result<()> {
    for line in log.split(|byte| *byte == b'\n') {
        let Ok(line) = serde_json::from_slice::<Value>(line) else { continue };
        let (target, level) = (line["target"].as_str().unwrap_or_default(), line["level"].as_str().unwrap_or_default());
        let ours = target.starts_with("capi") || target.starts_with("rdkafka") || target == "librdkafka";
        ensure!(ours || !["DEBUG", "TRACE"].contains(&level), "{target} speaks: {line}");
    }
    Ok(())
}

/// Every message of every topic of the deployment: keys, payloads, headers.
fn raw_topics(deployment: &Deployment) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for message in queue::messages(&deployment.brokers, &format!("{}.", deployment.prefix))? {
        let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
        let headers = headers.flat_map(|header| [header.key.as_bytes(), header.value.unwrap_or_default()]);
        let all = [message.key(), message.payload()].into_iter().flatten().chain(headers);
        bytes.extend(all.flat_map(|part| [part, &b"\n"[..]].concat()));
    }
    Ok(bytes)
}
