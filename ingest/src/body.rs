//! Reading a request's body, bounded in size and in time.

use std::time::Duration;

use axum::body::{Body, HttpBody};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout_at};

/// The largest body that is read as a request, in bytes.
pub const BODY_LIMIT: usize = 256 * 1024;
/// What is read and thrown away beyond the limit, in bytes: a caller that is still sending would not see an answer.
const THROWN_AWAY: usize = 1024 * 1024;
/// How long a body may take.
const BODY_TIME: Duration = Duration::from_secs(30);
/// How long an answer that needs no body waits for what is on its way.
const DRAIN_TIME: Duration = Duration::from_millis(250);

/// A body as it came, whole or in part.
#[derive(Debug, PartialEq, Eq)]
pub struct Received {
    /// The bytes, up to the limit.
    pub bytes: Bytes,
    /// Why they are not a whole body.
    pub fault: Option<BodyFault>,
}

/// Why a body is not whole.
#[derive(Debug, PartialEq, Eq)]
pub enum BodyFault {
    /// Over [`BODY_LIMIT`].
    TooLarge,
    /// It stopped coming; the text says how.
    Incomplete(&'static str),
}

/// Reads a body. What is over the limit is thrown away.
pub async fn receive(body: Body) -> Received {
    let deadline = Instant::now() + BODY_TIME;
    let declared = body.size_hint().exact().and_then(|size| usize::try_from(size).ok());
    let mut frames = Frames { body, deadline };
    let mut pieces = Pieces { expected: declared.unwrap_or_default().min(BODY_LIMIT), ..Pieces::default() };
    let fault = loop {
        match frames.next().await {
            Ok(Some(data)) if data.len() <= pieces.room() => pieces.add(data),
            Ok(Some(data)) => {
                let room = pieces.room();
                pieces.add(data.slice(..room));
                frames.throw_away(THROWN_AWAY.saturating_sub(data.len() - room)).await;
                break Some(BodyFault::TooLarge);
            }
            Ok(None) => break None,
            Err(fault) => break Some(BodyFault::Incomplete(fault)),
        }
    };
    Received { bytes: pieces.join(), fault }
}

/// What has come of a body. One that comes in one piece, as most do, stays where the connection has read it to.
#[derive(Default)]
struct Pieces {
    expected: usize,
    first: Bytes,
    /// The first and all others, once there are others.
    joined: BytesMut,
}

impl Pieces {
    fn room(&self) -> usize {
        BODY_LIMIT - self.first.len().max(self.joined.len())
    }

    fn add(&mut self, data: Bytes) {
        if self.first.is_empty() {
            self.first = data;
            return;
        }
        if self.joined.is_empty() {
            self.joined.reserve(self.expected);
            self.joined.extend_from_slice(&self.first);
        }
        self.joined.extend_from_slice(&data);
    }

