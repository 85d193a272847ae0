//! TLS and passwords on the way to Kafka and ClickHouse: what is wrong is said on `/readyz`, without the password; what is
//! right carries an event.

use std::{fs, path::Path, process::Output};

use anyhow::{Context as _, ensure};
use e2e::{
    cluster::Cluster,
    deployment::{Deployment, Plan, random_key},
    event::{fresh, purchase},
    instance::{Instance, Kind},
    merchant::Merchant,
    port,
    process::{self, Process},
    wait,
};
use tokio::process::Command;

use super::planted::Planted;

const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/local");

/// A certificate for `localhost` from an authority of its own, and another authority that has signed nothing.
const CERTIFICATES: &str = r#"
    for ca in ca other; do
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=$ca" -keyout $ca.key -out $ca.pem
    done
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost -keyout server.key -out server.csr
    printf 'subjectAltName=DNS:localhost\n' >server.ext
    openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile server.ext -out server.crt
    cat server.key server.crt >server.pem
"#;

/// A Kafka with TLS and SCRAM, and a ClickHouse with TLS, a user and a password.
struct Guarded {
    brokers: String,
    clickhouse: String,
    password: String,
    ca: String,
    _processes: [Process; 2],
}

pub(crate) async fn a_cluster_with_tls_and_passwords(cluster: &Cluster) -> anyhow::Result<()> {
    let directory = cluster.scratch().join(fresh("e2e-tls"));
    fs::create_dir_all(&directory)?;
    let guarded = Guarded::start(&directory).await?;
    let plan = guarded.plan("SCRAM-SHA-512", &guarded.password, &guarded.ca);
    let right = cluster.with(guarded.brokers.clone(), guarded.clickhouse.clone());
    let deployment = Deployment::start(&right, "tls", &plan).await?;
    let outcome = guarded.try_out(&deployment, &directory).await;
    outcome.map_err(|error| error.context(deployment.tails()))?;
    deployment.discard()?;
    Ok(fs::remove_dir_all(directory)?)
}

impl Guarded {
    async fn start(directory: &Path) -> anyhow::Result<Self> {
        let password = random_key()?.replace(['+', '/', '='], "x");
        shell(directory, CERTIFICATES).await?;
        let fetched = "source $SCRIPTS/env.sh; source $SCRIPTS/fetch.sh; fetch_kafka; fetch_python";
        let fetched = String::from_utf8(shell(directory, fetched).await?.stdout)?;
        let (lib, python) = fetched.trim().split_once('\n').context("no Kafka or no Python")?;
        let (kafka, sasl) = start_kafka(directory, lib, &password).await?;
        let (clickhouse, https) = start_clickhouse(directory, python, &password)?;
        let ca = directory.join("ca.pem").to_string_lossy().into_owned();
        let guarded = Self {
            brokers: format!("localhost:{sasl}"),
            clickhouse: format!("https://localhost:{https}"),
            password,
            ca,
            _processes: [kafka, clickhouse],
        };
        for port in [sasl, https] {
            let listens = async || Ok(tokio::net::TcpStream::connect(("127.0.0.1", port)).await.ok());
            wait::until(&format!("port {port} of {}", directory.display()), listens).await?;
        }
        Ok(guarded)
    }

    /// Kafka by this mechanism and password, trusting this authority.
    fn plan(&self, mechanism: &str, password: &str, ca: &str) -> Plan {
        let mut plan = Plan::default()
            .set("RUST_LOG", "trace")
            .set("CAPI_CLICKHOUSE_USER", "default")
            .set("CAPI_CLICKHOUSE_PASSWORD", self.password.clone())
            .set("SSL_CERT_FILE", self.ca.clone());
        plan.properties = properties(mechanism, password, ca);
        plan
    }

