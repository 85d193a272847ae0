//! A worker as a process: its exit codes, its signals, its log, its traces.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

use std::{
    env,
    fs::Permissions,
    io::{BufRead as _, BufReader, Lines, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Child, ChildStderr, Command, Output, Stdio},
    sync::{Arc, mpsc},
    thread,
};

use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};

fn life(arguments: &[&str]) -> Command {
    // Cargo builds examples with the tests, beside the folder of this binary.
    let program = env::current_exe().unwrap().ancestors().nth(2).unwrap().join("examples/life");
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.env_remove("RUST_LOG").env_remove("CAPI_KAFKA_PROPERTIES").env_remove("OTEL_EXPORTER_OTLP_ENDPOINT");
    command
}

fn ended(arguments: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = life(arguments).output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

/// A worker that runs.
struct Living {
    child: Child,
    log: Lines<BufReader<ChildStderr>>,
}

impl Living {
    fn start(command: &mut Command) -> Self {
        let mut child = command.spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut living = Self { child, log };
        living.wait_for("works");
        living
    }

    fn wait_for(&mut self, text: &str) -> String {
        let line = self.log.by_ref().map(Result::unwrap).find(|line| line.contains(text));
        line.unwrap_or_else(|| panic!("it never said {text:?}"))
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// The exit code, and what was still logged.
    fn end(mut self) -> (Option<i32>, String) {
        let rest: Vec<_> = self.log.by_ref().map(Result::unwrap).collect();
        (self.child.wait().unwrap().code(), rest.join("\n"))
    }
}

#[test]
fn every_fault_is_told_in_a_sentence() {
    let file = env::temp_dir().join(format!("life-{}.properties", std::process::id()));
    std::fs::write(&file, "sasl.password=hunter2\nno.such.property=hunter3\n").unwrap();
    let (code, _, told) = ended(&["--count", "0", "--kafka-properties", file.to_str().unwrap()]);
    std::fs::remove_file(&file).unwrap();
    assert_eq!(code, Some(64), "{told}");
    assert_eq!(told.lines().filter(|line| line.starts_with("error: ")).count(), 2, "{told}");
    assert!(told.contains("no.such.property") && told.contains("--count must not be 0"), "{told}");
    assert!(!told.contains("hunter"), "{told}");
}

#[test]
fn a_secret_that_everybody_may_read_is_told_once() {
    let file = env::temp_dir().join(format!("life-open-{}.properties", std::process::id()));
    let warnings = |mode, text| {
        std::fs::write(&file, text).unwrap();
        std::fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
        let (_, _, log) = ended(&["--work", "fail", "--kafka-properties", file.to_str().unwrap()]);
        assert!(log.contains("no luck") && !log.contains("hunter2"), "{log}");
        let warnings: Vec<_> =
            log.lines().filter(|line| line.contains("may read a secret")).map(str::to_owned).collect();
        warnings
    };
    let secret = "sasl.password=hunter2\n";
    let told = warnings(0o644, secret);
    assert_eq!(told.len(), 1, "{told:?}");
    for named in ["CAPI_KAFKA_PROPERTIES", "0644", "chmod", "life-open"] {
        assert!(told[0].contains(named), "{told:?}");
    }
    // So an orchestrator mounts secrets for a process that is not root.
    assert_eq!(warnings(0o440, secret), [""; 0]);
    assert_eq!(warnings(0o644, "client.id=me\n"), [""; 0], "no secret is in it");
    std::fs::remove_file(&file).unwrap();
}

#[test]
fn a_fault_of_telemetry_is_told_though_there_is_no_log() {
    let mut command = life(&["--work", "fail"]);
    let Output { status, stderr, .. } = command.env("OTEL_EXPORTER_OTLP_ENDPOINT", "not a url").output().unwrap();
    let told = String::from_utf8(stderr).unwrap();
    assert_eq!(status.code(), Some(1), "{told}");
    assert!(told.starts_with("error: traces: "), "{told}");
}

#[test]
fn a_wrong_rust_log_is_a_fault_and_an_empty_one_is_none() {
    let Output { status, stderr, .. } = life(&["--count", "0"]).env("RUST_LOG", "info,a=b=c").output().unwrap();
    let told = String::from_utf8(stderr).unwrap();
    assert_eq!(status.code(), Some(64), "{told}");
    assert_eq!(told.matches("error: ").count(), 2, "{told}");
    assert!(told.contains("RUST_LOG") && told.contains("--count"), "{told}");
    let Output { stderr, .. } = life(&["--work", "fail"]).env("RUST_LOG", "").output().unwrap();
    assert!(String::from_utf8(stderr).unwrap().contains("works"), "info is the default");
}

#[test]
fn usage_errors_are_64_and_help_is_0() {
    for arguments in [&["--nonsense"][..], &["--count", "many"], &["--topic-prefix", "a b"]] {
        let (code, _, told) = ended(arguments);
        assert_eq!(code, Some(64), "{told}");
        assert!(told.starts_with("error: "), "{told}");
    }
    for argument in ["--help", "--version"] {
        let (code, said, _) = ended(&[argument]);
        assert_eq!(code, Some(0));
        assert!(said.contains("Usage: life") || said.starts_with("capi-worker "), "{said}");
    }
}

#[test]
fn an_asked_worker_drains() {
    for name in ["TERM", "INT"] {
        let living = Living::start(&mut life(&[]));
        living.signal(name);
        let (code, log) = living.end();
        assert_eq!(code, Some(0), "{log}");
        assert!(log.contains("drained"), "{log}");
    }
}

#[test]
fn a_drain_without_end_is_cut() {
    let living = Living::start(life(&["--work", "stay"]).env("LIFE_DRAIN_MS", "1"));
    living.signal("TERM");
    let (code, log) = living.end();
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains("the drain ran out") && log.contains("kafka is down: out for lunch"), "{log}");
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let mut living = Living::start(life(&["--work", "stay"]).env("LIFE_DRAIN_MS", "3600000"));
    living.signal("TERM");
    living.wait_for("draining");
    living.signal("TERM");
    let (code, log) = living.end();
    assert_eq!(code, Some(1), "{log}");
    assert!(!log.contains("the drain ran out"), "{log}");
}

#[test]
fn a_failure_is_1() {
    let (code, _, log) = ended(&["--work", "fail"]);
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains("no luck"), "{log}");
}

