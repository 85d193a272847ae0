//! The call that is sent: the endpoint page's example, each for an order of its own.

use std::sync::atomic::{AtomicU64, Ordering};

use e2e::{event, merchant::Merchant};
use ingest::call::fill;
use schemas::{Call, CallId, ConversionEvent, Lane};
use serde_json::Value;
use uuid::Uuid;

/// Digits of an order's number: all requests are of one length.
const DIGITS: usize = 12;
/// What stands in its place until it is known.
const PLACE: &str = "ORD-000000000000";

/// Numbers that no order of this run has had.
pub struct Numbers(AtomicU64);

impl Default for Numbers {
    fn default() -> Self {
        Self(AtomicU64::new(1))
    }
}

impl Numbers {
    /// The next one.
    pub fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }

    /// How many were given away.
    pub fn given(&self) -> u64 {
        self.0.load(Ordering::Relaxed) - 1
    }
}

/// A request whose bytes are ready but for the number of its order.
#[derive(Clone)]
pub struct Request {
    bytes: Vec<u8>,
    at: usize,
}

impl Request {
    /// A call of this merchant, with this line of its head besides: `Prefer: respond-async`.
    pub fn of(merchant: &Merchant, preference: &str) -> Self {
        let path = format!("/external/v1/businesses/{}/conversion_events", merchant.business);
        Self::to(&path, &format!("X-API-KEY: {}\r\n{preference}", merchant.key))
    }

    /// A call to any path, with whole lines of its head.
    pub fn to(path: &str, head: &str) -> Self {
        let body = body().to_string();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: {}\r\n{head}\r\n",
            body.len()
        );
        let at = head.len() + body.find(PLACE).unwrap_or_default() + PLACE.len() - DIGITS;
        Self { bytes: (head + &body).into_bytes(), at }
    }

    /// The bytes for the order of this number.
    pub fn numbered(&mut self, number: u64) -> &[u8] {
        let digits = format!("{number:0DIGITS$}");
        self.bytes[self.at..self.at + DIGITS].copy_from_slice(digits.as_bytes());
        &self.bytes
    }
}

/// The body for an order whose number is still to come.
pub fn body() -> Value {
    event::purchase(PLACE)
}

/// What ingest makes of a call of this business for the order of this number, with this click.
pub fn event(business: &str, key_id: &str, number: u64, click: &str) -> ConversionEvent {
    let body = event::with_click(click, &format!("ORD-{number:0DIGITS$}")).to_string().into_bytes();
    let mut call = Call::blank(CallId::now(), event::now() * 1000);
    // The body is the endpoint page's own example: it keeps every rule.
    let _ = fill(&body, &mut call);
    business.clone_into(&mut call.business_id);
    key_id.clone_into(&mut call.api_key_id);
    call.body = body.into();
    ConversionEvent { call, lane: Lane::Backfill, progress: None }
}

/// A click that nobody else had, as long as Meta's are.
pub fn click() -> String {
    format!("ARAk{}{}", Uuid::now_v7().simple(), Uuid::now_v7().simple())
}

#[cfg(test)]
mod tests {
    use schemas::Micros;

    use super::*;

    #[test]
    fn a_request_has_the_length_that_it_says_and_the_order_that_is_asked_for() {
        let mut request = Request::to("/there", "Prefer: respond-async\r\n");
        for number in [7, 123_456_789_012] {
            let text = String::from_utf8(request.numbered(number).to_vec()).unwrap();
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            assert!(head.starts_with("POST /there HTTP/1.1\r\n") && head.ends_with("Prefer: respond-async"), "{head}");
            assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{head}");
            let body: Value = serde_json::from_str(body).unwrap();
            assert_eq!(body["payload"]["order_id"], format!("ORD-{number:012}"));
        }
    }

    #[test]
    fn an_event_is_what_the_body_says() {
        let event = event("shop", "key", 7, "click");
        let body: Value = serde_json::from_slice(&event.call.body).unwrap();
        assert_eq!(body["payload"]["order_id"], event.call.order_id.as_str());
        assert_eq!(event.call.value.map(Micros::millionths), Some(99_970_000));
        assert_eq!(
            (event.call.ctwa_clid.as_str(), event.order_key().as_str()),
            ("click", "shop:Purchase:ORD-000000000007")
        );
    }
}
