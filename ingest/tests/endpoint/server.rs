//! The public address: connections, protocols, delivery of answers, drain.

use std::net::SocketAddr;

use axum::body::Body;
use capi_ingest::{router::Peer, server::serve};
use http::Request;
use http_body_util::BodyExt;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use crate::harness::{EXAMPLE, Fixture, Setup};

/// Serves the fixture's router on a port of its own.
pub async fn start(fixture: &Fixture, connections: usize) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (address, tokio::spawn(serve(listener, fixture.router.clone(), connections, fixture.drain.clone())))
}

pub fn head(fixture: &Fixture, key: &str, length: usize) -> String {
    format!("POST {} HTTP/1.1\r\nhost: x\r\nx-api-key: {key}\r\ncontent-length: {length}\r\n\r\n", fixture.path())
}

/// Reads one answer: its head, and as much of a body as it declares.
pub async fn answer(stream: &mut TcpStream) -> String {
    let (mut read, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let text = String::from_utf8_lossy(&read).to_lowercase();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap_or("0");
            if body.len() >= length.parse().unwrap() {
                return text;
            }
        }
        let count = stream.read(&mut buffer).await.unwrap();
        assert!(count > 0, "closed after {text}");
        read.extend_from_slice(&buffer[..count]);
    }
}

#[tokio::test]
async fn a_connection_takes_one_call_after_another() {
    let fixture = Fixture::new();
    let (address, _server) = start(&fixture, 10).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    for _ in 0..3 {
        stream.write_all(head(&fixture, &fixture.key, EXAMPLE.len()).as_bytes()).await.unwrap();
        stream.write_all(EXAMPLE.as_bytes()).await.unwrap();
        assert!(answer(&mut stream).await.starts_with("http/1.1 200 ok"));
    }
    assert_eq!(fixture.events("live").len(), 3);
}

#[tokio::test]
async fn http2_is_spoken_by_prior_knowledge() {
    let fixture = Fixture::new();
    let (address, _server) = start(&fixture, 10).await;
    let stream = TokioIo::new(TcpStream::connect(address).await.unwrap());
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    tokio::spawn(connection);
    let call = || fixture.call().uri(format!("http://{address}{}", fixture.path())).body(Body::from(EXAMPLE)).unwrap();
    let (first, second) = (sender.send_request(call()), sender.clone().send_request(call()));
    for response in [first.await.unwrap(), second.await.unwrap()] {
        assert_eq!(response.status(), 200);
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), r#"{"events_received":1}"#);
    }
}

#[tokio::test]
async fn an_answer_is_delivered_to_a_caller_that_is_still_sending() {
    let fixture = Fixture::new();
    let (address, _server) = start(&fixture, 10).await;
    for (key, length, status) in
        [(fixture.key.as_str(), 1 << 20, "413"), ("wrong", 1 << 20, "401"), ("wrong", 1000, "401")]
    {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(head(&fixture, key, length).as_bytes()).await.unwrap();
        stream.write_all(&vec![b'x'; length]).await.unwrap();
        assert!(answer(&mut stream).await.starts_with(&format!("http/1.1 {status}")));
    }
}

#[tokio::test]
async fn a_caller_that_waits_to_be_asked_is_refused_without_its_body() {
    let fixture = Fixture::new();
    let (address, _server) = start(&fixture, 10).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = head(&fixture, "wrong", 1000).replace("host: x", "host: x\r\nexpect: 100-continue");
    stream.write_all(head.as_bytes()).await.unwrap();
    assert!(answer(&mut stream).await.starts_with("http/1.1 401"));
}

#[tokio::test]
async fn heads_are_bounded() {
    let fixture = Fixture::new();
    let (address, _server) = start(&fixture, 10).await;
    let long = format!("x-long: {}", "x".repeat(40_000));
    let many = (0..200).map(|at| format!("x-{at}: y")).collect::<Vec<_>>().join("\r\n");
    for fields in [long, many] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head = head(&fixture, &fixture.key, 0).replace("host: x", &format!("host: x\r\n{fields}"));
        stream.write_all(head.as_bytes()).await.unwrap();
        assert!(answer(&mut stream).await.starts_with("http/1.1 431"));
    }
}

#[tokio::test]
async fn more_connections_wait_until_there_is_room() {
    let fixture = Fixture::new();
    let (address, _server) = start(&fixture, 1).await;
    let mut first = TcpStream::connect(address).await.unwrap();
    first.write_all(head(&fixture, &fixture.key, 2).as_bytes()).await.unwrap();
    let mut second = TcpStream::connect(address).await.unwrap();
    second.write_all(format!("{}{{}}", head(&fixture, &fixture.key, 2)).as_bytes()).await.unwrap();
    first.write_all(b"{}").await.unwrap();
    assert!(answer(&mut first).await.starts_with("http/1.1 400"));
    assert_eq!(fixture.records().len(), 1);
    drop(first);
    assert!(answer(&mut second).await.starts_with("http/1.1 400"));
}

#[tokio::test]
async fn a_drain_finishes_what_was_begun_and_takes_nothing_new() {
    let fixture = Fixture::with(Setup { forwarder: Box::new(|_| None), ..Setup::default() });
    let (address, server) = start(&fixture, 10).await;
    let mut resting = TcpStream::connect(address).await.unwrap();
    resting.write_all(format!("{}{{}}", head(&fixture, &fixture.key, 2)).as_bytes()).await.unwrap();
    answer(&mut resting).await;
    let mut waiting = TcpStream::connect(address).await.unwrap();
    waiting.write_all(head(&fixture, &fixture.key, EXAMPLE.len()).as_bytes()).await.unwrap();
    waiting.write_all(EXAMPLE.as_bytes()).await.unwrap();
    while fixture.waiters.is_empty() {
        tokio::task::yield_now().await;
    }
    fixture.drain.cancel();
    assert_eq!(resting.read(&mut [0; 1]).await.unwrap(), 0, "a resting connection is closed");
    let call_id = fixture.events("live")[0].call.call_id;
    let outcome = crate::harness::forwarded();
    fixture.waiters.deliver(schemas::Verdict { call_id, outcome });
    assert!(answer(&mut waiting).await.starts_with("http/1.1 200"));
    server.await.unwrap();
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn the_peer_is_the_connections_other_end() {
    let fixture = Fixture::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let echo = |request: Request<Body>| async move { request.extensions().get::<Peer>().unwrap().0.to_string() };
    let router = axum::Router::new().fallback(echo);
    let _server = tokio::spawn(serve(listener, router, 10, fixture.drain.clone()));
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    assert!(answer(&mut stream).await.ends_with("127.0.0.1"));
}
