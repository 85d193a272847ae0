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
pub(crate) use payload::LONGEST_ORDER_ID;
pub use violation::{FieldReason, Violation};

/// What can be reported.
const PURCHASE: &str = "Purchase";
const VIEW_CONTENT: &str = "ViewContent";

/// Checks every field of a request and fills `call`, whose `received_at` stands for an event time that was not given.
/// The request is valid where no violation is returned.
pub fn validate(request: &Request<'_>, call: &mut Call) -> Vec<Violation> {
    let mut findings = Findings::default();
    call.cnct_tracking_id = findings.required("cnct_tracking_id", request.cnct_tracking_id, Text::upto(512));
    call.event_name = event_name(request.event_name, &mut findings);
    call.sendout_id = findings.required("sendout_id", request.sendout_id, Text::upto(256));
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
    call.ctwa_clid = findings.required("attribution.meta_ctwa.ctwa_clid", click.ctwa_clid, Text::upto(1024));
    call.ad_id = findings.required("attribution.meta_ctwa.ad_id", click.ad_id, Text::upto(128));
}

#[cfg(test)]
mod tests;
