//! A rejected call as ClickHouse has it, and the event it was.

use clickhouse::Row;
use schemas::{Call, ConversionEvent, Lane, LineItem, Micros};
use serde::Deserialize;
use uuid::Uuid;

/// The columns that a replay reads, in the order of [`Rejected`]; the last one, `body`, is the filter's to add.
pub(crate) const COLUMNS: &str = "call_id, received_at, business_id, api_key_id, reason, event_name, event_time, \
     cnct_tracking_id, sendout_id, ctwa_clid, ad_id, currency, value, order_id, content_type, content_ids, num_items, \
     `contents.id` AS item_ids, `contents.quantity` AS item_quantities, `contents.item_price` AS item_prices, meta_code, \
     meta_error_subcode, lane, release";

/// The row of a rejected call.
#[derive(Clone, Debug, Row, Deserialize)]
pub(crate) struct Rejected {
    #[serde(with = "clickhouse::serde::uuid")]
    pub(crate) call_id: Uuid,
    /// Unix milliseconds.
    received_at: i64,
    business_id: String,
    api_key_id: String,
    pub(crate) reason: String,
    event_name: String,
    /// Unix seconds.
    pub(crate) event_time: Option<u32>,
    cnct_tracking_id: String,
    sendout_id: String,
    ctwa_clid: String,
    ad_id: String,
    currency: String,
    /// Millionths, as `Decimal(38, 6)` travels.
    value: Option<i128>,
    order_id: String,
    content_type: String,
    content_ids: Vec<String>,
    num_items: Option<i32>,
    item_ids: Vec<String>,
    item_quantities: Vec<Option<i32>>,
    item_prices: Vec<Option<i128>>,
    pub(crate) meta_code: Option<i32>,
    pub(crate) meta_error_subcode: Option<i32>,
    lane: String,
    release: String,
    #[serde(with = "serde_bytes")]
    body: Vec<u8>,
}

/// A row that no event can have left: not of this pipeline's making.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("call {call_id} has no usable {column}")]
pub(crate) struct NotAnEvent {
    call_id: Uuid,
    column: &'static str,
}

impl Rejected {
    /// The event, as it was before it was first tried: the same call, time and lane.
    pub(crate) fn into_event(self) -> Result<ConversionEvent, NotAnEvent> {
        let wrong = |column| NotAnEvent { call_id: self.call_id, column };
        let lane = match self.lane.as_str() {
            "live" => Lane::Live,
            "backfill" => Lane::Backfill,
            _ => return Err(wrong("lane")),
        };
        let event_time = self.event_time.ok_or_else(|| wrong("event_time"))?;
        let value = amount(self.value).ok_or_else(|| wrong("value"))?;
        let contents = self.contents().ok_or_else(|| wrong("contents"))?;
        let call = Call {
            call_id: self.call_id.into(),
            received_at: self.received_at,
            business_id: self.business_id,
            api_key_id: self.api_key_id,
            event_name: self.event_name,
            event_time: Some(event_time.into()),
            cnct_tracking_id: self.cnct_tracking_id,
            sendout_id: self.sendout_id,
            ctwa_clid: self.ctwa_clid,
            ad_id: self.ad_id,
            currency: self.currency,
            value,
            order_id: self.order_id,
            content_type: self.content_type,
            content_ids: self.content_ids,
            num_items: self.num_items,
            contents,
            body: self.body.into(),
            release: self.release,
        };
        Ok(ConversionEvent { call, lane, progress: None })
    }

    /// The order's lines; `None` where the three columns do not belong together.
    fn contents(&self) -> Option<Vec<LineItem>> {
        let count = self.item_ids.len();
        if self.item_quantities.len() != count || self.item_prices.len() != count {
            return None;
        }
        let lines = self.item_ids.iter().zip(&self.item_quantities).zip(&self.item_prices);
        lines
            .map(|((id, quantity), price)| {
                Some(LineItem { id: id.clone(), quantity: *quantity, item_price: amount(*price)? })
            })
            .collect()
    }
}

