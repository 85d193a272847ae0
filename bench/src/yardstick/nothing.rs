//! Nothing but the answer.

use std::net::SocketAddr;

use axum::{
    Router,
    http::StatusCode,
    routing::any,
    serve::{self, ListenerExt as _},
};
use tokio::net::TcpListener;

/// What Meta says to a batch: as many events as any can have.
const COUNTED: &str = r#"{"events_received":1000,"fbtrace_id":"AbCdEfGhIjKlMnOpQrStUv"}"#;

/// Answers every call at once.
pub(super) async fn serve(listen: SocketAddr) -> anyhow::Result<()> {
    let router = Router::new().fallback(any(async || (StatusCode::OK, COUNTED)));
    answer(listen, router).await
}

/// Serves as ingest does: no answer waits for company.
pub(super) async fn answer(listen: SocketAddr, router: Router) -> anyhow::Result<()> {
    let listener = TcpListener::bind(listen).await?.tap_io(|stream| {
        // One that is reset already says so when it is read.
        let _ = stream.set_nodelay(true);
    });
    Ok(serve::serve(listener, router).await?)
}
