//! The answer to a call that Meta refused, or that was not sent to Meta because Meta would refuse it.

use schemas::{FailureStage, Outcome, Reason};

use super::{Failure, Status};

impl Failure {
    /// From the verdict.
    pub(super) fn by_meta(outcome: &Outcome) -> Self {
        Self {
            status: Status::InvalidArgument,
            reason: outcome.reason.unwrap_or(Reason::MetaRejected).as_str(),
            stage: Some(outcome.failure_stage.unwrap_or(FailureStage::MetaForward)),
            message: message(outcome),
            meta: metadata(outcome),
            violations: Vec::new(),
            retry_after: None,
        }
    }
}

fn message(outcome: &Outcome) -> String {
    match outcome.reason {
        None | Some(Reason::MetaRejected) => format!("Meta rejected the event: {}", outcome.meta_error),
        Some(_) => outcome.error.clone(),
    }
}

fn metadata(outcome: &Outcome) -> Vec<(&'static str, String)> {
    let number = |number: Option<i32>| number.map(|number| number.to_string());
    let text = |text: &String| (!text.is_empty()).then(|| text.clone());
    let known = [
        ("meta_error", text(&outcome.meta_error)),
        ("meta_code", number(outcome.meta_code)),
        ("meta_error_subcode", number(outcome.meta_error_subcode)),
        ("fbtrace_id", text(&outcome.fbtrace_id)),
    ];
    known.into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
}
