//! From settings to a running worker, and down again.

use std::{sync::Arc, time::Duration};

use directory::{DirectoryView, ViewEvent};
use rdkafka::{
    ClientConfig,
    error::{KafkaError, KafkaResult},
};
use schemas::Topics;
use tokio::{net::TcpListener, time::sleep};
use tokio_util::sync::CancellationToken;
use worker::{
    Worker,
    health::Dependency,
    producer::{Patience, Producer},
    settings::SettingsFault,
    topics::{self, TopicFault},
};

use crate::{
    metrics,
    publish::{KafkaQueue, PRODUCE_TIME, Publisher},
    router, server,
    service::{Pipeline, Service},
    settings::Settings,
    verdict::{Listener, Waiters},
};

/// The producer's entry in `/readyz`: whether brokers answer it.
const KAFKA: &str = "kafka";
/// A caller waits: no message waits for company.
const LINGER: Duration = Duration::ZERO;
/// Requests to a broker at once. A message waits only while so many are under way, and then goes with all that came
/// meanwhile: a lone one goes at once. With five, which idempotence allows, batches are smaller, and librdkafka's thread
/// spins: where five messages of a partition are under way and a sixth waits, it looks again without a pause.
const REQUESTS_AT_ONCE: &str = "2";
/// How often an absent Kafka is asked again.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// How long requests in flight may take once a drain has begun: the rest of a wait and the pending row after it, less
/// than the worker is given.
const DRAIN_LIMIT: Duration = Duration::from_secs(20);

/// How long messages that nobody waits for any more may still take.
const FLUSH_LIMIT: Duration = Duration::from_secs(1);

/// Why the worker ends other than by a drain.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The file of Kafka's properties cannot be used.
    #[error(transparent)]
    Settings(#[from] SettingsFault),
    /// The public address cannot be opened.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// A Kafka client cannot be made of these settings.
    #[error("the Kafka client: {0}")]
    Client(#[from] KafkaError),
    /// The topics are not as they must be.
    #[error(transparent)]
    Topics(#[from] TopicFault),
    /// No thread for the verdicts.
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
    /// The producer failed for good.
    #[error("the Kafka producer failed for good")]
    Producer,
}

/// Runs until a drain has ended. The port opens at once; while Kafka is away, calls are answered 503.
///
/// # Errors
/// Where the worker cannot start, or cannot go on.
pub async fn run(settings: Settings, worker: Worker) -> Result<(), RunError> {
    metrics::describe();
    settings.kafka.write_schemas.settle();
    let kafka = Kafka { config: settings.kafka.client()?, topics: settings.kafka.topics(), worker };
    let (drain, failed, stop) = (CancellationToken::new(), CancellationToken::new(), CancellationToken::new());
    let queue = kafka.worker.health.dependency(KAFKA);
    let service = Arc::new(Service::new(kafka.follow_directory()?, queue, settings.terms(), drain.clone()));
    let producer = kafka.producer()?;
    let queue = KafkaQueue::new(producer.clone(), failed.clone());
    let address = settings.listen;
    let listener = TcpListener::bind(address).await.map_err(|source| RunError::Listen { address, source })?;
    tracing::info!(%address, "listening");
    let connections = server::descriptors::room(settings.max_connections);
    let served = async {
        server::serve(listener, router::router(Arc::clone(&service)), connections, drain.clone()).await;
        // Calls whose callers went away are finished as well.
        service.calls.close();
        service.calls.wait().await;
    };
    let drained = async {
        kafka.worker.shutdown.requested().await;
        drain.cancel();
        sleep(DRAIN_LIMIT).await;
        tracing::warn!("calls were still in flight at the end of the drain");
    };
    let failed = async {
        if let Err(fault) = kafka.open(&service, queue, &stop).await {
            return fault;
        }
        failed.cancelled().await;
        RunError::Producer
    };
    let ended = tokio::select! {
        () = served => Ok(()),
        () = drained => Ok(()),
        fault = failed => Err(fault),
    };
    stop.cancel();
    producer.flush(FLUSH_LIMIT).await;
    ended
}

/// Where Kafka is, and where its standing is told.
struct Kafka {
    config: ClientConfig,
    topics: Topics,
    worker: Worker,
}

impl Kafka {
    fn producer(&self) -> KafkaResult<Producer> {
        let mut config = self.config.clone();
        config.set("max.in.flight", REQUESTS_AT_ONCE);
        Producer::new(config, LINGER, Patience::Bounded(PRODUCE_TIME), self.worker.health.dependency(KAFKA))
    }

    fn follow_directory(&self) -> KafkaResult<DirectoryView> {
        let health = self.worker.health.dependency("directory");
        let report = move |event: ViewEvent<'_>| match event {
            ViewEvent::Following => health.up(),
            ViewEvent::Away(why) => health.down(why),
            ViewEvent::Unreadable { offset, fault } => {
                metrics::unreadable("directory");
                tracing::error!(offset, %fault, "unreadable business: put it again");
            }
        };
        let spawn = |task| self.worker.vital.spawn("directory", task).abort_handle();
        DirectoryView::start(&self.config, &self.topics, report, spawn)
    }

    /// Opens the service once the topics are checked and the verdicts are listened for, waiting for as long as Kafka is
    /// away. The thread that listens ends with `stop`.
    async fn open(&self, service: &Service, queue: KafkaQueue, stop: &CancellationToken) -> Result<(), RunError> {
        let [topics, verdicts] = ["topics", "verdicts"].map(|name| self.worker.health.dependency(name));
        let found = topics::verify(&self.config, &self.topics, None, &topics).await?;
        topics.up();
        let listener = self.place_listener(found.verdicts, &verdicts).await;
        let waiters = Arc::new(Waiters::default());
        let publisher = Publisher::new(Box::new(queue), self.topics.clone(), found.per_order, listener.partition());
        let vital = &self.worker.vital;
        listener.run(Arc::clone(&waiters), verdicts, stop.clone(), vital).map_err(RunError::Thread)?;
        service.open(Pipeline { publisher, waiters });
        Ok(())
    }

    async fn place_listener(&self, partitions: i32, health: &Dependency) -> Listener {
        loop {
            match Listener::place(&self.config, &self.topics, partitions).await {
                Ok(listener) => return listener,
                Err(fault) => {
                    health.down(fault.to_string());
                    sleep(ASK_EVERY).await;
                }
            }
        }
    }
}
