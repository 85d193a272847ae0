//! What a body says, before any rule of a field is applied: the parts that we know, each as its JSON text.
//!
//! Leaves stay raw so that validation can name every fault at once, read numbers exactly from their digits, and fill
//! the record of a refused call with whatever else was readable.

use serde::Deserialize;
use serde_json::value::RawValue;

mod depth;
mod part;

pub use part::{List, MAX_ITEMS, Part};

/// Nesting that is still read; the body's own object is the first level.
pub const MAX_DEPTH: usize = 128;

/// A field as given: its JSON text; `None` where it is absent or `null`.
pub type Given<'b> = Option<&'b RawValue>;

/// A body that is a JSON object. Unknown keys are ignored.
#[derive(Debug, Deserialize)]
pub struct Request<'b> {
    /// From the landing URL.
    #[serde(borrow)]
    pub cnct_tracking_id: Given<'b>,
    /// Meta's event name.
    #[serde(borrow)]
    pub event_name: Given<'b>,
    /// From the landing URL.
    #[serde(borrow)]
    pub sendout_id: Given<'b>,
    /// The click.
    #[serde(borrow, default)]
    pub attribution: Part<Attribution<'b>>,
    /// The detail.
    #[serde(borrow, default)]
    pub payload: Part<Payload<'b>>,
}

/// `attribution`.
#[derive(Debug, Deserialize)]
pub struct Attribution<'b> {
    /// The only kind of click there is.
    #[serde(borrow, default)]
    pub meta_ctwa: Part<MetaCtwa<'b>>,
}

/// `attribution.meta_ctwa`.
#[derive(Debug, Deserialize)]
pub struct MetaCtwa<'b> {
    /// The click's id.
    #[serde(borrow)]
    pub ctwa_clid: Given<'b>,
    /// The ad's id.
    #[serde(borrow)]
    pub ad_id: Given<'b>,
}

/// `payload`.
#[derive(Debug, Deserialize)]
pub struct Payload<'b> {
    /// ISO 4217.
    #[serde(borrow)]
    pub currency: Given<'b>,
    /// Order value.
    #[serde(borrow)]
    pub value: Given<'b>,
    /// The merchant's order reference.
    #[serde(borrow)]
    pub order_id: Given<'b>,
    /// `product` or `product_group`.
    #[serde(borrow)]
    pub content_type: Given<'b>,
    /// Product ids.
    #[serde(borrow, default)]
    pub content_ids: List<Given<'b>>,
    /// Cart size.
    #[serde(borrow)]
    pub num_items: Given<'b>,
    /// The order's lines.
    #[serde(borrow, default)]
    pub contents: List<Part<Line<'b>>>,
    /// Unix seconds of the conversion.
    #[serde(borrow)]
    pub event_time: Given<'b>,
}

/// An element of `payload.contents`.
#[derive(Debug, Deserialize)]
pub struct Line<'b> {
    /// Product id.
    #[serde(borrow)]
    pub id: Given<'b>,
    /// Units.
    #[serde(borrow)]
    pub quantity: Given<'b>,
    /// Price of one unit.
    #[serde(borrow)]
    pub item_price: Given<'b>,
}

/// Why a body cannot be read as a request at all. The text is the answer's message.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// A `Content-Encoding` other than none.
    #[error("Content-Encoding is not supported: send the JSON as it is")]
    Encoded,
    /// The connection ended, or the time for the body ran out.
    #[error("The body did not arrive whole: {0}")]
    Incomplete(&'static str),
    /// No byte but white space.
    #[error("The body is empty: send a JSON object")]
    Empty,
    /// Not UTF-8, from the given byte on.
    #[error("The body is not valid UTF-8, from byte {0} on")]
    NotUtf8(usize),
    /// Over [`MAX_DEPTH`].
    #[error("The body nests deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// JSON, but of another kind, or something that does not begin like an object.
    #[error("The body must be a JSON object")]
    NotAnObject,
    /// No JSON, or a key that we know more than once.
    #[error("The body is not readable as JSON: {0}")]
    Syntax(String),
}

