//! The page that finds calls.

use std::sync::Arc;

use askama::Template;
use axum::{
    extract::{RawQuery, State},
    http::StatusCode,
    response::Response,
};
use schemas::{ConversionStatus, FailureStage, Lane, Reason};
use url::form_urlencoded::Serializer;

use super::{
    cursor::Cursor,
    filter::{Filter, LANES},
    row::Listed,
    search::{Found, search},
};
use crate::{
    choice::Choice,
    console::Console,
    fields::{Complaint, Fields},
    frame::{Frame, Section},
    page,
    tenant::Business,
    when::Moment,
};

#[derive(Template)]
#[template(path = "calls.html")]
struct CallsPage {
    frame: Frame,
    url: String,
    form: Form,
    complaints: Vec<Complaint>,
    calls: Vec<Listed>,
    /// Where the older ones are.
    next: Option<String>,
    /// How far back was looked, where that is not all the way.
    reached: Option<Moment>,
    /// Whether it shows the newest, and so may change.
    is_newest: bool,
    is_filtered: bool,
}

/// What stands in the form.
struct Form {
    order: String,
    call: String,
    click: String,
    ad: String,
    campaign: String,
    from: String,
    until: String,
    status: Vec<Choice>,
    stage: Vec<Choice>,
    reason: Vec<Choice>,
    lane: Vec<Choice>,
}

/// Finds calls.
pub(crate) async fn list(State(console): State<Arc<Console>>, business: Business, query: RawQuery) -> Response {
    let query = query.0.unwrap_or_default();
    let mut fields = Fields::parse(query.as_bytes());
    let filter = Filter::read(&mut fields);
    let frame = business.frame(Section::Calls);
    let is_good = fields.complaints().is_empty();
    let nothing = Found { calls: Vec::new(), next: None, reached: None };
    let found = if is_good { search(&console.records, &business, &filter).await } else { Ok(nothing) };
    let found = match found {
        Ok(found) => found,
        Err(fault) => return fault.page(frame),
    };
    let page = CallsPage {
        url: business.url(),
        form: Form::of(&filter),
        complaints: fields.complaints().to_vec(),
        next: found.next.map(|next| with_cursor(&query, next)),
        reached: found.reached,
        calls: found.calls,
        is_newest: is_good && filter.before.is_none(),
        is_filtered: !filter.is_all() || filter.from.is_some() || filter.until.is_some(),
        frame,
    };
    page::shown(if is_good { StatusCode::OK } else { StatusCode::BAD_REQUEST }, &page)
}

/// The same search, from another place on.
fn with_cursor(query: &str, before: Cursor) -> String {
    let pairs =
        url::form_urlencoded::parse(query.as_bytes()).filter(|(name, value)| name != "before" && !value.is_empty());
    Serializer::new(String::new()).extend_pairs(pairs).append_pair("before", &before.to_string()).finish()
}

impl Form {
    fn of(filter: &Filter) -> Self {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let time = |moment: Option<Moment>| moment.map(Moment::field).unwrap_or_default();
        Self {
            order: text(&filter.order),
            call: filter.call.as_ref().map(ToString::to_string).unwrap_or_default(),
            click: text(&filter.click),
            ad: text(&filter.ad),
            campaign: text(&filter.campaign),
            from: time(filter.from),
            until: time(filter.until),
            status: Choice::among(
                ConversionStatus::ALL.map(ConversionStatus::as_str),
                filter.status.map(ConversionStatus::as_str),
            ),
            stage: Choice::among(FailureStage::ALL.map(FailureStage::as_str), filter.stage.map(FailureStage::as_str)),
            reason: Choice::among(Reason::ALL.iter().map(|reason| reason.as_str()), filter.reason.map(Reason::as_str)),
            lane: Choice::among(LANES.map(Lane::as_str), filter.lane.map(Lane::as_str)),
        }
    }
}
