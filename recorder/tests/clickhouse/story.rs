//! Calls as a merchant's day tells them: `purchase("A-1").at("2026-03-01 10:00:00").worth("USD", "9.99").forwarded()`.

use schemas::{Call, CallId, CallRecord, ConversionStatus, FailureStage, Lane, LineItem, Micros, Outcome, Reason};
use time::{PrimitiveDateTime, macros::format_description};
use uuid::Uuid;

/// The business of every call that names no other.
pub(crate) const BUSINESS: &str = "11111111-1111-4111-8111-111111111111";

/// A call that is being told.
#[derive(Clone)]
pub(crate) struct Story(Call);

/// A purchase of this order; `""` for none.
pub(crate) fn purchase(order_id: &str) -> Story {
    Story::new("Purchase", order_id).worth("USD", "1")
}

/// A look at a product.
pub(crate) fn view(order_id: &str) -> Story {
    Story::new("ViewContent", order_id)
}

impl Story {
    fn new(event_name: &str, order_id: &str) -> Self {
        let call = Call {
            business_id: BUSINESS.into(),
            event_name: event_name.into(),
            order_id: order_id.into(),
            ad_id: "ad".into(),
            sendout_id: "sendout".into(),
            ..Call::blank(CallId::now(), 0)
        };
        Self(call).at("2026-03-01 12:00:00")
    }

    /// When the call arrived, and what it reports happened (UTC).
    pub(crate) fn at(self, time: &str) -> Self {
        let received_at = unix(time) * 1000;
        Self(Call { received_at, ..self.0 }).happened(time)
    }

    /// When what it reports happened, if not on arrival.
    pub(crate) fn happened(self, time: &str) -> Self {
        Self(Call { event_time: Some(unix(time)), ..self.0 })
    }

    pub(crate) fn of(self, business_id: &str) -> Self {
        Self(Call { business_id: business_id.into(), ..self.0 })
    }

    pub(crate) fn ad(self, ad_id: &str) -> Self {
        Self(Call { ad_id: ad_id.into(), ..self.0 })
    }

    pub(crate) fn sendout(self, sendout_id: &str) -> Self {
        Self(Call { sendout_id: sendout_id.into(), ..self.0 })
    }

    pub(crate) fn worth(self, currency: &str, value: &str) -> Self {
        Self(Call { currency: currency.into(), value: Some(amount(value)), ..self.0 })
    }

    /// A line of the order.
    pub(crate) fn line(mut self, id: &str, quantity: Option<i32>, item_price: Option<&str>) -> Self {
        self.0.contents.push(LineItem { id: id.into(), quantity, item_price: item_price.map(amount) });
        self
    }

    /// The call so far, for columns that no method here names.
    pub(crate) fn call(self) -> Call {
        self.0
    }

    pub(crate) fn id(&self) -> Uuid {
        self.0.call_id.uuid()
    }

    pub(crate) fn forwarded(self) -> CallRecord {
        let outcome = Outcome { events_received: Some(1), ..Outcome::new(200, ConversionStatus::Forwarded) };
        self.ends(outcome)
    }

    pub(crate) fn duplicate_of(self, credited: Uuid) -> CallRecord {
        let duplicate_of = Some(CallId::from(credited));
        let outcome =
            Outcome { events_received: Some(0), duplicate_of, ..Outcome::new(200, ConversionStatus::Duplicate) };
        self.ends(outcome)
    }

    pub(crate) fn pending(self) -> CallRecord {
        self.ends(Outcome::new(200, ConversionStatus::Pending))
    }

    pub(crate) fn rejected(self, error: &str) -> CallRecord {
        self.ends(Outcome {
            failure_stage: Some(FailureStage::MetaForward),
            reason: Some(Reason::MetaRejected),
            error: error.into(),
            ..Outcome::new(400, ConversionStatus::Rejected)
        })
    }

    pub(crate) fn refused(self, failure_stage: FailureStage, error: &str) -> CallRecord {
        let outcome = Outcome::new(400, ConversionStatus::Refused);
        let record = self.ends(Outcome { failure_stage: Some(failure_stage), error: error.into(), ..outcome });
        CallRecord { lane: None, ..record }
    }

    fn ends(self, outcome: Outcome) -> CallRecord {
        CallRecord { call: self.0, lane: Some(Lane::Live), outcome, rests_on: 1 }
    }
}

fn amount(text: &str) -> Micros {
    Micros::from_json_number(text).unwrap()
}

fn unix(time: &str) -> i64 {
    let format = format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");
    PrimitiveDateTime::parse(time, format).unwrap().assume_utc().unix_timestamp()
}
