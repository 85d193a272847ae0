//! What became of an order, or of a call: the answer that a merchant asks for later. It is read from ClickHouse.
//!
//! It is off the way of new events: a few at once in all and a few a second for a business, with a patience of its own.
//! It touches no topic, and leaves no record.

use std::{num::NonZeroU32, time::Duration};

use axum::response::Response;
use clickhouse::Client;
use directory::KeyIdentity;
use http::request::Parts;
use tokio::sync::Semaphore;
use warehouse::{
    ClickHouseSettings, Fault,
    client::{answered_within, client},
};

use crate::{
    answer::{Answer, Failure},
    auth,
    call::{Arrival, COME_BACK},
    limits::Rates,
    metrics::{self, Limit},
    refusal::Refusal,
    service::Service,
};

mod history;
mod question;

use history::Found;
pub(crate) use history::{MOST as MOST_TOLD, example};
use question::Question;
pub(crate) use question::fault_of;

/// Questions that are asked of ClickHouse at once, by all businesses together.
const AT_ONCE: usize = 16;
/// Questions of one business in a second.
pub(crate) const PER_SECOND: NonZeroU32 = NonZeroU32::MIN.saturating_add(9);
/// How long ClickHouse may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// The way to the answers.
pub struct Lookup {
    client: Client,
    at_once: Semaphore,
    rates: Rates,
}

impl Lookup {
    /// In this ClickHouse, which may be away: then there are no answers, and calls go on.
    pub fn new(settings: &ClickHouseSettings) -> Self {
        let client = client(settings)
            .with_setting("max_execution_time", PATIENCE.as_secs().to_string())
            .with_setting("readonly", "2");
        Self { client, at_once: Semaphore::new(AT_ONCE), rates: Rates::default() }
    }

    async fn ask(&self, business: &str, question: &Question) -> Result<Vec<Found>, Fault> {
        answered_within(PATIENCE, history::calls(&self.client, business, question)).await
    }
}

/// Answers a question of the business that its path asks for.
pub async fn answer(service: &Service, arrival: Arrival, asked: &str, head: &Parts) -> Response {
    let answer = settle(service, arrival, asked, head).await.unwrap_or_else(Answer::from);
    metrics::looked_up(answer.http(), answer.outcome(), arrival.at.elapsed());
    answer.into_response(arrival.call_id)
}

/// The checks of a call, as far as they concern a question, and then the answer.
async fn settle(service: &Service, arrival: Arrival, asked: &str, head: &Parts) -> Result<Answer, Failure> {
    let identity = authenticate(service, arrival, head)?;
    auth::authorize(asked, &identity.business)?;
    let Lookup { at_once, rates, .. } = &service.lookup;
    rates.admit(identity.business.id, PER_SECOND).map_err(|wait| {
        metrics::limited(Limit::Lookups);
        Failure::too_many_lookups(wait)
    })?;
    let question = Question::read(head.uri.query().unwrap_or_default()).map_err(Refusal::invalid)?;
    let _turn = at_once.try_acquire().map_err(|_| Failure::no_answer(COME_BACK))?;
    let told = service.lookup.ask(&identity.business.id.to_string(), &question).await.map_err(|fault| {
        tracing::warn!(%fault, "ClickHouse does not say what became of a call");
        Failure::no_answer(COME_BACK)
    })?;
    if told.is_empty() { Err(Failure::call_not_found()) } else { Ok(Answer::Found(history::body(told))) }
}

fn authenticate(service: &Service, arrival: Arrival, head: &Parts) -> Result<KeyIdentity, Failure> {
    if !service.directory.is_ready() {
        return Err(Failure::no_answer(COME_BACK));
    }
    let known = auth::authenticate(&head.headers, arrival.received_at, &service.directory.snapshot());
    known.map_err(|refusal| match service.count_failure(arrival.peer, &head.headers) {
        Ok(()) => Refusal::key(&refusal).into(),
        Err(too_many) => too_many,
    })
}
