//! Lines to an endpoint that answers as it was told, and what the journal says afterwards.

use std::{collections::VecDeque, fs, path::Path, sync::Mutex, time::Duration};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
};

use super::*;
use crate::backfill::{journal::Header, lines::Lines};

const ACCEPTED: &str = "202 Accepted\r\nX-Request-Id: 0190a2b4-0000-7000-8000-000000000001";
const UNAVAILABLE: &str = "503 Service Unavailable\r\nRetry-After: 0";
const LIMITED: &str = "429 Too Many Requests\r\nRetry-After: 0";
const NO_KEY: &str = "401 Unauthorized\r\nX-Request-Id: 0190a2b4-0000-7000-8000-000000000002";

/// An endpoint that gives these answers in turn, and then accepts; it remembers the bodies.
struct Stub {
    address: std::net::SocketAddr,
    bodies: Arc<Mutex<Vec<String>>>,
}

impl Stub {
    async fn start(answers: &[&'static str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, bodies) = (listener.local_addr().unwrap(), Arc::default());
        let answers = Arc::new(Mutex::new(VecDeque::from(answers.to_vec())));
        let seen: Arc<Mutex<Vec<String>>> = Arc::clone(&bodies);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (answers, seen) = (Arc::clone(&answers), Arc::clone(&seen));
                tokio::spawn(async move {
                    let mut stream = BufReader::new(stream);
                    while let Some(body) = request(&mut stream).await {
                        seen.lock().unwrap().push(body);
                        let answer = answers.lock().unwrap().pop_front().unwrap_or(ACCEPTED);
                        if answer.is_empty() {
                            // The connection ends without an answer.
                            return;
                        }
                        let answer = format!("HTTP/1.1 {answer}\r\nContent-Length: 0\r\n\r\n");
                        stream.get_mut().write_all(answer.as_bytes()).await.unwrap();
                    }
                });
            }
        });
        Self { address, bodies }
    }

    fn bodies(&self) -> Vec<String> {
        self.bodies.lock().unwrap().clone()
    }
}

/// The body of the next request on a connection.
async fn request(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line == "\r\n" {
            let mut body = vec![0; length];
            stream.read_exact(&mut body).await.ok()?;
            return String::from_utf8(body).ok();
        }
    }
}

fn order(id: &str) -> String {
    format!(
        r#"{{"cnct_tracking_id":"t","event_name":"ViewContent","sendout_id":"s","attribution":{{"meta_ctwa":{{"ctwa_clid":"c","ad_id":"1"}}}},"payload":{{"order_id":{id}}}}}"#
    )
}

/// What a run leaves behind.
struct Ran {
    /// The fates in the journal, with their lines.
    fates: Vec<String>,
    refusals: String,
    tally: Arc<Tally>,
    failure: Option<Failure>,
}

async fn run(folder: &Path, address: std::net::SocketAddr, lines: &[String], resend_unknown: bool) -> Ran {
    let url = format!("http://{address}").parse().unwrap();
    let business = "6f1c1b1e-0d6c-4b7e-9a44-0a4f6f0b7f10";
    let sender = Sender {
        endpoint: Endpoint::new(&url, business.parse().unwrap(), "key", 4).unwrap().into(),
        pace: Pace::new(4, Duration::from_millis(500)).into(),
        tally: Arc::default(),
        stop: Stop::default(),
        resend_unknown,
    };
    let (path, refusals) = (folder.join("journal"), folder.join("refusals"));
    let ready = Ready {
        input: Input::new(Path::new("orders.ndjson")),
        records: Box::new(Lines::new(std::io::Cursor::new(lines.join("\n")))),
        journal: Journal::open(&path, &Header::new(business, "url")).unwrap(),
        refusals: refusals.clone(),
    };
    let failure = sender.send(ready).await.err().or(sender.stop.reason());
    let journal = fs::read_to_string(path).unwrap();
    let fate = |line: &str| line.split(' ').take(2).collect::<Vec<_>>().join(" ");
    Ran {
        fates: journal.lines().skip(1).map(fate).collect(),
        refusals: fs::read_to_string(refusals).unwrap_or_default(),
        tally: Arc::clone(&sender.tally),
        failure,
    }
}

#[tokio::test]
async fn an_order_is_sent_again_until_it_has_its_answer() {
    let (folder, stub) = (tempfile::tempdir().unwrap(), Stub::start(&[UNAVAILABLE, LIMITED, ""]).await);
    let ran = run(folder.path(), stub.address, &[order("\"1\"")], false).await;
    assert_eq!(ran.fates, ["accepted 1"]);
    assert!(ran.failure.is_none() && stub.bodies() == vec![order("\"1\""); 4], "{:?}", stub.bodies());
    assert_eq!((ran.tally.accepted.get(), ran.tally.retried.get()), (1, 3));
}

