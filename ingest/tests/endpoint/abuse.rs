//! Callers that mean no good, on a socket: what they get, and what others still get.

use std::{env, fs, process::Stdio, time::Duration};

use axum::body::Body;
use capi_ingest::server::descriptors;
use futures::{StreamExt, stream};
use http::StatusCode;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    process::Command,
    time::timeout,
};

use crate::{
    harness::{EXAMPLE, Fixture},
    server::{answer, head, start},
};

/// Room for so many connections; one of them makes way at once.
const ROOM: usize = 20;

/// All that a connection says until it is closed.
async fn all_of(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    // A reset ends it as well as a close.
    let _ = stream.read_to_end(&mut text).await;
    String::from_utf8_lossy(&text).to_lowercase()
}

fn is_open(stream: &TcpStream) -> bool {
    matches!(stream.try_read(&mut [0; 1]), Err(fault) if fault.kind() == std::io::ErrorKind::WouldBlock)
}

/// They rest after a call, and would for more than a minute.
#[tokio::test]
async fn a_house_full_of_idle_connections_locks_nobody_out() {
    let fixture = Fixture::new();
    let (address, _server) = start(&fixture, ROOM).await;
    let mut idle = Vec::new();
    for _ in 0..ROOM {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(format!("{}{{}}", head(&fixture, &fixture.key, 2)).as_bytes()).await.unwrap();
        answer(&mut stream).await;
        idle.push(stream);
    }
    let mut merchant = TcpStream::connect(address).await.unwrap();
    merchant.write_all(head(&fixture, &fixture.key, EXAMPLE.len()).as_bytes()).await.unwrap();
    merchant.write_all(EXAMPLE.as_bytes()).await.unwrap();
    assert!(answer(&mut merchant).await.starts_with("http/1.1 200"));
    let open: Vec<_> = idle.iter().map(is_open).collect();
    assert_eq!((open[0], open.iter().filter(|open| **open).count()), (false, ROOM - 1), "the quietest has gone");
}

/// So many connections rest at once.
const CROWD: usize = 10_000;
/// What one of them may cost in memory, with what the allocator and the other tests of this process take meanwhile.
const OF_ONE: u64 = 24 << 10;
/// It ends a hopeless wait: a connection rests for 75 s.
const A_WHILE: Duration = Duration::from_mins(10);

/// The memory that this process holds, in bytes.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim_end_matches("kB").trim().parse::<u64>().unwrap() << 10
}

/// A live call is answered beside them; they cost little, and are closed when their time is over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_idle_connections_disturb_nobody() {
    let room = descriptors::room(CROWD);
    assert_eq!(room, CROWD, "too few file descriptors for this test: raise the hard limit (ulimit -Hn)");
    let fixture = Fixture::new();
    let (address, _server) = start(&fixture, CROWD + 100).await;
    let before = resident();
    // Cargo builds examples with the tests, beside the folder of this binary.
    let program = env::current_exe().unwrap().ancestors().nth(2).unwrap().join("examples/crowd");
    let mut crowd = Command::new(program);
    crowd.args([address.to_string(), CROWD.to_string()]).stdout(Stdio::piped()).kill_on_drop(true);
    let mut crowd = crowd.spawn().expect("`cargo test --test` builds no example: build it with --example crowd");
    let mut said = BufReader::new(crowd.stdout.take().unwrap()).lines();
    let open = timeout(A_WHILE, said.next_line()).await.unwrap().unwrap();
    assert_eq!(open.as_deref(), Some("open"));

    let mut merchant = TcpStream::connect(address).await.unwrap();
    merchant.write_all(head(&fixture, &fixture.key, EXAMPLE.len()).as_bytes()).await.unwrap();
    merchant.write_all(EXAMPLE.as_bytes()).await.unwrap();
    let answered = timeout(A_WHILE, answer(&mut merchant)).await.unwrap();
    assert!(answered.starts_with("http/1.1 200"), "{answered}");
    let grown = resident().saturating_sub(before);
    assert!(grown < OF_ONE * CROWD as u64, "they cost {} bytes each", grown / CROWD as u64);

    let ended = timeout(A_WHILE, crowd.wait()).await.expect("they are never closed").unwrap();
    assert!(ended.success(), "{ended}");
}

