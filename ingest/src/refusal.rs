//! Calls that are refused before Meta is asked: each leaves a record and is answered with the reason.

use directory::KeyRefusal;
use schemas::{ConversionStatus, FailureStage, Outcome, Reason};

use crate::{answer::Status, body::BODY_LIMIT, request::Malformed, validate::Violation};

/// How many violations the message names; the answer's details have all.
const NAMED_VIOLATIONS: usize = 3;

/// Why a call is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP status and code of the answer.
    pub status: Status,
    /// Where it failed.
    pub stage: FailureStage,
    /// Why.
    pub reason: Reason,
    /// The answer's message.
    pub message: String,
    /// For `INVALID_FIELDS`, every violation.
    pub violations: Vec<Violation>,
}

impl Refusal {
    fn new(status: Status, stage: FailureStage, reason: Reason, message: impl Into<String>) -> Self {
        Self { status, stage, reason, message: message.into(), violations: Vec::new() }
    }

    /// The API key does not let the call in.
    pub fn key(refusal: &KeyRefusal) -> Self {
        let message = match refusal {
            KeyRefusal::Missing => "Send your API key in the X-API-KEY header",
            KeyRefusal::Invalid => "The API key is not valid",
            KeyRefusal::Expired(_) => "The API key has expired: create a new one",
            KeyRefusal::Revoked(_) => "The API key was revoked: create a new one",
            KeyRefusal::Scoped(_) => "The API key is restricted to scopes: create one with full access",
        };
        Self::new(Status::Unauthenticated, FailureStage::Authentication, refusal.reason(), message)
    }

    /// No such business, or a disabled one, or another's: the caller must not learn which.
    pub fn business_not_found() -> Self {
        let message = "Business not found";
        Self::new(Status::NotFound, FailureStage::BusinessLookup, Reason::BusinessNotFound, message)
    }

    /// The business has no channel to report through.
    pub fn channel_not_configured() -> Self {
        let message = "The business has no WhatsApp Cloud channel configured";
        let reason = Reason::WhatsappChannelNotConfigured;
        Self::new(Status::NotFound, FailureStage::ChannelLookup, reason, message)
    }

    /// The body is over the limit.
    pub fn too_large() -> Self {
        let message = format!("The body is larger than {BODY_LIMIT} bytes");
        Self::new(Status::TooLarge, FailureStage::PayloadMapping, Reason::BodyTooLarge, message)
    }

    /// The body is no request.
    pub fn malformed(fault: &Malformed) -> Self {
        let message = fault.to_string();
        Self::new(Status::InvalidArgument, FailureStage::PayloadMapping, Reason::MalformedJson, message)
    }

    /// Fields break their rules.
    pub fn invalid(violations: Vec<Violation>) -> Self {
        let message = named(&violations);
        let refusal = Self::new(Status::InvalidArgument, FailureStage::PayloadMapping, Reason::InvalidFields, message);
        Self { violations, ..refusal }
    }

    /// What becomes of the call: the row's half of the answer.
    pub fn outcome(&self, total_ms: i64) -> Outcome {
        Outcome {
            failure_stage: Some(self.stage),
            reason: Some(self.reason),
            error: self.message.clone(),
            total_ms,
            ..Outcome::new(i32::from(self.status.http().as_u16()), ConversionStatus::Refused)
        }
    }
}

/// The first violations in a sentence: enough for a dashboard, where most refused calls have one or two.
fn named(violations: &[Violation]) -> String {
    let named = violations.iter().take(NAMED_VIOLATIONS);
    let named: Vec<_> = named.map(|violation| format!("{} {}", violation.field, violation.description)).collect();
    let more = match violations.len().saturating_sub(NAMED_VIOLATIONS) {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    format!("Invalid fields: {}{more}", named.join("; "))
}
