//! Reporting a conversion: what the body may hold, by the rules of [`validate`](crate::validate), and the answers.

use schemas::Reason;
use serde_json::{Value, json};

use super::{
    answers::{self, Failing, header},
    examples,
    field::{amount, blank, content_type, count, currency, optional_text, text, text_pattern},
    reasons, reference,
};
use crate::{
    answer::Status,
    body::BODY_LIMIT,
    limits::{FAILURE_WINDOW, MOST_FAILURES},
    request::MAX_ITEMS,
    validate::{
        EARLIEST, LONGEST_AD_ID, LONGEST_CLICK_ID, LONGEST_ORDER_ID, LONGEST_PRODUCT_ID, LONGEST_SENDOUT_ID,
        LONGEST_TRACKING_ID, PURCHASE, VIEW_CONTENT,
    },
};

const PREFER: &str = "Whether the call waits for Meta's verdict (RFC 7240). `wait=N` waits N seconds at most, and never \
longer than the server's maximum (10 s unless set otherwise); `respond-async` answers 202 as soon as the event is \
durable, and wins over `wait`. Without it the call waits the maximum. What cannot be read in it is ignored.";
const REPORT: &str = "One event per call. With `payload.order_id` a repeat is safe: an order that Meta accepted within the \
last 28 days is answered `duplicate`, and not sent again. The body is read as JSON whatever `Content-Type` says; fields \
that are not known are ignored, and `null` means absent. At most 256 KiB.";

pub(super) fn operation() -> Value {
    json!({
        "operationId": "reportConversion",
        "tags": ["Report"],
        "summary": "Report a conversion",
        "description": REPORT,
        "parameters": [{
            "name": "Prefer", "in": "header", "description": PREFER,
            "schema": {"type": "string"},
            "examples": {
                "wait": {"summary": "Wait five seconds at most", "value": "wait=5"},
                "async": {"summary": "Do not wait", "value": "respond-async"},
            },
        }],
        "requestBody": {
            "required": true,
            "content": {"application/json": {
                "schema": reference("ConversionEvent"),
                "examples": {
                    "purchase": {"summary": "A purchase", "value": examples::purchase()},
                    "view": {"summary": "A product was looked at", "value": examples::view()},
                },
            }},
        },
        "responses": responses(),
    })
}

fn responses() -> Value {
    let received = [
        ("200", "Received and recorded; `Conversion-Status` says where it stands at Meta."),
        ("202", "Received and recorded, and forwarded later: the caller asked not to wait."),
    ];
    let received = received.map(|(status, description)| (status.to_owned(), self::received(description)));
    received.into_iter().chain(failures().into_iter().map(Failing::documented)).collect()
}

fn received(description: &str) -> Value {
    let headers = ["X-Request-Id", "Conversion-Status", "Preference-Applied"].map(header);
    json!({
        "description": description,
        "headers": Value::from_iter(headers),
        "content": {"application/json": {
            "schema": reference("Received"),
            "examples": {"received": {"value": examples::received()}},
        }},
    })
}

fn failures() -> Vec<Failing> {
    let invalid = [
        Reason::InvalidFields,
        Reason::MalformedJson,
        Reason::MetaRejected,
        Reason::MetaDropped,
        Reason::EventTooOld,
        Reason::WhatsappChannelNotConfigured,
    ];
    vec![
        Failing {
            status: Status::InvalidArgument,
            description: "The call is at fault, or Meta rejected the event.".to_owned(),
            reasons: invalid.map(reasons::of_reason).into(),
            examples: vec![("invalid_fields", examples::invalid()), ("meta_rejected", examples::rejected())],
            is_waited_for: true,
        },
        answers::unauthenticated(examples::no_key()),
        Failing {
            status: Status::NotFound,
            description: "No such business, or it has no WhatsApp Cloud channel.".to_owned(),
            reasons: [Reason::BusinessNotFound, Reason::WhatsappChannelNotConfigured].map(reasons::of_reason).into(),
            examples: vec![("no_channel", examples::no_channel())],
            is_waited_for: false,
        },
        Failing {
            status: Status::TooLarge,
            description: format!("The body is over {} KiB.", BODY_LIMIT / 1024),
            reasons: vec![reasons::of_reason(Reason::BodyTooLarge)],
            examples: vec![("too_large", examples::too_large())],
            is_waited_for: false,
        },
        Failing {
            status: Status::ResourceExhausted,
            description: format!(
                "Over the rate limit of the business, where one is set; or over {MOST_FAILURES} calls without a valid \
                 key within {} s from one address. The call left no record.",
                FAILURE_WINDOW.as_secs()
            ),
            reasons: vec![answers::RATE_LIMITED],
            examples: vec![("rate_limited", examples::rate_limited())],
            is_waited_for: false,
        },
        Failing {
            status: Status::Unavailable,
            description:
                "Send it again. An event may have been taken all the same: with an `order_id` the repeat is a \
                          duplicate."
                    .to_owned(),
            reasons: vec![answers::UNAVAILABLE],
            examples: vec![("unavailable", examples::unavailable())],
            is_waited_for: false,
        },
    ]
}

