//! Asking what became of an order, or of a call.

use schemas::{ConversionStatus, FailureStage, Reason};
use serde_json::{Value, json};

use super::{
    answers::{self, Failing, header},
    examples,
    field::text,
    one_of, reasons, reference,
};
use crate::{
    answer::Status,
    lookup::{MOST_TOLD, PER_SECOND},
    validate::LONGEST_ORDER_ID,
};

const ASK: &str = "Ask for an `order_id`, or for a `call_id`: one of them, once. A call is found within seconds of \
    its answer. \
Questions leave no record, and are no load for calls.";

pub(super) fn operation() -> Value {
    json!({
        "operationId": "lookUpConversion",
        "tags": ["Ask"],
        "summary": "Ask what became of an order or a call",
        "description": ASK,
        "parameters": [
            {
                "name": "order_id", "in": "query", "schema": text(LONGEST_ORDER_ID, "The `payload.order_id` that \
                    was reported."),
                "description": "The order, as it was reported.", "example": "ORD-7821",
            },
            {
                "name": "call_id", "in": "query", "schema": {"type": "string", "format": "uuid"},
                "description": "The call, as `X-Request-Id` named it.",
            },
        ],
        "responses": responses(),
    })
}

fn responses() -> Value {
    let found = json!({
        "description": "The calls, the newest first.",
        "headers": Value::from_iter([header("X-Request-Id")]),
        "content": {"application/json": {
            "schema": reference("History"),
            "examples": {"rejected_then_corrected": {"value": examples::history()}},
        }},
    });
    [("200".to_owned(), found)].into_iter().chain(failures().into_iter().map(Failing::documented)).collect()
}

fn failures() -> Vec<Failing> {
    vec![
        Failing {
            status: Status::InvalidArgument,
            description: "It is no question.".to_owned(),
            reasons: vec![reasons::of_reason(Reason::InvalidFields)],
            examples: vec![("no_question", examples::no_question())],
            is_waited_for: false,
        },
        answers::unauthenticated(examples::no_key()),
        Failing {
            status: Status::NotFound,
            description: "No such business, or no such call of it.".to_owned(),
            reasons: vec![reasons::of_reason(Reason::BusinessNotFound), answers::CALL_NOT_FOUND],
            examples: vec![("call_not_found", examples::call_not_found())],
            is_waited_for: false,
        },
        Failing {
            status: Status::ResourceExhausted,
            description:
                "Too many questions of one business in a second, or too many from an address without a valid key."
                    .to_owned(),
            reasons: vec![answers::RATE_LIMITED],
            examples: vec![("too_many", examples::too_many_lookups())],
            is_waited_for: false,
        },
        Failing {
            status: Status::Unavailable,
            description: "It cannot be said for the moment. Ask again.".to_owned(),
            reasons: vec![answers::UNAVAILABLE],
            examples: vec![("no_answer", examples::no_answer())],
            is_waited_for: false,
        },
    ]
}

pub(super) fn schemas() -> Vec<(&'static str, Value)> {
    let history = json!({
        "type": "object",
        "description": format!("A business may ask {PER_SECOND} times a second."),
        "required": ["calls", "more"],
        "properties": {
            "calls": {"type": "array", "minItems": 1, "maxItems": MOST_TOLD, "items": reference("Call")},
            "more": {"type": "boolean", "description": "Whether there are older ones, which are not told."},
        },
    });
    vec![("History", history), ("Call", call()), ("MetaAnswer", meta_answer())]
}

fn call() -> Value {
    json!({
        "type": "object",
        "description": "What became of one call. What does not apply is left out.",
        "required": [
            "call_id", "received_at", "conversion_status", "http_status", "forward_attempts", "possibly_duplicate",
        ],
        "properties": {
            "call_id": {"type": "string", "format": "uuid"},
            "received_at": {"type": "string", "format": "date-time"},
            "event_name": {"type": "string"},
            "order_id": {"type": "string"},
            "conversion_status": one_of(ConversionStatus::ALL.map(reasons::of_status)),
            "http_status": {"type": "integer", "description": "The status that the outcome has here; a call that \
                was answered `pending` has its later one."},
            "failure_stage": one_of(FailureStage::ALL.map(reasons::of_stage)),
            "reason": one_of(Reason::ALL.iter().copied().map(reasons::of_reason)),
            "error": {"type": "string", "description": "Meta's error verbatim, or the message of the answer."},
            "meta": reference("MetaAnswer"),
            "forward_attempts": {"type": "integer", "minimum": 0, "description": "Requests to Meta that carried it."},
            "possibly_duplicate": {"type": "boolean", "description": "A request whose answer never came may have \
                been counted by Meta as well."},
            "duplicate_of": {"type": "string", "format": "uuid", "description": "The call that Meta credited."},
        },
    })
}

fn meta_answer() -> Value {
    json!({
        "type": "object",
        "description": "What Meta said last.",
        "properties": {
            "http_status": {"type": "integer"},
            "code": {"type": "integer"},
            "error_subcode": {"type": "integer"},
            "error": {"type": "string"},
            "fbtrace_id": {"type": "string"},
        },
    })
}