impl<'b> Request<'b> {
    /// Reads a body.
    ///
    /// # Errors
    /// Where it is not one JSON object with at most one of each key that we know, at every level that we know.
    pub fn read(body: &'b [u8]) -> Result<Self, Malformed> {
        let text = std::str::from_utf8(body).map_err(|fault| Malformed::NotUtf8(fault.valid_up_to()))?;
        // The white space of RFC 8259; Rust's own notion is wider.
        let object = text.trim_start_matches([' ', '\t', '\r', '\n']);
        if object.is_empty() {
            return Err(Malformed::Empty);
        }
        if !object.starts_with('{') {
            return Err(Malformed::NotAnObject);
        }
        // Skipping over a value does not recurse, so serde_json's own limit would not see a deep unknown field.
        if depth::exceeds(object.as_bytes(), MAX_DEPTH) {
            return Err(Malformed::TooDeep);
        }
        serde_json::from_str(text).map_err(|fault| Malformed::Syntax(fault.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(body: &[u8]) -> Malformed {
        Request::read(body).expect_err("refused")
    }

    fn syntax(body: &str) -> String {
        match refused(body.as_bytes()) {
            Malformed::Syntax(text) => text,
            other => panic!("{other:?} for {body}"),
        }
    }

    #[test]
    fn known_parts_stay_as_they_were_written() {
        let body = br#" { "cnct_tracking_id": "\u0041", "payload": {"value": 1.10e1, "contents": [{"id": 7}, 5, null]}, "x": [1] }"#;
        let request = Request::read(body).unwrap();
        assert_eq!(request.cnct_tracking_id.unwrap().get(), r#""\u0041""#);
        let Part::Object(payload) = request.payload else { panic!("{:?}", request.payload) };
        assert_eq!(payload.value.unwrap().get(), "1.10e1");
        let List::Items { kept, count: 3 } = payload.contents else { panic!("{:?}", payload.contents) };
        assert!(matches!(kept.as_slice(), [Part::Object(_), Part::Other, Part::Absent]), "{kept:?}");
    }

    #[test]
    fn null_is_absent_and_another_kind_is_told_apart() {
        let request = Request::read(br#"{"sendout_id": null, "attribution": null, "payload": []}"#).unwrap();
        assert!(request.sendout_id.is_none());
        assert!(matches!(request.attribution, Part::Absent));
        assert!(matches!(request.payload, Part::Other));
    }

    #[test]
    fn what_is_no_object_is_malformed() {
        assert_eq!(refused(b""), Malformed::Empty);
        assert_eq!(refused(b" \r\n\t"), Malformed::Empty);
        assert_eq!(refused(b"{\"a\":\"\xff\"}"), Malformed::NotUtf8(6));
        for other in ["[]", "1", "\"{}\"", "null", "\u{feff}{}", "\u{a0}{}", "true", "}"] {
            assert_eq!(refused(other.as_bytes()), Malformed::NotAnObject, "{other}");
        }
        for broken in
            ["{", "{}{}", "{} x", "{'a':1}", "{\"a\":1,}", "{\"a\":\"\n\"}", "{\"a\":01}", "{\"a\":NaN}", "{1:2}"]
        {
            syntax(broken);
        }
    }

    #[test]
    fn a_repeated_key_that_we_know_is_malformed_at_every_level() {
        let bodies = [
            r#"{"payload":{},"payload":{}}"#,
            r#"{"payload":null,"payload":{}}"#,
            r#"{"attribution":{"meta_ctwa":{},"meta_ctwa":{}}}"#,
            r#"{"attribution":{"meta_ctwa":{"ad_id":"1","ad_id":"1"}}}"#,
            r#"{"payload":{"value":1,"v\u0061lue":2}}"#,
            r#"{"payload":{"contents":[{"id":"a","id":"b"}]}}"#,
        ];
        for body in bodies {
            assert!(syntax(body).contains("duplicate field"), "{body}");
        }
        assert!(
            Request::read(br#"{"x":1,"x":2,"y":{"payload":1,"payload":2},"payload":{"ad_id":1,"ad_id":2}}"#).is_ok()
        );
    }

    #[test]
    fn nesting_is_read_up_to_the_limit() {
        let nested = |levels: usize| format!(r#"{{"x":{}{}}}"#, "[".repeat(levels - 1), "]".repeat(levels - 1));
        assert!(Request::read(nested(MAX_DEPTH).as_bytes()).is_ok());
        assert_eq!(refused(nested(MAX_DEPTH + 1).as_bytes()), Malformed::TooDeep);
        let brackets_in_text = format!(r#"{{"x":"\"{}"}}"#, "[".repeat(500));
        assert!(Request::read(brackets_in_text.as_bytes()).is_ok());
    }
}
