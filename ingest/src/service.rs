//! What all calls share.

use std::{
    net::IpAddr,
    sync::{Arc, OnceLock},
    time::Duration,
};

use axum::body::{Body, HttpBody};
use directory::DirectoryView;
use http::HeaderMap;
use ipnet::IpNet;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use warehouse::ClickHouseSettings;
use worker::{client, health::Dependency};

use crate::{
    admission::{Admission, Capacity, Overload, Permit},
    answer::Failure,
    limits::{Failures, Rates},
    lookup::Lookup,
    metrics::{self, Limit},
    publish::Publisher,
    verdict::Waiters,
};

/// What all calls share.
pub struct Service {
    pub(crate) directory: DirectoryView,
    pub(crate) rates: Rates,
    failures: Failures,
    pub(crate) lookup: Lookup,
    trusted_proxies: Vec<IpNet>,
    /// The longest wait for a verdict.
    pub(crate) verdict_wait: Duration,
    /// Cancelled when a drain begins.
    pub(crate) drain: CancellationToken,
    /// Calls at work, those whose callers went away included.
    pub(crate) calls: TaskTracker,
    admission: Admission,
    pipeline: OnceLock<Pipeline>,
    queue: Dependency,
}

/// The way to Kafka and back, once the topics are known.
pub struct Pipeline {
    /// Onto the queue.
    pub publisher: Publisher,
    /// Back from it.
    pub waiters: Arc<Waiters>,
}

/// What an operator chooses.
#[derive(Clone, Debug)]
pub struct Terms {
    /// How much is let in at once.
    pub capacity: Capacity,
    /// The longest wait for a verdict.
    pub verdict_wait: Duration,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Where what became of calls is looked up.
    pub clickhouse: ClickHouseSettings,
}

impl Service {
    /// A service that answers 503 until [`Service::open`] is called, and while `queue` is down. `drain` is cancelled when
    /// a drain begins.
    pub fn new(directory: DirectoryView, queue: Dependency, terms: Terms, drain: CancellationToken) -> Self {
        Self {
            directory,
            rates: Rates::default(),
            failures: Failures::default(),
            lookup: Lookup::new(&terms.clickhouse),
            trusted_proxies: terms.trusted_proxies,
            verdict_wait: terms.verdict_wait,
            drain,
            calls: TaskTracker::new(),
            admission: Admission::new(terms.capacity),
            pipeline: OnceLock::new(),
            queue,
        }
    }

    /// From now on calls are taken, once the directory has been read. Only the first pipeline counts.
    pub fn open(&self, pipeline: Pipeline) {
        // A second pipeline would strand those who wait on the first.
        let _ = self.pipeline.set(pipeline);
    }

    /// Counts a request without a valid key against its client's address.
    pub(crate) fn count_failure(&self, peer: IpAddr, headers: &HeaderMap) -> Result<(), Failure> {
        let client = client::address(peer, headers, &self.trusted_proxies);
        self.failures.admit(client).map_err(|wait| {
            metrics::limited(Limit::Client);
            Failure::too_many_failures(wait)
        })
    }

    /// Check 0: overload, or a queue that is not there: a caller is told so at once instead of after a time-out. It is
    /// the health itself that is asked, not a copy of it: whoever waits for `/readyz` and then calls is let in.
    pub(crate) fn admit(&self, body: &Body) -> Result<(&Pipeline, Permit), Overload> {
        let is_ready = self.queue.is_up() && self.directory.is_ready();
        let pipeline = self.pipeline.get().filter(|_| is_ready).ok_or(Overload::NotReady)?;
        let declared = body.size_hint().exact().map(|size| usize::try_from(size).unwrap_or(usize::MAX));
        Ok((pipeline, self.admission.admit(declared)?))
    }
}
