//! Every check before Meta.

use axum::body::Body;
use directory::KeyIdentity;
use http::header;
use schemas::{Call, call::BODY_KEPT};

use super::{Walk, drain};
use crate::{
    answer::Failure,
    auth,
    body::{self, BodyFault, Received},
    metrics::{self, Limit},
    refusal::Refusal,
    request::{Malformed, Request},
    validate::validate,
};

/// Why a call goes no further.
pub(super) enum Stop {
    /// For a reason that is recorded.
    Refused(Refusal),
    /// For one that is not.
    Unrecorded(Failure),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl Walk<'_> {
    /// Every check before Meta, in the order of the contract; the first that fails answers. Once the caller is known,
    /// its body is read whatever the other checks say, so that it fills the record.
    pub(super) async fn check(&self, body: Body, call: &mut Call) -> Result<(), Stop> {
        let identity = match self.authenticate(call) {
            Ok(identity) => identity,
            Err(stop) => {
                drain(self.head, body).await;
                return Err(stop);
            }
        };
        let admitted = self.check_business(&identity);
        let received = body::receive(body).await;
        let read = self.read(received, call);
        admitted?;
        Ok(read?)
    }

    /// Check 1: the API key. The record of a call without a valid one stands under the business that was asked for.
    fn authenticate(&self, call: &mut Call) -> Result<KeyIdentity, Stop> {
        let directory = self.service.directory.snapshot();
        match auth::authenticate(&self.head.headers, self.arrival.received_at, &directory) {
            Ok(identity) => {
                call.business_id = identity.business.id.to_string();
                call.api_key_id.clone_from(&identity.key_id);
                Ok(identity)
            }
            Err(refusal) => {
                self.service.count_failure(self.arrival.peer, &self.head.headers).map_err(Stop::Unrecorded)?;
                call.business_id = auth::recorded_id(self.asked);
                call.api_key_id = refusal.identity().map(|identity| identity.key_id.clone()).unwrap_or_default();
                Err(Refusal::key(&refusal).into())
            }
        }
    }

    /// Checks 2 to 4: the business, its rate limit, its channel.
    fn check_business(&self, identity: &KeyIdentity) -> Result<(), Stop> {
        let business = &identity.business;
        auth::authorize(self.asked, business)?;
        if let Some(limit) = business.rate_limit {
            self.service.rates.admit(business.id, limit).map_err(|wait| {
                metrics::limited(Limit::Business);
                Stop::Unrecorded(Failure::rate_limited(wait))
            })?;
        }
        if business.channel.is_none() {
            return Err(Refusal::channel_not_configured().into());
        }
        Ok(())
    }

    /// Check 5: the body and its fields. Whatever could be read is in `call` afterwards.
    fn read(&self, received: Received, call: &mut Call) -> Result<(), Refusal> {
        let Received { mut bytes, fault } = received;
        let read = match fault {
            Some(BodyFault::TooLarge) => Err(Refusal::too_large()),
            Some(BodyFault::Incomplete(how)) => Err(Refusal::malformed(&Malformed::Incomplete(how))),
            None if self.is_encoded() => Err(Refusal::malformed(&Malformed::Encoded)),
            None => fill(&bytes, call),
        };
        bytes.truncate(BODY_KEPT);
        call.body = bytes;
        read
    }

    fn is_encoded(&self) -> bool {
        let encodings = self.head.headers.get_all(header::CONTENT_ENCODING);
        encodings.iter().any(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity"))
    }
}

/// Fills `call` from its body: check 5, which `capi backfill --check` makes before anything is sent.
///
/// # Errors
/// Where the body is no request, or one of its fields breaks its rule.
pub fn fill(body: &[u8], call: &mut Call) -> Result<(), Refusal> {
    let request = Request::read(body).map_err(|malformed| Refusal::malformed(&malformed))?;
    let violations = validate(&request, call);
    if violations.is_empty() { Ok(()) } else { Err(Refusal::invalid(violations)) }
}
