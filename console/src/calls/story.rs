//! What happened to a call, step by step, as its row tells it.

use std::fmt::Write as _;

use schemas::FailureStage;

use super::row::Whole;
use crate::when::Moment;

/// A step of a call's way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) state: State,
    pub(super) title: &'static str,
    pub(super) text: String,
    pub(super) at: Option<Moment>,
}

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Done,
    Failed,
    /// It has not ended yet.
    Waiting,
    /// It was not taken.
    Skipped,
}

impl State {
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Waiting => "waiting",
            Self::Skipped => "skipped",
        }
    }

    /// For those who do not see colours.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Waiting => "under way",
            Self::Skipped => "not taken",
        }
    }
}

/// All steps of a call.
pub(super) fn story(row: &Whole) -> Vec<Step> {
    vec![received(row), checked(row), durable(row), sent(row), recorded(row)]
}

fn received(row: &Whole) -> Step {
    let key = match row.api_key_id.as_str() {
        "" => "No valid key came with it.".to_owned(),
        key => format!("It came with the key {key}."),
    };
    Step { state: State::Done, title: "Received", text: key, at: Some(row.received_ms) }
}

fn checked(row: &Whole) -> Step {
    let failed = match row.stage() {
        Some(FailureStage::Authentication) => Some("The key was refused; the body was not read."),
        Some(FailureStage::BusinessLookup) => Some("The business was not found, or is not the key's."),
        Some(FailureStage::ChannelLookup) => Some("The business had no WhatsApp channel."),
        Some(FailureStage::PayloadMapping) => Some("The body did not keep the rules."),
        Some(FailureStage::MetaForward) | None => None,
    };
    let (state, text) = match failed {
        Some(text) => (State::Failed, format!("{text} It was answered with HTTP {}.", row.http_status)),
        None => (State::Done, "Key, business, channel and every field were right.".to_owned()),
    };
    Step { state, title: "Checked", text, at: None }
}

fn durable(row: &Whole) -> Step {
    let text = match (is_refused(row), row.lane.as_str()) {
        (true, _) => "The record of the refusal was on disk before the answer left.",
        (false, "backfill") => "It was on disk, in the backfill lane, before it was answered with 202.",
        (false, _) => "It was on disk, in the live lane, before Meta was asked.",
    };
    Step { state: State::Done, title: "Made durable", text: text.to_owned(), at: None }
}

fn sent(row: &Whole) -> Step {
    let (state, text) = match row.conversion_status.as_str() {
        "refused" => (State::Skipped, "Meta was not asked.".to_owned()),
        "forwarded" => (State::Done, format!("Meta has the event. {}", attempts(row))),
        "duplicate" => (
            State::Skipped,
            "Meta had this order already, by another call, and was not asked again: an order is credited once."
                .to_owned(),
        ),
        "pending" if row.forward_attempts == 0 => (State::Waiting, "It waits for its turn.".to_owned()),
        "pending" => (State::Waiting, format!("It will be sent again by itself. {}", attempts(row))),
        _ if row.forward_attempts == 0 => (State::Failed, "It was given up before Meta was asked.".to_owned()),
        _ => (State::Failed, format!("Meta did not take it. {}", attempts(row))),
    };
    Step { state, title: "Forwarded to Meta", text, at: None }
}

/// How often Meta was asked, and what it said last. Earlier answers are in the forwarder's traces alone.
fn attempts(row: &Whole) -> String {
    let mut text = match row.forward_attempts {
        1 => "One request carried it".to_owned(),
        many => format!("{many} requests carried it"),
    };
    // Writing to a string cannot fail.
    if let Some(ms) = row.forward_ms {
        let _ = write!(text, ", {ms} ms in all");
    }
    if let Some(status) = row.meta_http_status {
        let _ = write!(text, "; the last answer was HTTP {status}");
    }
    for (name, number) in [("code", row.meta_code), ("subcode", row.meta_error_subcode)] {
        if let Some(number) = number {
            let _ = write!(text, ", {name} {number}");
        }
    }
    text.push('.');
    text
}

