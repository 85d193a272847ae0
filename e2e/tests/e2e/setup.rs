//! `capi setup` twice, and settings that cannot work.

use anyhow::ensure;
use e2e::{
    deployment::Deployment,
    instance::{Instance, Kind},
};
use serde_json::Value;

/// The second time it changes nothing, while everything runs.
pub(crate) async fn twice(deployment: &Deployment) -> anyhow::Result<()> {
    let steps = deployment.operator.list(&["setup"]).await?;
    ensure!(steps.len() >= 10, "{steps:?}");
    ensure!(steps.iter().all(|step| step["done"] == "unchanged"), "{steps:?}");
    Ok(())
}

/// Each command's exit code is the one that scripts lean on.
pub(crate) async fn exit_codes(deployment: &Deployment) -> anyhow::Result<()> {
    let nobody = uuid::Uuid::now_v7().to_string();
    for (arguments, code) in [
        (&["business", "put", &nobody][..], 64),
        (&["business", "show", &nobody], 65),
        (&["channel", "remove", &nobody], 65),
        (&["key", "create", &nobody, "--name", "x"], 65),
        (&["key", "revoke", &nobody, "unknown"], 65),
        (&["business", "put", "no-uuid", "--name", "x"], 65),
        (&["no-command"], 64),
        (&["business", "list", "--kafka-brokers", "127.0.0.1:1"], 69),
        (&["--version"], 0),
        (&["--help"], 0),
    ] {
        let said = deployment.operator.run(arguments).await?;
        ensure!(said.code == code, "capi {arguments:?}: {said:?}");
        ensure!((said.code == 0) == said.stderr.is_empty(), "capi {arguments:?}: {said:?}");
    }
    Ok(())
}

/// The tracking link: what the page already has in query and fragment stays.
pub(crate) async fn the_tracking_link(deployment: &Deployment) -> anyhow::Result<()> {
    let values = ["--cnct-tracking-id", "a b", "--sendout-id", "s", "--ctwa-clid", "c&d", "--ad-id", "9"];
    let link = deployment.operator.one(&[&["link", "https://shop.example/p?x=1#top"], &values[..]].concat()).await?;
    let url = "https://shop.example/p?x=1&cnct_tracking_id=a%20b&sendout_id=s&ctwa_clid=c%26d&ad_id=9\
               &attribution_source=meta_ctwa#top";
    ensure!(link["url"] == url, "{link}");
    Ok(())
}

/// A worker whose settings cannot work ends with 64 and a sentence for each fault, before it opens a port.
pub(crate) async fn settings_that_cannot_work(deployment: &Deployment) -> anyhow::Result<()> {
    for (kind, name, value) in [
        (Kind::Forwarder, "CAPI_SECRET_KEY", "too short"),
        (Kind::Forwarder, "CAPI_RETRY_DELAYS", "1m,10m"),
        (Kind::Forwarder, "CAPI_RETRY_DELAYS", "1h,10m,1m"),
        (Kind::Forwarder, "CAPI_RETRY_DELAYS", "0s,0s,0s"),
        (Kind::Forwarder, "CAPI_META_URL", "graph.facebook.com"),
        (Kind::Forwarder, "CAPI_META_URL", "https://graph.facebook.com/?access_token=x"),
        (Kind::Forwarder, "CAPI_META_VERSION", "latest"),
        (Kind::Forwarder, "CAPI_DEDUP_WINDOW", "soon"),
        (Kind::Ingest, "CAPI_VERDICT_WAIT", "10"),
        (Kind::Ingest, "CAPI_TRUSTED_PROXIES", "everyone"),
        (Kind::Ingest, "CAPI_TOPIC_PREFIX", "a b"),
        (Kind::Recorder, "CAPI_KAFKA_PROPERTIES", "/no/such/file"),
        (Kind::Recorder, "CAPI_CLICKHOUSE_URL", "no url"),
    ] {
        let (code, said) = ends(deployment, kind, name, value).await?;
        ensure!(code == Some(64), "{} with {name}={value} ends with {code:?}: {said}", kind.program());
        ensure!(said.contains("error"), "{} with {name}={value} says {said}", kind.program());
    }
    Ok(())
}

/// A deduplication window that is not what `capi setup` was told: the workers that lean on it refuse to start.
pub(crate) async fn a_mismatch(deployment: &Deployment) -> anyhow::Result<()> {
    for kind in [Kind::Forwarder, Kind::Recorder] {
        let (code, said) = ends(deployment, kind, "CAPI_DEDUP_WINDOW", "3d").await?;
        ensure!(code.is_some_and(|code| code != 0), "{} ends with {code:?}: {said}", kind.program());
        ensure!(said.contains("CAPI_DEDUP_WINDOW") || said.contains("capi setup"), "{} says {said}", kind.program());
    }
    Ok(())
}

/// The exit code of a worker with this setting, and what it said.
async fn ends(deployment: &Deployment, kind: Kind, name: &str, value: &str) -> anyhow::Result<(Option<i32>, String)> {
    let mut environment = deployment.environment().to_vec();
    environment.push((name.to_owned(), value.to_owned()));
    let log = e2e::event::fresh(name);
    let program = deployment.program(kind)?;
    let mut worker = Instance::start(program, &log, environment, deployment.directory(), deployment.http.clone())?;
    let status = worker.ended().await?;
    Ok((status.code(), std::fs::read_to_string(worker.log())?))
}

/// What a worker tells of itself: readiness by dependency, and metrics that never hold a secret.
pub(crate) async fn the_admin_addresses(deployment: &Deployment) -> anyhow::Result<()> {
    let workers = deployment.ingests.iter().chain(&deployment.forwarders).chain(&deployment.recorders);
    for worker in workers {
        let (status, _) = worker.admin_page("/livez").await?;
        ensure!(status == 200, "/livez says {status}");
        let (status, readiness) = worker.admin_page("/readyz").await?;
        let readiness: Value = serde_json::from_str(&readiness)?;
        ensure!(status == 200 && readiness["ready"] == true, "{readiness}");
        ensure!(readiness["dependencies"].as_object().is_some_and(|all| all.contains_key("kafka")), "{readiness}");
        let (status, metrics) = worker.admin_page("/metrics").await?;
        ensure!(status == 200 && metrics.contains("# TYPE capi_"), "{metrics}");
    }
    let metrics = deployment.http.get(format!("{}/metrics", deployment.ingest_url(0))).send().await?;
    ensure!(metrics.status() == 404, "metrics on the public address: {}", metrics.status());
    Ok(())
}