#[tokio::test]
async fn without_an_order_id_it_is_sent_again_only_where_it_was_not_taken() {
    for (answers, calls, fates) in [
        (&[LIMITED][..], 2, &["sending 1", "accepted 1"][..]),
        (&[UNAVAILABLE], 1, &["sending 1"]),
        (&[""], 1, &["sending 1"]),
    ] {
        let (folder, stub) = (tempfile::tempdir().unwrap(), Stub::start(answers).await);
        let lines = [order("null")];
        let ran = run(folder.path(), stub.address, &lines, false).await;
        assert_eq!(
            (stub.bodies().len(), ran.fates.as_slice()),
            (calls, &fates.iter().map(ToString::to_string).collect::<Vec<_>>()[..]),
            "{answers:?}"
        );
        let is_unknown = fates.len() == 1;
        assert_eq!(ran.tally.unknown.get(), u64::from(is_unknown));
        // It stays so, until the operator has it sent.
        let again = run(folder.path(), stub.address, &lines, false).await;
        assert_eq!((again.tally.unknown.get(), stub.bodies().len()), (u64::from(is_unknown), calls));
        let resent = run(folder.path(), stub.address, &lines, true).await;
        assert_eq!((resent.tally.unknown.get(), resent.tally.accepted.get()), (0, 1));
    }
}

#[tokio::test]
async fn an_endpoint_that_takes_nothing_ends_it_with_the_first_call() {
    let (folder, stub) = (tempfile::tempdir().unwrap(), Stub::start(&[NO_KEY]).await);
    let lines = [order("null"), order("\"2\""), order("\"3\"")];
    let ran = run(folder.path(), stub.address, &lines, false).await;
    assert!(matches!(ran.failure, Some(Failure::Data(_))), "{:?}", ran.failure);
    assert_eq!((ran.fates, stub.bodies().len()), (vec!["sending 1".into(), "unsent 1".into()], 1));
    let again = run(folder.path(), stub.address, &lines, false).await;
    assert!(again.failure.is_none() && again.tally.accepted.get() == 3, "{:?}", again.failure);
}

#[tokio::test]
async fn an_endpoint_that_is_away_is_given_up_and_no_line_is_unknown() {
    let folder = tempfile::tempdir().unwrap();
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let ran = run(folder.path(), nobody, &[order("null")], false).await;
    assert!(matches!(ran.failure, Some(Failure::Unavailable(_))), "{:?}", ran.failure);
    assert_eq!((ran.fates, ran.tally.unknown.get()), (vec!["sending 1".into(), "unsent 1".into()], 0));
}

#[tokio::test]
async fn what_is_answered_is_not_sent_again_and_a_changed_line_ends_it() {
    let (folder, stub) = (tempfile::tempdir().unwrap(), Stub::start(&[]).await);
    let mut lines = vec![order("\"1\""), "x".repeat(2_000_000), order("\"3\"")];
    let ran = run(folder.path(), stub.address, &lines, false).await;
    assert_eq!((ran.tally.accepted.get(), ran.tally.refused.get()), (2, 1));
    assert!(ran.refusals.contains("BODY_TOO_LARGE") && ran.refusals.lines().count() == 1);
    lines.push(order("\"4\""));
    let ran = run(folder.path(), stub.address, &lines, false).await;
    assert_eq!((ran.tally.accepted.get(), ran.tally.before.get(), stub.bodies().len()), (3, 3, 3));
    assert_eq!(ran.refusals.lines().count(), 1);
    let fewer = run(folder.path(), stub.address, &lines[..2], false).await;
    assert!(matches!(fewer.failure, Some(Failure::Data(sentence)) if sentence.contains("cut off")));
    lines[2] = order("\"33\"");
    let changed = run(folder.path(), stub.address, &lines, false).await;
    assert!(matches!(changed.failure, Some(Failure::Data(sentence)) if sentence.starts_with("line 3 of")));
    assert_eq!(stub.bodies().len(), 3);
}

#[tokio::test]
async fn refusals_of_another_run_are_not_mixed_with_ours() {
    let (folder, stub) = (tempfile::tempdir().unwrap(), Stub::start(&[]).await);
    fs::write(folder.path().join("refusals"), "mended by hand\n").unwrap();
    let ran = run(folder.path(), stub.address, &[order("\"1\"")], false).await;
    assert!(matches!(ran.failure, Some(Failure::Data(sentence)) if sentence.contains("--refused")));
    assert!(stub.bodies().is_empty());
}
