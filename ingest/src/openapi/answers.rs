//! The answers: their bodies and headers.

use schemas::{ConversionStatus, FailureStage, Reason};
use serde_json::{Value, json};

use super::{one_of, reasons, reasons::Named, reference};
use crate::{
    answer::{Methods, Status},
    limits::{FAILURE_WINDOW, MOST_FAILURES},
    validate::FieldReason,
};

/// Reasons of answers that leave no record.
pub(super) const RATE_LIMITED: Named = ("RATE_LIMITED", "Too many calls. Come back after `Retry-After` seconds.");
pub(super) const UNAVAILABLE: Named = ("UNAVAILABLE", "Not now. Send it again after `Retry-After` seconds.");
pub(super) const CALL_NOT_FOUND: Named =
    ("CALL_NOT_FOUND", "No such call of this business. A call is found within seconds of its answer.");
const KEYS: [Reason; 5] =
    [Reason::ApiKeyMissing, Reason::ApiKeyInvalid, Reason::ApiKeyExpired, Reason::ApiKeyRevoked, Reason::ApiKeyScoped];

/// A failure as it is documented: with its reasons, and an example for some.
pub(super) struct Failing {
    pub(super) status: Status,
    pub(super) description: String,
    pub(super) reasons: Vec<Named>,
    /// By name.
    pub(super) examples: Vec<(&'static str, Value)>,
    /// Whether somebody may have waited for it, and is told how long at most.
    pub(super) is_waited_for: bool,
}

impl Failing {
    /// The status of the answer, and what is said of it.
    pub(super) fn documented(self) -> (String, Value) {
        let body = json!({
            "type": "object",
            "required": ["code", "status", "message", "details"],
            "properties": {
                "code": {"const": self.status.code().0, "description": "The number of `google.rpc.Code`."},
                "status": {"const": self.status.code().1, "description": "Its name."},
                "message": {"type": "string", "description": "What is wrong, for people."},
                "details": self.details(),
            },
        });
        let examples = self.examples.iter().map(|(name, body)| (name.to_owned(), json!({"value": body})));
        let mut content = json!({"schema": body});
        if !self.examples.is_empty() {
            content["examples"] = examples.collect();
        }
        let response = json!({
            "description": self.description,
            "headers": self.headers(),
            "content": {"application/json": content},
        });
        (self.status.http().as_str().to_owned(), response)
    }

    fn headers(&self) -> Value {
        let own = match self.status {
            Status::Unauthenticated => Some("WWW-Authenticate"),
            Status::ResourceExhausted | Status::Unavailable => Some("Retry-After"),
            Status::MethodNotAllowed(_) => Some("Allow"),
            _ => None,
        };
        let waited = self.is_waited_for.then_some("Preference-Applied");
        ["X-Request-Id"].into_iter().chain(own).chain(waited).map(header).collect()
    }