    fn join(self) -> Bytes {
        if self.joined.is_empty() { self.first } else { self.joined.freeze() }
    }
}

/// Throws away what is on its way of a body that nobody needs: closing a connection with unread bytes resets it, and the
/// caller might never see the answer.
pub async fn drain(body: Body) {
    let mut frames = Frames { body, deadline: Instant::now() + DRAIN_TIME };
    frames.throw_away(BODY_LIMIT + THROWN_AWAY).await;
}

struct Frames {
    body: Body,
    deadline: Instant,
}

impl Frames {
    /// The next bytes; `None` at the end.
    async fn next(&mut self) -> Result<Option<Bytes>, &'static str> {
        loop {
            let frame = timeout_at(self.deadline, self.body.frame()).await.map_err(|_| "it took too long")?;
            match frame {
                None => return Ok(None),
                Some(Err(_)) => return Err("the connection ended"),
                // A frame without data is a trailer: nothing in it is ours.
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }

    async fn throw_away(&mut self, mut most: usize) {
        while let Ok(Some(data)) = self.next().await {
            let Some(left) = most.checked_sub(data.len()) else { return };
            most = left;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use futures::{StreamExt, stream};

    use super::*;

    /// A body in chunks of 1000 bytes, which counts those that were read.
    fn chunks(count: usize) -> (Body, Arc<AtomicUsize>) {
        let read = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&read);
        let chunk = move |_| {
            counter.fetch_add(1, Ordering::Relaxed);
            Ok::<_, std::io::Error>(vec![b'x'; 1000])
        };
        (Body::from_stream(stream::iter(0..count).map(chunk)), read)
    }

    #[tokio::test]
    async fn a_body_is_read_up_to_the_limit() {
        let exact = receive(Body::from(vec![b'x'; BODY_LIMIT])).await;
        assert_eq!((exact.bytes.len(), exact.fault), (BODY_LIMIT, None));
        let over = receive(Body::from(vec![b'x'; BODY_LIMIT + 1])).await;
        assert_eq!((over.bytes.len(), over.fault), (BODY_LIMIT, Some(BodyFault::TooLarge)));
        let (body, _) = chunks(200);
        assert_eq!(receive(body).await.bytes.len(), 200_000);
    }

    #[tokio::test]
    async fn a_body_in_one_piece_is_not_copied() {
        let sent = Bytes::from(vec![b'x'; 1000]);
        assert_eq!(receive(Body::from(sent.clone())).await.bytes.as_ptr(), sent.as_ptr());
        let pieces = ["{\"a\"", ":", "1}"].map(|piece| Ok::<_, std::io::Error>(piece.to_owned()));
        assert_eq!(receive(Body::from_stream(stream::iter(pieces))).await.bytes, "{\"a\":1}");
    }

    #[tokio::test]
    async fn beyond_the_limit_a_megabyte_is_thrown_away() {
        let (body, read) = chunks(1000);
        assert_eq!(receive(body).await.fault, Some(BodyFault::TooLarge));
        assert_eq!(read.load(Ordering::Relaxed), 1000, "read to its end, so that the answer arrives");
        let (body, read) = chunks(100_000);
        assert_eq!(receive(body).await.fault, Some(BodyFault::TooLarge));
        assert!(read.load(Ordering::Relaxed) < 1320, "no more than that");
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_stops_coming_is_incomplete() {
        let stalled = stream::iter([Ok::<_, std::io::Error>("abc")]).chain(stream::pending());
        let received = receive(Body::from_stream(stalled)).await;
        assert_eq!(
            received,
            Received { bytes: Bytes::from_static(b"abc"), fault: Some(BodyFault::Incomplete("it took too long")) }
        );
        let broken = stream::iter([Ok("abc"), Err(std::io::Error::other("reset"))]);
        let received = receive(Body::from_stream(broken)).await;
        assert_eq!(received.fault, Some(BodyFault::Incomplete("the connection ended")));
    }

    #[tokio::test]
    async fn a_drain_reads_what_is_on_its_way() {
        let (body, read) = chunks(1000);
        drain(body).await;
        assert_eq!(read.load(Ordering::Relaxed), 1000);
        let (body, read) = chunks(100_000);
        drain(body).await;
        assert!(read.load(Ordering::Relaxed) < 1320, "no more than of a body that is too large");
    }

    #[tokio::test(start_paused = true)]
    async fn a_drain_waits_only_a_moment() {
        let started = Instant::now();
        drain(Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>())).await;
        assert_eq!(started.elapsed(), DRAIN_TIME);
    }

    /// A byte every 200 ms, without end: always something within the time of one frame.
    fn dribble() -> Body {
        Body::from_stream(stream::repeat_with(|| Ok::<_, std::io::Error>("x")).then(|byte| async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            byte
        }))
    }

    /// It has all of its time once, not each frame anew.
    #[tokio::test(start_paused = true)]
    async fn a_body_that_dribbles_is_cut_when_its_time_is_over() {
        let started = Instant::now();
        let received = receive(dribble()).await;
        assert_eq!(received.fault, Some(BodyFault::Incomplete("it took too long")));
        assert_eq!(started.elapsed(), Duration::from_secs(30));
        assert!(received.bytes.len() > 100, "it came all the time");
        let started = Instant::now();
        drain(dribble()).await;
        assert_eq!(started.elapsed(), Duration::from_millis(250));
    }
}
