//! Answers that do not come, come late or break off.

use std::io::ErrorKind;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::harness::{CLICK_ID, Harness, TOKEN, purchase};

/// Sends one event over a socket of its own and reads until the connection ends.
async fn last_words(sandbox: &Harness, click_id: &str) -> (Vec<u8>, Option<ErrorKind>) {
    let mut stream = TcpStream::connect(sandbox.address).await.unwrap();
    let body = json!({"data": [purchase(click_id, click_id)]}).to_string();
    let head = format!(
        "POST /v26.0/1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all((head + &body).as_bytes()).await.unwrap();
    let mut words = Vec::new();
    let ended = stream.read_to_end(&mut words).await;
    (words, ended.err().map(|fault| fault.kind()))
}

#[tokio::test]
async fn a_reset_is_a_tcp_reset_and_may_count() {
    let sandbox = Harness::start().await;
    for click_id in ["sandbox-reset-1", "sandbox-reset-counted-2"] {
        assert_eq!(last_words(&sandbox, click_id).await, (vec![], Some(ErrorKind::ConnectionReset)));
    }
    assert_eq!(sandbox.credited().await, ["sandbox-reset-counted-2"]);
    assert_eq!(sandbox.statistics().await.all.in_flight, 0);
}

#[tokio::test]
async fn a_reset_once_was_counted_once_and_again() {
    let sandbox = Harness::start().await;
    let event = [purchase("sandbox-reset-counted-once-7", "ORD-7")];
    assert!(sandbox.send(&event).await.is_err());
    assert_eq!(sandbox.send(&event).await.unwrap().status().as_u16(), 200);
    assert_eq!(sandbox.repeated().await.orders[0].times, 2);
}

#[tokio::test]
async fn an_answer_that_is_cut_short_ends_before_its_length() {
    let sandbox = Harness::start().await;
    let (words, _) = last_words(&sandbox, "sandbox-cut-short-counted").await;
    let words = String::from_utf8(words).unwrap().to_ascii_lowercase();
    assert!(words.starts_with("http/1.1 200") && words.contains("content-length: 82"), "{words}");
    let response = sandbox.send(&[purchase("sandbox-cut-short", "1")]).await;
    assert!(match response {
        Ok(response) => response.bytes().await.is_err(),
        Err(_) => true,
    });
    assert_eq!(sandbox.credited().await, ["sandbox-cut-short-counted"]);
}

/// Sends one event and hangs up once the sandbox has it in flight and has written it down.
async fn hang_up_on(sandbox: &Harness, click_id: &str) {
    let event = [purchase(click_id, click_id)];
    tokio::select! {
        answer = sandbox.send(&event) => panic!("{click_id} was answered: {answer:?}"),
        () = sandbox.until(|statistics| statistics.all.in_flight == 1 && statistics.all.outcomes.values().sum::<u64>() == statistics.all.requests) => {}
    }
    sandbox.until(|statistics| statistics.all.in_flight == 0).await;
}

#[tokio::test]
async fn silence_lasts_until_the_client_gives_up() {
    let sandbox = Harness::start().await;
    hang_up_on(&sandbox, "sandbox-silence").await;
    hang_up_on(&sandbox, "sandbox-silence-counted").await;
    assert_eq!(sandbox.credited().await, ["sandbox-silence-counted"]);
    let outcomes = sandbox.statistics().await.all.outcomes;
    assert_eq!((outcomes["silence"], outcomes["silence-counted"]), (1, 1));
}

#[tokio::test]
async fn a_slow_answer_comes_late_and_was_counted_on_arrival() {
    let sandbox = Harness::start().await;
    hang_up_on(&sandbox, "sandbox-slow-3600000").await;
    assert_eq!(sandbox.credited().await, ["sandbox-slow-3600000"]);
    assert_eq!(sandbox.ask("sandbox-slow-20").await.0, 200);
    let seen: Value = sandbox.get("/sandbox/requests").await;
    assert_eq!((&seen[0]["delay_ms"], &seen[1]["delay_ms"]), (&json!(20), &json!(3_600_000)));
    // Nobody was left to give the first answer to.
    assert_eq!((&seen[0]["answered"], &seen[1]["answered"]), (&json!(true), &json!(false)));
}

#[tokio::test]
async fn latency_holds_every_answer_back() {
    let sandbox = Harness::start().await;
    sandbox.order(Method::PUT, "/sandbox/latency?latency=1h&dataset=1").await;
    hang_up_on(&sandbox, CLICK_ID).await;
    assert_eq!(sandbox.credited().await, [CLICK_ID]);
    let control: Value = sandbox.get("/sandbox/control").await;
    assert_eq!(control[1], json!({"dataset": "1", "latency": "1h", "outage": null, "script": []}));
    sandbox.order(Method::DELETE, "/sandbox/latency?dataset=1").await;
    assert_eq!(sandbox.ask(CLICK_ID).await.0, 200);
}

#[tokio::test]
async fn the_peak_in_flight_is_kept() {
    let sandbox = Harness::start().await;
    let event = [purchase("sandbox-silence", "1")];
    tokio::select! {
        _ = async { tokio::join!(sandbox.send(&event), sandbox.send(&event), sandbox.send(&event)) } => panic!("answered"),
        () = sandbox.until(|statistics| statistics.all.in_flight == 3) => {}
    }
    sandbox.until(|statistics| statistics.all.in_flight == 0).await;
    sandbox.ask(CLICK_ID).await;
    assert_eq!(sandbox.statistics().await.datasets["1"].in_flight_peak, 3);
}
