//! The seam between deciding and sending: tests put a simple Meta behind it and pause time.

use std::{future::Future, pin::Pin, sync::Arc};

use bytes::Bytes;
use schemas::ConversionEvent;

use super::{
    answer::Answer,
    channel::DatasetKey,
    client::{Bearer, Client},
};

/// One request, ready to leave.
#[derive(Clone, Debug)]
pub struct Request {
    /// Where it goes.
    pub key: DatasetKey,
    /// Who sends it.
    pub bearer: Bearer,
    /// Its JSON.
    pub body: Bytes,
    /// The events in it.
    pub events: Vec<Arc<ConversionEvent>>,
}

/// What takes requests to Meta.
pub trait Wire: Send + Sync + 'static {
    /// Sends the request once and waits for what became of it, which is bounded in time. Dropping the future leaves the
    /// outcome unknown.
    fn send(&self, request: Request) -> Pin<Box<dyn Future<Output = Answer> + Send + '_>>;
}

impl Wire for Client {
    fn send(&self, request: Request) -> Pin<Box<dyn Future<Output = Answer> + Send + '_>> {
        Box::pin(async move {
            let Request { key, bearer, body, events } = request;
            let endpoint = self.endpoint(&key.graph_version, &key.dataset_id);
            let clicks = events.iter().map(|event| event.call.ctwa_clid.as_str());
            self.post(&endpoint, &bearer, body, events.len(), clicks).await
        })
    }
}
