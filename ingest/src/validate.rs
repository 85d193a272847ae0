//! The rules of the fields (contract, section 3). One pass finds every violation and fills the call with every value
//! that could be read, so that the record of a refused call says what the merchant sent.

use schemas::Call;

use crate::request::{Attribution, Given, MetaCtwa, Part, Request};

mod currency;
mod field;
mod payload;
mod time;
mod violation;

pub(crate) use field::is_blank;
use field::{Findings, Text};
pub(crate) use payload::{CONTENT_TYPES, LONGEST_ORDER_ID, LONGEST_PRODUCT_ID};
pub(crate) use time::EARLIEST;
pub use violation::{FieldReason, Violation};

/// What can be reported.
pub(crate) const PURCHASE: &str = "Purchase";
pub(crate) const VIEW_CONTENT: &str = "ViewContent";
/// The longest texts, in UTF-8 bytes.
pub(crate) const LONGEST_TRACKING_ID: usize = 512;
pub(crate) const LONGEST_SENDOUT_ID: usize = 256;
pub(crate) const LONGEST_CLICK_ID: usize = 1024;
pub(crate) const LONGEST_AD_ID: usize = 128;

/// Checks every field of a request and fills `call`, whose `received_at` stands for an event time that was not given.
/// The request is valid where no violation is returned.
pub fn validate(request: &Request<'_>, call: &mut Call) -> Vec<Violation> {
    let mut findings = Findings::default();
    let tracking_id = Text::upto(LONGEST_TRACKING_ID);
    call.cnct_tracking_id = findings.required("cnct_tracking_id", request.cnct_tracking_id, tracking_id);
    call.event_name = event_name(request.event_name, &mut findings);
    call.sendout_id = findings.required("sendout_id", request.sendout_id, Text::upto(LONGEST_SENDOUT_ID));
    attribution(&request.attribution, call, &mut findings);
    payload::check(&request.payload, call, &mut findings);
    findings.violations
}

/// Where the name is missing or unsupported, the payload is still held to every rule that does not depend on it.
fn event_name(given: Given<'_>, findings: &mut Findings) -> String {
    let Some(name) = findings.present("event_name", given) else { return String::new() };
    if name != PURCHASE && name != VIEW_CONTENT {
        findings.add("event_name", FieldReason::UnsupportedEventName, "must be `Purchase` or `ViewContent`");
    }
    name
}

/// Whatever of it is missing shows as violations of its two leaves.
fn attribution(given: &Part<Attribution<'_>>, call: &mut Call, findings: &mut Findings) {
    let click = match given {
        Part::Absent => &Part::Absent,
        Part::Other => return findings.wrong_type("attribution", "an object"),
        Part::Object(attribution) => &attribution.meta_ctwa,
    };
    let nothing = MetaCtwa { ctwa_clid: None, ad_id: None };
    let click = match click {
        Part::Absent => &nothing,
        Part::Other => return findings.wrong_type("attribution.meta_ctwa", "an object"),
        Part::Object(click) => click,
    };
    let click_id = Text::upto(LONGEST_CLICK_ID);
    call.ctwa_clid = findings.required("attribution.meta_ctwa.ctwa_clid", click.ctwa_clid, click_id);
    call.ad_id = findings.required("attribution.meta_ctwa.ad_id", click.ad_id, Text::upto(LONGEST_AD_ID));
}

#[cfg(test)]
mod tests;
