//! Whether Meta takes what a channel sends, found out without a credit.
//!
//! Meta has no question for that. So one event is sent that can never count: it is a month old, and Meta takes nothing
//! over seven days; and its click id is no click's. Meta judges the token first, then whether the token may write to the
//! dataset, then what stands in the event: so the one thing that it says against the event tells how far it came. (Which
//! of the wiring and the click it looks at first is not published: a mismatch that only a real click shows is not found.)

use std::sync::Arc;

use axum::{extract::State, response::Response};
use directory::ChannelEntry;
use forwarder::meta::{
    Answer, Class,
    client::Bearer,
    request::{Body, Envelope},
};
use schemas::{Call, CallId};

use super::show::{Shown, show};
use crate::{
    console::{Console, now},
    fault::Fault,
    frame::Section,
    posted::Posted,
    tenant::Business,
};

/// How old the event is, in milliseconds: far over the seven days that Meta takes.
const AGE: i64 = 30 * 24 * 3_600_000;
/// What no click has for its id: it is the hash of nothing.
const NO_CLICK: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// What Meta said.
pub(super) struct Checked {
    found: Found,
    pub(super) words: String,
    pub(super) trace: String,
}

/// What is the matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    /// Meta refused nothing but the event itself.
    Works,
    DeadToken,
    NotShared,
    Mismatch,
    OldVersion,
    /// The token cannot be decrypted here.
    Unreadable,
    /// Meta did not say.
    NoAnswer,
    /// Meta said something else.
    Other,
}

impl Checked {
    pub(super) fn colour(&self) -> &'static str {
        match self.found {
            Found::Works => "good",
            Found::NoAnswer | Found::Other => "warn",
            Found::DeadToken | Found::NotShared | Found::Mismatch | Found::OldVersion | Found::Unreadable => "bad",
        }
    }

    pub(super) fn title(&self) -> &'static str {
        match self.found {
            Found::Works => "It works.",
            Found::DeadToken => "The token is dead.",
            Found::NotShared => "The dataset is not shared with the token.",
            Found::Mismatch => "Dataset and WhatsApp account do not belong together.",
            Found::OldVersion => "The Graph version is no longer served.",
            Found::Unreadable => "The token cannot be read here.",
            Found::NoAnswer => "Meta did not say.",
            Found::Other => "Meta said something else.",
        }
    }

    pub(super) fn text(&self) -> &'static str {
        match self.found {
            Found::Works => "Meta took the token and the dataset, and refused only the event itself, as it has to.",
            Found::DeadToken => "Make a new token of a system user in Meta’s Business Settings, and save it above.",
            Found::NotShared => {
                "Give the token’s system user access to the dataset, with the permission to manage events; or correct the \
                 dataset’s id."
            }
            Found::Mismatch => "Compare both ids with Meta’s Events Manager, and correct the one that is wrong.",
            Found::OldVersion => "Enter a current one above, or leave it empty.",
            Found::Unreadable => "It was encrypted with another key than this console has. Save the token again.",
            Found::NoAnswer => "It could not be reached, or asks to wait. Try again later.",
            Found::Other => "Read its words; its documentation has the rest.",
        }
    }

    fn of(answer: Answer) -> Self {
        let found = match answer.class {
            // The event was looked at: all before it was right.
            Class::BadClick | Class::BadEvent => Found::Works,
            Class::Token => Found::DeadToken,
            Class::Permission => Found::NotShared,
            Class::Wiring => Found::Mismatch,
            Class::OldVersion => Found::OldVersion,
            Class::NotSent | Class::Throttled | Class::Transient | Class::Unknown | Class::Blocked => Found::NoAnswer,
            Class::Accepted | Class::Dropped | Class::Envelope | Class::Other => Found::Other,
        };
        let (words, trace) = answer.error.map(|error| (error.message, error.fbtrace_id)).unwrap_or_default();
        Self { found, words, trace }
    }

    fn without_answer(found: Found) -> Self {
        Self { found, words: String::new(), trace: String::new() }
    }
}

/// Checks the channel that is stored.
pub(crate) async fn check(State(console): State<Arc<Console>>, business: Business, Posted(_): Posted) -> Response {
    let frame = || business.frame(Section::Settings);
    let Some(channel) = &business.entry().channel else { return Fault::NotFound.page(frame()) };
    if let Err(wait) = console.checks.take(business.id()) {
        return Fault::TooOften(wait).page(frame());
    }
    let checked = ask(&console, &business, channel).await;
    tracing::info!(business_id = %business.id(), found = ?checked.found, "connection checked");
    show(&console, &business, Shown { checked: Some(checked), ..Shown::of(&business) }).await
}

async fn ask(console: &Console, business: &Business, channel: &ChannelEntry) -> Checked {
    let token = console.keys.open(business.id(), &channel.access_token);
    let Some(bearer) = token.ok().and_then(|token| Bearer::new(token.expose())) else {
        return Checked::without_answer(Found::Unreadable);
    };
    let meta = &console.meta;
    let version = channel.graph_version.as_ref().unwrap_or(&meta.version);
    let endpoint = meta.client.endpoint(version, &channel.dataset_id);
    Checked::of(meta.client.post(&endpoint, &bearer, event(channel, now()), 1, [NO_CLICK]).await)
}

/// The event that can never be credited.
fn event(channel: &ChannelEntry, now: i64) -> bytes::Bytes {
    let envelope = Envelope {
        waba_id: channel.waba_id.clone(),
        partner_agent: channel.partner_agent.clone(),
        test_event_code: None,
    };
    let mut call = Call::blank(CallId::now(), now);
    call.event_name = "ViewContent".into();
    call.event_time = Some((now - AGE) / 1000);
    call.ctwa_clid = NO_CLICK.into();
    let mut body = Body::new(&envelope, 1);
    // The first event of a body always fits.
    body.push(&call);
    body.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_has_its_meaning() {
        for (class, found) in [
            (Class::BadClick, Found::Works),
            (Class::BadEvent, Found::Works),
            (Class::Token, Found::DeadToken),
            (Class::Permission, Found::NotShared),
            (Class::Wiring, Found::Mismatch),
            (Class::OldVersion, Found::OldVersion),
            (Class::NotSent, Found::NoAnswer),
            (Class::Throttled, Found::NoAnswer),
            // It should not be; and if it is, nobody is told that all is well.
            (Class::Accepted, Found::Other),
        ] {
            let checked = Checked::of(Answer::none(class, String::new()));
            assert_eq!(checked.found, found, "{class:?}");
        }
    }

    #[test]
    fn the_event_can_never_be_credited() {
        let channel = ChannelEntry {
            waba_id: "1029".into(),
            dataset_id: "77".into(),
            access_token: Vec::new(),
            graph_version: None,
            partner_agent: None,
            test_event_code: Some("TEST1".into()),
            max_concurrency: None,
        };
        let now = 1_800_000_000_000;
        let body: serde_json::Value = serde_json::from_slice(&event(&channel, now)).unwrap();
        let event = &body["data"][0];
        let oldest = now / 1000 - schemas::meta::OLDEST.as_secs().cast_signed();
        assert!(event["event_time"].as_i64().unwrap() < oldest - 86_400, "{event}");
        assert_eq!(event["user_data"]["ctwa_clid"], NO_CLICK);
        assert_eq!(event["user_data"]["whatsapp_business_account_id"], "1029");
        assert!(body.get("test_event_code").is_none() && event["event_name"] == "ViewContent", "{body}");
    }
}
