//! What a developer needs to send the first call, and sees it arrive.

use std::sync::Arc;

use askama::Template;
use axum::{
    extract::{RawQuery, State},
    http::StatusCode,
    response::Response,
};
use directory::link::{Tracking, tracking_link};

use crate::{
    calls::{Listed, NEWEST_FIRST, SUMMARY},
    console::{Console, now},
    fault::{Fault, sentence},
    fields::{Complaint, Fields},
    frame::{Frame, Section},
    page,
    tenant::{Business, View},
};

/// The newest calls that are shown.
const LAST: u64 = 10;
/// How far back they are looked for, in milliseconds: what is older was not sent while one watches.
const RECENT: i64 = 24 * 3_600_000;
/// Longest texts of the form.
const LONGEST: usize = 2048;

#[derive(Template)]
#[template(path = "integration.html")]
struct IntegrationPage {
    frame: Frame,
    url: String,
    complaints: Vec<Complaint>,
    endpoint: String,
    /// Unix seconds, for the example.
    event_time: i64,
    has_key: bool,
    has_channel: bool,
    form: LinkForm,
    link: Option<String>,
    calls: Result<Vec<Listed>, Fault>,
}

/// What a tracking link is made of.
#[derive(Default)]
struct LinkForm {
    page: String,
    cnct_tracking_id: String,
    sendout_id: String,
    ctwa_clid: String,
    ad_id: String,
}

/// The page.
pub(crate) async fn integration(State(console): State<Arc<Console>>, business: Business, query: RawQuery) -> Response {
    let mut fields = Fields::parse(query.0.unwrap_or_default().as_bytes());
    let form = LinkForm::read(&mut fields);
    let link = form.link(&mut fields);
    let base = console.terms.endpoint_url.as_str().trim_end_matches('/');
    let entry = business.entry();
    let now = now();
    let page = IntegrationPage {
        frame: business.frame(Section::Integration),
        url: business.url(),
        endpoint: format!("{base}/external/v1/businesses/{}/conversion_events", business.id()),
        event_time: now / 1000,
        has_key: entry.keys.iter().any(|key| is_usable(key, now)),
        has_channel: entry.channel.is_some(),
        complaints: fields.complaints().to_vec(),
        calls: last_calls(&console, &business).await,
        form,
        link,
    };
    page::shown(if page.complaints.is_empty() { StatusCode::OK } else { StatusCode::BAD_REQUEST }, &page)
}

/// A key that the endpoint takes.
fn is_usable(key: &schemas::ApiKey, now: i64) -> bool {
    key.revoked_at.is_none() && key.scopes.is_empty() && key.expires_at.is_none_or(|expiry| expiry > now)
}

async fn last_calls(console: &Console, business: &Business) -> Result<Vec<Listed>, Fault> {
    let select = business
        .select(View::Calls, SUMMARY)
        .and("received_at >= fromUnixTimestamp64Milli({from_ms:Int64})")
        .with("from_ms", now() - RECENT)
        .order_by(NEWEST_FIRST)
        .limit(LAST);
    console.records.rows(select).await
}

impl LinkForm {
    fn read(fields: &mut Fields) -> Self {
        let mut text = |field| fields.text(field, LONGEST).unwrap_or_default();
        Self {
            page: text("page"),
            cnct_tracking_id: text("cnct_tracking_id"),
            sendout_id: text("sendout_id"),
            ctwa_clid: text("ctwa_clid"),
            ad_id: text("ad_id"),
        }
    }

    /// The link, by the code that `capi link` uses; nothing before the form was sent.
    fn link(&self, fields: &mut Fields) -> Option<String> {
        let values = [&self.cnct_tracking_id, &self.sendout_id, &self.ctwa_clid, &self.ad_id];
        if self.page.is_empty() && values.iter().all(|value| value.is_empty()) {
            return None;
        }
        let tracking = Tracking {
            cnct_tracking_id: &self.cnct_tracking_id,
            sendout_id: &self.sendout_id,
            ctwa_clid: &self.ctwa_clid,
            ad_id: &self.ad_id,
        };
        match tracking_link(&self.page, &tracking) {
            Ok(link) => Some(link),
            Err(fault) => {
                fields.complain(
                    "link",
                    format!("cannot be made: {}", sentence(&fault.to_string()).trim_end_matches('.')),
                );
                None
            }
        }
    }
}