    async fn try_out(&self, deployment: &Deployment, directory: &Path) -> anyhow::Result<()> {
        let planted = Planted::new(&[("the password", self.password.as_bytes())])?;
        let other = directory.join("other.pem").to_string_lossy().into_owned();
        let by_address = |url: &str| url.replace("localhost", "127.0.0.1");
        let wrong = format!("{}x", self.password);
        let kafka = |password: &str, ca: &str| properties("SCRAM-SHA-512", password, ca);
        let faults: [(Kind, &str, String, &str); 7] = [
            (Kind::Ingest, "properties", kafka(&wrong, &self.ca), "uthentication failed"),
            (Kind::Ingest, "properties", properties("PLAIN", &wrong, &self.ca), "uthentication failed"),
            (Kind::Ingest, "properties", kafka(&self.password, &other), "certificate verify failed"),
            (Kind::Ingest, "CAPI_KAFKA_BROKERS", by_address(&self.brokers), "certificate verify failed"),
            (Kind::Recorder, "CAPI_CLICKHOUSE_PASSWORD", wrong.clone(), "Authentication failed"),
            (Kind::Recorder, "SSL_CERT_FILE", other.clone(), "UnknownIssuer"),
            (Kind::Recorder, "CAPI_CLICKHOUSE_URL", by_address(&self.clickhouse), "not valid for name"),
        ];
        for (at, (kind, name, value, says)) in faults.into_iter().enumerate() {
            let mut environment = deployment.environment().to_vec();
            if name == "properties" {
                let file = directory.join(format!("wrong-{at}.properties"));
                fs::write(&file, value)?;
                environment.push(("CAPI_KAFKA_PROPERTIES".into(), file.to_string_lossy().into_owned()));
            } else {
                environment.push((name.into(), value));
            }
            let program = deployment.program(kind)?;
            let worker = Instance::start(
                program,
                &format!("wrong-{at}"),
                environment,
                deployment.directory(),
                deployment.http.clone(),
            )?;
            let what = format!("{} to say {says:?}", worker.log().display());
            let told = wait::until(&what, async || {
                let page = worker.admin_page("/readyz").await.ok();
                Ok(page.filter(|(status, page)| *status == 503 && page.contains(says)))
            });
            let (_, page) = told.await?;
            planted.absent_from("/readyz", page)?;
            planted.absent_from("the log", fs::read(worker.log())?)?;
        }
        self.carries_an_event(deployment, directory).await?;
        for worker in deployment.ingests.iter().chain(&deployment.forwarders).chain(&deployment.recorders) {
            let log = process::tail(worker.log(), usize::MAX);
            ensure!(log.contains("librdkafka"), "Kafka's client says nothing");
            planted.absent_from("the log", log)?;
        }
        Ok(())
    }

    /// From the call to its row, read back with the password over TLS.
    async fn carries_an_event(&self, deployment: &Deployment, directory: &Path) -> anyhow::Result<()> {
        let merchant = Merchant::open(deployment).await?;
        let answer = merchant.call(&purchase("ORD-1")).await?;
        answer.expect(200, "forwarded")?;
        let database = deployment.setting("CAPI_CLICKHOUSE_DATABASE").context("no database")?;
        let credentials = format!("X-ClickHouse-User: default\nX-ClickHouse-Key: {}\n", self.password);
        fs::write(directory.join("credentials"), credentials)?;
        let ask = format!(
            "curl -sS --cacert ca.pem -H @credentials '{}/?database={database}' \
             --data-binary \"SELECT conversion_status FROM calls WHERE call_id = '{}'\"",
            self.clickhouse, answer.call
        );
        wait::until("the row", async || Ok((shell(directory, &ask).await?.stdout == b"forwarded\n").then_some(())))
            .await
    }
}

fn properties(mechanism: &str, password: &str, ca: &str) -> String {
    format!(
        "security.protocol=SASL_SSL\nsasl.mechanism={mechanism}\nsasl.username=capi\nsasl.password={password}\n\
         ssl.ca.location={ca}\nbroker.address.family=v4\ndebug=all\n"
    )
}

