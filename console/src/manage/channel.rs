//! The WhatsApp channel. Its access token goes in and never comes out.

use std::{num::NonZeroU32, sync::Arc};

use axum::{extract::State, response::Response};
use directory::{AccessToken, BusinessEntry, ChannelEntry, rules::graph_version};
use zeroize::Zeroizing;

use super::show::{Shown, show};
use crate::{
    console::Console,
    fault::{Fault, sentence},
    fields::Fields,
    frame::Section,
    page,
    posted::Posted,
    tenant::Business,
};

/// Ids and versions are shorter.
const LONGEST: usize = 128;
/// A token is, too.
const LONGEST_TOKEN: usize = 8192;
/// More requests at once than a forwarder ever makes.
const MOST_AT_ONCE: u32 = 10_000;

/// What stands in the form: all but the token.
#[derive(Clone, Default)]
pub(super) struct ChannelForm {
    pub(super) waba_id: String,
    pub(super) dataset_id: String,
    pub(super) graph_version: String,
    pub(super) partner_agent: String,
    pub(super) test_event_code: String,
    pub(super) max_concurrency: String,
}

impl ChannelForm {
    /// The channel as it stands.
    pub(super) fn of(entry: &BusinessEntry) -> Self {
        let Some(channel) = &entry.channel else { return Self::default() };
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        Self {
            waba_id: channel.waba_id.clone(),
            dataset_id: channel.dataset_id.clone(),
            graph_version: text(&channel.graph_version),
            partner_agent: text(&channel.partner_agent),
            test_event_code: text(&channel.test_event_code),
            max_concurrency: channel.max_concurrency.as_ref().map(ToString::to_string).unwrap_or_default(),
        }
    }

    fn read(fields: &mut Fields) -> Self {
        let mut text = |field| fields.trimmed(field, LONGEST).unwrap_or_default();
        Self {
            waba_id: text("waba_id"),
            dataset_id: text("dataset_id"),
            graph_version: text("graph_version"),
            partner_agent: text("partner_agent"),
            test_event_code: text("test_event_code"),
            max_concurrency: text("max_concurrency"),
        }
    }

    /// The channel of this form; `None` with the faults told.
    fn channel(&self, fields: &mut Fields, access_token: Option<Vec<u8>>) -> Option<ChannelEntry> {
        for (field, id) in [("waba_id", &self.waba_id), ("dataset_id", &self.dataset_id)] {
            if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_digit()) {
                fields.complain(field, "consists of digits, and is required");
            }
        }
        let given = |text: &String| (!text.is_empty()).then(|| text.clone());
        if !self.graph_version.is_empty() && graph_version(&self.graph_version).is_err() {
            fields.complain("graph_version", "looks like v26.0, or is left empty");
        }
        let limit = given(&self.max_concurrency).map(|text| text.parse::<NonZeroU32>());
        if limit.as_ref().is_some_and(|limit| !limit.as_ref().is_ok_and(|limit| limit.get() <= MOST_AT_ONCE)) {
            fields.complain("max_concurrency", format!("is a number from 1 to {MOST_AT_ONCE}, or left empty"));
        }
        if access_token.is_none() && fields.complaints().is_empty() {
            fields.complain("access_token", "is required: none is stored yet");
        }
        let access_token = access_token.filter(|_| fields.complaints().is_empty())?;
        Some(ChannelEntry {
            waba_id: self.waba_id.clone(),
            dataset_id: self.dataset_id.clone(),
            access_token,
            graph_version: given(&self.graph_version),
            partner_agent: given(&self.partner_agent),
            test_event_code: given(&self.test_event_code),
            max_concurrency: limit.and_then(Result::ok),
        })
    }
}

/// Gives the business its channel, or replaces it whole. Without a new token it keeps the one it has.
pub(crate) async fn put(
    State(console): State<Arc<Console>>,
    business: Business,
    Posted(mut fields): Posted,
) -> Response {
    let form = ChannelForm::read(&mut fields);
    let token = token(&console, &business, &mut fields);
    let Some(channel) = form.channel(&mut fields, token) else {
        let complaints = fields.complaints().to_vec();
        return show(&console, &business, Shown { complaints, channel: form, ..Shown::default() }).await;
    };
    match console.store.put_channel(business.id(), &channel).await {
        Ok(_) => {
            tracing::info!(user = %business.who().user.name, business_id = %business.id(), "channel put");
            page::see(&format!("{}/settings?done=channel-saved#channel", business.url()))
        }
        Err(error) => Fault::from(error).page(business.frame(Section::Settings)),
    }
}

/// The sealed token: of the form, or the one that is stored. What is wrong with one is told without repeating it.
fn token(console: &Console, business: &Business, fields: &mut Fields) -> Option<Vec<u8>> {
    let Some(text) = fields.trimmed("access_token", LONGEST_TOKEN) else {
        return business.entry().channel.as_ref().map(|channel| channel.access_token.clone());
    };
    match AccessToken::parse(Zeroizing::new(text)) {
        Ok(token) => Some(console.keys.seal(business.id(), &token)),
        Err(fault) => {
            fields.complain("access_token", sentence(&fault.to_string()).trim_end_matches('.').to_owned());
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(form: &str, stored: bool) -> Vec<&'static str> {
        let mut fields = Fields::parse(form.as_bytes());
        let form = ChannelForm::read(&mut fields);
        let channel = form.channel(&mut fields, stored.then(|| vec![1]));
        assert_eq!(channel.is_some(), fields.complaints().is_empty());
        fields.complaints().iter().map(|complaint| complaint.field).collect()
    }

    #[test]
    fn a_channel_is_read_or_every_fault_told() {
        assert_eq!(told("waba_id=1&dataset_id=2", true), Vec::<&str>::new());
        assert_eq!(told("waba_id=1&dataset_id=2&graph_version=v26.0&max_concurrency=4", true), Vec::<&str>::new());
        assert_eq!(told("waba_id=1&dataset_id=2", false), ["access_token"]);
        assert_eq!(told("", true), ["waba_id", "dataset_id"]);
        assert_eq!(told("waba_id=1/../2&dataset_id=x", true), ["waba_id", "dataset_id"]);
        let rest = "waba_id=1&dataset_id=2&";
        assert_eq!(told(&format!("{rest}graph_version=26"), true), ["graph_version"]);
        for wrong in ["0", "-1", "many", "10001"] {
            assert_eq!(told(&format!("{rest}max_concurrency={wrong}"), true), ["max_concurrency"], "{wrong}");
        }
    }
}
