//! Connections on a public address: HTTP/1.1, and HTTP/2 without TLS by prior knowledge (TLS ends in front).

use std::{convert::Infallible, fmt, io, net::IpAddr, pin::pin, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    http::{Request, Version},
    response::Response,
};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto::Builder, graceful::GracefulConnection},
};
use tokio::{
    net::{TcpListener, TcpStream},
    time::sleep,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;

mod counted;
pub mod descriptors;
mod pace;
mod room;

pub use counted::Counted;
use pace::{Clock, Paced};
use room::{Place, Room};

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

/// The other end of a request's connection: an extension that every request has.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub IpAddr);

/// Serves the router until `drain` is cancelled, and then until the requests in flight are answered. Beyond `connections`
/// open ones, the quietest make way; while none is quiet, the next one waits, and others in the kernel's backlog.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    connections: usize,
    counted: Counted,
    drain: CancellationToken,
) {
    let (http, room, open) = (Arc::new(http()), Room::new(connections, counted), TaskTracker::new());
    while let Some((stream, peer, place)) = next(&listener, &room, &drain).await {
        let (http, router, drain) = (Arc::clone(&http), router.clone(), drain.clone());
        open.spawn(async move {
            let _open = counted.open();
            let clock = place.clock();
            let service = service_fn(|request| answer(router.clone(), peer, place.clock(), request));
            let connection = http.serve_connection(TokioIo::new(Paced::new(stream, clock)), service);
            converse(connection, &place, &drain).await;
        });
    }
    drop(listener);
    open.close();
    open.wait().await;
}

/// Lets a connection live until it ends by itself, or has to go.
async fn converse<C>(connection: C, place: &Place, drain: &CancellationToken)
where
    C: GracefulConnection<Error: fmt::Display>,
{
    let (mut connection, clock, mut is_parting) = (pin!(connection), place.clock(), false);
    loop {
        tokio::select! {
            ended = connection.as_mut() => {
                // What ends a connection is the other side's affair; what is ours is logged with its call.
                if let Err(fault) = ended {
                    tracing::debug!(%fault, "connection ended");
                }
                return;
            }
            () = until_parting(&clock, drain), if !is_parting => {
                is_parting = true;
                connection.as_mut().graceful_shutdown();
            }
            () = place.asked_to_go() => {
                // A request may have come meanwhile.
                if clock.quiet_since().is_some() {
                    return;
                }
            }
        }
    }
}

async fn until_parting(clock: &Clock, drain: &CancellationToken) {
    tokio::select! {
        () = drain.cancelled() => {}
        () = clock.rested() => {}
    }
}

/// The next connection, once there is room for it; `None` when a drain begins.
async fn next(
    listener: &TcpListener,
    room: &Arc<Room>,
    drain: &CancellationToken,
) -> Option<(TcpStream, IpAddr, Place)> {
    tokio::select! {
        biased;
        () = drain.cancelled() => None,
        accepted = async {
            // First the connection: nobody makes way before somebody comes.
            let (stream, peer) = accept(listener).await;
            Some((stream, peer, room.place().await))
        } => accepted,
    }
}

async fn accept(listener: &TcpListener) -> (TcpStream, IpAddr) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                // One that is reset already says so when it is read.
                let _ = stream.set_nodelay(true);
                return (stream, peer.ip());
            }
            Err(fault) if fault.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(fault) => {
                tracing::warn!(%fault, "cannot accept a connection");
                sleep(ACCEPT_AGAIN).await;
            }
        }
    }
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
