//! The page of one call.

use std::sync::Arc;

use askama::Template;
use axum::{
    extract::{RawPathParams, State},
    http::StatusCode,
    response::Response,
};
use schemas::{CallId, Reason, meta::OLDEST, repair::is_repairable};

use super::{
    filter::Filter,
    meaning::{self, Meaning},
    row::{Listed, SUMMARY, WHOLE, Whole},
    search::NEWEST_FIRST,
    story::{Step, story},
};
use crate::{
    console::{Console, now},
    fault::Fault,
    frame::{Frame, Section},
    money::Amount,
    page,
    records::Records,
    tenant::{Business, View},
};

/// Other calls of the order that are told.
const MOST_OTHERS: u64 = 50;

#[derive(Template)]
#[template(path = "call.html")]
struct CallPage {
    frame: Frame,
    url: String,
    row: Whole,
    body: String,
    steps: Vec<Step>,
    meaning: Option<Meaning>,
    replay: Replay,
    items: Vec<Item>,
    /// Other calls of the same order, the newest first.
    others: Vec<Listed>,
}

/// Whether the call may be sent again as the call it is.
enum Replay {
    /// It ended for what an operator can repair, and is young enough.
    Possible,
    /// It would be, were it not over seven days old.
    TooOld,
    /// Nothing to repair.
    No,
}

struct Item {
    id: String,
    quantity: Option<i32>,
    price: Amount,
}

/// One call.
pub(crate) async fn call(
    State(console): State<Arc<Console>>,
    business: Business,
    parameters: RawPathParams,
) -> Response {
    let frame = business.frame(Section::Calls);
    let asked = parameters.iter().find(|(name, _)| *name == "call_id").map_or("", |(_, value)| value);
    match find(&console.records, &business, asked).await {
        Ok((row, others)) => page::shown(StatusCode::OK, &CallPage::of(frame, business.url(), row, others)),
        Err(fault) => fault.page(frame),
    }
}

async fn find(records: &Records, business: &Business, asked: &str) -> Result<(Whole, Vec<Listed>), Fault> {
    let call: CallId = asked.parse().map_err(|_| Fault::NotFound)?;
    let by_id = Filter { call: Some(call), ..Filter::default() };
    let select = by_id.narrow(business.select(View::Calls, WHOLE)).limit(1);
    let row: Whole = records.rows(select).await?.pop().ok_or(Fault::NotFound)?;
    if row.order_id.is_empty() {
        return Ok((row, Vec::new()));
    }
    let others = business
        .select(View::Calls, SUMMARY)
        .and("order_id = {order:String} AND event_name = {event:String} AND call_id != {call:UUID}")
        .with("order", &*row.order_id)
        .with("event", &*row.event_name)
        .with("call", &*call.to_string())
        .order_by(NEWEST_FIRST)
        .limit(MOST_OTHERS);
    let others = records.rows(others).await?;
    Ok((row, others))
}

impl CallPage {
    fn of(frame: Frame, url: String, row: Whole, others: Vec<Listed>) -> Self {
        let class = meaning::class(row.meta_http_status, row.meta_code, row.meta_error_subcode);
        let reason = Reason::ALL.iter().copied().find(|reason| reason.as_str() == row.reason);
        let meaning = match (reason, row.conversion_status.as_str()) {
            (Some(reason), "rejected" | "refused") => Some(meaning::of_reason(reason, row.stage(), class)),
            // What is under way has been told something by Meta, or nothing.
            (_, "pending") => class.map(meaning::of_class),
            _ => None,
        };
        let (steps, body, items) = (story(&row), readable(&row.body), items(&row));
        Self { replay: Replay::of(&row, now()), frame, url, steps, body, meaning, items, others, row }
    }
}

impl Replay {
    fn of(row: &Whole, now: i64) -> Self {
        let can_end_otherwise =
            row.conversion_status == "rejected" && is_repairable(&row.reason, row.meta_code, row.meta_error_subcode);
        let event = row.event_s.unwrap_or(row.received_ms.millis() / 1000);
        let is_young = now / 1000 - event < OLDEST.as_secs().cast_signed();
        match (can_end_otherwise, is_young) {
            (true, true) => Self::Possible,
            (true, false) => Self::TooOld,
            (false, _) => Self::No,
        }
    }
}

