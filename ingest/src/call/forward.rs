//! A valid call: onto the queue, and the wait for its verdict.

use schemas::{Call, CallRecord, ConversionEvent, ConversionStatus, Lane, Outcome};
use tokio::time::Instant;

use super::{Settled, Walk};
use crate::{
    answer::Answer,
    prefer::Preferences,
    publish::NotDurable,
    service::Pipeline,
    verdict::{Patience, Waiter},
};

impl Walk<'_> {
    /// A valid call: into the lane that the caller prefers.
    pub(super) async fn forward(&self, call: Call) -> Result<Settled, NotDurable> {
        let preferences = Preferences::of(&self.head.headers);
        if preferences.respond_async {
            return self.defer(call).await;
        }
        let patience = Patience::of(preferences, self.service.verdict_wait);
        let answer = self.wait(call, patience).await?;
        let applied = patience.is_asked.then(|| format!("wait={}", patience.wait.as_secs()));
        Ok(Settled { answer, applied })
    }

    /// The backfill lane, whose pending rows are the recorder's.
    async fn defer(&self, call: Call) -> Result<Settled, NotDurable> {
        let event = ConversionEvent { call, lane: Lane::Backfill, progress: None };
        self.pipeline.publisher.event(&event, false).await?;
        let answer = Answer::Received { deferred: true, status: ConversionStatus::Pending };
        Ok(Settled { answer, applied: Some("respond-async".to_owned()) })
    }

    /// The live lane. Where the wait runs out, the call's pending row is durable before its answer leaves; a verdict
    /// that comes while it is written is still told.
    async fn wait(&self, call: Call, patience: Patience) -> Result<Answer, NotDurable> {
        let Pipeline { publisher, waiters } = self.pipeline;
        let since = Instant::now();
        let mut waiter = (!patience.wait.is_zero()).then(|| waiters.register(call.call_id));
        let event = ConversionEvent { call, lane: Lane::Live, progress: None };
        publisher.event(&event, waiter.is_some()).await?;
        if let Some(waiter) = &mut waiter
            && let Some(outcome) = patience.out(waiter, since, &self.service.drain).await
        {
            return Ok(Answer::to_outcome(&outcome));
        }
        let pending = Outcome { total_ms: self.arrival.elapsed_ms(), ..Outcome::new(200, ConversionStatus::Pending) };
        let answer = Answer::to_outcome(&pending);
        let record = CallRecord { call: event.call, lane: Some(Lane::Live), outcome: pending, rests_on: 0 };
        let recorded = publisher.record(&record).await;
        if let Some(outcome) = waiter.as_mut().and_then(Waiter::arrived) {
            return Ok(Answer::to_outcome(&outcome));
        }
        recorded.map(|()| answer)
    }
}