/// A proxy in front may have gone by the length: hyper goes by the chunks, and closes (RFC 9112, 6.1).
#[tokio::test]
async fn a_length_beside_chunks_smuggles_nothing() {
    for both in ["content-length: 4\r\ntransfer-encoding: chunked", "transfer-encoding: chunked\r\ncontent-length: 4"] {
        let fixture = Fixture::new();
        let (address, _server) = start(&fixture, 10).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        let smuggled = format!("{}{{}}", head(&fixture, &fixture.key, 2));
        let request = head(&fixture, &fixture.key, 0).replace("content-length: 0", both);
        stream.write_all(format!("{request}2\r\n{{}}\r\n0\r\n\r\n{smuggled}").as_bytes()).await.unwrap();
        let text = all_of(&mut stream).await;
        assert_eq!((text.matches("http/1.1 ").count(), text.matches("http/1.1 400").count()), (1, 1), "{text}");
        assert!(text.contains("connection: close"), "{text}");
        assert_eq!(fixture.records().len(), 1, "what follows was not taken for a request");
    }
}

/// Two readings of where the request ends: refused before anything is done for it.
#[tokio::test]
async fn an_ambiguous_head_is_refused_and_its_connection_closed() {
    let fixture = Fixture::new();
    let (address, _server) = start(&fixture, 10).await;
    for lines in [
        "content-length: 2\r\ncontent-length: 3",
        "content-length: +2",
        "content-length: 2, 3",
        "content-length: 99999999999999999999",
        "content-length: -1",
        "transfer-encoding: gzip",
        "transfer-encoding: chunked, gzip",
        "content-length : 2",
        "content-length: 2\r\n folded: 1",
        "x-nul: \0",
    ] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = head(&fixture, &fixture.key, 0).replace("content-length: 0", lines);
        stream.write_all(format!("{request}{{}}").as_bytes()).await.unwrap();
        let text = all_of(&mut stream).await;
        assert!(text.starts_with("http/1.1 400"), "{lines:?}: {text}");
    }
    assert!(fixture.memory.messages.lock().unwrap().is_empty());
}

#[tokio::test]
async fn broken_chunks_are_an_incomplete_body() {
    for chunks in ["zz\r\n{}\r\n0\r\n\r\n", "ffffffffffffffffff\r\n{}", "2\r\n{}xx0\r\n\r\n"] {
        let fixture = Fixture::new();
        let (address, _server) = start(&fixture, 10).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = head(&fixture, &fixture.key, 0).replace("content-length: 0", "transfer-encoding: chunked");
        stream.write_all(format!("{request}{chunks}").as_bytes()).await.unwrap();
        let text = all_of(&mut stream).await;
        assert!(text.starts_with("http/1.1 400") && text.contains("malformed_json"), "{chunks:?}: {text}");
        assert_eq!(fixture.records().len(), 1);
    }
}

#[tokio::test]
async fn targets_are_taken_by_their_path() {
    let fixture = Fixture::new();
    let (address, _server) = start(&fixture, 10).await;
    let path = fixture.path();
    let long = format!("/{}", "x".repeat(20_000));
    for (target, status) in [
        (format!("http://elsewhere.example{path}?a=b"), "400"),
        (format!("{path}?{}", "y".repeat(10_000)), "400"),
        (long, "404"),
        (format!("/{}", "x".repeat(70_000)), "431"),
        ("*".to_owned(), "404"),
        (format!("//x{path}"), "404"),
        (format!("/a/..{path}"), "404"),
        (path.replace("/conversion", "/%2e%2e/conversion"), "404"),
    ] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = head(&fixture, &fixture.key, 2).replace(&path, &target);
        // It may be refused before all of it was read.
        let _ = stream.write_all(format!("{request}{{}}").as_bytes()).await;
        let mut read = [0; 12];
        stream.read_exact(&mut read).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&read), format!("HTTP/1.1 {status}"), "{target:.80}");
    }
}

