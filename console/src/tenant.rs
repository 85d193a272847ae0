//! Who may see which business. This is the only place where that is decided, and there is no other way to a business: a
//! [`Business`] exists only for a user who may see it, and only a `Business` makes a [`Select`], which is about that
//! business alone. So no page and no query can be written that shows one merchant another's data.

mod select;

use std::sync::Arc;

use axum::{
    extract::{FromRequestParts, RawPathParams},
    http::request::Parts,
    response::Response,
};
use directory::{BusinessEntry, BusinessId, Snapshot};

pub(crate) use self::select::{Direction, Select, Value, View};
use crate::{
    console::Console,
    fault::Fault,
    frame::{Frame, Place, Section},
    session::SignedIn,
};

/// The parameter of a path that names a business.
const BUSINESS: &str = "business_id";

/// A business, for a user who may see it.
#[derive(Clone, Debug)]
pub(crate) struct Business {
    entry: Arc<BusinessEntry>,
    who: SignedIn,
    is_one_of_many: bool,
}

impl Business {
    /// The business with this id. An unknown one and one of others are the same: nobody finds out which ids there are.
    fn of(who: &SignedIn, id: &str, snapshot: &Snapshot) -> Option<Self> {
        let id = BusinessId::parse(id).filter(|id| who.user.may_see(*id))?;
        let entry = snapshot.business(&id.to_string())?;
        let is_one_of_many = visible(who, snapshot).nth(1).is_some();
        Some(Self { entry, who: who.clone(), is_one_of_many })
    }

    pub(crate) fn id(&self) -> BusinessId {
        self.entry.id
    }

    pub(crate) fn entry(&self) -> &BusinessEntry {
        &self.entry
    }

    pub(crate) fn who(&self) -> &SignedIn {
        &self.who
    }

    /// Where its pages begin.
    pub(crate) fn url(&self) -> String {
        format!("/businesses/{}", self.id())
    }

    /// The frame of a page about it.
    pub(crate) fn frame(&self, section: Section) -> Frame {
        let (id, name) = (self.id().to_string(), self.entry.name.clone());
        let place = Place { id, name, section, is_one_of_many: self.is_one_of_many };
        Frame { business: Some(place), ..self.who.frame() }
    }

    /// A question about its rows in a view, and nobody else's.
    pub(crate) fn select(&self, view: View, columns: impl Into<Vec<&'static str>>) -> Select {
        Select::of(&self.id().to_string(), view, columns.into())
    }
}

impl FromRequestParts<Arc<Console>> for Business {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, console: &Arc<Console>) -> Result<Self, Response> {
        let who = SignedIn::from_request_parts(parts, console).await?;
        let id = path_parameter(parts, BUSINESS).await;
        let found = Self::of(&who, &id, &console.directory.snapshot());
        found.ok_or_else(|| Fault::NotFound.page(who.frame()))
    }
}

/// A part of the path that matched; empty where the route has no such part.
pub(crate) async fn path_parameter(parts: &mut Parts, name: &str) -> String {
    let Ok(parameters) = RawPathParams::from_request_parts(parts, &()).await else { return String::new() };
    parameters.iter().find(|(known, _)| *known == name).map(|(_, value)| value.to_owned()).unwrap_or_default()
}

/// The businesses that somebody may see, in no order.
pub(crate) fn visible<'s>(who: &'s SignedIn, snapshot: &'s Snapshot) -> impl Iterator<Item = &'s Arc<BusinessEntry>> {
    snapshot.businesses().filter(|entry| who.user.may_see(entry.id))
}
