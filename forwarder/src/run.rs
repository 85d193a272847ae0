//! Puts the forwarder together and runs it.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use directory::{DirectoryView, ViewEvent};
use rdkafka::ClientConfig;
use schemas::{Topics, topics::ledger_kept};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use worker::{
    Worker,
    health::Dependency,
    producer::{Patience, Producer},
    topics,
    vital::Vital,
};

use crate::{
    Settings,
    assignment::Assignment,
    clock,
    group::{Change, Group},
    inputs::Inputs,
    meta::{self, Client, ClientSettings, DirectoryChannels, Dispatcher, Limits},
    metrics,
    owner::Workshop,
    publish::Publisher,
    tail::Tail,
};

/// A connection that cannot be made soon is not made: nothing was sent, so trying again costs nothing.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Runs until the worker is to end.
///
/// # Errors
/// Where the topics are not as they must be, or Kafka's client fails for good.
pub async fn run(settings: Settings, worker: Worker) -> anyhow::Result<()> {
    metrics::describe();
    meta::metrics::describe();
    settings.kafka.write_schemas.settle();
    let prepared = tokio::select! {
        prepared = prepare(&settings, &worker) => prepared?,
        // Nothing was begun, so there is nothing to drain.
        () = worker.shutdown.requested() => return Ok(()),
    };
    let Prepared { shop, group, changes, halt, partitions } = prepared;
    tokio::select! {
        () = Assignment::new(shop, partitions).follow(changes, worker.shutdown) => Ok(()),
        () = halt.cancelled() => Err(anyhow::anyhow!("going on would break what the forwarder promises: see the error before")),
        error = group.serve() => Err(error).context("an event came outside its lane"),
        () = group.commit_regularly() => Ok(()),
    }
}

/// Everything in place, and the group joined.
struct Prepared {
    shop: Arc<Workshop>,
    group: Arc<Group>,
    changes: mpsc::UnboundedReceiver<Change>,
    halt: CancellationToken,
    partitions: Dependency,
}

/// The group is joined last: from then on events come, and everything that they need is there.
async fn prepare(settings: &Settings, worker: &Worker) -> anyhow::Result<Prepared> {
    let (config, names) = (settings.kafka.client()?, settings.kafka.topics());
    let kafka = worker.health.dependency("kafka");
    let directory = worker.health.dependency("directory");
    let partitions = worker.health.dependency("partitions");
    let map = topics::verify(&config, &names, Some(settings.dedup_window.0), &kafka).await?;
    let view = follow_directory(&config, &names, directory, &worker.vital)?;
    view.ready().await;

    let halt = CancellationToken::new();
    let producer = Producer::new(config.clone(), Duration::ZERO, Patience::Endless, kafka)?;
    let publisher = Publisher::new(producer, names.clone(), map.per_order, halt.clone(), &worker.vital);
    let dispatcher = dispatcher(settings, view, worker.vital.clone())?;
    let (group, changes) = Group::join(config.clone(), &names, settings.instance.as_deref())?;
    let shop = Workshop {
        publisher: Arc::new(publisher.clone()),
        tail: Arc::new(Tail::start(&config, &names, &worker.vital)?),
        inputs: Arc::new(Inputs::new(group.clone(), publisher)),
        group: group.clone(),
        dispatcher,
        tiers: settings.retry_delays.0.clone(),
        instance: settings.instance.clone().unwrap_or_else(|| format!("process {}", std::process::id())),
        partitions: map.per_order,
        window_ms: millis(settings.dedup_window.0),
        kept_ms: millis(ledger_kept(settings.dedup_window.0)),
        http_timeout: settings.meta_timeout,
        halt: halt.clone(),
        vital: worker.vital.clone(),
    };
    Ok(Prepared { shop: Arc::new(shop), group, changes, halt, partitions })
}

fn dispatcher(settings: &Settings, view: DirectoryView, vital: Vital) -> anyhow::Result<Dispatcher> {
    let client = Client::new(ClientSettings {
        url: settings.meta_url.clone(),
        connect_timeout: CONNECT_TIMEOUT.min(settings.meta_timeout),
        timeout: settings.meta_timeout,
    })?;
    let channels = DirectoryChannels::new(view, settings.secret_key.load()?, settings.meta_version.clone());
    Ok(Dispatcher::new(client, channels, Limits::new(clock::now_ms), vital))
}

fn follow_directory(
    config: &ClientConfig,
    names: &Topics,
    health: Dependency,
    vital: &Vital,
) -> anyhow::Result<DirectoryView> {
    let report = move |event: ViewEvent<'_>| match event {
        ViewEvent::Following => health.up(),
        // What is in memory still serves.
        ViewEvent::Away(why) => health.down(why),
        ViewEvent::Unreadable { offset, fault } => {
            metrics::directory_unreadable();
            tracing::error!(offset, %fault, "an entry of the directory cannot be read");
        }
    };
    let spawn = |task| vital.spawn("directory", task).abort_handle();
    Ok(DirectoryView::start(config, names, report, spawn)?)
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 4)
}
