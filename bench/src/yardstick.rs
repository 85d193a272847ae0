//! The least services possible: what is left of the pipeline where nothing is parsed, checked or promised. Each runs as a
//! process of its own, as the real program beside it does, so that both can be measured alike.

use std::{env, net::SocketAddr, path::Path};

use anyhow::{Context as _, bail};
use e2e::{
    port,
    process::{Process, Signal},
    wait,
};
use tokio::net::TcpStream;

mod chain;
mod front;
mod kafka;
mod nothing;

/// Names the service that a process is to be.
const SERVICE: &str = "CAPI_BENCH_SERVICE";
const LISTEN: &str = "CAPI_BENCH_LISTEN";
const BROKERS: &str = "CAPI_BENCH_BROKERS";
const PREFIX: &str = "CAPI_BENCH_PREFIX";
const LINGER: &str = "CAPI_BENCH_LINGER_MS";
const META: &str = "CAPI_BENCH_META";

/// The topics' partitions.
pub const PARTITIONS: i32 = 12;

/// A least service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Answers any call at once, as Meta would and as ingest would: the ceiling of whoever sends.
    Nothing,
    /// A call's body into Kafka, and 202 once it is acknowledged.
    Ingest,
    /// The front half of the synchronous chain: a call's body into Kafka, and 200 once its verdict comes.
    Front,
    /// The back half: an event, its intent and its result each read back, Meta between them, its verdict.
    Chain,
    /// The same without Meta, and a record in place of the verdict.
    Relay,
}

impl Service {
    const ALL: [Self; 5] = [Self::Nothing, Self::Ingest, Self::Front, Self::Chain, Self::Relay];

    fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Ingest => "ingest",
            Self::Front => "front",
            Self::Chain => "chain",
            Self::Relay => "relay",
        }
    }
}

/// Where a service finds the rest.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// Kafka's bootstrap servers.
    pub brokers: String,
    /// The prefix of the topics.
    pub prefix: String,
    /// How long a message waits for company, in milliseconds.
    pub linger_ms: u32,
    /// Where Meta is.
    pub meta: Option<SocketAddr>,
}

/// A running yardstick. Dropped, it is killed.
pub struct Yardstick {
    /// Where it listens.
    pub address: SocketAddr,
    process: Process,
}

impl Yardstick {
    /// Starts this program anew as a service, and waits until it listens.
    ///
    /// # Errors
    /// Where it does not come up.
    pub async fn start(service: Service, around: &Surroundings, folder: &Path) -> anyhow::Result<Self> {
        let address = port::free()?;
        let mut environment = vec![
            (SERVICE.to_owned(), service.name().to_owned()),
            (LISTEN.to_owned(), address.to_string()),
            (BROKERS.to_owned(), around.brokers.clone()),
            (PREFIX.to_owned(), around.prefix.clone()),
            (LINGER.to_owned(), around.linger_ms.to_string()),
        ];
        environment.extend(around.meta.map(|meta| (META.to_owned(), meta.to_string())));
        let log = folder.join(format!("yardstick-{}.log", service.name()));
        let process = Process::start(&env::current_exe()?, &environment, log)?;
        let listens = async || Ok(TcpStream::connect(address).await.is_ok().then_some(()));
        wait::until(service.name(), listens).await?;
        Ok(Self { address, process })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// Where it has ended.
    pub async fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        self.process.signal(signal).await
    }
}

/// Where this process was started as a yardstick: is that, until it is killed.
///
/// # Errors
/// Where it cannot be.
pub async fn serve_if_asked() -> anyhow::Result<bool> {
    let Ok(name) = env::var(SERVICE) else { return Ok(false) };
    let Some(service) = Service::ALL.into_iter().find(|service| service.name() == name) else {
        bail!("{SERVICE} is `{name}`, which is no service");
    };
    let said = |name: &str| env::var(name).with_context(|| format!("{name} is not set"));
    let around = Surroundings {
        brokers: said(BROKERS)?,
        prefix: said(PREFIX)?,
        linger_ms: said(LINGER)?.parse()?,
        meta: env::var(META).ok().map(|meta| meta.parse()).transpose()?,
    };
    let listen = said(LISTEN)?.parse()?;
    match service {
        Service::Nothing => nothing::serve(listen).await?,
        Service::Ingest => front::ingest(listen, &around).await?,
        Service::Front => front::front(listen, &around).await?,
        Service::Chain | Service::Relay => chain::serve(listen, &around).await?,
    }
    Ok(true)
}

/// Into the yardstick's log: a run that stands still is explained there.
#[expect(clippy::print_stderr, reason = "its log is its error output")]
fn complain(error: &anyhow::Error) {
    eprintln!("{error:#}");
}
