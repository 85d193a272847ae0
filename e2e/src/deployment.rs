//! One whole pipeline, apart from all others.

use std::{
    env, fs,
    io::Read as _,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use futures::future::try_join_all;

use crate::{
    analyst::Analyst,
    cluster::Cluster,
    event::fresh,
    instance::{Instance, Kind},
    operator::Operator,
    port,
    process::{self, Process},
    sandbox::Sandbox,
    wait,
};

/// A change to a business, channel or key is in effect everywhere within this time (contract, section 7).
const EFFECT: Duration = Duration::from_secs(1);

/// A forwarder or recorder that dies is missed after 6 s, Kafka's usual floor.
const KAFKA_PROPERTIES: &str = "session.timeout.ms=6000\nheartbeat.interval.ms=500\n";

/// Lines of each log that a failed test shows.
const SHOWN: usize = 25;

/// What a deployment is made of.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Instances of ingest.
    pub ingests: usize,
    /// Instances of the forwarder.
    pub forwarders: usize,
    /// Instances of the recorder.
    pub recorders: usize,
    /// Instances of the console.
    pub consoles: usize,
    /// Whether forwarders and recorders are static members of their groups.
    pub is_static: bool,
    /// Settings beside, or in place of, those for quick tests.
    pub settings: Vec<(&'static str, String)>,
    /// Properties of Kafka's client beside those for quick tests.
    pub properties: String,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            ingests: 1,
            forwarders: 1,
            recorders: 1,
            consoles: 0,
            is_static: true,
            settings: Vec::new(),
            properties: String::new(),
        }
    }
}

impl Plan {
    /// With one more setting.
    #[must_use]
    pub fn set(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.settings.push((name, value.into()));
        self
    }
}

/// A running pipeline. Dropped, its programs are killed.
pub struct Deployment {
    /// The prefix of its topics.
    pub prefix: String,
    /// Kafka's bootstrap servers.
    pub brokers: String,
    /// Instances of ingest.
    pub ingests: Vec<Instance>,
    /// Instances of the forwarder.
    pub forwarders: Vec<Instance>,
    /// Instances of the recorder.
    pub recorders: Vec<Instance>,
    /// Instances of the console.
    pub consoles: Vec<Instance>,
    /// Meta's stand-in.
    pub sandbox: Sandbox,
    /// The command line.
    pub operator: Operator,
    /// ClickHouse.
    pub analyst: Analyst,
    /// For calls over HTTP.
    pub http: reqwest::Client,
    cluster: Cluster,
    environment: Vec<(String, String)>,
    directory: PathBuf,
    is_static: bool,
    meta: Process,
}

impl Deployment {
    /// Sets up topics and tables, starts everything, and waits until all of it is ready.
    ///
    /// # Errors
    /// Where something does not start.
    pub async fn start(cluster: &Cluster, name: &str, plan: &Plan) -> anyhow::Result<Self> {
        let prefix = fresh(&format!("e2e-{}", name.replace("::", "-")));
        let directory = cluster.scratch().join(&prefix);
        fs::create_dir_all(&directory)?;
        let http = client()?;
        let (meta, sandbox) = start_sandbox(cluster, &directory, &http)?;
        let environment = environment(cluster, &prefix, &directory, sandbox.url(), plan)?;
        let operator = Operator::new(cluster.program("capi")?, environment.clone(), directory.clone());
        operator.list(&["setup"]).await?;
        let analyst = Analyst::new(&cluster.clickhouse, &database(&prefix), http.clone());
        let mut deployment = Self {
            prefix,
            brokers: cluster.brokers.clone(),
            ingests: Vec::new(),
            forwarders: Vec::new(),
            recorders: Vec::new(),
            consoles: Vec::new(),
            sandbox,
            operator,
            analyst,
            http,
            cluster: cluster.clone(),
            environment,
            directory,
            is_static: plan.is_static,
            meta,
        };
        deployment.ready(plan).await.map_err(|error| error.context(deployment.tails()))?;
        Ok(deployment)
    }

    async fn ready(&mut self, plan: &Plan) -> anyhow::Result<()> {
        let counts = [
            (Kind::Ingest, plan.ingests),
            (Kind::Forwarder, plan.forwarders),
            (Kind::Recorder, plan.recorders),
            (Kind::Console, plan.consoles),
        ];
        for (kind, count) in counts {
            for _ in 0..count {
                self.add(kind)?;
            }
        }
        let sandbox = &self.sandbox;
        wait::until("the sandbox", async || Ok(sandbox.is_up().await.then_some(()))).await?;
        try_join_all(self.instances().map(Instance::ready)).await.map(|_| ())
    }

