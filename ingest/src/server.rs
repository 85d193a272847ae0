//! Connections on the public address.

use axum::Router;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
pub use worker::server::descriptors;

use crate::metrics;

/// Serves the router until `drain` is cancelled, and then until the requests in flight are answered. Beyond `connections`
/// open ones, the quietest make way.
pub async fn serve(listener: TcpListener, router: Router, connections: usize, drain: CancellationToken) {
    worker::server::serve(listener, router, connections, metrics::PUBLIC_ADDRESS, drain).await;
}
