//! Who looks at a page: a session is a signed cookie, and nothing of it is kept here.
//!
//! It names the user, itself, when it ends, and since when the user's sessions hold (so that one that began with an old
//! password is over with it), under a signature that only this deployment can make. What
//! ends one before its time stands in the directory, so that every console knows of it within a second: the session
//! itself, all of its user's, or the user is gone.

use std::{fmt::Write as _, sync::Arc, time::Duration};

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, HeaderValue, Method, header, request::Parts},
    response::{IntoResponse, Response},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use directory::{SecretKeys, SessionId, Snapshot, User, UserName};

use crate::{
    console::{Console, now},
    fault::Fault,
    frame::{Frame, Person},
    page,
};

const COOKIE: &str = "capi_session";
/// What the signature is for.
const PURPOSE: &str = "console session";
const FORMS: &str = "console forms";

/// A session as its cookie tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Session {
    pub(crate) user: UserName,
    pub(crate) id: SessionId,
    /// The user's `sessions_from` when the password was compared.
    since: i64,
    /// Unix milliseconds.
    pub(crate) expires_at: i64,
}

impl Session {
    /// A session of a user whose password was right.
    pub(crate) fn begin(user: &User, now: i64, life: Duration) -> Self {
        let life = i64::try_from(life.as_millis()).unwrap_or(i64::MAX);
        let (name, id) = (user.name.clone(), SessionId::generate());
        Self { user: name, id, since: user.sessions_from, expires_at: now.saturating_add(life) }
    }

    /// What stands in the cookie. No user's name has a slash.
    fn seal(&self, keys: &SecretKeys) -> String {
        let mut text = format!("{}/{}/{}/{}", self.user, self.id, self.since, self.expires_at);
        let signature = BASE64_URL_SAFE_NO_PAD.encode(keys.sign(PURPOSE, text.as_bytes()));
        // Writing to a string cannot fail.
        let _ = write!(text, "/{signature}");
        text
    }

    /// The session of a cookie that was sealed here and has not expired.
    fn open(sealed: &str, keys: &SecretKeys, now: i64) -> Option<Self> {
        let (text, signature) = sealed.rsplit_once('/')?;
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).ok()?;
        if !keys.is_signed(PURPOSE, text.as_bytes(), &signature) {
            return None;
        }
        let mut parts = text.split('/');
        let (user, id) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let (since, expires_at) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        (now < expires_at).then_some(Self { user, id, since, expires_at })
    }

    /// The user, unless this session was ended or the user is gone.
    fn user<'s>(&self, snapshot: &'s Snapshot) -> Option<&'s User> {
        let user = snapshot.user(&self.user)?;
        (!snapshot.session_is_ended(&self.id, &self.user, self.since)).then_some(user)
    }

    /// The header that gives a browser this session.
    pub(crate) fn cookie(&self, keys: &SecretKeys, now: i64, is_tls: bool) -> HeaderValue {
        let life = (self.expires_at - now) / 1000;
        cookie(COOKIE, &self.seal(keys), life, is_tls)
    }

    /// The header that takes it away.
    pub(crate) fn no_cookie(is_tls: bool) -> HeaderValue {
        cookie(COOKIE, "", 0, is_tls)
    }

    /// Goes with every form of this session: a page of another origin can send a form, but not read this.
    pub(crate) fn form_token(&self, keys: &SecretKeys) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(keys.sign(FORMS, self.id.as_str().as_bytes()))
    }

    /// Whether a form came with the token of this session.
    pub(crate) fn sent(&self, token: &str, keys: &SecretKeys) -> bool {
        let token = BASE64_URL_SAFE_NO_PAD.decode(token);
        token.is_ok_and(|token| keys.is_signed(FORMS, self.id.as_str().as_bytes(), &token))
    }
}

/// A cookie that no script reads and no other site sends. `Secure` where TLS ends in front of us.
pub(crate) fn cookie(name: &str, value: &str, seconds: i64, is_tls: bool) -> HeaderValue {
    let secure = if is_tls { "; Secure" } else { "" };
    let text = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={seconds}{secure}");
    // Names, numbers and base64: there is nothing in it that a header could not hold.
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// The value of a cookie.
pub(crate) fn cookie_of<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut cookies = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    cookies.find(|(known, _)| *known == name).map(|(_, value)| value)
}

/// Whether the browser spoke TLS to what stands in front. A client that lies about it only keeps its own cookie to
/// itself.
pub(crate) fn is_tls(headers: &HeaderMap) -> bool {
    headers.get("x-forwarded-proto").is_some_and(|proto| proto.as_bytes().eq_ignore_ascii_case(b"https"))
}

