//! Which calls are looked for.

use schemas::{CallId, ConversionStatus, FailureStage, Lane, Reason, call::ID_TIME_SLACK};

use super::cursor::Cursor;
use crate::{fields::Fields, tenant::Select, when::Moment};

/// Longest values, as the endpoint takes them, and a little more for those that were refused for their length.
const LONGEST: usize = 2048;

pub(super) const LANES: [Lane; 2] = [Lane::Live, Lane::Backfill];

/// What a search asks for: all of it together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Filter {
    pub(super) order: Option<String>,
    pub(super) call: Option<CallId>,
    pub(super) click: Option<String>,
    pub(super) ad: Option<String>,
    pub(super) campaign: Option<String>,
    pub(super) status: Option<ConversionStatus>,
    pub(super) stage: Option<FailureStage>,
    pub(super) reason: Option<Reason>,
    pub(super) lane: Option<Lane>,
    pub(super) from: Option<Moment>,
    pub(super) until: Option<Moment>,
    pub(super) before: Option<Cursor>,
}

impl Filter {
    /// Reads a query string; what is wrong with it is told by the fields.
    pub(super) fn read(fields: &mut Fields) -> Self {
        let filter = Self {
            order: fields.text("order", LONGEST),
            call: fields.read("call", "a call's id", |text| text.parse().ok()),
            click: fields.text("click", LONGEST),
            ad: fields.text("ad", LONGEST),
            campaign: fields.text("campaign", LONGEST),
            status: fields
                .read("status", "a status", |text| named(&ConversionStatus::ALL, text, ConversionStatus::as_str)),
            stage: fields.read("stage", "a stage", |text| named(&FailureStage::ALL, text, FailureStage::as_str)),
            reason: fields.read("reason", "a reason", |text| named(Reason::ALL, text, Reason::as_str)),
            lane: fields.read("lane", "a lane", |text| named(&LANES, text, Lane::as_str)),
            from: fields.read("from", "a time", Moment::parse),
            until: fields.read("until", "a time", Moment::parse),
            before: fields.read("before", "a place among the calls", Cursor::parse),
        };
        if filter.from.zip(filter.until).is_some_and(|(from, until)| from >= until) {
            fields.complain("until", "is not after the time it is to begin with");
        }
        filter
    }

    /// Whether nothing but time narrows it.
    pub(super) fn is_all(&self) -> bool {
        *self == Self { from: self.from, until: self.until, before: self.before, ..Self::default() }
    }

    /// Whether an index finds what is asked for: then there is no need to look back step by step.
    pub(super) fn is_indexed(&self) -> bool {
        self.order.is_some() || self.call.is_some()
    }

    /// The conditions of the search.
    pub(super) fn narrow(&self, select: Select) -> Select {
        let select = self.narrow_by_texts(select);
        let select =
            narrow(select, "conversion_status = {status:String}", "status", self.status.map(ConversionStatus::as_str));
        let select = narrow(select, "failure_stage = {stage:String}", "stage", self.stage.map(FailureStage::as_str));
        let select = narrow(select, "reason = {reason:String}", "reason", self.reason.map(Reason::as_str));
        let select = narrow(select, "lane = {lane:String}", "lane", self.lane.map(Lane::as_str));
        let Some(call) = self.call else { return select };
        let (at, slack) = (signed(call.unix_ms()), signed(ID_TIME_SLACK));
        // The id has its time: one month's part of the table is read.
        select
            .and("call_id = {call:UUID}")
            .and("received_at BETWEEN fromUnixTimestamp64Milli({call_from:Int64}) AND fromUnixTimestamp64Milli({call_to:Int64})")
            .with("call", &*call.to_string())
            .with("call_from", at.saturating_sub(slack).max(0))
            .with("call_to", at.saturating_add(slack))
    }

    fn narrow_by_texts(&self, select: Select) -> Select {
        let select = narrow(select, "order_id = {order:String}", "order", self.order.as_deref());
        let select = narrow(select, "ctwa_clid = {click:String}", "click", self.click.as_deref());
        let select = narrow(select, "ad_id = {ad:String}", "ad", self.ad.as_deref());
        narrow(select, "sendout_id = {campaign:String}", "campaign", self.campaign.as_deref())
    }
}

fn narrow(select: Select, condition: &'static str, name: &'static str, value: Option<&str>) -> Select {
    match value {
        Some(value) => select.and(condition).with(name, value),
        None => select,
    }
}

fn named<T: Copy>(all: &[T], text: &str, name: impl Fn(T) -> &'static str) -> Option<T> {
    all.iter().copied().find(|one| name(*one) == text)
}

/// The time in an id has 48 bits.
fn signed(millis: u64) -> i64 {
    i64::try_from(millis).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> (Filter, Vec<&'static str>) {
        let mut fields = Fields::parse(query.as_bytes());
        let filter = Filter::read(&mut fields);
        (filter, fields.complaints().iter().map(|complaint| complaint.field).collect())
    }

    #[test]
    fn every_part_is_read() {
        let call = CallId::now();
        let query = format!(
            "order=O+1&call={call}&click=c&ad=a&campaign=s&status=rejected&stage=meta_forward&reason=META_REJECTED\
             &lane=live&from=2026-11-01T00:00&until=2026-11-02T00:00"
        );
        let (filter, complaints) = read(&query);
        assert_eq!(complaints, Vec::<&str>::new());
        assert_eq!((filter.order.as_deref(), filter.call), (Some("O 1"), Some(call)));
        assert_eq!((filter.status, filter.stage), (Some(ConversionStatus::Rejected), Some(FailureStage::MetaForward)));
        assert_eq!((filter.reason, filter.lane), (Some(Reason::MetaRejected), Some(Lane::Live)));
        assert!(filter.is_indexed() && !filter.is_all());
        assert!(read("from=2026-11-01T00:00").0.is_all());
    }

    #[test]
    fn what_is_wrong_is_told_by_name() {
        for (query, field) in [
            ("call=7", "call"),
            ("status=lost", "status"),
            ("stage=meta", "stage"),
            ("reason=BAD", "reason"),
            ("lane=fast", "lane"),
            ("from=soon", "from"),
            ("until=soon", "until"),
            ("before=1", "before"),
            ("order=a&order=b", "order"),
            ("order=a%00b", "order"),
            ("from=2026-11-02&until=2026-11-01", "until"),
        ] {
            assert_eq!(read(query).1, [field], "{query}");
        }
    }
}
