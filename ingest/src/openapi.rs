//! The endpoint described for machines, as `OpenAPI` 3.1, and for people: `/openapi.json` and `/docs`. Both are rendered
//! once, at start.
//!
//! The document is made of what the service itself goes by: the limits and names of [`validate`](crate::validate), the
//! reasons of [`schemas`], and examples that the service's own code has answered. A generator that derives schemas from
//! types would see strings and numbers only: what a field may hold is said by no type, but by the validation. That the
//! document is true is tested: every answer of the tests of the endpoint is held against it, and so is what the
//! validation takes and refuses (`tests/endpoint/openapi.rs`).

mod answers;
mod examples;
mod field;
mod lookup;
mod page;
mod reasons;
mod request;
mod serve;

use serde_json::{Value, json};

pub use serve::{DOCS, Document, Documents, OPENAPI};

use crate::router::CONVERSION_EVENTS;

const TITLE: &str = "CAPI Conversion Reporting Endpoint";
const ABOUT: &str = "Reports conversions that followed a Click-to-WhatsApp ad. They are forwarded to Meta's Conversions \
API, so that the ad gets the credit; what became of an order or of a call can be asked at any time.\n\n\
Every answer has an `X-Request-Id`: the call's id. A path that does not exist is answered 404 `PATH_NOT_FOUND`, a \
method that a path does not take 405 `METHOD_NOT_ALLOWED` with `Allow`, both with the body of every other error. \
HTTP/1.1 and cleartext HTTP/2; no CORS, since keys do not belong in browsers.";

/// The document.
pub fn document() -> Value {
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": TITLE, "version": env!("CARGO_PKG_VERSION"), "description": ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/", "description": "The host that serves this document"}],
        "security": [{"ApiKey": []}],
        "tags": [
            {"name": "Report", "description": "One event per call; lines of an order go into `contents`."},
            {"name": "Ask", "description": "What became of what was reported."},
        ],
        "paths": {
            CONVERSION_EVENTS: {
                "parameters": [business_id()],
                "post": request::operation(),
                "get": lookup::operation(),
            },
        },
        "components": {
            "securitySchemes": {"ApiKey": {
                "type": "apiKey", "in": "header", "name": "X-API-KEY",
                "description": "The plaintext, `capi_<key id>_<secret>`, of a key with full access. Keep it on a server.",
            }},
            "schemas": schemas(),
            "headers": answers::headers(),
            "responses": answers::elsewhere(),
        },
    })
}

fn business_id() -> Value {
    json!({
        "name": "business_id", "in": "path", "required": true,
        "description": "Your business's UUID, in any case. One that is unknown, disabled or another's is answered 404.",
        "schema": {"type": "string", "format": "uuid", "examples": [examples::BUSINESS]},
    })
}

fn schemas() -> Value {
    let all = [request::schemas(), answers::schemas(), lookup::schemas()];
    all.into_iter().flatten().map(|(name, schema)| (name.to_owned(), schema)).collect()
}

/// A value that is one of these, each with its meaning.
fn one_of(named: impl IntoIterator<Item = (&'static str, &'static str)>) -> Value {
    let named = named.into_iter().map(|(name, meaning)| json!({"const": name, "description": meaning}));
    json!({"type": "string", "oneOf": named.collect::<Vec<_>>()})
}

fn reference(schema: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{schema}")})
}
