//! The admin address: `/livez`, `/readyz`, `/metrics`. Never on the public address.

use axum::{Json, Router, extract::State, http::StatusCode, response::IntoResponse, routing::get};
use metrics_exporter_prometheus::PrometheusHandle;

use crate::health::Health;

/// The routes of the admin address.
pub fn router(health: Health, metrics: PrometheusHandle) -> Router {
    Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .with_state(health)
        .route("/metrics", get(move || std::future::ready(metrics.render())))
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
        tokio::spawn(async move { axum::serve(listener, routes).await });
        metrics::with_local_recorder(&recorder, || metrics::counter!("calls_total").increment(3));

        let kafka = health.dependency("kafka");
        kafka.down("refused");
        let (status, body) = get(at, "/readyz").await;
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!((status, &body["ready"]), (503, &false.into()));
        assert_eq!(body["dependencies"]["kafka"]["detail"], "refused");
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
        assert_eq!(get(at, "/elsewhere").await.0, 404);
    }
}
