//! One answer of Meta, read and redacted.

use std::time::Duration;

use schemas::MetaError;
use serde_json::Value;

use super::{
    classify::{Class, Reply, classify},
    redact::{redact, redact_json},
    usage::Usage,
};

/// Bytes of Meta's words that are kept.
const LONGEST_MESSAGE: usize = 4096;

/// Bytes of a whole error that go to the log.
const LONGEST_DETAIL: usize = 8192;

/// What became of one request.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// What it means.
    pub class: Class,
    /// `None` where no answer came.
    pub http_status: Option<u16>,
    /// What Meta, or something on the way, said against the request; `None` where it said nothing.
    pub error: Option<MetaError>,
    /// How many events Meta counted, where it said so.
    pub events_received: Option<u64>,
    /// Meta's trace id; empty where there was none.
    pub fbtrace_id: String,
    /// What the headers said about our load.
    pub usage: Usage,
    /// For the log: the whole error, redacted, or why no answer came. Empty where all is well.
    pub detail: String,
    /// From the start of the request to the end of the answer.
    pub took: Duration,
}

impl Answer {
    /// A request without an answer.
    pub fn none(class: Class, detail: String) -> Self {
        Self {
            class,
            http_status: None,
            error: None,
            events_received: None,
            fbtrace_id: String::new(),
            usage: Usage::default(),
            detail,
            took: Duration::ZERO,
        }
    }

    /// Reads an answer to a request of `sent` events. `body` is what could be read of it, `secrets` is what must not be
    /// written down; `took` is left to the caller.
    pub fn read<'s>(
        http_status: u16,
        usage: Usage,
        body: &[u8],
        sent: usize,
        secrets: impl IntoIterator<Item = &'s str>,
    ) -> Self {
        let json: Value = serde_json::from_slice(body).unwrap_or_default();
        let reply = reply(&json);
        let class = classify(http_status, reply, sent);
        let mut answer = Self { http_status: Some(http_status), usage, ..Self::none(class, String::new()) };
        match reply {
            Reply::Received(count) if class != Class::Unknown => {
                answer.events_received = Some(count);
                answer.fbtrace_id = trace_id(&json["fbtrace_id"]);
            }
            Reply::Refusal { code, subcode, .. } => answer.refused(&json["error"], code, subcode, secrets),
            Reply::Received(_) | Reply::Foreign => answer.foreign(http_status, body.len()),
        }
        answer
    }

    fn foreign(&mut self, http_status: u16, bytes: usize) {
        self.detail = format!("HTTP {http_status} with {bytes} bytes that are not Graph's");
        self.error = Some(MetaError {
            http_status: i32::from(http_status),
            code: None,
            subcode: None,
            message: format!("HTTP {http_status} without an answer of the Graph API"),
            fbtrace_id: String::new(),
        });
    }

    fn refused<'s>(
        &mut self,
        error: &Value,
        code: Option<i64>,
        subcode: Option<i64>,
        secrets: impl IntoIterator<Item = &'s str>,
    ) {
        let secrets: Vec<&str> = secrets.into_iter().collect();
        let redacted = |text: &str, limit| redact(text, secrets.iter().copied(), limit);
        self.fbtrace_id = trace_id(&error["fbtrace_id"]);
        self.detail = redacted(&redact_json(error, &secrets).to_string(), LONGEST_DETAIL);
        self.error = Some(MetaError {
            http_status: self.http_status.map_or(0, i32::from),
            code: code.and_then(|code| i32::try_from(code).ok()),
            subcode: subcode.and_then(|subcode| i32::try_from(subcode).ok()),
            message: redacted(words(error), LONGEST_MESSAGE),
            fbtrace_id: self.fbtrace_id.clone(),
        });
    }
}

/// Graph's own JSON is told by its members: a proxy may answer JSON too.
fn reply(json: &Value) -> Reply {
    let error = &json["error"];
    if error.is_object() {
        return Reply::Refusal {
            code: number(&error["code"]),
            subcode: number(&error["error_subcode"]),
            is_transient: error["is_transient"].as_bool().unwrap_or(false),
        };
    }
    json["events_received"].as_u64().map_or(Reply::Foreign, Reply::Received)
}

