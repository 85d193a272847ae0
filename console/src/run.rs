//! From settings to a running console, and down again.

use std::{sync::Arc, time::Duration};

use directory::{DirectoryView, Store, StoreError, ViewEvent, secret::SecretKeyFault};
use forwarder::meta::{Client, ClientFault, ClientSettings};
use rdkafka::error::KafkaError;
use tokio::{net::TcpListener, time::sleep};
use tokio_util::sync::CancellationToken;
use worker::{
    Worker,
    server::{self, descriptors},
    settings::SettingsFault,
};

use crate::{
    console::{Console, Meta, Terms},
    metrics,
    records::Records,
    router::router,
    settings::Settings,
};

/// How often ClickHouse is asked whether it is there, for `/readyz`.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How long answers in flight may take once a drain has begun: longer than ClickHouse and Kafka are waited for.
const DRAIN_LIMIT: Duration = Duration::from_secs(20);

/// Why the console ends other than by a drain.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The file of Kafka's properties cannot be used.
    #[error(transparent)]
    Settings(#[from] SettingsFault),
    /// There is no key to sign sessions with.
    #[error(transparent)]
    SecretKey(#[from] SecretKeyFault),
    /// A Kafka client cannot be made of these settings.
    #[error("the Kafka client: {0}")]
    Client(#[from] KafkaError),
    /// The same, of the client that writes.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no way to Meta.
    #[error(transparent)]
    Meta(#[from] ClientFault),
    /// The address cannot be opened.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// Why.
        source: std::io::Error,
    },
}

/// Runs until a drain has ended. The port opens at once; what is away is told on the pages that need it.
///
/// # Errors
/// Where the console cannot start.
pub async fn run(settings: Settings, worker: Worker) -> Result<(), RunError> {
    metrics::describe();
    settings.kafka.write_schemas.settle();
    let (config, topics) = (settings.kafka.client()?, settings.kafka.topics());
    let console = Arc::new(Console::new(
        follow_directory(&config, &topics, &worker)?,
        Store::open(&config, &topics)?,
        Records::new(&settings.clickhouse),
        settings.secret_key.load()?,
        meta(&settings)?,
        Terms::of(&settings),
    ));
    watch_records(&console, &worker);
    let address = settings.listen;
    let listener = TcpListener::bind(address).await.map_err(|source| RunError::Listen { address, source })?;
    tracing::info!(%address, "listening");
    let (drain, connections) = (CancellationToken::new(), descriptors::room(settings.max_connections));
    let served = server::serve(listener, router(console), connections, metrics::ADDRESS, drain.clone());
    let drained = async {
        worker.shutdown.requested().await;
        drain.cancel();
        sleep(DRAIN_LIMIT).await;
        tracing::warn!("pages were still on their way at the end of the drain");
    };
    tokio::select! {
        () = served => {}
        () = drained => {}
    }
    Ok(())
}

/// Nobody waits long for a check.
fn meta(settings: &Settings) -> Result<Meta, ClientFault> {
    let (connect_timeout, timeout) = (Duration::from_secs(3), Duration::from_secs(10));
    let client = Client::new(ClientSettings { url: settings.meta_url.clone(), connect_timeout, timeout })?;
    Ok(Meta { client, version: settings.meta_version.clone() })
}

fn follow_directory(
    config: &rdkafka::ClientConfig,
    topics: &schemas::Topics,
    worker: &Worker,
) -> Result<DirectoryView, KafkaError> {
    let health = worker.health.dependency("directory");
    let report = move |event: ViewEvent<'_>| match event {
        ViewEvent::Following => health.up(),
        ViewEvent::Away(why) => health.down(why),
        ViewEvent::Unreadable { offset, fault } => {
            metrics::unreadable();
            tracing::error!(offset, %fault, "an unreadable value of the directory: put it again");
        }
    };
    let spawn = |task| worker.vital.spawn("directory", task).abort_handle();
    DirectoryView::start(config, topics, report, spawn)
}

/// Says in `/readyz` whether ClickHouse is there.
fn watch_records(console: &Arc<Console>, worker: &Worker) {
    let (console, health) = (Arc::clone(console), worker.health.dependency("clickhouse"));
    worker.vital.spawn_endless("clickhouse", async move {
        loop {
            match console.records.look().await {
                Ok(()) => health.up(),
                Err(fault) => health.down(fault.to_string()),
            }
            sleep(LOOK_EVERY).await;
        }
    });
}
