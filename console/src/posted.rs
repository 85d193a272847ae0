//! A form that was sent from a page of this session: the only way for a handler to read one.

use std::sync::Arc;

use axum::{
    body::to_bytes,
    extract::{FromRequest, Request},
    http::{HeaderMap, HeaderName, header},
    response::{IntoResponse, Response},
};

use crate::{console::Console, fault::Fault, fields::Fields, session::SignedIn};

/// The largest form, in bytes: an access token has up to 4 KiB.
const FORM_LIMIT: usize = 32 * 1024;
/// The field of a form's token.
pub(crate) const TOKEN: &str = "form_token";
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The fields of a form of a signed-in user.
pub(crate) struct Posted(pub(crate) Fields);

impl FromRequest<Arc<Console>> for Posted {
    type Rejection = Response;

    async fn from_request(request: Request, console: &Arc<Console>) -> Result<Self, Response> {
        let (head, body) = request.into_parts();
        let who = SignedIn::of(&head.headers, console).ok_or_else(|| Fault::Forged.into_response())?;
        let mut fields = read(Request::from_parts(head, body)).await.map_err(|fault| fault.page(who.frame()))?;
        let token = fields.text(TOKEN, 100).unwrap_or_default();
        if who.session.sent(&token, &console.keys) { Ok(Self(fields)) } else { Err(Fault::Forged.page(who.frame())) }
    }
}

/// Reads a form that came from our own pages, as far as the browser says.
pub(crate) async fn read(request: Request) -> Result<Fields, Fault> {
    if !is_from_here(request.headers()) {
        return Err(Fault::Forged);
    }
    let body = to_bytes(request.into_body(), FORM_LIMIT).await.map_err(|_| Fault::TooLarge)?;
    Ok(Fields::parse(&body))
}

/// Whether a browser says that the form comes from this very origin. One that says nothing is too old to say; its form
/// still needs its token.
fn is_from_here(headers: &HeaderMap) -> bool {
    if let Some(site) = headers.get(FETCH_SITE) {
        return site == "same-origin";
    }
    let Some(origin) = headers.get(header::ORIGIN) else { return true };
    let (origin, host) = (origin.to_str().unwrap_or_default(), headers.get(header::HOST));
    let host_of_origin = origin.split_once("://").map(|(_, host)| host);
    host_of_origin.is_some() && host_of_origin == host.and_then(|host| host.to_str().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    #[test]
    fn a_form_of_another_site_is_told_from_ours() {
        for ours in [
            &[("sec-fetch-site", "same-origin")][..],
            &[("origin", "http://console.example:8084"), ("host", "console.example:8084")],
            &[("host", "console.example")],
        ] {
            assert!(is_from_here(&headers(ours)), "{ours:?}");
        }
        for theirs in [
            &[("sec-fetch-site", "cross-site")][..],
            &[("sec-fetch-site", "same-site")],
            &[("sec-fetch-site", "none")],
            &[("origin", "http://evil.example"), ("host", "console.example")],
            &[("origin", "http://console.example:1"), ("host", "console.example")],
            &[("origin", "null"), ("host", "console.example")],
            &[("origin", "null")],
        ] {
            assert!(!is_from_here(&headers(theirs)), "{theirs:?}");
        }
    }
}
