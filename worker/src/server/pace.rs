//! How long a connection may take: for the head of a request, between two requests, and to take an answer.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep},
};
use tokio_util::sync::CancellationToken;

/// From the first byte of a request's head, or from the connection's beginning, to the head's end.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// How long a connection may rest between two requests: longer than the minute for which proxies and clients keep
/// theirs, so that it is they who close and none of their requests meets a closing connection.
const REST_TIME: Duration = Duration::from_secs(75);
/// How long the other side may take to accept more of an answer.
const WRITE_TIME: Duration = Duration::from_secs(30);

/// How long an HTTP/2 connection that has rested may take to part.
const PARTING_TIME: Duration = Duration::from_secs(10);

/// What a connection's requests do: shared by the connection, its requests and the room that it stands in.
#[derive(Clone)]
pub(super) struct Clock(Arc<Times>);

struct Times {
    /// Requests that are being answered.
    running: AtomicUsize,
    /// Requests that were answered.
    answered: AtomicUsize,
    is_http2: AtomicBool,
    begun: Instant,
    /// When the last request was answered, in milliseconds since the connection began.
    quiet_after: AtomicU64,
    rested: CancellationToken,
}

/// A request is being answered while this is held.
pub(super) struct Busy(Arc<Times>);

impl Clock {
    /// Of a connection that begins now.
    pub(super) fn start() -> Self {
        Self(Arc::new(Times {
            running: AtomicUsize::new(0),
            answered: AtomicUsize::new(0),
            is_http2: AtomicBool::new(false),
            begun: Instant::now(),
            quiet_after: AtomicU64::new(0),
            rested: CancellationToken::new(),
        }))
    }

    /// A request has come. HTTP/2 exchanges frames between requests that begin none.
    pub(super) fn busy(&self, is_http2: bool) -> Busy {
        self.0.is_http2.fetch_or(is_http2, Ordering::Relaxed);
        self.0.running.fetch_add(1, Ordering::Relaxed);
        Busy(Arc::clone(&self.0))
    }

    /// Since when no request is being answered; `None` while one is.
    pub(super) fn quiet_since(&self) -> Option<Instant> {
        let is_busy = self.0.running.load(Ordering::Acquire) > 0;
        let quiet_after = Duration::from_millis(self.0.quiet_after.load(Ordering::Relaxed));
        (!is_busy).then(|| self.0.begun + quiet_after)
    }

    /// An HTTP/2 connection has rested for long enough: it is to say goodbye, so that the other side knows which of its
    /// requests were not taken.
    pub(super) async fn rested(&self) {
        self.0.rested.cancelled().await;
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let quiet_after = u64::try_from(self.0.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.0.quiet_after.store(quiet_after, Ordering::Relaxed);
        self.0.answered.fetch_add(1, Ordering::Relaxed);
        self.0.running.fetch_sub(1, Ordering::Release);
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
    /// An HTTP/2 connection says goodbye.
    Parting,
}

/// A connection that fails with `TimedOut` where the other side takes too long.
pub(super) struct Paced<S> {
    stream: S,
    clock: Clock,
    phase: Phase,
    /// Requests that had been answered when it was last looked.
    answered: usize,
    /// When the phase is over.
    read_by: Instant,
    /// Set to that where something is waited for: most heads come whole, and their phase ends before anything is.
    read_limit: Pin<Box<Sleep>>,
    write_limit: Option<Pin<Box<Sleep>>>,
}

impl<S> Paced<S> {
    pub(super) fn new(stream: S, clock: Clock) -> Self {
        let read_limit = Box::pin(sleep(HEAD_TIME));
        let read_by = read_limit.deadline();
        Self { stream, clock, phase: Phase::Head, answered: 0, read_by, read_limit, write_limit: None }
    }

    /// The phase follows the requests, those that came and went between two looks included.
    fn follow(&mut self) {
        let is_quiet = self.clock.quiet_since().is_some();
        let answered = self.clock.0.answered.load(Ordering::Relaxed);
        if !is_quiet {
            self.phase = Phase::Busy;
        } else if answered != self.answered {
            self.answered = answered;
            self.enter(Phase::Rest, REST_TIME);
        }
    }

    /// Bytes have come. In HTTP/2 they may be a ping, or the answer to ours: a connection without requests is not kept
    /// open by them.
    fn heard(&mut self) {
        if self.phase == Phase::Rest && !self.is_http2() {
            self.enter(Phase::Head, HEAD_TIME);
        }
    }

    fn is_http2(&self) -> bool {
        self.clock.0.is_http2.load(Ordering::Relaxed)
    }

    fn enter(&mut self, phase: Phase, limit: Duration) {
        self.phase = phase;
        self.read_by = Instant::now() + limit;
    }

    fn poll_read_limit(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.phase == Phase::Busy {
            return Poll::Pending;
        }
        ready!(self.poll_read_by(cx));
        if self.phase == Phase::Rest && self.is_http2() {
            self.enter(Phase::Parting, PARTING_TIME);
            self.clock.0.rested.cancel();
            ready!(self.poll_read_by(cx));
        }
        Poll::Ready(Err(timed_out("no request came in time")))
    }

    fn poll_read_by(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.read_limit.deadline() != self.read_by {
            self.read_limit.as_mut().reset(self.read_by);
        }
        self.read_limit.as_mut().poll(cx)
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
        let clock = Clock::start();
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

    /// Such as an answer that waits for nothing: nothing is read while it is made.
    #[tokio::test(start_paused = true)]
    async fn a_request_that_came_and_went_between_two_looks_counts() {
        let (mut paced, _far, clock) = paced();
        tokio::time::advance(Duration::from_secs(9)).await;
        drop(clock.busy(false));
        assert_eq!(read_fails_after(&mut paced).await, REST_TIME);
    }

    #[tokio::test(start_paused = true)]
    async fn pings_keep_no_http2_connection_open_and_it_parts_with_a_word() {
        let (mut paced, mut far, clock) = paced();
        drop(clock.busy(true));
        let since = Instant::now();
        let pings = tokio::spawn(async move {
            for _ in 0..10 {
                sleep(Duration::from_secs(20)).await;
                if far.write_all(b"ping").await.is_err() {
                    break;
                }
            }
            far
        });
        let said = tokio::spawn(async move {
            let _ = tokio::time::timeout(Duration::from_hours(1), clock.rested()).await;
            since.elapsed()
        });
        while paced.read(&mut [0; 16]).await.is_ok() {}
        assert_eq!((said.await.unwrap(), since.elapsed()), (REST_TIME, REST_TIME + PARTING_TIME));
        pings.abort();
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