#[tokio::test]
async fn pipelined_calls_are_answered_in_order() {
    let fixture = Fixture::new();
    let (address, _server) = start(&fixture, 10).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let call = |body: &str| format!("{}{body}", head(&fixture, &fixture.key, body.len()));
    let last = call(EXAMPLE).replace("host: x", "host: x\r\nconnection: close");
    let all = [call(EXAMPLE), call("{}").repeat(200), last].concat();
    let (mut reader, mut writer) = stream.split();
    let mut text = String::new();
    let (written, read) = tokio::join!(writer.write_all(all.as_bytes()), reader.read_to_string(&mut text));
    written.unwrap();
    read.unwrap();
    let statuses: Vec<_> = text.match_indices("HTTP/1.1 ").map(|(at, found)| &text[at + found.len()..][..3]).collect();
    assert_eq!(statuses, [["200"].as_slice(), &["400"; 200], &["200"]].concat());
    assert_eq!((fixture.records().len(), fixture.events("live").len()), (200, 2));
}

/// What comes before the connection is closed, and whether it was.
async fn flood(fixture: &Fixture, frames: &[u8], most: usize) -> bool {
    let (address, _server) = start(fixture, 10).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    for _ in 0..most {
        if stream.write_all(frames).await.is_err() {
            return true;
        }
    }
    // The end of the answer is the end of the connection; one that stays open has more to say only when it is asked.
    let closes = timeout(Duration::from_mins(1), all_of(&mut stream));
    closes.await.is_ok()
}

/// A frame of HTTP/2 (RFC 9113, 4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// `:method: POST`, `:scheme: http`, `:path: /` from the static table (RFC 7541).
const POST: &[u8] = &[0x83, 0x86, 0x84];

#[tokio::test]
async fn requests_that_are_reset_at_once_end_their_connection() {
    let fixture = Fixture::new();
    let frames: Vec<u8> = (0..2000_u32)
        .flat_map(|at| [frame(1, 4, 2 * at + 1, POST), frame(3, 0, 2 * at + 1, &[0, 0, 0, 8])].concat())
        .collect();
    assert!(flood(&fixture, &frames, 1).await);
}

#[tokio::test]
async fn heads_without_an_end_end_their_connection() {
    let fixture = Fixture::new();
    let field = [&[0, 3][..], b"x-a", &[127, 0x81, 0x7d], &[b'y'; 16_000]].concat();
    let more = frame(9, 0, 1, &field);
    let frames = [frame(1, 0, 1, POST), more.repeat(200)].concat();
    assert!(flood(&fixture, &frames, 1).await);
    let empty = [frame(1, 0, 1, POST), frame(9, 0, 1, &[]).repeat(100_000)].concat();
    assert!(flood(&fixture, &empty, 1).await);
}

/// 256 at once; the next one is told so, and those that were taken are answered.
#[tokio::test]
async fn streams_of_a_connection_are_bounded() {
    let fixture = Fixture::new();
    let (address, _server) = start(&fixture, 10).await;
    let stream = TokioIo::new(TcpStream::connect(address).await.unwrap());
    let (sender, connection) = http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    tokio::spawn(connection);
    let uri = format!("http://{address}{}", fixture.path());
    let answers = stream::iter(0..600).map(|_| {
        let (mut sender, request) = (sender.clone(), fixture.call().uri(&uri).body(Body::from("{}")).unwrap());
        async move { sender.send_request(request).await.unwrap().status() }
    });
    let statuses: Vec<_> = answers.buffer_unordered(600).collect().await;
    assert!(statuses.iter().all(|status| *status == StatusCode::BAD_REQUEST), "the client waits for its turn");
    assert_eq!(fixture.records().len(), 600);
}
