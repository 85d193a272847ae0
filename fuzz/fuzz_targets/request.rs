//! Any body: it is read or refused; what is valid keeps the rules of the fields, and all that was read fits its schema.
#![no_main]

use capi_ingest::{
    request::{MAX_ITEMS, Request},
    validate::{Violation, validate},
};
use libfuzzer_sys::fuzz_target;
use schemas::{Call, CallId, Message};
use uuid::Uuid;

/// 2026-01-01, in Unix milliseconds.
const NOW: i64 = 1_767_225_600_000;

fuzz_target!(|body: &[u8]| {
    let Ok(request) = Request::read(body) else { return };
    serde_json::from_slice::<serde::de::IgnoredAny>(body).expect("what is read is JSON");
    let mut call = Call::blank(CallId::from(Uuid::from_u128(7)), NOW);
    let violations = validate(&request, &mut call);
    if violations.is_empty() {
        keeps_the_rules(&call);
    }
    violations.iter().for_each(names_a_field);
    assert_eq!(Call::decode_of(&call), call);
});

/// A call travels as part of a record.
trait Travels {
    fn decode_of(call: &Call) -> Call;
}

impl Travels for Call {
    fn decode_of(call: &Call) -> Call {
        let outcome = schemas::Outcome::new(400, schemas::ConversionStatus::Refused);
        let record = schemas::CallRecord { call: call.clone(), lane: None, outcome, rests_on: 0 };
        schemas::CallRecord::decode(&record.encode()).expect("what is written is read").call
    }
}

fn keeps_the_rules(call: &Call) {
    let required = [
        (&call.cnct_tracking_id, 512),
        (&call.sendout_id, 256),
        (&call.ctwa_clid, 1024),
        (&call.ad_id, 128),
        (&call.event_name, 11),
    ];
    for (text, most) in required {
        assert!(!text.trim().is_empty(), "{call:?}");
        is_text(text, most);
    }
    is_text(&call.order_id, 256);
    call.content_ids.iter().chain(call.contents.iter().map(|line| &line.id)).for_each(|id| is_text(id, 256));
    assert!(["Purchase", "ViewContent"].contains(&call.event_name.as_str()));
    assert!(call.content_ids.len() <= MAX_ITEMS && call.contents.len() <= MAX_ITEMS);
    let is_purchase = call.event_name == "Purchase";
    assert!(call.value.is_some() || !is_purchase);
    assert!(call.currency.len() == 3 || (call.currency.is_empty() && call.value.is_none()));
    let time = call.event_time.expect("an event has a time");
    assert!((946_684_800..=NOW / 1000 + 60).contains(&time), "{time}");
    assert!(call.num_items.is_none_or(|count| count >= 0));
}

fn is_text(text: &str, most: usize) {
    assert!(text.len() <= most && !text.chars().any(char::is_control), "{text:?}");
}

fn names_a_field(violation: &Violation) {
    let known = ["cnct_tracking_id", "event_name", "sendout_id", "attribution", "payload"];
    assert!(known.iter().any(|name| violation.field.starts_with(name)), "{violation:?}");
}