/// A broker whose clients come by TLS with a password; the port.
async fn start_kafka(directory: &Path, lib: &str, password: &str) -> anyhow::Result<(Process, u16)> {
    let [inside, controller, sasl] = [port::free()?.port(), port::free()?.port(), port::free()?.port()];
    let at = directory.display();
    let text = format!(
        "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.bootstrap.servers=127.0.0.1:{controller}\n\
         controller.listener.names=CONTROLLER\ninter.broker.listener.name=INSIDE\n\
         listeners=INSIDE://127.0.0.1:{inside},SASL://127.0.0.1:{sasl},CONTROLLER://127.0.0.1:{controller}\n\
         advertised.listeners=INSIDE://127.0.0.1:{inside},SASL://localhost:{sasl}\n\
         listener.security.protocol.map=INSIDE:PLAINTEXT,SASL:SASL_SSL,CONTROLLER:PLAINTEXT\n\
         ssl.keystore.type=PEM\nssl.keystore.location={at}/server.pem\nsasl.enabled.mechanisms=SCRAM-SHA-512,PLAIN\n\
         listener.name.sasl.scram-sha-512.sasl.jaas.config=\
         org.apache.kafka.common.security.scram.ScramLoginModule required;\n\
         listener.name.sasl.plain.sasl.jaas.config=\
         org.apache.kafka.common.security.plain.PlainLoginModule required user_capi=\"{password}\";\n\
         log.dirs={at}/kafka\nauto.create.topics.enable=false\noffsets.topic.replication.factor=1\n\
         offsets.topic.num.partitions=4\ntransaction.state.log.replication.factor=1\ntransaction.state.log.min.isr=1\n\
         group.initial.rebalance.delay.ms=0\ngroup.min.session.timeout.ms=1000\n"
    );
    fs::write(directory.join("server.properties"), text)?;
    let format = format!(
        "java -cp '{lib}/*' kafka.tools.StorageTool format --standalone -t 4L6g3nShT-eMCtK--X86sw -c server.properties \
         --add-scram 'SCRAM-SHA-512=[name=capi,password={password}]'"
    );
    shell(directory, &format).await?;
    let command = format!("exec java -Xmx512m -XX:+UseSerialGC -cp '{lib}/*' kafka.Kafka '{at}/server.properties'");
    Ok((start(directory, "kafka", &command, &[])?, sasl))
}

/// ClickHouse's engine, whose clients come by TLS with a password; the port.
fn start_clickhouse(directory: &Path, python: &str, password: &str) -> anyhow::Result<(Process, u16)> {
    let (port, at) = (port::free()?.port(), directory.display());
    fs::create_dir_all(directory.join("clickhouse"))?;
    let command = format!(
        "cd '{SCRIPTS}' && exec '{python}' -m clickhouse_front --port {port} --path '{at}/clickhouse' \
         --certificate '{at}/server.pem'"
    );
    let settings = [("CLICKHOUSE_FRONT_PASSWORD", password), ("TZ", "UTC"), ("PYTHONDONTWRITEBYTECODE", "1")];
    Ok((start(directory, "clickhouse", &command, &settings)?, port))
}

fn start(directory: &Path, name: &str, command: &str, settings: &[(&str, &str)]) -> anyhow::Result<Process> {
    let script = directory.join(format!("{name}.sh"));
    fs::write(&script, format!("#!/bin/sh\n{command}\n"))?;
    let path = std::env::var("PATH").unwrap_or_default();
    let all = settings.iter().copied().chain([("PATH", path.as_str())]);
    let environment: Vec<_> = all.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
    Process::start(&script, &environment, directory.join(format!("{name}.log")))
}

/// Runs a script in the folder; it must succeed.
async fn shell(directory: &Path, script: &str) -> anyhow::Result<Output> {
    let output = Command::new("bash")
        .args(["-ec", script])
        .current_dir(directory)
        .env("CAPI_LOCAL_DIR", directory)
        .env("SCRIPTS", SCRIPTS)
        .kill_on_drop(true)
        .output()
        .await?;
    ensure!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(output)
}