/// An amount, absent or not; `None` where it is out of range.
#[expect(clippy::option_option, reason = "absent and out of range are two things")]
fn amount(millionths: Option<i128>) -> Option<Option<Micros>> {
    millionths.map_or(Some(None), |millionths| i64::try_from(millionths).ok().and_then(Micros::new).map(Some))
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::{collection::vec, option, prelude::*};
    use recorder::row::CallRow;
    use schemas::{CallRecord, ConversionStatus, Message as _, Outcome, WriteSchemas, call::BODY_KEPT};
    use serde_json::Value;

    use super::*;

    /// The columns of a row as the recorder writes them, read as a replay reads them.
    fn read_back(written: &CallRow) -> Rejected {
        let Value::Object(mut columns) = serde_json::to_value(written).unwrap() else { panic!("a row has columns") };
        for (written, read) in [("id", "item_ids"), ("quantity", "item_quantities"), ("item_price", "item_prices")] {
            columns.insert(read.into(), columns[&format!("contents.{written}")].clone());
        }
        // From text: a UUID is borrowed from what it is read from.
        serde_json::from_str(&Value::from(columns).to_string()).unwrap()
    }

    fn an_amount() -> impl Strategy<Value = Option<Micros>> {
        option::of((0..=Micros::MAX.millionths()).prop_map(|millionths| Micros::new(millionths).unwrap()))
    }

    fn lines() -> impl Strategy<Value = Vec<LineItem>> {
        let line = (".{0,9}", any::<Option<i32>>(), an_amount());
        vec(line.prop_map(|(id, quantity, item_price)| LineItem { id, quantity, item_price }), 0..5)
    }

    /// Any event that ingest lets in: it has a time, and its body is cut.
    fn an_event() -> impl Strategy<Value = ConversionEvent> {
        let ids = (any::<u128>(), 0..4_000_000_000_000_i64, 0..=u32::MAX, any::<bool>());
        let texts = vec(".{0,9}", 11);
        let body = prop_oneof![vec(any::<u8>(), 0..40), Just(vec![b'"'; BODY_KEPT])];
        let rest = (an_amount(), vec(".{0,9}", 0..4), any::<Option<i32>>(), lines(), body);
        (ids, texts, rest).prop_map(|((id, received_at, event_time, live), texts, rest)| {
            let mut texts = texts.into_iter();
            let mut text = || texts.next().unwrap();
            let (value, content_ids, num_items, contents, body) = rest;
            let call = Call {
                call_id: Uuid::from_u128(id).into(),
                received_at,
                business_id: text(),
                api_key_id: text(),
                event_name: text(),
                event_time: Some(event_time.into()),
                cnct_tracking_id: text(),
                sendout_id: text(),
                ctwa_clid: text(),
                ad_id: text(),
                currency: text(),
                value,
                order_id: text(),
                content_type: text(),
                content_ids,
                num_items,
                contents,
                body: body.into(),
                release: text(),
            };
            ConversionEvent { call, lane: if live { Lane::Live } else { Lane::Backfill }, progress: None }
        })
    }

    proptest! {
        /// Whatever a call lacks, and wherever its body was cut, it is replayed as the event it was.
        #[test]
        fn an_event_that_became_a_row_becomes_the_same_event(event in an_event()) {
            let outcome = Outcome::new(400, ConversionStatus::Rejected);
            let record = CallRecord { call: event.call.clone(), lane: Some(event.lane), outcome, rests_on: 7 };
            let replayed = read_back(&CallRow::new(record, 0)).into_event();
            prop_assert_eq!(replayed.as_ref(), Ok(&event));
            // And what travels is what is read. The version before the newest has no release.
            WriteSchemas::Newest.settle();
            let sent = ConversionEvent::decode(&event.encode()).unwrap();
            prop_assert_eq!(sent, event);
        }
    }

    pub(crate) fn row() -> Rejected {
        Rejected {
            call_id: Uuid::from_u128(7),
            received_at: 1_800_000_000_123,
            business_id: "6f1c1b1e-0d6c-4b7e-9a44-0a4f6f0b7f10".into(),
            api_key_id: "key".into(),
            reason: "META_REJECTED".into(),
            event_name: "Purchase".into(),
            event_time: Some(1_800_000_000),
            cnct_tracking_id: "t".into(),
            sendout_id: "s".into(),
            ctwa_clid: "c".into(),
            ad_id: "a".into(),
            currency: "USD".into(),
            value: Some(99_970_000),
            order_id: "ORD-1".into(),
            content_type: "product".into(),
            content_ids: vec!["x".into()],
            num_items: Some(2),
            item_ids: vec!["x".into(), "y".into()],
            item_quantities: vec![Some(1), None],
            item_prices: vec![None, Some(1_500_000)],
            meta_code: Some(190),
            meta_error_subcode: None,
            lane: "live".into(),
            release: "1.2.3".into(),
            body: b"{\xff}".to_vec(),
        }
    }

    #[test]
    fn a_row_becomes_the_event_it_was() {
        let event = row().into_event().unwrap();
        assert_eq!((event.lane, event.progress.is_none()), (Lane::Live, true));
        assert_eq!(event.order_key().as_str(), "6f1c1b1e-0d6c-4b7e-9a44-0a4f6f0b7f10:Purchase:ORD-1");
        let call = event.call;
        assert_eq!((call.call_id.uuid(), call.received_at), (Uuid::from_u128(7), 1_800_000_000_123));
        assert_eq!((call.event_time, call.value), (Some(1_800_000_000), Micros::new(99_970_000)));
        let line = |id: &str, quantity, price: Option<i64>| LineItem {
            id: id.into(),
            quantity,
            item_price: price.and_then(Micros::new),
        };
        assert_eq!(call.contents, [line("x", Some(1), None), line("y", None, Some(1_500_000))]);
        assert_eq!((&call.body[..], call.release.as_str()), (b"{\xff}".as_slice(), "1.2.3"));
    }

    #[test]
    fn a_row_of_no_event_is_refused() {
        type Break = fn(&mut Rejected);
        let broken: [(Break, &str); 4] = [
            (|row| row.event_time = None, "event_time"),
            (|row| row.lane = String::new(), "lane"),
            (|row| row.value = Some(-1), "value"),
            (|row| row.item_prices.truncate(1), "contents"),
        ];
        for (breaks, column) in broken {
            let mut row = row();
            breaks(&mut row);
            let fault = row.into_event().unwrap_err().to_string();
            assert!(fault.ends_with(column), "{fault}");
        }
    }
}
