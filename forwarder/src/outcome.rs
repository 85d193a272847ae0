//! What becomes of an event, as its row and its verdict say it (contract, sections 4 and 5).

use schemas::{
    CallId, ConversionEvent, ConversionStatus, FailureStage, Lane, MetaError, Outcome, Reason, ledger::Accepted,
};

use crate::tiers::Spent;

/// An event at the end of an attempt: all that its outcome is told from.
#[derive(Clone, Copy, Debug)]
pub struct Ending<'e> {
    /// The event.
    pub event: &'e ConversionEvent,
    /// Whether the call is on its order's list (rule 10 of the ledger).
    pub possibly_duplicate: bool,
    /// Now, in Unix milliseconds.
    pub now_ms: i64,
}

impl Ending<'_> {
    /// Meta has the event. One of a batch that Meta counted only in part ends here too: nobody knows which of it is
    /// missing, so it is never sent again on its own.
    pub fn forwarded(&self, accepted: &Accepted) -> Outcome {
        Outcome {
            reason: accepted.events_received.is_none().then_some(Reason::MetaDropped),
            events_received: accepted.events_received,
            fbtrace_id: accepted.fbtrace_id.clone(),
            meta_http_status: Some(accepted.http_status),
            forward_attempts: accepted.forward_attempts,
            forward_ms: Some(accepted.forward_ms),
            ..self.outcome(ConversionStatus::Forwarded)
        }
    }

    /// Meta has the order, from another call.
    pub fn duplicate(&self, of: CallId, spent: &Spent) -> Outcome {
        let outcome = self.outcome(ConversionStatus::Duplicate);
        Outcome { events_received: Some(0), duplicate_of: Some(of), ..with_spent(outcome, spent) }
    }

    /// The event waits in a tier.
    pub fn pending(&self, spent: &Spent) -> Outcome {
        with_spent(self.outcome(ConversionStatus::Pending), spent)
    }

    /// A final failure. `spent.last_error` is what Meta said, where it said anything; else the reason speaks.
    pub fn rejected(&self, reason: Reason, spent: &Spent) -> Outcome {
        let error = match &spent.last_error {
            Some(error) if !error.message.is_empty() => error.message.clone(),
            _ => message(reason).to_owned(),
        };
        let outcome = self.outcome(ConversionStatus::Rejected);
        Outcome {
            failure_stage: Some(FailureStage::MetaForward),
            reason: Some(reason),
            error,
            ..with_spent(outcome, spent)
        }
    }

    fn outcome(&self, status: ConversionStatus) -> Outcome {
        Outcome {
            possibly_duplicate: self.possibly_duplicate,
            total_ms: (self.now_ms - self.event.call.received_at).max(0),
            ..Outcome::new(http_status(self.event.lane, status), status)
        }
    }
}

/// The backfill lane is 202 throughout; a live call is told what became of it.
fn http_status(lane: Lane, status: ConversionStatus) -> i32 {
    match (lane, status) {
        (Lane::Backfill, _) => 202,
        (Lane::Live, ConversionStatus::Rejected | ConversionStatus::Refused) => 400,
        (Lane::Live, _) => 200,
    }
}

fn with_spent(outcome: Outcome, spent: &Spent) -> Outcome {
    let outcome = Outcome {
        forward_attempts: spent.attempts,
        forward_ms: (spent.attempts > 0).then_some(spent.millis),
        ..outcome
    };
    match &spent.last_error {
        Some(error) => with_error(outcome, error),
        None => outcome,
    }
}

fn with_error(outcome: Outcome, error: &MetaError) -> Outcome {
    Outcome {
        fbtrace_id: error.fbtrace_id.clone(),
        meta_http_status: Some(error.http_status),
        meta_code: error.code,
        meta_error_subcode: error.subcode,
        meta_error: error.message.clone(),
        ..outcome
    }
}

