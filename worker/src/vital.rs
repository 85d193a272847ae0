//! Tasks and threads that a worker is nothing without. One that panics would leave it half alive: connected, ready to the
//! eye, and deaf. So its end asks the worker to end, which drains and exits with 1, and whoever supervises it starts it
//! anew.
//!
//! Not for the tasks of one call, one connection or one request to Meta: their panics are counted, and answered or retried.

use std::{
    io,
    panic::resume_unwind,
    sync::{Arc, OnceLock},
    thread,
};

use tokio::task::{JoinHandle, spawn_blocking};

use crate::shutdown::Shutdown;

/// Starts what must not panic. Clones share the first loss.
#[derive(Clone, Debug, Default)]
pub struct Vital {
    lost: Arc<OnceLock<&'static str>>,
    shutdown: Shutdown,
}

impl Vital {
    /// A loss requests `shutdown`.
    #[must_use]
    pub fn new(shutdown: Shutdown) -> Self {
        Self { lost: Arc::default(), shutdown }
    }

    /// A task that may end in any way but by a panic.
    pub fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
        let watch = self.watch(name);
        tokio::spawn(async move {
            let _watch = watch;
            task.await;
        })
    }

    /// A task that must not end at all.
    pub fn spawn_endless<F>(&self, name: &'static str, task: F) -> JoinHandle<()>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let vital = self.clone();
        self.spawn(name, async move {
            task.await;
            vital.lose(name);
        })
    }

    /// A thread that may end in any way but by a panic.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub fn thread(&self, name: &'static str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let watch = self.watch(name);
        let work = move || {
            let _watch = watch;
            work();
        };
        thread::Builder::new().name(name.into()).spawn(work).map(|_| ())
    }

    /// What was lost first.
    pub fn lost(&self) -> Option<&'static str> {
        self.lost.get().copied()
    }

    fn watch(&self, name: &'static str) -> Watch {
        Watch { vital: self.clone(), name }
    }

    /// Only the first loss is told: the others follow from it, or are the same fault over and over.
    fn lose(&self, name: &'static str) {
        if self.lost.set(name).is_ok() {
            tracing::error!(task = name, "a vital task has ended, and so does the worker");
        }
        self.shutdown.request();
    }
}

/// Dropped by a panic in its task, and otherwise when the task ends or is aborted, which is no loss.
struct Watch {
    vital: Vital,
    name: &'static str,
}

impl Drop for Watch {
    fn drop(&mut self) {
        if thread::panicking() {
            self.vital.lose(self.name);
        }
    }
}

/// A step that blocks. Its panic goes on in the task that waits for it, so that it is that task's.
pub async fn blocking<T: Send + 'static>(step: impl FnOnce() -> T + Send + 'static) -> T {
    match spawn_blocking(step).await {
        Ok(done) => done,
        Err(ended) => match ended.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            // The runtime ends, and this task with it.
            Err(_) => std::future::pending().await,
        },
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;
    use crate::captured::Captured;

    fn vital() -> (Vital, Shutdown) {
        let shutdown = Shutdown::default();
        (Vital::new(shutdown.clone()), shutdown)
    }

    async fn panics() {
        tokio::task::yield_now().await;
        panic!("a fault of ours")
    }

    #[tokio::test]
    async fn a_task_that_panics_ends_the_worker() {
        let (vital, shutdown) = vital();
        vital.spawn("reader", panics());
        shutdown.requested().await;
        assert_eq!(vital.lost(), Some("reader"));
    }

    #[tokio::test]
    async fn a_thread_that_panics_ends_the_worker() {
        let (vital, shutdown) = vital();
        vital.thread("reader", || panic!("a fault of ours")).unwrap();
        shutdown.requested().await;
        assert_eq!(vital.lost(), Some("reader"));
    }

    #[tokio::test]
    async fn a_step_that_panics_is_its_task_s_panic() {
        let (vital, shutdown) = vital();
        vital.spawn("commits", async { blocking(|| panic!("a fault of ours")).await });
        shutdown.requested().await;
        assert_eq!(vital.lost(), Some("commits"));
        assert_eq!(blocking(|| 3).await, 3);
    }

    #[tokio::test]
    async fn what_ends_or_is_aborted_is_no_loss() {
        let (vital, shutdown) = vital();
        vital.spawn("step", async {}).await.unwrap();
        let reading = vital.spawn("reader", pending());
        reading.abort();
        assert!(reading.await.unwrap_err().is_cancelled());
        let (alive, ended) = std::sync::mpsc::channel::<()>();
        vital.thread("thread", move || drop(alive)).unwrap();
        assert!(ended.recv().is_err());
        assert_eq!((vital.lost(), shutdown.is_requested()), (None, false));
    }

    #[tokio::test]
    async fn what_must_not_end_is_lost_when_it_does() {
        let (vital, shutdown) = vital();
        vital.spawn_endless("server", async {}).await.unwrap();
        assert_eq!((vital.lost(), shutdown.is_requested()), (Some("server"), true));
    }

    #[tokio::test]
    async fn the_first_loss_is_told_once() {
        let (vital, _) = vital();
        let log = Captured::default();
        let sink = log.clone();
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || sink.clone()).finish();
        let _here = tracing::subscriber::set_default(subscriber);
        for name in ["first", "second", "first"] {
            vital.spawn(name, panics()).await.unwrap_err();
        }
        let told = log.text();
        assert_eq!((told.matches("ERROR").count(), vital.lost()), (1, Some("first")), "{told}");
        assert!(told.contains("task=\"first\""), "{told}");
    }
}
