//! The page of the settings.

use std::{collections::HashMap, num::NonZeroU32, sync::Arc};

use askama::Template;
use axum::{
    extract::{RawQuery, State},
    http::StatusCode,
    response::Response,
};
use directory::BusinessEntry;
use schemas::ApiKey;
use serde::Deserialize;

use super::{channel::ChannelForm, connection::Checked, keys::KeyForm};
use crate::{
    console::{Console, now},
    fault::Fault,
    fields::{Complaint, Fields},
    frame::{Frame, Section},
    page,
    tenant::{Business, View},
    when::Moment,
};

/// How far back a key's last use is looked for, in milliseconds.
const RECENT: i64 = 90 * 24 * 3_600_000;

#[derive(Template)]
#[template(path = "settings.html")]
struct SettingsPage {
    frame: Frame,
    url: String,
    complaints: Vec<Complaint>,
    /// What was just done.
    done: Option<&'static str>,
    checked: Option<Checked>,
    keys: Vec<Key>,
    /// Whether the warehouse said when keys were used last.
    knows_use: bool,
    key_form: KeyForm,
    channel: ChannelForm,
    has_channel: bool,
    rate_limit: Option<NonZeroU32>,
    is_enabled: bool,
}

/// A key, without what is kept of its secret.
struct Key {
    id: String,
    name: String,
    scopes: String,
    created: Moment,
    expires: Option<Moment>,
    used: Option<Moment>,
    state: Standing,
}

/// Whether a key opens anything.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    Live,
    Scoped,
    Expired,
    Revoked,
}

impl Standing {
    fn of(key: &ApiKey, now: i64) -> Self {
        if key.revoked_at.is_some() {
            Self::Revoked
        } else if key.expires_at.is_some_and(|expiry| expiry <= now) {
            Self::Expired
        } else if key.scopes.is_empty() {
            Self::Live
        } else {
            Self::Scoped
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Scoped => "scoped: not for this endpoint",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }

    fn class(self) -> &'static str {
        match self {
            Self::Live => "good",
            Self::Scoped => "warn",
            Self::Expired | Self::Revoked => "bad",
        }
    }
}

/// The page, after nothing or after something was done.
pub(crate) async fn settings(State(console): State<Arc<Console>>, business: Business, query: RawQuery) -> Response {
    let mut fields = Fields::parse(query.0.unwrap_or_default().as_bytes());
    let done = fields.read("done", "something that can be done here", sentence_of);
    let shown = Shown { done, complaints: fields.complaints().to_vec(), ..Shown::of(&business) };
    show(&console, &business, shown).await
}

/// What was done, by its name in the query string: a page says nothing that a link made up.
fn sentence_of(done: &str) -> Option<&'static str> {
    match done {
        "key-revoked" => Some("The key is revoked. It opens nothing any more, within a second."),
        "channel-saved" => Some("The channel is saved. It is used from now on, within a second."),
        _ => None,
    }
}

/// What the page shows beside what stands in the directory.
#[derive(Default)]
pub(super) struct Shown {
    pub(super) complaints: Vec<Complaint>,
    pub(super) done: Option<&'static str>,
    pub(super) checked: Option<Checked>,
    /// What was typed, where something was wrong with it.
    pub(super) key_form: KeyForm,
    pub(super) channel: ChannelForm,
}

impl Shown {
    /// The channel as it stands, and nothing beside.
    pub(super) fn of(business: &Business) -> Self {
        Self { channel: ChannelForm::of(business.entry()), ..Self::default() }
    }
}

/// The page.
pub(super) async fn show(console: &Console, business: &Business, shown: Shown) -> Response {
    let Shown { complaints, done, checked, key_form, channel } = shown;
    let used = last_uses(console, business).await;
    let entry = business.entry();
    let page = SettingsPage {
        frame: business.frame(Section::Settings),
        url: business.url(),
        done,
        checked,
        knows_use: used.is_ok(),
        keys: keys(entry, &used.unwrap_or_default(), now()),
        key_form,
        channel,
        has_channel: entry.channel.is_some(),
        rate_limit: entry.rate_limit,
        is_enabled: entry.enabled,
        complaints,
    };
    page::shown(if page.complaints.is_empty() { StatusCode::OK } else { StatusCode::BAD_REQUEST }, &page)
}

fn keys(entry: &BusinessEntry, used: &HashMap<String, Moment>, now: i64) -> Vec<Key> {
    let key = |key: &ApiKey| Key {
        id: key.key_id.clone(),
        name: key.name.clone(),
        scopes: key.scopes.join(", "),
        created: Moment::of(key.created_at),
        expires: key.expires_at.map(Moment::of),
        used: used.get(&key.key_id).copied(),
        state: Standing::of(key, now),
    };
    entry.keys.iter().rev().map(key).collect()
}

#[derive(Deserialize)]
struct Used {
    api_key_id: String,
    last_ms: Moment,
}

/// When each key was used last. The page stands without it.
async fn last_uses(console: &Console, business: &Business) -> Result<HashMap<String, Moment>, Fault> {
    let columns = ["api_key_id", "toUnixTimestamp64Milli(max(received_at)) AS last_ms"];
    let select = business
        .select(View::Calls, columns)
        .and("received_at >= fromUnixTimestamp64Milli({from_ms:Int64})")
        .and("api_key_id != ''")
        .with("from_ms", now() - RECENT)
        .group_by(["api_key_id"]);
    let rows: Vec<Used> = console.records.rows(select).await?;
    Ok(rows.into_iter().map(|row| (row.api_key_id, row.last_ms)).collect())
}