#[test]
fn the_log_is_json_and_names_the_call() {
    let (_, _, log) = ended(&["--work", "fail", "--log-format", "json"]);
    let lines: Vec<serde_json::Value> = log.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let line = lines.iter().find(|line| line["message"] == "works").expect(&log);
    assert_eq!((&line["call_id"], &line["span"]), (&"c-1".into(), &"forward".into()), "{log}");
}

#[test]
fn a_panic_is_a_line_of_the_log() {
    let mut living = Living::start(&mut life(&["--work", "panic", "--log-format", "json"]));
    let line: serde_json::Value = serde_json::from_str(&living.wait_for("panicked")).unwrap();
    assert_eq!(line["level"], "ERROR", "{line}");
    assert!(line["message"].as_str().unwrap().ends_with("two\nlines"), "{line}");
    living.signal("TERM");
    assert_eq!(living.end().0, Some(0));
}

#[test]
fn a_panic_tells_its_place_once_and_no_secret() {
    let mut living = Living::start(
        life(&["--work", "panic", "--log-format", "json"]).env("LIFE_SECRET", "hunter2").env("RUST_BACKTRACE", "full"),
    );
    let mut lines: Vec<String> = Vec::new();
    while !lines.last().is_some_and(|line| line.contains("goes on")) {
        lines.push(living.log.next().unwrap().unwrap());
    }
    living.signal("TERM");
    let (code, rest) = living.end();
    assert_eq!(code, Some(0), "{rest}");
    let told = lines.join("\n");
    let panics: Vec<_> = lines.iter().filter(|line| line.contains("panicked at")).collect();
    assert_eq!(panics.len(), 3, "{told}");
    assert!(panics.iter().all(|line| line.contains(".rs:")), "{told}");
    assert!(!told.contains("hunter2") && !rest.contains("hunter2"), "{told}");
}

#[test]
fn a_worker_that_loses_a_vital_task_drains_and_fails() {
    let (code, _, log) = ended(&["--work", "lose"]);
    assert_eq!(code, Some(1), "{log}");
    assert_eq!(log.matches("a vital task has ended").count(), 1, "{log}");
    assert!(log.contains("finishes what is in flight") && log.contains("reader has ended before the worker"), "{log}");
}

/// As the same process, so that whoever supervises it sees none end.
#[test]
fn a_worker_whose_kafka_client_is_lost_starts_anew_and_then_ends_when_asked() {
    let folder = tempfile::tempdir().unwrap();
    let marker = folder.path().join("lost");
    let mut living = Living::start(&mut life(&["--work", "lose-client", "--marker", marker.to_str().unwrap()]));
    living.wait_for("a Kafka client has lost its brokers for good");
    living.wait_for("drained");
    living.wait_for("life starts");
    living.wait_for("works");
    living.signal("TERM");
    living.wait_for("drained");
    assert_eq!(living.child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_worker_that_panics_itself_fails() {
    let (code, _, log) = ended(&["--work", "burst"]);
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains("life ends: the worker itself panicked"), "{log}");
}

/// A receiver of traces: says which paths were posted to.
fn receiver() -> (String, mpsc::Receiver<String>) {
    let (address, posts) = receiver_behind(Some);
    (format!("http://{address}"), posts)
}

/// The same, behind what `secure` makes of a connection; without one, nothing came.
fn receiver_behind<S: Read + Write>(
    secure: impl Fn(TcpStream) -> Option<S> + Send + 'static,
) -> (SocketAddr, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (send, posts) = mpsc::channel();
    thread::spawn(move || {
        let connections = listener.incoming().map(Result::unwrap);
        for connection in connections.filter_map(secure) {
            let mut connection = BufReader::new(connection);
            let (mut first, mut length) = (String::new(), 0);
            connection.read_line(&mut first).unwrap();
            for line in connection.by_ref().lines().map(Result::unwrap).take_while(|line| !line.is_empty()) {
                if let Some(bytes) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = bytes.trim().parse().unwrap();
                }
            }
            connection.read_exact(&mut vec![0; length]).unwrap();
            connection
                .get_mut()
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                .unwrap();
            if send.send(first).is_err() {
                return;
            }
        }
    });
    (address, posts)
}

