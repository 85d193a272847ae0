//! A call's work, and its end for certain.

use std::{
    panic::AssertUnwindSafe,
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures::{FutureExt as _, future::BoxFuture};
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;

/// Work that is done where it is waited for, as part of its connection: to hand it to another task and back takes longer
/// than most of its steps. Whoever waits may go away: then it goes on as a task of its own, for a caller that goes away
/// does not take back what it sent (`a_call_goes_on_when_its_caller_has_gone`).
pub(crate) struct Lasting<T: Send + 'static> {
    work: Option<BoxFuture<'static, Option<T>>>,
}

impl<T: Send + 'static> Lasting<T> {
    /// `tracker` knows of the work until it is done.
    pub(crate) fn new(work: impl Future<Output = T> + Send + 'static, tracker: &TaskTracker) -> Self {
        let work = AssertUnwindSafe(work).catch_unwind().map(Result::ok);
        Self { work: Some(tracker.track_future(work).boxed()) }
    }
}

/// `None` where the work panicked.
impl<T: Send + 'static> Future for Lasting<T> {
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let Some(work) = &mut self.work else { return Poll::Ready(None) };
        let done = ready!(work.as_mut().poll(cx));
        self.work = None;
        Poll::Ready(done)
    }
}

impl<T: Send + 'static> Drop for Lasting<T> {
    fn drop(&mut self) {
        // Without a runtime the process is at its end.
        if let Some(work) = self.work.take()
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(work);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::{sync::oneshot, time::timeout};

    use super::*;

    #[tokio::test]
    async fn work_that_nobody_waits_for_any_more_goes_on() {
        let (tracker, (begin, begun), (done, is_done)) = (TaskTracker::new(), oneshot::channel(), oneshot::channel());
        let work = async move {
            begun.await.unwrap();
            done.send(()).unwrap();
        };
        let mut work = Lasting::new(work, &tracker);
        assert!((&mut work).now_or_never().is_none());
        drop(work);
        tracker.close();
        assert!(timeout(Duration::from_millis(10), tracker.wait()).await.is_err(), "a drain waits for it");
        begin.send(()).unwrap();
        is_done.await.unwrap();
        tracker.wait().await;
    }

    #[tokio::test]
    async fn a_panic_in_the_work_is_no_panic_of_who_waits() {
        let tracker = TaskTracker::new();
        let work = async {
            tokio::task::yield_now().await;
            panic!("a fault of ours")
        };
        assert_eq!(Lasting::<()>::new(work, &tracker).await, None);
        assert!(tracker.is_empty());
    }
}
