//! Connections on the public address: HTTP/1.1, and HTTP/2 without TLS by prior knowledge (TLS ends in front).

use std::{convert::Infallible, io, net::IpAddr, sync::Arc, time::Duration};

use axum::{Router, body::Body, response::Response};
use http::{Request, Version};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto::Builder, graceful::GracefulShutdown},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::sleep,
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::{metrics, router::Peer};

mod pace;

use pace::{Clock, Paced};

/// The largest head of a request, and the part of a body that is read at once, in bytes. Heads of more than 100 fields
/// are refused by hyper.
const HEAD_LIMIT: u32 = 32 * 1024;
/// Requests at once on one HTTP/2 connection.
const STREAMS: u32 = 256;
/// What one HTTP/2 request, and one connection, may send ahead of our reading, in bytes.
const STREAM_WINDOW: u32 = 64 * 1024;
const CONNECTION_WINDOW: u32 = 256 * 1024;
/// How an HTTP/2 peer that vanished is noticed.
const PING_EVERY: Duration = Duration::from_secs(20);
const PING_LIMIT: Duration = Duration::from_secs(10);
/// How long after a failure to accept it is tried again: most often file descriptors have run out.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// Serves the router until `drain` is cancelled, and then until the requests in flight are answered. Beyond `connections`
/// open ones, new ones wait in the kernel's backlog.
pub async fn serve(listener: TcpListener, router: Router, connections: usize, drain: CancellationToken) {
    let room = Arc::new(Semaphore::new(connections.min(Semaphore::MAX_PERMITS)));
    let (http, graceful) = (Arc::new(http()), GracefulShutdown::new());
    while let Some((stream, peer, permit)) = next(&listener, &room, &drain).await {
        let (http, watcher, router) = (Arc::clone(&http), graceful.watcher(), router.clone());
        tokio::spawn(async move {
            let (_permit, _open) = (permit, metrics::Connection::begin());
            let clock = Clock::default();
            let service = {
                let clock = clock.clone();
                service_fn(move |request| answer(router.clone(), peer, clock.clone(), request))
            };
            let connection = http.serve_connection(TokioIo::new(Paced::new(stream, clock)), service);
            // What ends a connection is the other side's affair; what is ours is logged with its call.
            if let Err(fault) = watcher.watch(connection).await {
                tracing::debug!(%fault, "connection ended");
            }
        });
    }
    drop(listener);
    graceful.shutdown().await;
}

/// The next connection, once there is room for it; `None` when a drain begins.
async fn next(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
    drain: &CancellationToken,
) -> Option<(TcpStream, IpAddr, tokio::sync::OwnedSemaphorePermit)> {
    let accepted = async {
        // The semaphore is never closed.
        let permit = Arc::clone(room).acquire_owned().await.ok()?;
        loop {
            match accept(listener).await {
                Ok((stream, peer)) => return Some((stream, peer, permit)),
                Err(fault) => {
                    tracing::warn!(%fault, "cannot accept a connection");
                    sleep(ACCEPT_AGAIN).await;
                }
            }
        }
    };
    tokio::select! {
        biased;
        () = drain.cancelled() => None,
        accepted = accepted => accepted,
    }
}

async fn accept(listener: &TcpListener) -> io::Result<(TcpStream, IpAddr)> {
    let (stream, peer) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok((stream, peer.ip()))
}

async fn answer(
    router: Router,
    peer: IpAddr,
    clock: Clock,
    request: Request<Incoming>,
) -> Result<Response, Infallible> {
    let _busy = clock.busy(request.version() == Version::HTTP_2);
    let mut request = request.map(Body::new);
    request.extensions_mut().insert(Peer(peer));
    router.oneshot(request).await
}

fn http() -> Builder<TokioExecutor> {
    let mut http = Builder::new(TokioExecutor::new());
    // Heads are timed by `pace`: hyper's own limit would also close connections that rest between two requests.
    http.http1().timer(TokioTimer::new()).header_read_timeout(None).max_buf_size(HEAD_LIMIT as usize);
    http.http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEAD_LIMIT)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_LIMIT);
    http
}
