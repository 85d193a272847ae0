//! What a leaf of a body may hold. `null` means absent, wherever a field may be absent.

use schemas::Micros;
use serde_json::{Value, json};

use crate::validate::CONTENT_TYPES;

/// Control characters (Unicode `Cc`), as a class of a pattern.
const CONTROL: &str = r"\u0000-\u001f\u007f-\u009f";
/// Unicode `White_Space`.
const WHITE: &str = r"\u0009-\u000d\u0020\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000";

/// Of a text that is not blank and has no control character.
pub(super) fn text_pattern() -> String {
    format!("^[^{CONTROL}]*[^{CONTROL}{WHITE}][^{CONTROL}]*$")
}

/// Of a blank one, which counts as absent.
pub(super) fn blank() -> String {
    format!("^[{WHITE}]*$")
}

/// A text that must be there. JSON Schema counts characters: the description has the limit as it is.
pub(super) fn text(longest: usize, description: &str) -> Value {
    let description = format!("{description} At most {longest} bytes of UTF-8, not blank.");
    json!({
        "type": "string", "minLength": 1, "maxLength": longest, "pattern": text_pattern(), "description": description,
    })
}

pub(super) fn optional_text(longest: usize, description: &str) -> Value {
    let description = format!("{description} At most {longest} bytes of UTF-8; a blank one counts as absent.");
    let pattern = format!("^([^{CONTROL}]*|[{WHITE}]*)$");
    json!({"type": ["string", "null"], "maxLength": longest, "pattern": pattern, "description": description})
}

pub(super) fn currency(is_required: bool) -> Value {
    let (kind, pattern) = if is_required {
        (json!("string"), "^[A-Za-z]{3}$".to_owned())
    } else {
        (json!(["string", "null"]), format!("^[A-Za-z]{{3}}$|{}", blank()))
    };
    let description = "An active code of ISO 4217, in any case; not `XXX`, not `XTS`.";
    json!({"type": kind, "pattern": pattern, "examples": ["USD", "BRL"], "description": description})
}

pub(super) fn content_type() -> Value {
    json!({
        "anyOf": [{"enum": CONTENT_TYPES}, {"type": "null"}, {"type": "string", "pattern": blank()}],
        "description": "`product` where ids are of products, or `product_group`.",
    })
}

pub(super) fn count(description: &str) -> Value {
    let description = format!("{description} In the notation of an integer: `2`, not `2.0`.");
    json!({"type": ["integer", "null"], "minimum": 0, "maximum": i32::MAX, "description": description})
}

pub(super) fn amount(is_required: bool, description: &str) -> Value {
    let kind = if is_required { json!("number") } else { json!(["number", "null"]) };
    let most = Micros::MAX.millionths() / 1_000_000;
    json!({"type": kind, "minimum": 0, "maximum": most, "examples": [99.97], "description": description})
}