    fn details(&self) -> Value {
        let info = json!({
            "type": "object",
            "required": ["@type", "reason", "domain", "metadata"],
            "properties": {
                "@type": {"const": "type.googleapis.com/google.rpc.ErrorInfo"},
                "reason": one_of(self.reasons.iter().copied()),
                "domain": {"const": "capi"},
                "metadata": reference("ErrorMetadata"),
            },
        });
        let (more, least, most) = match self.status {
            Status::InvalidArgument => (reference("BadRequest"), 1, 2),
            Status::ResourceExhausted | Status::Unavailable => (reference("RetryInfo"), 2, 2),
            _ => (json!(true), 1, 1),
        };
        json!({"type": "array", "prefixItems": [info], "items": more, "minItems": least, "maxItems": most})
    }
}

/// 401, the same for every operation.
pub(super) fn unauthenticated(example: Value) -> Failing {
    Failing {
        status: Status::Unauthenticated,
        description: format!(
            "The API key does not let the call in. After {MOST_FAILURES} of these within {} s from one address, \
                further ones are answered 429.",
            FAILURE_WINDOW.as_secs()
        ),
        reasons: KEYS.map(reasons::of_reason).into(),
        examples: vec![("no_key", example)],
        is_waited_for: false,
    }
}

/// The answers of paths and methods that are no operation.
pub(super) fn elsewhere() -> Value {
    let not_found = Failing {
        status: Status::NotFound,
        description: "There is nothing at this path.".to_owned(),
        reasons: vec![("PATH_NOT_FOUND", "There is nothing at this path.")],
        examples: Vec::new(),
        is_waited_for: false,
    };
    let not_allowed = Failing {
        status: Status::MethodNotAllowed(Methods::ReportAndAsk),
        description: "The path does not take this method.".to_owned(),
        reasons: vec![("METHOD_NOT_ALLOWED", "The path does not take this method; `Allow` has those that it takes.")],
        examples: Vec::new(),
        is_waited_for: false,
    };
    json!({"PathNotFound": not_found.documented().1, "MethodNotAllowed": not_allowed.documented().1})
}

/// A response's header, by its name in [`headers`].
pub(super) fn header(name: &'static str) -> (String, Value) {
    (name.to_owned(), json!({"$ref": format!("#/components/headers/{name}")}))
}

/// Every header of the answers.
pub(super) fn headers() -> Value {
    let told = [ConversionStatus::Forwarded, ConversionStatus::Duplicate, ConversionStatus::Pending];
    json!({
        "X-Request-Id": {
            "description": "The call's id, of its record and of every log line of it. A client's own is ignored.",
            "required": true, "schema": {"type": "string", "format": "uuid"},
        },
        "Conversion-Status": {
            "description": "Where the event stands.",
            "required": true, "schema": one_of(told.map(reasons::of_status)),
        },
        "Preference-Applied": {
            "description": "The preference that was honoured: `respond-async`, or `wait=` with the seconds applied.",
            "schema": {"type": "string", "pattern": "^(respond-async|wait=[0-9]+)$"},
        },
        "Retry-After": {
            "description": "Seconds after which the call may come again.",
            "required": true, "schema": {"type": "integer", "minimum": 0},
        },
        "Allow": {
            "description": "The methods that the path takes.",
            "required": true, "schema": {"type": "string"},
        },
        "WWW-Authenticate": {
            "description": "Names the header that the key goes into.",
            "required": true, "schema": {"type": "string"},
        },
    })
}

pub(super) fn schemas() -> Vec<(&'static str, Value)> {
    vec![
        ("ErrorMetadata", metadata()),
        ("BadRequest", bad_request()),
        (
            "RetryInfo",
            json!({
                "type": "object",
                "required": ["@type", "retry_delay"],
                "properties": {
                    "@type": {"const": "type.googleapis.com/google.rpc.RetryInfo"},
                    "retry_delay": {"type": "string", "pattern": "^[0-9]+s$", "description": "What `Retry-After` \
                        says."},
                },
            }),
        ),
    ]
}

fn metadata() -> Value {
    let digits = |what: &str| json!({"type": "string", "pattern": "^-?[0-9]+$", "description": what});
    json!({
        "type": "object",
        "description": "Values are strings; what is not known is left out.",
        "required": ["call_id", "retryable"],
        "properties": {
            "failure_stage": one_of(FailureStage::ALL.map(reasons::of_stage)),
            "meta_error": {"type": "string", "description": "Meta's error, verbatim, in the language Meta wrote it."},
            "meta_code": digits("Meta's `code`."),
            "meta_error_subcode": digits("Meta's `error_subcode`."),
            "fbtrace_id": {"type": "string", "description": "Meta's trace id."},
            "call_id": {"type": "string", "format": "uuid", "description": "What `X-Request-Id` says."},
            "retryable": {"enum": ["true", "false"], "description": "Whether the same call may succeed later."},
        },
    })
}

fn bad_request() -> Value {
    let violation = json!({
        "type": "object",
        "required": ["field", "description", "reason"],
        "properties": {
            "field": {"type": "string", "examples": ["payload.contents[2].item_price"]},
            "description": {"type": "string", "description": "What was expected."},
            "reason": one_of(FieldReason::ALL.iter().copied().map(reasons::of_field)),
        },
    });
    json!({
        "type": "object",
        "description": "Every field that breaks a rule, with `INVALID_FIELDS`.",
        "required": ["@type", "field_violations"],
        "properties": {
            "@type": {"const": "type.googleapis.com/google.rpc.BadRequest"},
            "field_violations": {"type": "array", "minItems": 1, "items": violation},
        },
    })
}
