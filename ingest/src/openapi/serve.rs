//! The document and its page, as they are sent: rendered once.

use axum::{body::Body, response::Response};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use schemas::CallId;
use sha2::{Digest as _, Sha256};

use super::{document, page};
use crate::answer::REQUEST_ID;

/// The path of the document.
pub const OPENAPI: &str = "/openapi.json";
/// The path of its page.
pub const DOCS: &str = "/docs";

/// How long a copy may be kept without asking: a release may change what it says.
const KEPT: &str = "public, max-age=300";

/// What is served beside the endpoint.
pub struct Documents {
    /// The `OpenAPI` document.
    pub openapi: Document,
    /// Its page.
    pub docs: Document,
}

/// A body that is the same for everybody, with its headers.
#[derive(Clone)]
pub struct Document {
    headers: HeaderMap,
    body: Bytes,
}

impl Documents {
    /// Renders both.
    pub fn render() -> Self {
        let document = document();
        let json = serde_json::to_vec_pretty(&document).unwrap_or_default();
        let mut docs = Document::new("text/html; charset=utf-8", page::render(&document).into());
        docs.headers.extend(policy().map(|policy| (header::CONTENT_SECURITY_POLICY, policy)));
        docs.headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        Self { openapi: Document::new("application/json", json.into()), docs }
    }
}

impl Document {
    fn new(content_type: &'static str, body: Bytes) -> Self {
        let headers = [
            (header::CONTENT_TYPE, content_type),
            (header::CACHE_CONTROL, KEPT),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        ];
        let headers = headers.map(|(name, value)| (name, HeaderValue::from_static(value)));
        Self { headers: HeaderMap::from_iter(headers), body }
    }

    /// The response to the request `call_id`.
    pub fn response(&self, call_id: CallId) -> Response {
        let mut response = Response::new(Body::from(self.body.clone()));
        response.headers_mut().clone_from(&self.headers);
        if let Ok(call_id) = HeaderValue::try_from(call_id.to_string()) {
            response.headers_mut().insert(REQUEST_ID, call_id);
        }
        response
    }
}

/// Nothing is loaded, run, framed or sent from the page: it is its own text, and the one style sheet within.
fn policy() -> Option<HeaderValue> {
    let style = BASE64_STANDARD.encode(Sha256::digest(page::STYLE));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    HeaderValue::try_from(policy).ok()
}