pub(super) fn schemas() -> Vec<(&'static str, Value)> {
    vec![
        ("ConversionEvent", event()),
        ("Purchase", event_named(PURCHASE, true)),
        ("ViewContent", event_named(VIEW_CONTENT, false)),
        ("Attribution", attribution()),
        ("PurchasePayload", payload(true)),
        ("ViewContentPayload", payload(false)),
        ("LineItem", line_item()),
        ("SkippedLineItem", skipped_line_item()),
        ("Received", received_body()),
    ]
}

fn event() -> Value {
    let schema = |name: &str| format!("#/components/schemas/{name}");
    json!({
        "oneOf": [reference(PURCHASE), reference(VIEW_CONTENT)],
        "discriminator": {
            "propertyName": "event_name",
            "mapping": {PURCHASE: schema(PURCHASE), VIEW_CONTENT: schema(VIEW_CONTENT)},
        },
    })
}

fn event_named(name: &str, is_purchase: bool) -> Value {
    let always = ["cnct_tracking_id", "event_name", "sendout_id", "attribution"];
    let required: Vec<_> = always.into_iter().chain(is_purchase.then_some("payload")).collect();
    let payload = if is_purchase {
        reference("PurchasePayload")
    } else {
        json!({"oneOf": [reference("ViewContentPayload"), {"type": "null"}]})
    };
    json!({
        "type": "object",
        "required": required,
        "properties": {
            "cnct_tracking_id": text(LONGEST_TRACKING_ID, "The `cnct_tracking_id` of the landing URL, verbatim."),
            "event_name": {"const": name, "description": "Meta's name of the event; case counts."},
            "sendout_id": text(LONGEST_SENDOUT_ID, "The `sendout_id` of the landing URL, verbatim: credits the \
                campaign."),
            "attribution": reference("Attribution"),
            "payload": payload,
        },
    })
}

fn attribution() -> Value {
    json!({
        "type": "object",
        "required": ["meta_ctwa"],
        "properties": {"meta_ctwa": {
            "type": "object",
            "required": ["ctwa_clid", "ad_id"],
            "properties": {
                "ctwa_clid": text(LONGEST_CLICK_ID, "The `ctwa_clid` of the landing URL, verbatim: goes to Meta, \
                    and credits the ad."),
                "ad_id": text(LONGEST_AD_ID, "The `ad_id` of the landing URL, verbatim: for reports by ad; not sent \
                    to Meta."),
            },
        }},
    })
}

fn payload(is_purchase: bool) -> Value {
    let mut payload = json!({
        "type": "object",
        "properties": {
            "currency": currency(is_purchase),
            "value": amount(is_purchase, "Total value of the order: a decimal, kept to 6 places."),
            "order_id": optional_text(LONGEST_ORDER_ID, "Your reference of the order, stable, and the one the pixel \
                sees: makes a repeat safe. Recommended."),
            "content_type": content_type(),
            "content_ids": {
                "type": ["array", "null"], "maxItems": MAX_ITEMS,
                "items": text(LONGEST_PRODUCT_ID, "A product's id."),
                "description": "Product ids, as in your Meta catalogue.",
            },
            "num_items": count("Items in the cart, all lines together."),
            "contents": {
                "type": ["array", "null"], "maxItems": MAX_ITEMS,
                "items": {"anyOf": [reference("LineItem"), reference("SkippedLineItem")]},
                "description": "The lines of the order. Recommended; preferred to `content_ids` where quantity \
                    matters.",
            },
            "event_time": {
                "type": ["integer", "null"], "minimum": EARLIEST, "examples": [1_746_480_000],
                "description": "When it happened, in Unix seconds: at most a minute ahead. Absent, the time of the \
                    call. Meta takes events of up to 7 days; older ones are recorded, and end `EVENT_TOO_OLD`.",
            },
        },
    });
    if is_purchase {
        payload["required"] = json!(["currency", "value"]);
    } else {
        payload["if"] = json!({"required": ["value"], "properties": {"value": {"type": "number"}}});
        let there = json!({"type": "string", "pattern": text_pattern()});
        payload["then"] = json!({"required": ["currency"], "properties": {"currency": there}});
        payload["description"] = json!("May be absent. Where `value` is given, `currency` is required.");
    }
    payload
}

fn line_item() -> Value {
    json!({
        "type": "object",
        "required": ["id"],
        "properties": {
            "id": text(LONGEST_PRODUCT_ID, "The product's id, as in your Meta catalogue."),
            "quantity": count("Units of it. Recommended; where it is absent, reports count 1."),
            "item_price": amount(false, "Price of one unit. Recommended; where it is absent, reports add no revenue."),
        },
    })
}

fn skipped_line_item() -> Value {
    json!({
        "type": ["object", "null"],
        "properties": {"id": {"anyOf": [{"type": "null"}, {"type": "string", "pattern": blank()}]}},
        "description": "A line without an id is skipped in silence, whatever else it holds.",
    })
}

fn received_body() -> Value {
    json!({
        "type": "object",
        "required": ["events_received"],
        "properties": {"events_received": {"const": 1, "description": "The event was received and recorded."}},
    })
}