    /// Starts one more instance of a worker, and does not wait for it.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub fn add(&mut self, kind: Kind) -> anyhow::Result<()> {
        let instances = match kind {
            Kind::Ingest => &mut self.ingests,
            Kind::Forwarder => &mut self.forwarders,
            Kind::Recorder => &mut self.recorders,
            Kind::Console => &mut self.consoles,
        };
        let name = format!("{}-{}", kind.program(), instances.len() + 1);
        let mut environment = self.environment.clone();
        if self.is_static && matches!(kind, Kind::Forwarder | Kind::Recorder) {
            environment.push(("CAPI_INSTANCE".into(), name.clone()));
        }
        let program = self.cluster.program(kind.program())?;
        instances.push(Instance::start(program, &name, environment, &self.directory, self.http.clone())?);
        Ok(())
    }

    /// Every instance of its workers.
    pub fn instances(&mut self) -> impl Iterator<Item = &mut Instance> {
        self.ingests.iter_mut().chain(&mut self.forwarders).chain(&mut self.recorders).chain(&mut self.consoles)
    }

    /// Every instance of its workers, with its number among those of its kind.
    pub fn numbered(&mut self) -> impl Iterator<Item = (Kind, usize, &mut Instance)> {
        let kinds = [
            (Kind::Ingest, &mut self.ingests),
            (Kind::Forwarder, &mut self.forwarders),
            (Kind::Recorder, &mut self.recorders),
            (Kind::Console, &mut self.consoles),
        ];
        kinds.into_iter().flat_map(|(kind, instances)| {
            instances.iter_mut().enumerate().map(move |(number, instance)| (kind, number, instance))
        })
    }

    /// The name of one of its topics.
    pub fn topic(&self, name: &str) -> String {
        format!("{}.{name}", self.prefix)
    }

    /// The public address of an instance of ingest.
    pub fn ingest_url(&self, instance: usize) -> String {
        self.ingests.get(instance).map(|ingest| format!("http://{}", ingest.public)).unwrap_or_default()
    }

    /// Lets the time pass within which every worker has to know of a change.
    pub async fn a_change_takes_effect(&self) {
        tokio::time::sleep(EFFECT).await;
    }

    /// The path of a worker's program.
    ///
    /// # Errors
    /// Where it has not been built.
    pub fn program(&self, kind: Kind) -> anyhow::Result<PathBuf> {
        self.cluster.program(kind.program())
    }

    /// The settings of its programs.
    pub fn environment(&self) -> &[(String, String)] {
        &self.environment
    }

    /// One setting of its programs.
    pub fn setting(&self, name: &str) -> Option<&str> {
        self.environment.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Where its files are.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The end of each log, for the report of a failed test.
    pub fn tails(&self) -> String {
        let instances = self.ingests.iter().chain(&self.forwarders).chain(&self.recorders).chain(&self.consoles);
        let logs = instances.map(Instance::log).chain([self.meta.log()]);
        let tails = logs.map(|log| format!("--- {}\n{}\n", log.display(), process::tail(log, SHOWN)));
        tails.collect::<Vec<_>>().concat()
    }

    /// Ends it and removes its files, which nobody needs after a success.
    ///
    /// # Errors
    /// Where the files stay.
    pub fn discard(self) -> anyhow::Result<()> {
        let directory = self.directory.clone();
        drop(self);
        Ok(fs::remove_dir_all(directory)?)
    }
}

/// A client for calls over HTTP, patient as tests are.
///
/// # Errors
/// Where none can be made.
pub fn client() -> anyhow::Result<reqwest::Client> {
    // A second deployment finds it installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Ok(reqwest::Client::builder().no_proxy().timeout(wait::PATIENCE).build()?)
}

fn start_sandbox(cluster: &Cluster, directory: &Path, http: &reqwest::Client) -> anyhow::Result<(Process, Sandbox)> {
    let address = port::free()?;
    let environment = [("CAPI_SANDBOX_LISTEN".to_owned(), address.to_string())];
    let process = Process::start(&cluster.program("capi-meta-sandbox")?, &environment, directory.join("sandbox.log"))?;
    Ok((process, Sandbox::at(format!("http://{address}"), http.clone())))
}

fn environment(
    cluster: &Cluster,
    prefix: &str,
    directory: &Path,
    meta: &str,
    plan: &Plan,
) -> anyhow::Result<Vec<(String, String)>> {
    let properties = directory.join("kafka.properties");
    fs::write(&properties, format!("{KAFKA_PROPERTIES}{}", plan.properties))?;
    let ours = [
        ("CAPI_KAFKA_BROKERS", cluster.brokers.clone()),
        ("CAPI_KAFKA_PROPERTIES", properties.to_string_lossy().into_owned()),
        ("CAPI_TOPIC_PREFIX", prefix.to_owned()),
        ("CAPI_PARTITIONS", "4".to_owned()),
        ("CAPI_CLICKHOUSE_URL", cluster.clickhouse.clone()),
        ("CAPI_CLICKHOUSE_DATABASE", database(prefix)),
        ("CAPI_META_URL", meta.to_owned()),
        ("CAPI_META_TIMEOUT", "2s".to_owned()),
        ("CAPI_RETRY_DELAYS", "1s,2s,3s".to_owned()),
        ("CAPI_SECRET_KEY", random_key()?),
        // Each merchant of a test has an address of its own.
        ("CAPI_TRUSTED_PROXIES", "127.0.0.0/8".to_owned()),
        ("CAPI_LOG_FORMAT", "text".to_owned()),
    ];
    let passed_on = ["PATH", "HOME", "RUST_LOG", "CAPI_CLICKHOUSE_USER", "CAPI_CLICKHOUSE_PASSWORD"];
    let passed_on = passed_on.iter().filter_map(|name| Some(((*name).to_owned(), env::var(name).ok()?)));
    let settings = ours.into_iter().chain(plan.settings.iter().cloned());
    Ok(passed_on.chain(settings.map(|(name, value)| (name.to_owned(), value))).collect())
}

fn database(prefix: &str) -> String {
    prefix.replace('-', "_")
}

/// A secret that nobody has used before: 32 bytes in base64.
///
/// # Errors
/// Where the system has no randomness.
pub fn random_key() -> anyhow::Result<String> {
    let mut key = [0; 32];
    fs::File::open("/dev/urandom")?.read_exact(&mut key).context("no randomness")?;
    Ok(BASE64_STANDARD.encode(key))
}