/// How much longer a body may become by being laid out: brackets within brackets could make it a page of blanks.
const LONGER: usize = 8;

/// A body as JSON is read best; what is none, as it came.
fn readable(body: &str) -> String {
    // Only what is JSON is laid out.
    let is_json = serde_json::from_str::<Box<serde_json::value::RawValue>>(body).is_ok();
    let laid_out = if is_json { indent(body) } else { body.to_owned() };
    if laid_out.len() > body.len().saturating_mul(LONGER).saturating_add(1024) { body.to_owned() } else { laid_out }
}

/// Lays JSON out by its brackets and commas; what stands between them stays as it is.
fn indent(json: &str) -> String {
    let (mut laid_out, mut depth, mut in_text, mut is_escaped) = (String::new(), 0_usize, false, false);
    let line = |laid_out: &mut String, depth: usize| {
        laid_out.push('\n');
        laid_out.extend(std::iter::repeat_n("  ", depth));
    };
    let mut letters = json.trim().chars().peekable();
    while let Some(letter) = letters.next() {
        if in_text {
            laid_out.push(letter);
            in_text = is_escaped || letter != '"';
            is_escaped = !is_escaped && letter == '\\';
            continue;
        }
        match letter {
            blank if blank.is_ascii_whitespace() => {}
            '{' | '[' => {
                laid_out.push(letter);
                while letters.next_if(char::is_ascii_whitespace).is_some() {}
                if letters.peek().is_some_and(|next| matches!(next, '}' | ']')) {
                    laid_out.extend(letters.next());
                } else {
                    depth += 1;
                    line(&mut laid_out, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                line(&mut laid_out, depth);
                laid_out.push(letter);
            }
            ',' => {
                laid_out.push(',');
                line(&mut laid_out, depth);
            }
            ':' => laid_out.push_str(": "),
            other => {
                in_text = other == '"';
                laid_out.push(other);
            }
        }
    }
    laid_out
}

fn items(row: &Whole) -> Vec<Item> {
    let lines = row.item_ids.iter().zip(&row.quantities).zip(&row.prices);
    lines.map(|((id, quantity), price)| Item { id: id.clone(), quantity: *quantity, price: price.clone() }).collect()
}

#[cfg(test)]
mod tests {
    use super::{super::story::tests::row, *};

    #[test]
    fn json_is_laid_out_and_keeps_every_digit() {
        let laid_out = readable(r#" {"a":1.10,"b":["x, {y}\"",{}],"c":{"d":null}} "#);
        assert_eq!(
            laid_out,
            "{\n  \"a\": 1.10,\n  \"b\": [\n    \"x, {y}\\\"\",\n    {}\n  ],\n  \"c\": {\n    \"d\": null\n  }\n}"
        );
        let nested = format!("{}{}{}", "[".repeat(100), vec!["0"; 1000].join(","), "]".repeat(100));
        for other in ["", "{", &nested, "not json", "{\"a\":1}}"] {
            assert_eq!(readable(other), other);
        }
    }

    #[test]
    fn a_replay_is_offered_where_the_contract_allows_one() {
        let rejected = Whole {
            conversion_status: "rejected".into(),
            reason: "META_REJECTED".into(),
            meta_code: Some(190),
            ..row()
        };
        let at = |days: i64, row: &Whole| Replay::of(row, 1_800_000_000_000 + days * 86_400_000);
        assert!(matches!(at(6, &rejected), Replay::Possible));
        assert!(matches!(at(7, &rejected), Replay::TooOld));
        let bad_click = Whole { meta_code: Some(100), meta_error_subcode: Some(2_804_087), ..rejected.clone() };
        assert!(matches!(at(0, &bad_click), Replay::No));
        let forwarded = Whole { conversion_status: "forwarded".into(), ..rejected };
        assert!(matches!(at(0, &forwarded), Replay::No));
    }
}
