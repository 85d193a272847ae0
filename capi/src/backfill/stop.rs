//! Why a backfill ends before its input does.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::failure::Failure;

/// Told to all who send: start nothing more.
#[derive(Clone, Default)]
pub(crate) struct Stop {
    token: CancellationToken,
    why: Arc<Mutex<Option<Failure>>>,
}

impl Stop {
    /// Ends it for this reason; the first counts.
    pub(crate) fn because(&self, failure: Failure) {
        self.why.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(failure);
        self.token.cancel();
    }

    /// Waits for something; `None` where the end comes first.
    pub(crate) async fn unless<T>(&self, something: impl Future<Output = T>) -> Option<T> {
        self.token.run_until_cancelled(something).await
    }

    /// The reason, where there is one.
    pub(crate) fn reason(&self) -> Option<Failure> {
        self.why.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Ends it at SIGINT or SIGTERM: what is on its way is waited for. The second ends the process where it stands; the
    /// journal bears that.
    pub(crate) fn at_a_signal(&self) -> Result<(), Failure> {
        let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let stop = self.clone();
        tokio::spawn(async move {
            let mut either = async || tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} };
            either().await;
            stop.because(Failure::Other("interrupted: run the same command again to go on".to_owned()));
            either().await;
            std::process::exit(1);
        });
        Ok(())
    }
}
