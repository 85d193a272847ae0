//! API keys: made, shown once, revoked.

use std::sync::Arc;

use askama::Template;
use axum::{
    extract::{RawPathParams, State},
    http::StatusCode,
    response::Response,
};
use directory::keys::NewKey;
use time::{Date, Duration};

use super::show::{Shown, show};
use crate::{
    console::{Console, now},
    fault::Fault,
    fields::Fields,
    frame::{Frame, Section},
    page,
    posted::Posted,
    tenant::Business,
    when::{Moment, day_field, parse_day},
};

/// Names and scopes are shorter.
const LONGEST: usize = 256;

/// What stands in the form of a new key.
#[derive(Default)]
pub(super) struct KeyForm {
    pub(super) name: String,
    pub(super) scopes: String,
    pub(super) expires: String,
}

#[derive(Template)]
#[template(path = "new_key.html")]
struct NewKeyPage<'k> {
    frame: Frame,
    url: String,
    name: String,
    /// Shown here and nowhere else.
    plaintext: &'k str,
    expires: Option<Moment>,
    is_scoped: bool,
}

/// Makes a key, and shows its plaintext in this very answer: it is kept nowhere, so that no other page has it.
pub(crate) async fn create(
    State(console): State<Arc<Console>>,
    business: Business,
    Posted(mut fields): Posted,
) -> Response {
    let (form, scopes, expires_at) = read(&mut fields);
    if !fields.complaints().is_empty() {
        let complaints = fields.complaints().to_vec();
        return show(&console, &business, Shown { complaints, key_form: form, ..Shown::of(&business) }).await;
    }
    let mut new = NewKey::generate(&form.name, now());
    (new.key.scopes, new.key.expires_at) = (scopes, expires_at);
    if let Err(error) = console.store.create_key(business.id(), &new).await {
        return Fault::from(error).page(business.frame(Section::Settings));
    }
    tracing::info!(user = %business.who().user.name, business_id = %business.id(), key_id = new.key.key_id, "key created");
    let page = NewKeyPage {
        frame: business.frame(Section::Settings),
        url: business.url(),
        name: form.name,
        plaintext: &new.plaintext,
        expires: expires_at.map(Moment::of),
        is_scoped: !new.key.scopes.is_empty(),
    };
    page::shown(StatusCode::CREATED, &page)
}

/// Revokes a key, for good.
pub(crate) async fn revoke(
    State(console): State<Arc<Console>>,
    business: Business,
    parameters: RawPathParams,
    Posted(_): Posted,
) -> Response {
    let key_id = parameters.iter().find(|(name, _)| *name == "key_id").map_or("", |(_, value)| value);
    if business.entry().key(key_id).is_none() {
        return Fault::NotFound.page(business.frame(Section::Settings));
    }
    match console.store.revoke_key(business.id(), key_id, now()).await {
        Ok(_) => {
            tracing::info!(user = %business.who().user.name, business_id = %business.id(), key_id, "key revoked");
            page::see(&format!("{}/settings?done=key-revoked#keys", business.url()))
        }
        Err(error) => Fault::from(error).page(business.frame(Section::Settings)),
    }
}

fn read(fields: &mut Fields) -> (KeyForm, Vec<String>, Option<i64>) {
    let name = fields.trimmed("name", LONGEST);
    if name.is_none() && fields.complaints().is_empty() {
        fields.complain("name", "is missing: by it you will know the key");
    }
    let scopes = fields.trimmed("scopes", LONGEST).unwrap_or_default();
    let day = fields.read("expires", "a day", parse_day);
    let expires_at = day.map(end_of);
    if expires_at.is_some_and(|expiry| expiry <= now()) {
        fields.complain("expires", "is over already: choose a day to come, or none");
    }
    let form = KeyForm { name: name.unwrap_or_default(), scopes, expires: day.map(day_field).unwrap_or_default() };
    let listed = form.scopes.split([',', ' ']).filter(|scope| !scope.is_empty()).map(str::to_owned).collect();
    (form, listed, expires_at)
}

/// A key that expires on a day is good for all of it.
fn end_of(day: Date) -> i64 {
    let end = day.checked_add(Duration::DAY).unwrap_or(day);
    end.midnight().assume_utc().unix_timestamp() * 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(form: &str) -> Vec<&'static str> {
        let mut fields = Fields::parse(form.as_bytes());
        read(&mut fields);
        fields.complaints().iter().map(|complaint| complaint.field).collect()
    }

    #[test]
    fn a_form_is_read_or_told_what_is_wrong() {
        let mut fields = Fields::parse(b"name=backend&scopes=a,+b+c&expires=2199-12-31");
        let (form, scopes, expires_at) = read(&mut fields);
        assert_eq!((form.name.as_str(), scopes), ("backend", vec!["a".to_owned(), "b".into(), "c".into()]));
        assert_eq!(Moment::of(expires_at.unwrap()).field(), "2200-01-01T00:00:00");
        assert_eq!(told("name=x"), Vec::<&str>::new());
        for (form, field) in [
            ("", "name"),
            ("name=+", "name"),
            ("name=a%0Ab", "name"),
            ("name=x&expires=2020-01-01", "expires"),
            ("name=x&expires=never", "expires"),
        ] {
            assert_eq!(told(form), [field], "{form}");
        }
    }
}
