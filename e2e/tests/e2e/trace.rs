//! One trace from the caller's request to the row: a listener in the place of an OTLP collector hears all three workers.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use axum::{Router, body::Bytes, extract::State, http::StatusCode};
use e2e::{
    deployment::{Deployment, Plan},
    event::purchase,
    merchant::{Merchant, send},
    port, wait,
};
use tokio::net::TcpListener;
use uuid::Uuid;

/// The spans that came, as they came: OTLP is protobuf, in which ids and texts stand as they are.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<Bytes>>>);

/// A deployment that sends its traces to the test.
pub(crate) fn plan() -> anyhow::Result<Plan> {
    let collector = format!("http://{}", port::free()?);
    Ok(Plan::default().set("OTEL_EXPORTER_OTLP_ENDPOINT", collector).set("OTEL_BSP_SCHEDULE_DELAY", "200"))
}

/// The caller's trace goes on in every worker.
pub(crate) async fn from_the_request_to_the_row(deployment: &mut Deployment) -> anyhow::Result<()> {
    let collector = Collector::default();
    let address = deployment.setting("OTEL_EXPORTER_OTLP_ENDPOINT").and_then(|url| url.strip_prefix("http://"));
    let socket = TcpListener::bind(address.context("no address")?).await?;
    let router = Router::new().fallback(collect).with_state(collector.clone());
    let server = tokio::spawn(async move { axum::serve(socket, router).await });

    let merchant = Merchant::open(deployment).await?;
    let trace = Uuid::now_v7();
    let parent = format!("00-{}-00f067aa0ba902b7-01", trace.simple());
    let answer = send(merchant.request().header("traceparent", parent).body(purchase("ORD-1").to_string())).await?;
    deployment.analyst.row(answer.expect(200, "forwarded")?.call).await?;
    for worker in ["capi-ingest", "capi-forwarder", "capi-recorder"] {
        let what = format!("a span of {worker} in the caller's trace");
        wait::until(&what, async || Ok(collector.has(worker, trace).then_some(()))).await?;
    }
    server.abort();
    Ok(())
}

async fn collect(State(collector): State<Collector>, spans: Bytes) -> StatusCode {
    collector.0.lock().unwrap_or_else(PoisonError::into_inner).push(spans);
    StatusCode::OK
}

impl Collector {
    /// Whether a worker has sent spans of this trace, or linked to it.
    fn has(&self, worker: &str, trace: Uuid) -> bool {
        let contains = |spans: &Bytes, part: &[u8]| spans.windows(part.len()).any(|window| window == part);
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().any(|spans| contains(spans, worker.as_bytes()) && contains(spans, trace.as_bytes()))
    }
}
