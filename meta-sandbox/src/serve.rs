//! The accept loop, owned here because a sandbox must be able to do what a server library never would: cut the line.

use std::{
    convert::Infallible,
    future, io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::Router;
use hyper::{Request, body::Incoming, server::conn::http1, service};
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::Notify,
};

/// How long the loop rests when the process is out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves HTTP/1.1 on `listener` until it is dropped.
pub async fn serve(listener: TcpListener, router: Router) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(converse(stream, router.clone()))),
            Err(fault) => {
                tracing::warn!(%fault, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn converse(stream: TcpStream, router: Router) {
    if let Err(fault) = stream.set_nodelay(true) {
        tracing::debug!(%fault, "the client is gone already");
        return;
    }
    let line = Line::default();
    let socket = Socket { stream, line: line.clone() };
    let router = TowerToHyperService::new(router);
    let handed = line.clone();
    let service = service::service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(handed.clone());
        service::Service::call(&router, request)
    });
    tokio::select! {
        ended = http1::Builder::new().serve_connection(TokioIo::new(socket), service) => {
            if let Err(fault) = ended {
                tracing::debug!(%fault, "a connection ended in mid-conversation");
            }
        }
        () = line.0.wake.notified() => {}
    }
}

/// The connection that a request came by; every request carries one in its extensions.
#[derive(Clone, Default)]
pub(crate) struct Line(Arc<Cut>);

#[derive(Default)]
struct Cut {
    asked: AtomicBool,
    wake: Notify,
}

impl Line {
    /// Ends the connection with a TCP reset. Never returns: the caller is dropped together with the connection.
    pub(crate) async fn reset(&self) -> Infallible {
        self.0.asked.store(true, Ordering::Release);
        self.0.wake.notify_one();
        future::pending().await
    }
}

/// A TCP stream that is closed with RST instead of FIN where that was asked for.
struct Socket {
    stream: TcpStream,
    line: Line,
}

impl Drop for Socket {
    fn drop(&mut self) {
        // Linger of zero discards what is unsent and sends RST on close (tcp(7), SO_LINGER in socket(7)).
        if self.line.0.asked.load(Ordering::Acquire)
            && let Err(fault) = self.stream.set_zero_linger()
        {
            tracing::warn!(%fault, "the connection closes without a reset");
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
