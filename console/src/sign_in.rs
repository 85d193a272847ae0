//! The door: name and password become a session, and signing out ends it.

use std::{net::IpAddr, sync::Arc, time::Duration};

use askama::Template;
use axum::{
    Extension,
    extract::{RawQuery, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use directory::{SecretKeys, SessionId, UserName, users};
use tokio::{sync::Semaphore, task::spawn_blocking};
use worker::server::Peer;

use crate::{
    attempts::{Attempts, network},
    console::{Console, now},
    fault::Fault,
    fields::Fields,
    frame::Frame,
    metrics::{self, SignIn},
    page,
    posted::{self, Posted, TOKEN},
    session::{Session, SignedIn, cookie, cookie_of, is_tls},
};

/// Within [`WINDOW`], so many attempts from one address, which a household or an office may share.
const OF_ADDRESS: u32 = 30;
/// And so many at one name: fewer, for they come from wherever the attacker likes. Whoever has the name waits as well;
/// that is the price of not being guessed.
const OF_NAME: u32 = 15;
const WINDOW: Duration = Duration::from_mins(15);
/// Passwords that are compared at once: each takes a processor for tens of milliseconds, and 19 MiB.
const AT_ONCE: usize = 2;
/// Names and passwords are shorter.
const LONGEST: usize = 1024;
/// Binds the form to the browser that it was shown to, before there is a session.
const VISIT: &str = "capi_visit";
const VISIT_LIFE: i64 = 3600;
const PURPOSE: &str = "console sign-in form";

/// Who tried how often, and how many passwords are compared at once.
pub(crate) struct Door {
    addresses: Attempts<IpAddr>,
    names: Attempts<String>,
    comparing: Semaphore,
}

impl Default for Door {
    fn default() -> Self {
        let (addresses, names) = (Attempts::new(OF_ADDRESS, WINDOW), Attempts::new(OF_NAME, WINDOW));
        Self { addresses, names, comparing: Semaphore::new(AT_ONCE) }
    }
}

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage<'a> {
    frame: Frame,
    name: &'a str,
    /// Where the user wanted to go.
    to: &'a str,
    form_token: String,
    fault: Option<String>,
}

/// The form.
pub(crate) async fn form(State(console): State<Arc<Console>>, headers: HeaderMap, query: RawQuery) -> Response {
    let mut fields = Fields::parse(query.0.unwrap_or_default().as_bytes());
    let to = local(fields.text("to", LONGEST));
    if SignedIn::of(&headers, &console).is_some() {
        return page::see(&to);
    }
    show(&console.keys, &headers, StatusCode::OK, "", &to, None)
}

/// The form, sent.
pub(crate) async fn sign_in(
    State(console): State<Arc<Console>>,
    Extension(Peer(peer)): Extension<Peer>,
    request: Request,
) -> Response {
    let headers = request.headers().clone();
    let mut fields = match posted::read(request).await {
        Ok(fields) => fields,
        Err(fault) => return fault.into_response(),
    };
    let to = local(fields.text("to", LONGEST));
    let name = fields.trimmed("name", LONGEST).unwrap_or_default().to_lowercase();
    let refused = |status, why: &str| show(&console.keys, &headers, status, &name, &to, Some(why.to_owned()));
    if !was_shown_here(&headers, &mut fields, &console.keys) {
        return refused(
            StatusCode::FORBIDDEN,
            "The form was open for too long, or cookies are off. Send it once more.",
        );
    }
    if !console.directory.is_ready() {
        return Fault::DirectoryAway.into_response();
    }
    let password = fields.text("password", LONGEST).unwrap_or_default();
    match check(&console, console.client(peer, &headers), &name, password).await {
        Ok(session) => {
            metrics::sign_in(SignIn::Done);
            tracing::info!(user = %session.user, session = %session.id, "signed in");
            with_cookie(page::see(&to), session.cookie(&console.keys, now(), is_tls(&headers)))
        }
        Err(Refused::TooOften(wait)) => {
            metrics::sign_in(SignIn::TooOften);
            let fault = Fault::TooOften(wait);
            let mut answer = refused(fault.status(), &fault.to_string());
            answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs() + 1));
            answer
        }
        Err(Refused::Wrong) => {
            metrics::sign_in(SignIn::Refused);
            refused(StatusCode::FORBIDDEN, "Name and password do not belong together.")
        }
    }
}