/// A server's key and certificate, and the authority that signed it, in `folder`.
const AUTHORITY: &str = r#"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=ours -keyout ca.key -out ca.pem
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost -keyout server.key -out server.csr
    printf "subjectAltName=IP:127.0.0.1" > server.ext
    openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile server.ext -out server.pem
"#;

fn tls(folder: &Path) -> impl Fn(TcpStream) -> Option<StreamOwned<ServerConnection, TcpStream>> + Send + 'static {
    let made = Command::new("sh").args(["-ec", AUTHORITY]).current_dir(folder).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    let certificate = CertificateDer::from_pem_file(folder.join("server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(folder.join("server.key")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = Arc::new(config.with_no_client_auth().with_single_cert(vec![certificate], key).unwrap());
    move |mut tcp| {
        let mut connection = ServerConnection::new(config.clone()).unwrap();
        // It fails where the client does not trust us.
        while connection.is_handshaking() {
            connection.complete_io(&mut tcp).ok()?;
        }
        Some(StreamOwned::new(connection, tcp))
    }
}

#[test]
fn a_receiver_s_own_authority_is_trusted_where_it_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (address, posts) = receiver_behind(tls(folder.path()));
    let ca = folder.path().join("ca.pem");
    for trusted in
        ["OTEL_EXPORTER_OTLP_CERTIFICATE", "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "SSL_CERT_FILE", "NOTHING"]
    {
        let mut command = life(&[]);
        command.env_remove("SSL_CERT_FILE").env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("https://{address}"));
        let living = Living::start(command.env(trusted, &ca));
        living.signal("TERM");
        let (code, log) = living.end();
        assert_eq!(code, Some(0), "{log}");
        let (came, refused) = (posts.try_iter().count() > 0, log.contains("the receiver of traces is away"));
        assert_eq!((came, refused), (trusted != "NOTHING", trusted == "NOTHING"), "{trusted}: {log}");
    }
}

#[test]
fn an_authority_that_cannot_be_read_is_a_fault() {
    let folder = tempfile::tempdir().unwrap();
    let (empty, nowhere) = (folder.path().join("empty.pem"), folder.path().join("nowhere.pem"));
    std::fs::write(&empty, "").unwrap();
    for file in [empty, nowhere] {
        let mut command = life(&["--work", "fail"]);
        command.env("OTEL_EXPORTER_OTLP_ENDPOINT", "https://127.0.0.1:1").env("OTEL_EXPORTER_OTLP_CERTIFICATE", &file);
        let Output { status, stderr, .. } = command.output().unwrap();
        let told = String::from_utf8(stderr).unwrap();
        assert_eq!(status.code(), Some(1), "{told}");
        assert!(told.starts_with("error: OTEL_EXPORTER_OTLP_CERTIFICATE: ") && told.contains(".pem: "), "{told}");
    }
}

#[test]
fn the_last_spans_reach_the_receiver() {
    let (address, posts) = receiver();
    let living = Living::start(life(&[]).env("OTEL_EXPORTER_OTLP_ENDPOINT", address));
    living.signal("TERM");
    let (code, log) = living.end();
    assert_eq!(code, Some(0), "{log}");
    assert!(!log.contains("panicked"), "{log}");
    let posts: Vec<_> = posts.try_iter().collect();
    assert!(posts.iter().any(|post| post.starts_with("POST /v1/traces ")), "{posts:?}\n{log}");
}

#[test]
fn an_absent_receiver_disturbs_nothing() {
    let mut command = life(&["--log-format", "json"]);
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1").env("OTEL_BSP_SCHEDULE_DELAY", "1");
    let mut living = Living::start(&mut command);
    living.wait_for("the receiver of traces is away");
    living.signal("TERM");
    let (code, log) = living.end();
    assert_eq!(code, Some(0), "{log}");
    assert!(!log.contains("panicked"), "{log}");
    assert!(!log.contains("WARN") && !log.contains("ERROR"), "{log}");
}
