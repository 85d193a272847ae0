//! How long a connection may take: for the head of a request, between two requests, and to take an answer.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep},
};

/// From the first byte of a request's head, or from the connection's beginning, to the head's end.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// How long a connection may rest between two requests: longer than the minute for which proxies and clients keep
/// theirs, so that it is they who close and none of their requests meets a closing connection.
const REST_TIME: Duration = Duration::from_secs(75);
/// How long the other side may take to accept more of an answer.
const WRITE_TIME: Duration = Duration::from_secs(30);

/// Whether requests of a connection are being answered: shared by the connection and its requests.
#[derive(Clone, Default)]
pub(super) struct Clock {
    requests: Arc<AtomicUsize>,
    is_http2: Arc<AtomicBool>,
}

/// A request is being answered while this is held.
pub(super) struct Busy(Arc<AtomicUsize>);

impl Clock {
    /// A request has come. HTTP/2 exchanges frames between requests that begin none.
    pub(super) fn busy(&self, is_http2: bool) -> Busy {
        self.is_http2.fetch_or(is_http2, Ordering::Relaxed);
        self.requests.fetch_add(1, Ordering::Relaxed);
        Busy(Arc::clone(&self.requests))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// A head is being read.
    Head,
    /// Requests are being answered: they have limits of their own.
    Busy,
    /// Between requests.
    Rest,
}

/// A connection that fails with `TimedOut` where the other side takes too long.
pub(super) struct Paced<S> {
    stream: S,
    clock: Clock,
    phase: Phase,
    read_limit: Pin<Box<Sleep>>,
    write_limit: Option<Pin<Box<Sleep>>>,
}

impl<S> Paced<S> {
    pub(super) fn new(stream: S, clock: Clock) -> Self {
        Self { stream, clock, phase: Phase::Head, read_limit: Box::pin(sleep(HEAD_TIME)), write_limit: None }
    }

    /// The phase follows the requests.
    fn follow(&mut self) {
        if self.clock.requests.load(Ordering::Relaxed) > 0 {
            self.phase = Phase::Busy;
        } else if self.phase == Phase::Busy {
            self.enter(Phase::Rest, REST_TIME);
        }
    }

    /// Bytes have come.
    fn heard(&mut self) {
        if self.phase != Phase::Rest {
            return;
        }
        if self.clock.is_http2.load(Ordering::Relaxed) {
            self.enter(Phase::Rest, REST_TIME);
        } else {
            self.enter(Phase::Head, HEAD_TIME);
        }
    }

    fn enter(&mut self, phase: Phase, limit: Duration) {
        self.phase = phase;
        self.read_limit.as_mut().reset(Instant::now() + limit);
    }

    fn poll_read_limit(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.phase == Phase::Busy {
            return Poll::Pending;
        }
        ready!(self.read_limit.as_mut().poll(cx));
        Poll::Ready(Err(timed_out("no request came in time")))
    }

    /// Passes on how a write went, and holds one that cannot go on to its limit.
    fn limit_write<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.write_limit = None;
            return written;
        }
        let limit = self.write_limit.get_or_insert_with(|| Box::pin(sleep(WRITE_TIME)));
        ready!(limit.as_mut().poll(cx));
        Poll::Ready(Err(timed_out("the answer was not taken in time")))
    }
}

fn timed_out(text: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, text)
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.follow();
        let before = buf.filled().len();
        match Pin::new(&mut self.stream).poll_read(cx, buf) {
            Poll::Pending => self.poll_read_limit(cx),
            ready @ Poll::Ready(_) => {
                if buf.filled().len() > before {
                    self.heard();
                }
                ready
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.limit_write(cx, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.limit_write(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.limit_write(cx, shut)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.limit_write(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;

    fn paced() -> (Paced<DuplexStream>, DuplexStream, Clock) {
        let (near, far) = duplex(16);
        let clock = Clock::default();
        (Paced::new(near, clock.clone()), far, clock)
    }

    async fn read_fails_after(paced: &mut Paced<DuplexStream>) -> Duration {
        let since = Instant::now();
        let fault = paced.read(&mut [0; 16]).await.unwrap_err();
        assert_eq!(fault.kind(), io::ErrorKind::TimedOut);
        since.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_dribbles_is_cut_off() {
        let (mut paced, mut far, _clock) = paced();
        far.write_all(b"POST").await.unwrap();
        assert_eq!(paced.read(&mut [0; 16]).await.unwrap(), 4);
        tokio::time::advance(Duration::from_secs(4)).await;
        far.write_all(b" /").await.unwrap();
        assert_eq!(paced.read(&mut [0; 16]).await.unwrap(), 2);
        assert_eq!(read_fails_after(&mut paced).await, Duration::from_secs(6));
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_may_rest_between_requests() {
        let (mut paced, mut far, clock) = paced();
        let busy = clock.busy(false);
        far.write_all(b"{}").await.unwrap();
        assert_eq!(paced.read(&mut [0; 16]).await.unwrap(), 2);
        drop(busy);
        assert_eq!(read_fails_after(&mut paced).await, REST_TIME);
    }

    #[tokio::test(start_paused = true)]
    async fn the_next_head_is_timed_from_its_first_byte() {
        let (mut paced, mut far, clock) = paced();
        let busy = clock.busy(false);
        far.write_all(b"{}").await.unwrap();
        assert_eq!(paced.read(&mut [0; 16]).await.unwrap(), 2);
        drop(busy);
        let (first, ()) = tokio::join!(async { paced.read_u8().await.unwrap() }, async {
            sleep(Duration::from_mins(1)).await;
            far.write_all(b"P").await.unwrap();
        });
        assert_eq!(first, b'P');
        assert_eq!(read_fails_after(&mut paced).await, HEAD_TIME);
    }

    #[tokio::test(start_paused = true)]
    async fn frames_between_requests_of_http2_begin_no_head() {
        let (mut paced, mut far, clock) = paced();
        drop(clock.busy(true));
        paced.phase = Phase::Busy;
        far.write_all(b"ping").await.unwrap();
        assert_eq!(paced.read(&mut [0; 16]).await.unwrap(), 4);
        assert_eq!(read_fails_after(&mut paced).await, REST_TIME);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_nobody_takes_is_given_up() {
        let (mut paced, _far, clock) = paced();
        let _busy = clock.busy(false);
        let since = Instant::now();
        let fault = paced.write_all(&[0; 100]).await.unwrap_err();
        assert_eq!((fault.kind(), since.elapsed()), (io::ErrorKind::TimedOut, WRITE_TIME));
    }
}
