//! The admin address: `/livez`, `/readyz`, `/metrics`. Never on the public address.

use axum::{Json, Router, extract::State, http::StatusCode, response::IntoResponse, routing::get};
use metrics::gauge;
use metrics_exporter_prometheus::PrometheusHandle;

use crate::health::Health;

/// The routes of the admin address.
pub fn router(health: Health, metrics: PrometheusHandle) -> Router {
    let standing = health.clone();
    let scraped = async move || {
        tell(&standing);
        metrics.render()
    };
    Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .with_state(health)
        .route("/metrics", get(scraped))
}

/// Says in metrics what `/readyz` says, which Prometheus does not read.
fn tell(health: &Health) {
    let readiness = health.readiness();
    gauge!("capi_ready").set(u8::from(readiness.ready));
    for (name, standing) in readiness.dependencies {
        gauge!("capi_dependency_up", "dependency" => name).set(u8::from(standing.up));
    }
}

async fn ready(State(health): State<Health>) -> impl IntoResponse {
    let readiness = health.readiness();
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(readiness))
}

#[cfg(test)]
mod tests {
    use metrics_exporter_prometheus::PrometheusBuilder;
    use serde_json::Value;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::{TcpListener, TcpStream},
    };

    use super::*;
    use crate::shutdown::Shutdown;

    async fn get(at: std::net::SocketAddr, path: &str) -> (u16, String) {
        let mut connection = TcpStream::connect(at).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: local\r\nConnection: close\r\n\r\n");
        connection.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    #[tokio::test]
    async fn the_routes_answer_over_a_socket() {
        let shutdown = Shutdown::default();
        let health = Health::new(shutdown.clone());
        let recorder = PrometheusBuilder::new().build_recorder();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let routes = router(health.clone(), recorder.handle());
        // All of this runs on one thread, the server too.
        let _local = metrics::set_default_local_recorder(&recorder);
        tokio::spawn(async move { axum::serve(listener, routes).await });
        metrics::counter!("calls_total").increment(3);

        let kafka = health.dependency("kafka");
        kafka.down("refused");
        let (status, body) = get(at, "/readyz").await;
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!((status, &body["ready"]), (503, &false.into()));
        assert_eq!(body["dependencies"]["kafka"]["detail"], "refused");
        let (_, metrics) = get(at, "/metrics").await;
        assert!(metrics.contains("capi_ready 0") && metrics.contains("up{dependency=\"kafka\"} 0"), "{metrics}");
        kafka.up();
        assert_eq!(get(at, "/readyz").await.0, 200);
        shutdown.request();
        let (status, body) = get(at, "/readyz").await;
        assert_eq!(status, 503);
        assert_eq!(serde_json::from_str::<Value>(&body).unwrap()["draining"], true);

        assert_eq!(get(at, "/livez").await, (200, "ok\n".into()));
        let (status, metrics) = get(at, "/metrics").await;
        assert_eq!(status, 200);
        assert!(metrics.contains("calls_total 3"), "{metrics}");
        // A drain is no outage, but it is not ready either.
        assert!(metrics.contains("capi_ready 0") && metrics.contains("up{dependency=\"kafka\"} 1"), "{metrics}");
        assert_eq!(get(at, "/elsewhere").await.0, 404);
    }
}
