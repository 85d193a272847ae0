//! The wish to end.

use tokio_util::sync::CancellationToken;

/// Asked of a worker once, by SIGTERM or SIGINT; from then on it starts nothing and finishes what it has.
#[derive(Clone, Debug, Default)]
pub struct Shutdown(CancellationToken);

impl Shutdown {
    /// Resolves when the worker is to end.
    pub async fn requested(&self) {
        self.0.cancelled().await;
    }

    /// Whether the worker is to end.
    pub fn is_requested(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Asks the worker to end.
    pub fn request(&self) {
        self.0.cancel();
    }
}
