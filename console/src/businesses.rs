//! Choosing a business.

use std::sync::Arc;

use askama::Template;
use axum::{
    extract::{RawQuery, State},
    http::StatusCode,
    response::Response,
};

use crate::{console::Console, fields::Fields, frame::Frame, page, session::SignedIn, tenant::visible};

/// Businesses on the page: beyond that one searches.
const MOST: usize = 200;

#[derive(Template)]
#[template(path = "businesses.html")]
struct BusinessesPage {
    frame: Frame,
    asked: String,
    found: Vec<Found>,
    /// How many match in all.
    matching: usize,
}

struct Found {
    id: String,
    name: String,
    enabled: bool,
    has_channel: bool,
}

/// Who sees one business only goes straight to it.
pub(crate) async fn home(State(console): State<Arc<Console>>, who: SignedIn) -> Response {
    let snapshot = console.directory.snapshot();
    let mut seen = visible(&who, &snapshot);
    match (seen.next(), seen.next()) {
        (Some(only), None) => page::see(&format!("/businesses/{}", only.id)),
        _ => page::see("/businesses"),
    }
}

/// The businesses that somebody may see, by name.
pub(crate) async fn list(State(console): State<Arc<Console>>, who: SignedIn, query: RawQuery) -> Response {
    let mut fields = Fields::parse(query.0.unwrap_or_default().as_bytes());
    let asked = fields.trimmed("find", 256).unwrap_or_default();
    let (wanted, snapshot) = (asked.to_lowercase(), console.directory.snapshot());
    let mut found: Vec<_> = visible(&who, &snapshot)
        .filter(|entry| entry.name.to_lowercase().contains(&wanted) || entry.id.to_string().contains(&wanted))
        .collect();
    found.sort_by_cached_key(|entry| (entry.name.to_lowercase(), entry.id));
    let matching = found.len();
    let found = found.into_iter().take(MOST).map(|entry| Found {
        id: entry.id.to_string(),
        name: entry.name.clone(),
        enabled: entry.enabled,
        has_channel: entry.channel.is_some(),
    });
    let page = BusinessesPage { frame: who.frame(), asked, found: found.collect(), matching };
    page::shown(StatusCode::OK, &page)
}