/// What is said where Meta said nothing.
fn message(reason: Reason) -> &'static str {
    match reason {
        Reason::EventTooOld => {
            "The event is over 7 days old, and Meta takes none older: it was recorded and not forwarded"
        }
        Reason::WhatsappChannelNotConfigured => {
            "The business has no WhatsApp Cloud channel any more: configure one, then ask for a replay of this call"
        }
        Reason::MetaDropped => "Meta answered with success and did not count the event",
        _ => "Meta rejected the event without a reason",
    }
}

#[cfg(test)]
mod tests {
    use schemas::{Call, ledger::Listed};

    use super::*;

    fn event(lane: Lane) -> ConversionEvent {
        ConversionEvent { call: Call::blank(CallId::now(), 1_000), lane, progress: None }
    }

    fn spent() -> Spent {
        let error = MetaError {
            http_status: 400,
            code: Some(100),
            subcode: Some(2_804_087),
            message: "Messaging Event Invalid Ctwa Clid".into(),
            fbtrace_id: "A1".into(),
        };
        Spent { attempts: 2, millis: 30, last_error: Some(error) }
    }

    fn ending(event: &ConversionEvent) -> Ending<'_> {
        Ending { event, possibly_duplicate: false, now_ms: 1_250 }
    }

    #[test]
    fn a_rejection_carries_metas_words() {
        let outcome = ending(&event(Lane::Live)).rejected(Reason::MetaRejected, &spent());
        assert_eq!(outcome.error, "Messaging Event Invalid Ctwa Clid");
        assert_eq!(outcome.meta_error, outcome.error);
        assert_eq!((outcome.meta_code, outcome.meta_error_subcode), (Some(100), Some(2_804_087)));
        assert_eq!((outcome.http_status, outcome.total_ms, outcome.forward_ms), (400, 250, Some(30)));
        assert_eq!(outcome.failure_stage, Some(FailureStage::MetaForward));
    }

    #[test]
    fn a_rejection_without_metas_words_says_why() {
        let outcome = ending(&event(Lane::Live)).rejected(Reason::EventTooOld, &Spent::default());
        assert!(outcome.error.contains("7 days"), "{}", outcome.error);
        assert_eq!((outcome.forward_attempts, outcome.forward_ms), (0, None));
    }

    #[test]
    fn the_backfill_lane_is_202_throughout() {
        let event = event(Lane::Backfill);
        let ending = ending(&event);
        assert_eq!(ending.rejected(Reason::MetaRejected, &spent()).http_status, 202);
        assert_eq!(ending.duplicate(CallId::now(), &spent()).http_status, 202);
        assert_eq!(ending.pending(&spent()).http_status, 202);
    }

    #[test]
    fn a_pending_call_is_neither_a_success_nor_a_failure() {
        let outcome = ending(&event(Lane::Live)).pending(&spent());
        assert_eq!((outcome.failure_stage, outcome.reason, outcome.error.as_str()), (None, None, ""));
        assert_eq!(outcome.meta_error, "Messaging Event Invalid Ctwa Clid");
    }

    #[test]
    fn a_duplicate_names_the_credited_call() {
        let credited = CallId::now();
        let outcome = ending(&event(Lane::Live)).duplicate(credited, &Spent::default());
        assert_eq!((outcome.events_received, outcome.duplicate_of), (Some(0), Some(credited)));
    }

    #[test]
    fn of_a_batch_counted_in_part_every_event_is_forwarded_and_says_so() {
        let mut accepted = Accepted {
            intent: 1,
            call: CallId::now(),
            listed: Listed::default(),
            at: 0,
            events_received: None,
            fbtrace_id: "A2".into(),
            http_status: 200,
            forward_attempts: 1,
            forward_ms: 8,
        };
        let event = event(Lane::Live);
        let partly = ending(&event).forwarded(&accepted);
        assert_eq!((partly.reason, partly.events_received), (Some(Reason::MetaDropped), None));
        accepted.events_received = Some(1);
        let whole = ending(&event).forwarded(&accepted);
        assert_eq!((whole.reason, whole.events_received, whole.fbtrace_id.as_str()), (None, Some(1), "A2"));
    }
}