/// A number, or the text of one.
fn number(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

/// What people should read of an error: its title, else its text for users, else its message, as the contract says.
fn words(error: &Value) -> &str {
    ["error_user_title", "error_user_msg", "message"]
        .iter()
        .filter_map(|name| error[*name].as_str())
        .find(|text| !text.trim().is_empty())
        .unwrap_or_default()
}

fn trace_id(value: &Value) -> String {
    redact(value.as_str().unwrap_or_default(), [], 128)
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};
    use serde_json::json;

    use super::*;

    fn read(http_status: u16, body: &Value, sent: usize) -> Answer {
        Answer::read(http_status, Usage::default(), body.to_string().as_bytes(), sent, ["ARAkXh-7788"])
    }

    #[test]
    fn an_acceptance_carries_count_and_trace() {
        let answer = read(200, &json!({ "events_received": 2, "messages": [], "fbtrace_id": "AbC" }), 2);
        assert_eq!((answer.class, answer.events_received, answer.error), (Class::Accepted, Some(2), None));
        assert_eq!(answer.fbtrace_id, "AbC");
    }

    #[test]
    fn the_title_is_kept_verbatim_and_the_rest_for_the_log() {
        let error = json!({
            "message": "Invalid parameter", "type": "OAuthException", "code": 100, "error_subcode": 2_804_087,
            "error_user_title": "Événement de messagerie : Ctwa Clid non valide", "error_user_msg": "Vérifiez",
            "error_data": "{\"blame_field_specs\":[[\"ctwa_clid ARAkXh-7788\"]]}", "fbtrace_id": "AxY",
        });
        let answer = read(400, &json!({ "error": error }), 1);
        assert_eq!(answer.class, Class::BadClick);
        assert_eq!(
            answer.error,
            Some(MetaError {
                http_status: 400,
                code: Some(100),
                subcode: Some(2_804_087),
                message: "Événement de messagerie : Ctwa Clid non valide".into(),
                fbtrace_id: "AxY".into(),
            })
        );
        assert!(answer.detail.contains("blame_field_specs") && answer.detail.contains("[redacted]"));
        assert!(!answer.detail.contains("ARAkXh"));
    }

    #[test]
    fn words_fall_back_from_title_to_text_to_message() {
        let message = |error: Value| read(400, &json!({ "error": error }), 1).error.unwrap().message;
        assert_eq!(message(json!({ "error_user_title": " ", "error_user_msg": "m", "message": "x" })), "m");
        assert_eq!(message(json!({ "error_user_title": 7, "message": "bad ARAkXh-7788" })), "bad [redacted]");
        assert_eq!(message(json!({})), "");
    }

    #[test]
    fn odd_members_spoil_nothing_else() {
        let answer = read(
            400,
            &json!({ "error": { "code": "190", "error_subcode": 99_999_999_999_i64, "is_transient": "x",
                                "error_data": { "deep": [1] }, "fbtrace_id": 5 } }),
            1,
        );
        assert_eq!(answer.class, Class::Token);
        let error = answer.error.unwrap();
        assert_eq!((error.code, error.subcode, error.fbtrace_id.as_str()), (Some(190), None, ""));
    }

    /// The fuzz target `answer` looks for this too: an answer that contradicts itself says neither yes nor no.
    #[test]
    fn a_count_under_a_status_of_failure_is_unknown() {
        for http_status in [100, 302, 400, 429, 503] {
            let answer = read(http_status, &json!({ "events_received": 1 }), 1);
            assert_eq!((answer.class, answer.events_received), (Class::Unknown, None));
            assert_eq!(answer.error.unwrap().http_status, i32::from(http_status));
        }
    }

    #[test]
    fn what_is_not_graph_s_is_said_so() {
        for body in [&b"<html>Bad Gateway</html>"[..], b"", b"[]", b"{\"error\":\"no\"}", b"{\"events_received\":-1}"] {
            let answer = Answer::read(502, Usage::default(), body, 1, []);
            assert_eq!(answer.class, Class::Unknown);
            assert_eq!(answer.error.unwrap().http_status, 502);
        }
    }

    proptest! {
        /// The fuzz target `answer` in small.
        #[test]
        fn any_answer_means_one_thing_within_its_bounds(
            http_status: u16, sent in 0_usize..5, text in "\\PC{0,40}", code: i64, is_error: bool, raw in vec(any::<u8>(), 0..200),
        ) {
            let click = "AR\"Xh\\7/788";
            let error = json!({ "code": code, "message": format!("{text}{click}"), "error_data": json!([click]).to_string() });
            let body = if is_error { json!({ "error": error }).to_string().into_bytes() } else { raw };
            let answer = Answer::read(http_status, Usage::default(), &body, sent, [click]);
            let said = answer.error.as_ref().map_or("", |error| error.message.as_str());
            prop_assert!(said.len() <= LONGEST_MESSAGE && answer.detail.len() <= LONGEST_DETAIL);
            prop_assert!(!said.contains(click) && !answer.detail.contains("7/788"), "{}", answer.detail);
            prop_assert_eq!(answer.error.is_none(), answer.events_received.is_some());
        }
    }
}
