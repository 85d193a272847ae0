//! The rules of `payload`.

use schemas::{Call, LineItem};

use super::{
    FieldReason, PURCHASE, currency,
    field::{Findings, Text, is_blank},
    time,
};
use crate::request::{Given, Line, List, MAX_ITEMS, Part, Payload};

/// The longest order id, in UTF-8 bytes.
pub(crate) const LONGEST_ORDER_ID: usize = 256;
/// The longest id of a product, likewise.
pub(crate) const LONGEST_PRODUCT_ID: usize = 256;
/// What products are referred to by.
pub(crate) const CONTENT_TYPES: [&str; 2] = ["product", "product_group"];

const CURRENCY: &str = "payload.currency";
const VALUE: &str = "payload.value";

pub(super) fn check(given: &Part<Payload<'_>>, call: &mut Call, findings: &mut Findings) {
    let is_purchase = call.event_name == PURCHASE;
    let payload = match given {
        Part::Object(payload) => payload,
        Part::Other => return findings.wrong_type("payload", "an object"),
        Part::Absent => {
            if is_purchase {
                findings.missing(CURRENCY);
                findings.missing(VALUE);
            }
            call.event_time = time::event_time(None, call.received_at, findings);
            return;
        }
    };
    money(payload, is_purchase, call, findings);
    call.order_id = findings.optional("payload.order_id", payload.order_id, Text::upto(LONGEST_ORDER_ID));
    call.content_type = content_type(payload.content_type, findings);
    call.content_ids = content_ids(&payload.content_ids, findings);
    call.num_items = findings.count("payload.num_items", payload.num_items);
    call.contents = contents(&payload.contents, findings);
    call.event_time = time::event_time(payload.event_time, call.received_at, findings);
}

/// A value without a currency is no amount, so it asks for one whatever the event.
fn money(payload: &Payload<'_>, is_purchase: bool, call: &mut Call, findings: &mut Findings) {
    match findings.text(CURRENCY, payload.currency) {
        Some(text) if !is_blank(&text) => call.currency = checked_currency(text, findings),
        None if payload.currency.is_some() => {}
        _ if is_purchase || payload.value.is_some() => findings.missing(CURRENCY),
        _ => {}
    }
    if payload.value.is_none() && is_purchase {
        findings.missing(VALUE);
    }
    call.value = findings.amount(VALUE, payload.value);
}

fn checked_currency(text: String, findings: &mut Findings) -> String {
    currency::canonical(&text).unwrap_or_else(|| {
        findings.add(CURRENCY, FieldReason::InvalidCurrency, "must be an active ISO 4217 code, such as USD");
        text
    })
}

fn content_type(given: Given<'_>, findings: &mut Findings) -> String {
    const FIELD: &str = "payload.content_type";
    let text = findings.text(FIELD, given).filter(|text| !is_blank(text)).unwrap_or_default();
    if !text.is_empty() && !CONTENT_TYPES.contains(&text.as_str()) {
        findings.add(FIELD, FieldReason::FieldValue, "must be `product` or `product_group`");
    }
    text
}

fn content_ids(given: &List<Given<'_>>, findings: &mut Findings) -> Vec<String> {
    let ids = items("payload.content_ids", given, "an array of strings", findings);
    let read = ids.iter().enumerate().map(|(at, id)| {
        // An element that is `null` or blank is an id that is missing.
        findings.required(format_args!("payload.content_ids[{at}]"), *id, Text::upto(LONGEST_PRODUCT_ID))
    });
    read.filter(|id| !id.is_empty()).collect()
}

fn contents(given: &List<Part<Line<'_>>>, findings: &mut Findings) -> Vec<LineItem> {
    let lines = items("payload.contents", given, "an array of objects", findings);
    lines.iter().enumerate().filter_map(|(at, line)| line_item(at, line, findings)).collect()
}

/// A line without an id is skipped in silence, whatever else it holds: so the id is looked at first.
fn line_item(at: usize, given: &Part<Line<'_>>, findings: &mut Findings) -> Option<LineItem> {
    let line = match given {
        Part::Object(line) => line,
        Part::Absent => return None,
        Part::Other => {
            findings.wrong_type(format_args!("payload.contents[{at}]"), "an object");
            return None;
        }
    };
    line.id?;
    let before = findings.violations.len();
    let id = findings.optional(format_args!("payload.contents[{at}].id"), line.id, Text::upto(LONGEST_PRODUCT_ID));
    if id.is_empty() && findings.violations.len() == before {
        return None;
    }
    let quantity = findings.count(format_args!("payload.contents[{at}].quantity"), line.quantity);
    let item_price = findings.amount(format_args!("payload.contents[{at}].item_price"), line.item_price);
    (!id.is_empty()).then_some(LineItem { id, quantity, item_price })
}

/// The elements to look at: all, or the first of too many.
fn items<'l, T>(field: &str, given: &'l List<T>, expected: &str, findings: &mut Findings) -> &'l [T] {
    match given {
        List::Absent => &[],
        List::Other => {
            findings.wrong_type(field, expected);
            &[]
        }
        List::Items { kept, count } => {
            if *count > MAX_ITEMS {
                let description = format!("must have at most {MAX_ITEMS} items, has {count}");
                findings.add(field, FieldReason::TooManyItems, description);
            }
            kept
        }
    }
}