enum Refused {
    Wrong,
    TooOften(Duration),
}

/// An attempt counts before it is made, so that many at once are no more than one after another.
async fn check(console: &Console, client: IpAddr, name: &str, password: String) -> Result<Session, Refused> {
    let (door, network) = (&console.door, network(client));
    door.addresses.take(network).map_err(Refused::TooOften)?;
    door.names.take(name.to_owned()).map_err(Refused::TooOften)?;
    let user_name: Option<UserName> = name.parse().ok();
    let user = user_name.and_then(|name| console.directory.snapshot().user(&name).cloned());
    let _turn = door.comparing.acquire().await.map_err(|_| Refused::Wrong)?;
    // It takes as long for a name that nobody has.
    let compare = move || users::verify(&password, user.as_ref()).then_some(user).flatten();
    let user = spawn_blocking(compare).await.ok().flatten().ok_or(Refused::Wrong)?;
    door.addresses.give_back(&network);
    door.names.forget(&name.to_owned());
    Ok(Session::begin(&user, now(), console.terms.session_life))
}

/// Ends the session, everywhere and for good.
pub(crate) async fn sign_out(
    State(console): State<Arc<Console>>,
    who: SignedIn,
    headers: HeaderMap,
    Posted(_): Posted,
) -> Response {
    let (session, snapshot) = (&who.session, console.directory.snapshot());
    match console.store.end_session(&session.id, session.expires_at, &snapshot, now()).await {
        Ok(()) => {
            tracing::info!(user = %session.user, session = %session.id, "signed out");
            with_cookie(page::see("/sign-in"), Session::no_cookie(is_tls(&headers)))
        }
        // The cookie goes all the same: on this device the session is over.
        Err(error) => with_cookie(Fault::from(error).into_response(), Session::no_cookie(is_tls(&headers))),
    }
}

fn with_cookie(mut answer: Response, cookie: HeaderValue) -> Response {
    answer.headers_mut().append(header::SET_COOKIE, cookie);
    answer
}

fn show(
    keys: &SecretKeys,
    headers: &HeaderMap,
    status: StatusCode,
    name: &str,
    to: &str,
    fault: Option<String>,
) -> Response {
    let visit = cookie_of(headers, VISIT).filter(|visit| visit.parse::<SessionId>().is_ok()).map(str::to_owned);
    // As random as the id of a session, and nothing else.
    let visit = visit.unwrap_or_else(|| SessionId::generate().to_string());
    let form_token = BASE64_URL_SAFE_NO_PAD.encode(keys.sign(PURPOSE, visit.as_bytes()));
    let page = SignInPage { frame: Frame::default(), name, to, form_token, fault };
    with_cookie(page::shown(status, &page), cookie(VISIT, &visit, VISIT_LIFE, is_tls(headers)))
}

fn was_shown_here(headers: &HeaderMap, fields: &mut Fields, keys: &SecretKeys) -> bool {
    let token = fields.text(TOKEN, 100).and_then(|token| BASE64_URL_SAFE_NO_PAD.decode(token).ok());
    let (Some(visit), Some(token)) = (cookie_of(headers, VISIT), token) else { return false };
    keys.is_signed(PURPOSE, visit.as_bytes(), &token)
}

/// A path of this console, whatever was asked for: nobody is led elsewhere by a link to us.
fn local(to: Option<String>) -> String {
    let is_local = |to: &String| {
        to.starts_with('/') && !to.starts_with("//") && to.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
    };
    to.filter(is_local).unwrap_or_else(|| "/".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_led_elsewhere() {
        for here in ["/", "/businesses/x/calls?order=a%20b"] {
            assert_eq!(local(Some(here.into())), here);
        }
        for elsewhere in
            ["", "//evil.example", "/\\evil.example", "https://evil.example", "javascript:1", "/a\nb", "/ä"]
        {
            assert_eq!(local(Some(elsewhere.into())), "/", "{elsewhere}");
        }
        assert_eq!(local(None), "/");
    }
}