fn recorded(row: &Whole) -> Step {
    let text = match row.conversion_status.as_str() {
        "pending" => "Its row says pending, until the verdict replaces it.".to_owned(),
        _ => format!("Its row is final, {} ms after it was received.", row.total_ms),
    };
    Step { state: State::Done, title: "Recorded", text, at: Some(row.recorded_ms) }
}

fn is_refused(row: &Whole) -> bool {
    row.conversion_status == "refused"
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A call that Meta has taken.
    pub(in crate::calls) fn row() -> Whole {
        let json = serde_json::json!({
            "call_id": "01a2078b-dd1f-750b-8eb2-96b9bf05f3e1", "received_ms": 1_800_000_000_000_i64,
            "recorded_ms": 1_800_000_000_500_i64, "api_key_id": "k1", "http_status": 200,
            "conversion_status": "forwarded", "failure_stage": "", "reason": "", "error": "",
            "event_name": "Purchase", "event_s": 1_800_000_000, "cnct_tracking_id": "t", "sendout_id": "s",
            "ctwa_clid": "c", "ad_id": "a", "currency": "USD", "amount": "99.97", "order_id": "ORD-1",
            "content_type": "product", "content_ids": ["x"], "num_items": 1, "item_ids": ["x"], "quantities": [1],
            "prices": ["99.97"], "events_received": 1, "forward_reference_id": "AbC", "meta_http_status": 200,
            "meta_code": null, "meta_error_subcode": null, "meta_error": "", "duplicate_of": null, "lane": "live",
            "forward_attempts": 1, "possibly_duplicate": false, "forward_ms": 40, "total_ms": 55, "body": "{}"
        });
        serde_json::from_value(json).unwrap()
    }

    fn states(row: &Whole) -> Vec<State> {
        story(row).iter().map(|step| step.state).collect()
    }

    #[test]
    fn a_forwarded_call_went_all_the_way() {
        assert_eq!(states(&row()), [State::Done; 5]);
        assert_eq!(
            story(&row())[3].text,
            "Meta has the event. One request carried it, 40 ms in all; the last answer was HTTP 200."
        );
    }

    #[test]
    fn a_refused_call_stops_where_it_failed() {
        for stage in ["authentication", "business_lookup", "channel_lookup", "payload_mapping"] {
            let refused = Whole {
                conversion_status: "refused".into(),
                failure_stage: stage.into(),
                forward_attempts: 0,
                ..row()
            };
            assert_eq!(states(&refused)[1..4], [State::Failed, State::Done, State::Skipped], "{stage}");
        }
    }

    #[test]
    fn a_rejection_tells_what_meta_said() {
        let rejected = Whole {
            conversion_status: "rejected".into(),
            failure_stage: "meta_forward".into(),
            forward_attempts: 3,
            meta_http_status: Some(400),
            meta_code: Some(100),
            meta_error_subcode: Some(2_804_087),
            ..row()
        };
        let step = &story(&rejected)[3];
        assert_eq!(step.state, State::Failed);
        assert!(
            step.text.contains("3 requests") && step.text.ends_with("HTTP 400, code 100, subcode 2804087."),
            "{}",
            step.text
        );
        let unsent = Whole { forward_attempts: 0, ..rejected };
        assert_eq!(story(&unsent)[3].text, "It was given up before Meta was asked.");
    }

    #[test]
    fn what_is_under_way_or_was_not_needed_is_neither_done_nor_failed() {
        let pending = Whole { conversion_status: "pending".into(), forward_attempts: 0, ..row() };
        assert_eq!(states(&pending)[3], State::Waiting);
        let duplicate = Whole { conversion_status: "duplicate".into(), forward_attempts: 0, ..row() };
        assert_eq!(states(&duplicate)[3], State::Skipped);
    }
}
