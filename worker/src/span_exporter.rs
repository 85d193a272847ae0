//! An exporter whose receiver may be away: said once when it goes and once when it is back, not with every batch.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{SpanData, SpanExporter},
};

/// Passes spans on. What fails is dropped, as the batch processor does, and told at each change only.
#[derive(Debug)]
pub(crate) struct SayingOnce<E> {
    inner: E,
    away: AtomicBool,
}

impl<E> SayingOnce<E> {
    /// The receiver counts as there until it fails.
    pub(crate) fn new(inner: E) -> Self {
        Self { inner, away: AtomicBool::new(false) }
    }
}

impl<E: SpanExporter> SpanExporter for SayingOnce<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let sent = self.inner.export(batch).await;
        let was_away = self.away.swap(sent.is_err(), Ordering::Relaxed);
        match sent {
            Err(error) if !was_away => tracing::warn!(%error, "the receiver of traces is away: spans are lost"),
            Ok(()) if was_away => tracing::info!("the receiver of traces is back"),
            _ => {}
        }
        // An error here would be logged by the processor, for every batch.
        Ok(())
    }

    fn shutdown_with_timeout(&self, limit: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(limit)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}
