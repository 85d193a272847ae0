//! The envelope: valid calls and their channel as the JSON body that Meta takes, and nothing beyond it.
//!
//! `ad_id`, `cnct_tracking_id` and `sendout_id` have no place here: they never leave for Meta.

use std::fmt::{Display, Write as _};

use bytes::{BufMut as _, Bytes, BytesMut};
use schemas::{Call, LineItem};

/// Events in one request: Meta's limit.
pub const MAX_EVENTS: usize = 1000;

/// Bytes of one request's body. Meta publishes no limit; others cap at 1 MB.
pub const MAX_BYTES: usize = 1_000_000;

/// What all events of one request share beside the dataset: where two differ in it, they travel apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// `user_data.whatsapp_business_account_id` of every event.
    pub waba_id: String,
    /// Meta's `partner_agent`.
    pub partner_agent: Option<String>,
    /// Meta's `test_event_code`; such events count all the same.
    pub test_event_code: Option<String>,
}

/// A request's body while it is written.
pub struct Body<'e> {
    envelope: &'e Envelope,
    json: BytesMut,
    events: usize,
    tail: usize,
}

impl<'e> Body<'e> {
    /// An envelope without events, with room for about `events` of them.
    #[must_use]
    pub fn new(envelope: &'e Envelope, events: usize) -> Self {
        let mut json = BytesMut::with_capacity((events * 640).min(MAX_BYTES) + 256);
        json.put_slice(br#"{"data":["#);
        let tail = [&envelope.partner_agent, &envelope.test_event_code]
            .iter()
            .filter_map(|text| text.as_deref())
            .map(|text| text.len() * 2 + 32)
            .sum();
        Self { envelope, json, events: 0, tail }
    }

    /// Adds an event. False where the request is full: nothing of the event was written then. The first event always
    /// fits, for a valid call is far below the limit.
    pub fn push(&mut self, call: &Call) -> bool {
        if self.events == MAX_EVENTS {
            return false;
        }
        let before = self.json.len();
        if self.events > 0 {
            self.json.put_u8(b',');
        }
        write_event(&mut Json(&mut self.json), call, &self.envelope.waba_id);
        if self.events > 0 && self.json.len() + self.tail + 2 > MAX_BYTES {
            self.json.truncate(before);
            return false;
        }
        self.events += 1;
        true
    }

    /// Events written.
    pub fn events(&self) -> usize {
        self.events
    }

    /// The whole body.
    pub fn finish(mut self) -> Bytes {
        self.json.put_u8(b']');
        let mut json = Json(&mut self.json);
        for (name, text) in [
            (r#","partner_agent":"#, &self.envelope.partner_agent),
            (r#","test_event_code":"#, &self.envelope.test_event_code),
        ] {
            if let Some(text) = text {
                json.raw(name);
                json.text(text);
            }
        }
        json.raw("}");
        self.json.freeze()
    }
}

/// One element of `data`. Its members are those of Meta's "Conversions API for Business Messaging" page.
fn write_event(json: &mut Json<'_>, call: &Call, waba_id: &str) {
    json.raw(r#"{"event_name":"#);
    json.text(&call.event_name);
    if let Some(time) = call.event_time {
        json.raw(r#","event_time":"#);
        json.number(time);
    }
    json.raw(r#","event_id":"#);
    if call.order_id.is_empty() {
        json.quoted(call.call_id);
    } else {
        json.text(&call.order_id);
    }
    json.raw(r#","action_source":"business_messaging","messaging_channel":"whatsapp","user_data":{"ctwa_clid":"#);
    json.text(&call.ctwa_clid);
    json.raw(r#","whatsapp_business_account_id":"#);
    json.text(waba_id);
    json.raw("}");
    write_custom_data(json, call);
    json.raw("}");
}

/// `custom_data`: what was given, nothing else; no such member where nothing was given.
fn write_custom_data(json: &mut Json<'_>, call: &Call) {
    let mut members = Members { json, opening: r#","custom_data":{"#, written: false };
    members.text("currency", &call.currency);
    members.number("value", call.value);
    members.text("order_id", &call.order_id);
    members.text("content_type", &call.content_type);
    members.list("content_ids", &call.content_ids, |json, id| json.text(id));
    members.list("contents", &call.contents, write_item);
    members.number("num_items", call.num_items);
    if members.written {
        json.raw("}");
    }
}

fn write_item(json: &mut Json<'_>, item: &LineItem) {
    let mut members = Members { json, opening: "{", written: false };
    members.text("id", &item.id);
    members.number("quantity", item.quantity);
    members.number("item_price", item.item_price);
    let opened = members.written;
    json.raw(if opened { "}" } else { "{}" });
}

/// The members of an object that is opened by its first one.
struct Members<'j, 'b> {
    json: &'j mut Json<'b>,
    opening: &'static str,
    written: bool,
}

impl Members<'_, '_> {
    fn name(&mut self, name: &'static str) {
        self.json.raw(if self.written { "," } else { self.opening });
        self.written = true;
        self.json.quoted(name);
        self.json.raw(":");
    }

    fn text(&mut self, name: &'static str, text: &str) {
        if !text.is_empty() {
            self.name(name);
            self.json.text(text);
        }
    }

    fn number(&mut self, name: &'static str, number: Option<impl Display>) {
        if let Some(number) = number {
            self.name(name);
            self.json.number(number);
        }
    }

    fn list<T>(&mut self, name: &'static str, items: &[T], write: impl Fn(&mut Json<'_>, &T)) {
        if items.is_empty() {
            return;
        }
        self.name(name);
        for (at, item) in items.iter().enumerate() {
            self.json.raw(if at == 0 { "[" } else { "," });
            write(self.json, item);
        }
        self.json.raw("]");
    }
}

/// JSON written straight into a buffer. Amounts are written from their exact decimals, so that none passes through
/// binary floating point on its way (test `amounts_are_exact`).
struct Json<'b>(&'b mut BytesMut);

impl Json<'_> {
    fn raw(&mut self, json: &str) {
        self.0.put_slice(json.as_bytes());
    }

    /// Text that holds nothing to escape, in quotes.
    fn quoted(&mut self, text: impl Display) {
        self.0.put_u8(b'"');
        self.number(text);
        self.0.put_u8(b'"');
    }

    /// Writing to memory cannot fail.
    fn number(&mut self, number: impl Display) {
        let _ = write!(self.0, "{number}");
    }

    /// Any text, escaped as RFC 8259 asks: what Meta reads is the merchant's string byte for byte.
    fn text(&mut self, text: &str) {
        let _ = serde_json::to_writer(self.0.writer(), text);
    }
}

#[cfg(test)]
mod tests {
    use schemas::{CallId, Micros};
    use serde_json::{Value, json};

    use super::*;

    fn envelope() -> Envelope {
        Envelope { waba_id: "1029".into(), partner_agent: None, test_event_code: None }
    }

    fn call() -> Call {
        let mut call = Call::blank(CallId::now(), 0);
        call.event_name = "Purchase".into();
        call.event_time = Some(1_746_480_000);
        call.ctwa_clid = "ARA\"kx\\\u{e9}".into();
        call.ad_id = "ad-77".into();
        call.cnct_tracking_id = "track-77".into();
        call.sendout_id = "sendout-77".into();
        call
    }

    fn body(envelope: &Envelope, calls: &[Call]) -> (Bytes, usize) {
        let mut body = Body::new(envelope, calls.len());
        let fitted = calls.iter().take_while(|call| body.push(call)).count();
        assert_eq!(body.events(), fitted);
        (body.finish(), fitted)
    }

    fn parsed(envelope: &Envelope, calls: &[Call]) -> Value {
        serde_json::from_slice(&body(envelope, calls).0).unwrap()
    }

    #[test]
    fn a_full_purchase_has_exactly_meta_s_members() {
        let mut call = call();
        call.order_id = "ORD-7821".into();
        call.currency = "USD".into();
        call.value = Micros::from_json_number("99.97").ok();
        call.content_type = "product".into();
        call.content_ids = vec!["a".into(), "b".into()];
        call.num_items = Some(2);
        call.contents = vec![
            LineItem { id: "a".into(), quantity: Some(1), item_price: Micros::from_json_number("49.99").ok() },
            LineItem { id: "b".into(), quantity: None, item_price: None },
        ];
        let envelope =
            Envelope { partner_agent: Some("con\"nectly".into()), test_event_code: Some("TEST1".into()), ..envelope() };
        assert_eq!(
            parsed(&envelope, &[call]),
            json!({
                "data": [{
                    "event_name": "Purchase",
                    "event_time": 1_746_480_000,
                    "event_id": "ORD-7821",
                    "action_source": "business_messaging",
                    "messaging_channel": "whatsapp",
                    "user_data": { "ctwa_clid": "ARA\"kx\\\u{e9}", "whatsapp_business_account_id": "1029" },
                    "custom_data": {
                        "currency": "USD", "value": 99.97, "order_id": "ORD-7821", "content_type": "product",
                        "content_ids": ["a", "b"], "num_items": 2,
                        "contents": [{ "id": "a", "quantity": 1, "item_price": 49.99 }, { "id": "b" }],
                    },
                }],
                "partner_agent": "con\"nectly",
                "test_event_code": "TEST1",
            })
        );
    }

    #[test]
    fn what_was_not_given_is_absent() {
        let call = call();
        let id = call.call_id.to_string();
        let sent = parsed(&envelope(), &[call]);
        assert_eq!(sent.as_object().unwrap().len(), 1);
        let event = &sent["data"][0];
        assert_eq!(event["event_id"], json!(id));
        assert_eq!(event.get("custom_data"), None);
    }

    #[test]
    fn a_zero_is_given_and_an_absence_is_not() {
        let mut call = call();
        (call.value, call.num_items) = (Micros::new(0), Some(0));
        assert_eq!(parsed(&envelope(), &[call])["data"][0]["custom_data"], json!({ "value": 0, "num_items": 0 }));
    }

    #[test]
    fn amounts_are_exact() {
        let mut call = call();
        call.value = Micros::from_json_number("999999999999.999999").ok();
        let (json, _) = body(&envelope(), &[call]);
        assert!(String::from_utf8_lossy(&json).contains(r#""value":999999999999.999999}"#));
    }

    #[test]
    fn our_own_ids_stay_here() {
        let (json, _) = body(&envelope(), &[call()]);
        let json = String::from_utf8_lossy(&json);
        for ours in ["ad-77", "track-77", "sendout-77", "ad_id", "tracking", "sendout"] {
            assert!(!json.contains(ours), "{ours} left for Meta");
        }
    }

    #[test]
    fn a_request_is_bounded_in_events_and_in_bytes() {
        let small = vec![call(); MAX_EVENTS + 1];
        assert_eq!(body(&envelope(), &small).1, MAX_EVENTS);

        let mut large = call();
        large.content_ids = vec!["\"".repeat(256); 100];
        let (json, fitted) = body(&envelope(), &vec![large; 100]);
        assert!(json.len() <= MAX_BYTES, "{}", json.len());
        assert!(json.len() > MAX_BYTES - 60_000, "{}", json.len());
        let sent: Value = serde_json::from_slice(&json).unwrap();
        assert_eq!(sent["data"].as_array().unwrap().len(), fitted);
    }
}
