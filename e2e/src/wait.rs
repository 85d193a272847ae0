//! Waiting for what must come, with an end.

use std::time::Duration;

use anyhow::bail;
use tokio::time::{Instant, sleep};

/// How long anything may take that a test waits for. Generous: it ends a hopeless wait, it measures nothing.
pub const PATIENCE: Duration = Duration::from_mins(3);

const PAUSE: Duration = Duration::from_millis(50);

/// Asks until there is an answer.
///
/// # Errors
/// Where there is none within [`PATIENCE`], or asking fails.
pub async fn until<T>(what: &str, ask: impl AsyncFn() -> anyhow::Result<Option<T>>) -> anyhow::Result<T> {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask().await? {
            return Ok(answer);
        }
        if Instant::now() > end {
            bail!("waited {} s in vain for {what}", PATIENCE.as_secs());
        }
        sleep(PAUSE).await;
    }
}
