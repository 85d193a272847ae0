//! A Graph API error: `{"error": {…}}` and the headers beside it.

use std::fmt;

use serde::Serialize;
use serde_json::{Value, json};

/// Length of the answers that are much longer than anyone should read.
pub(crate) const HUGE_MIB: usize = 32;

/// A Graph error as it is known before the request that draws it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    kind: &'static str,
    message: &'static str,
    code: i32,
    subcode: Option<i32>,
    title: Option<&'static str>,
    explanation: Option<&'static str>,
    transient: Option<bool>,
    data: Data,
    usage: Usage,
    echo: bool,
}

#[derive(Debug, Clone, Copy)]
enum Data {
    None,
    Object,
    Text,
}

/// The rate limit headers.
#[derive(Debug, Clone, Copy)]
enum Usage {
    None,
    App,
    /// The app's, and the business's with the minutes until it is let in again.
    AppAndBusiness,
}

/// What an error body needs to know of the request that drew it.
pub(crate) struct Drawn<'a> {
    pub(crate) dataset: &'a str,
    pub(crate) click_id: &'a str,
    pub(crate) token: &'a str,
    pub(crate) fbtrace_id: &'a str,
    pub(crate) regain_minutes: Option<u64>,
}

#[derive(Serialize)]
struct Body<'a> {
    error: ErrorBody<'a>,
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    message: String,
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    is_transient: Option<bool>,
    code: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_subcode: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_user_title: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_user_msg: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_data: Option<Value>,
    fbtrace_id: &'a str,
}

impl Refusal {
    /// An error that says what it means in `message`, as most of the Graph API does.
    pub(crate) const fn plain(status: u16, code: i32, message: &'static str) -> Self {
        Self {
            status,
            kind: "OAuthException",
            message,
            code,
            subcode: None,
            title: None,
            explanation: None,
            transient: None,
            data: Data::None,
            usage: Usage::None,
            echo: false,
        }
    }

    /// A fault of an event: `message` says nothing, and people read the title.
    pub(crate) const fn of_event(subcode: i32, title: &'static str, explanation: &'static str) -> Self {
        Self {
            subcode: Some(subcode),
            title: Some(title),
            explanation: Some(explanation),
            transient: Some(false),
            ..Self::plain(400, 100, "Invalid parameter")
        }
    }

    pub(crate) const fn subcode(self, subcode: i32) -> Self {
        Self { subcode: Some(subcode), ..self }
    }

    pub(crate) const fn kind(self, kind: &'static str) -> Self {
        Self { kind, ..self }
    }

    pub(crate) const fn title(self, title: &'static str, explanation: &'static str) -> Self {
        Self { title: Some(title), explanation: Some(explanation), ..self }
    }

    pub(crate) const fn transient(self) -> Self {
        Self { transient: Some(true), ..self }
    }

    pub(crate) const fn data_as_object(self) -> Self {
        Self { data: Data::Object, ..self }
    }

    pub(crate) const fn data_as_text(self) -> Self {
        Self { data: Data::Text, ..self }
    }

    pub(crate) const fn app_usage(self) -> Self {
        Self { usage: Usage::App, ..self }
    }

    pub(crate) const fn business_usage(self) -> Self {
        Self { usage: Usage::AppAndBusiness, ..self }
    }

    /// The body repeats the click id and the token, as Meta's sometimes do.
    pub(crate) const fn echo(self) -> Self {
        Self { echo: true, ..self }
    }

    pub(crate) fn says_when_to_return(&self) -> bool {
        matches!(self.usage, Usage::AppAndBusiness)
    }

    /// The JSON of the answer.
    pub(crate) fn body(&self, drawn: &Drawn<'_>) -> Result<Vec<u8>, serde_json::Error> {
        let blame = || json!({"blame_field_specs": [["data"]], "ctwa_clid": drawn.click_id});
        let error = ErrorBody {
            message: self.message_to(drawn),
            kind: self.kind,
            is_transient: self.transient,
            code: self.code,
            error_subcode: self.subcode,
            error_user_title: self.title,
            error_user_msg: self.explanation,
            error_data: match self.data {
                Data::None => None,
                Data::Object => Some(blame()),
                Data::Text => Some(Value::String(blame().to_string())),
            },
            fbtrace_id: drawn.fbtrace_id,
        };
        serde_json::to_vec(&Body { error })
    }

    fn message_to(&self, drawn: &Drawn<'_>) -> String {
        if self.echo {
            format!("{} (ctwa_clid {}, access_token {})", self.message, drawn.click_id, drawn.token)
        } else {
            self.message.replace("{dataset}", drawn.dataset)
        }
    }

    /// The headers that come with it.
    pub(crate) fn headers(&self, drawn: &Drawn<'_>) -> Vec<(&'static str, String)> {
        let mut headers = Vec::new();
        if !matches!(self.usage, Usage::None) {
            headers
                .push(("x-app-usage", json!({"call_count": 100, "total_cputime": 31, "total_time": 42}).to_string()));
        }
        if self.says_when_to_return() {
            let usage = json!({drawn.dataset: [{
                "type": "ads_management",
                "call_count": 100,
                "total_cputime": 31,
                "total_time": 42,
                "estimated_time_to_regain_access": drawn.regain_minutes.unwrap_or(1),
                "ads_api_access_tier": "standard_access",
            }]});
            headers.push(("x-business-use-case-usage", usage.to_string()));
        }
        if self.status == 401 {
            headers.push(("www-authenticate", r#"OAuth "Facebook Platform" "invalid_token""#.into()));
        }
        headers
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HTTP {}, code {}", self.status, self.code)?;
        if let Some(subcode) = self.subcode {
            write!(f, "/{subcode}")?;
        }
        write!(f, ": {}", self.title.unwrap_or(self.message))?;
        let marks = [
            (self.transient == Some(true), "is_transient"),
            (matches!(self.usage, Usage::App), "X-App-Usage"),
            (self.says_when_to_return(), "X-App-Usage, X-Business-Use-Case-Usage"),
            (matches!(self.data, Data::Object), "error_data an object"),
            (matches!(self.data, Data::Text), "error_data a string of JSON"),
            (self.echo, "repeats the click id and the token"),
        ];
        let marks: Vec<&str> = marks.iter().filter_map(|(holds, mark)| holds.then_some(*mark)).collect();
        if marks.is_empty() { Ok(()) } else { write!(f, " [{}]", marks.join("; ")) }
    }
}
