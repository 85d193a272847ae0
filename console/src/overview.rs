//! How a business does: in one sentence, in numbers beside those of the time before, and over time.

mod figures;
mod sentence;

use std::sync::Arc;

use askama::Template;
use axum::{
    extract::{RawQuery, State},
    http::StatusCode,
    response::Response,
};

use self::figures::Figures;
use crate::{
    chart::Chart,
    console::Console,
    fields::{Complaint, Fields},
    frame::{Frame, Section},
    money, page,
    range::{Named, Range},
    tenant::Business,
};

#[derive(Template)]
#[template(path = "overview.html")]
struct OverviewPage {
    frame: Frame,
    url: String,
    complaints: Vec<Complaint>,
    range: Range,
    /// What the links to other ranges keep.
    kept: &'static str,
    sentence: String,
    figures: Figures,
    calls: Option<Chart>,
    revenue: Option<Chart>,
}

/// How a business does.
pub(crate) async fn overview(State(console): State<Arc<Console>>, business: Business, query: RawQuery) -> Response {
    let mut fields = Fields::parse(query.0.unwrap_or_default().as_bytes());
    let range = Range::read(&mut fields, Named::Week);
    let frame = business.frame(Section::Overview);
    let figures = match figures::ask(&console.records, &business, range).await {
        Ok(figures) => figures,
        Err(fault) => return fault.page(frame),
    };
    let page = OverviewPage {
        url: business.url(),
        sentence: sentence::of(&figures, &range),
        calls: Some(figures.calls_chart(&range)).filter(|chart| !chart.is_empty()),
        revenue: figures.money_chart(&range),
        complaints: fields.complaints().to_vec(),
        frame,
        range,
        kept: "",
        figures,
    };
    let is_good = page.complaints.is_empty();
    page::shown(if is_good { StatusCode::OK } else { StatusCode::BAD_REQUEST }, &page)
}
