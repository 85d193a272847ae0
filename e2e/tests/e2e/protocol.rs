//! HTTP itself: both versions, bodies without a length, callers that are slow, and what Meta is never sent.

use anyhow::{Context as _, ensure};
use e2e::{
    analyst::expect,
    deployment::Deployment,
    event::{purchase, with_click},
    merchant::{Merchant, send},
    wait,
};
use futures::{future::try_join_all, stream};
use reqwest::{Body, Version};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

/// HTTP/2 without TLS: many calls over one connection.
pub(crate) async fn cleartext_http2(deployment: &Deployment) -> anyhow::Result<()> {
    let merchant = Merchant::open(deployment).await?;
    let http = reqwest::Client::builder().no_proxy().http2_prior_knowledge().build()?;
    let call = async |order: usize| {
        let request = http.post(merchant.url_of(&merchant.business)).header("X-API-KEY", &merchant.key);
        let answer = request.body(purchase(&format!("ORD-{order}")).to_string()).send().await?;
        ensure!(answer.version() == Version::HTTP_2, "{:?}", answer.version());
        e2e::answer::Answer::read(answer).await?.expect(200, "forwarded")?;
        Ok(())
    };
    try_join_all((0..20).map(call)).await.map(|_| ())
}

/// A body in chunks, whose length nobody knows beforehand: taken, and refused when it grows too long.
pub(crate) async fn bodies_without_a_length(deployment: &Deployment) -> anyhow::Result<()> {
    let merchant = Merchant::open(deployment).await?;
    let text = purchase("ORD-1").to_string();
    let chunks: Vec<Result<Vec<u8>, std::io::Error>> =
        text.as_bytes().chunks(100).map(|part| Ok(part.to_vec())).collect();
    send(merchant.request().body(Body::wrap_stream(stream::iter(chunks)))).await?.expect(200, "forwarded")?;
    let long = (0..600).map(|_| Ok::<_, std::io::Error>(vec![b' '; 1024]));
    let answer = send(merchant.request().body(Body::wrap_stream(stream::iter(long)))).await?;
    answer.expect_error(413, "BODY_TOO_LARGE")?;
    let row = deployment.analyst.row(answer.call).await?;
    expect(&row, &json!({"reason": "BODY_TOO_LARGE", "body": " ".repeat(64 * 1024)}))
}

/// A connection whose request head does not come is closed, and so is one that is no HTTP.
pub(crate) async fn connections_that_say_nothing(deployment: &Deployment) -> anyhow::Result<()> {
    let address = deployment.ingests.first().context("no ingest")?.public;
    for start in ["", "POST /external/v1/businesses/x/conversion_events HTTP/1.1\r\nHost: x\r\n", "no HTTP\r\n\r\n"] {
        let mut connection = TcpStream::connect(address).await?;
        connection.write_all(start.as_bytes()).await?;
        let mut answer = Vec::new();
        // A reset is an end too.
        let _ = timeout(wait::PATIENCE, connection.read_to_end(&mut answer)).await.context("it is not closed")?;
    }
    Ok(())
}

/// What Meta would let pass and a sender of ours must not do: a token outside its header, a field that is not on the wire,
/// an event without an id. Where secrets must not be is searched for in `secrets`.
pub(crate) async fn no_alarm(deployment: &Deployment) -> anyhow::Result<()> {
    let merchant = Merchant::open(deployment).await?;
    merchant.call(&with_click("sandbox-echo", "ORD-1")).await?.expect_error(400, "META_REJECTED")?;
    merchant.call(&purchase("ORD-2")).await?.expect(200, "forwarded")?;
    let statistics = deployment.sandbox.get("stats").await?;
    ensure!(statistics["alarms"]["token_outside_header"] == 0, "{}", statistics["alarms"]);
    ensure!(statistics["alarms"]["without_event_id"] == 0, "{}", statistics["alarms"]);
    ensure!(statistics["alarms"]["foreign_fields"] == json!({}), "{}", statistics["alarms"]);
    Ok(())
}