/// Somebody who has signed in. A handler that takes this is not run for anybody else.
#[derive(Clone, Debug)]
pub(crate) struct SignedIn {
    pub(crate) user: User,
    pub(crate) session: Session,
    pub(crate) form_token: String,
}

impl SignedIn {
    pub(crate) fn of(headers: &HeaderMap, console: &Console) -> Option<Self> {
        let sealed = cookie_of(headers, COOKIE)?;
        let session = Session::open(sealed, &console.keys, now())?;
        let user = session.user(&console.directory.snapshot())?.clone();
        let form_token = session.form_token(&console.keys);
        Some(Self { user, session, form_token })
    }

    /// The frame of a page that is about no business.
    pub(crate) fn frame(&self) -> Frame {
        let (name, role) = (self.user.name.to_string(), self.user.role.as_str());
        Frame { person: Some(Person { name, role, form_token: self.form_token.clone() }), business: None }
    }
}

impl FromRequestParts<Arc<Console>> for SignedIn {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, console: &Arc<Console>) -> Result<Self, Response> {
        if !console.directory.is_ready() {
            return Err(Fault::DirectoryAway.into_response());
        }
        Self::of(&parts.headers, console).ok_or_else(|| to_the_door(parts))
    }
}

/// Where somebody signs in, and then comes back. A form is not sent again by that: its page is asked for.
fn to_the_door(parts: &Parts) -> Response {
    let asked = parts.uri.path_and_query().map_or("/", |asked| asked.as_str());
    let back = if parts.method == Method::GET { asked } else { "/" };
    let back: String = url::form_urlencoded::byte_serialize(back.as_bytes()).collect();
    page::see(&format!("/sign-in?to={back}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000_000;

    fn keys() -> SecretKeys {
        SecretKeys::new([1; 32], None)
    }

    fn session() -> Session {
        let (user, id) = ("ada@example.com".parse().unwrap(), SessionId::generate());
        Session { user, id, since: 5, expires_at: NOW + 3_600_000 }
    }

    #[test]
    fn a_cookie_tells_its_session_until_it_ends() {
        let sealed = session().seal(&keys());
        let opened = Session::open(&sealed, &keys(), NOW + 3_599_999).unwrap();
        assert_eq!((opened.user.to_string(), opened.expires_at), ("ada@example.com".into(), NOW + 3_600_000));
        assert_eq!(Session::open(&sealed, &keys(), NOW + 3_600_000), None);
    }

    #[test]
    fn no_altered_cookie_is_a_session() {
        let sealed = session().seal(&keys());
        for at in 0..sealed.len() {
            let mut altered = sealed.clone().into_bytes();
            altered[at] = if altered[at] == b'a' { b'b' } else { b'a' };
            let altered = String::from_utf8(altered).unwrap();
            assert_eq!(Session::open(&altered, &keys(), NOW), None, "byte {at}");
            assert_eq!(Session::open(&sealed[..at], &keys(), NOW), None, "cut at {at}");
        }
        assert_eq!(Session::open(&sealed, &SecretKeys::new([2; 32], None), NOW), None);
    }

    #[test]
    fn a_form_s_token_is_of_its_session() {
        let (one, other) = (session(), session());
        let token = one.form_token(&keys());
        assert!(one.sent(&token, &keys()));
        assert!(!other.sent(&token, &keys()) && !one.sent("", &keys()) && !one.sent("%", &keys()));
        // The session's own signature is none for forms.
        let sealed = one.seal(&keys());
        assert!(!one.sent(sealed.rsplit_once('/').unwrap().1, &keys()));
    }

    #[test]
    fn cookies_are_kept_from_scripts_and_other_sites() {
        let plain = session().cookie(&keys(), NOW, false);
        let text = plain.to_str().unwrap();
        assert!(text.contains("HttpOnly") && text.contains("SameSite=Lax") && text.contains("Max-Age=3600"), "{text}");
        assert!(
            !text.contains("Secure") && session().cookie(&keys(), NOW, true).to_str().unwrap().contains("; Secure")
        );
    }

    #[test]
    fn one_cookie_among_others_is_found() {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, "a=1; capi_session=x/y; b=2".parse().unwrap());
        assert_eq!(cookie_of(&headers, COOKIE), Some("x/y"));
        assert_eq!(cookie_of(&headers, "capi"), None);
    }
}
