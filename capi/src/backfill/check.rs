//! `--check`: what the endpoint would say of each line, found by its own code, without sending anything.

use std::{
    collections::{BTreeMap, HashMap, hash_map},
    fmt,
    sync::Arc,
};

use ingest::validate::FieldReason;
use schemas::{Call, OrderHash, OrderKey, meta};
use serde::Serialize;

use super::{
    input::Input,
    reader::{self, ReadOptions},
    record::{self, Record},
};
use crate::{failure::Failure, moment, output::Output};

/// Checks inputs.
pub(crate) struct Check<'o> {
    output: &'o Output,
    orders: Orders,
    summary: Summary,
}

/// What is known of the orders of the inputs so far: 24 bytes each.
type Orders = HashMap<OrderHash, Place>;

/// Where an order was first met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    input: u32,
    line: u32,
}

/// Something about one line that someone should know before it is sent.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Finding<'f> {
    file: &'f str,
    line: u64,
    #[serde(skip_serializing_if = "str::is_empty")]
    field: &'f str,
    reason: &'f str,
    description: &'f str,
}

impl fmt::Display for Finding<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", self.file, self.line)?;
        if !self.field.is_empty() {
            write!(f, "{} ", self.field)?;
        }
        write!(f, "{} [{}]", self.description, self.reason)
    }
}

/// What would happen.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Summary {
    lines: u64,
    /// Lines that would be refused.
    refused: u64,
    /// Everything that is wrong with them, by its reason.
    violations: BTreeMap<&'static str, u64>,
    /// Lines that would be accepted.
    accepted: u64,
    /// Those of them whose order stands on an earlier line.
    repeated: u64,
    /// Those of them that are over 7 days old.
    too_old: u64,
    /// Those of them without an order id.
    without_order_id: u64,
    /// Those of them that would be sent to Meta: once an order, and not too old.
    to_meta: u64,
    /// Accepted lines by event name.
    events: BTreeMap<String, u64>,
    /// Orders, each once, by currency.
    currencies: BTreeMap<String, Money>,
}

/// Orders of one currency.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct Money {
    orders: u64,
    #[serde(serialize_with = "as_decimal")]
    value: i128,
}

fn as_decimal<S: serde::Serializer>(millionths: &i128, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&decimal(*millionths))
}

/// Millionths, with two places at least and no zero beyond them.
fn decimal(millionths: i128) -> String {
    let mut text = format!("{}.{:06}", millionths / 1_000_000, millionths % 1_000_000);
    while text.ends_with('0') && !text[..text.len() - 2].ends_with('.') {
        text.pop();
    }
    text
}

impl<'o> Check<'o> {
    pub(crate) fn new(output: &'o Output) -> Self {
        Self { output, orders: Orders::new(), summary: Summary::default() }
    }

    /// Checks every line of the inputs, prints what it finds, and then the summary.
    ///
    /// # Errors
    /// Where a line would be refused, or an input cannot be read.
    pub(crate) fn run(mut self, inputs: &[Input], options: &ReadOptions) -> Result<(), Failure> {
        let names: Vec<_> = inputs.iter().map(Input::name).collect();
        for (at, input) in inputs.iter().enumerate() {
            let unreadable = |error| Failure::Data(format!("{}: {error}", names[at]));
            for record in reader::records(input, options, &Arc::default()).map_err(unreadable)? {
                self.record(&names, at, &record.map_err(unreadable)?)?;
            }
        }
        self.output.print(&self.summary)?;
        match self.summary.refused {
            0 => Ok(()),
            refused => Err(Failure::Data(format!("{refused} of {} lines would be refused", self.summary.lines))),
        }
    }

    fn record(&mut self, names: &[String], at: usize, record: &Record) -> Result<(), Failure> {
        self.summary.lines += 1;
        let tell = |field: &str, reason: &str, description: &str| {
            self.output.print(&Finding { file: &names[at], line: record.line, field, reason, description })
        };
        let refusal = match record.body.as_ref().map(|body| record::judge(body)) {
            Ok((call, Ok(()))) => return self.accepted(names, at, record.line, &call),
            Ok((_, Err(refusal))) => refusal,
            Err(flaw) => {
                self.summary.refuse(&[flaw.reason()]);
                return tell("", flaw.reason(), &flaw.to_string());
            }
        };
        if refusal.violations.is_empty() {
            self.summary.refuse(&[refusal.reason.as_str()]);
            return tell("", refusal.reason.as_str(), &refusal.message);
        }
        let reasons = refusal.violations.iter().map(|violation| FieldReason::as_str(violation.reason));
        self.summary.refuse(&reasons.collect::<Vec<_>>());
        let told = |violation: &ingest::validate::Violation| {
            tell(&violation.field, violation.reason.as_str(), &violation.description)
        };
        refusal.violations.iter().try_for_each(told)
    }

    /// A line that would be accepted, and what would become of it then.
    fn accepted(&mut self, names: &[String], at: usize, line: u64, call: &Call) -> Result<(), Failure> {
        let tell = |field: &str, reason: &str, description: &str| {
            self.output.print(&Finding { file: &names[at], line, field, reason, description })
        };
        let first = self.orders.first_place(call, Place::new(at, line));
        let is_too_old =
            call.event_time.is_some_and(|time| time < moment::now() / 1000 - meta::OLDEST.as_secs().cast_signed());
        self.summary.accept(call, first.is_some(), is_too_old);
        if let Some(Place { input, line }) = first {
            let file = names.get(input as usize).map_or("", String::as_str);
            tell("payload.order_id", "REPEATED_ORDER", &format!("repeats {file}:{line}: it counts once"))?;
        }
        if is_too_old {
            let description = "is over 7 days old: it is recorded, and Meta will not take it";
            tell("payload.event_time", schemas::Reason::EventTooOld.as_str(), description)?;
        }
        if call.order_id.is_empty() {
            let description = "is missing: sent once more, the call would count once more";
            tell("payload.order_id", "NO_ORDER_ID", description)?;
        }
        Ok(())
    }
}

impl Place {
    fn new(input: usize, line: u64) -> Self {
        let fits = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        Self { input: fits(input as u64), line: fits(line) }
    }
}

/// The first place of a call's order.
trait FirstPlace {
    fn first_place(&mut self, call: &Call, place: Place) -> Option<Place>;
}

impl FirstPlace for Orders {
    /// Where the order was met before; else this is its first place.
    fn first_place(&mut self, call: &Call, place: Place) -> Option<Place> {
        if call.order_id.is_empty() {
            return None;
        }
        match self.entry(OrderKey::of(call).hash()) {
            hash_map::Entry::Occupied(known) => Some(*known.get()),
            hash_map::Entry::Vacant(new) => {
                new.insert(place);
                None
            }
        }
    }
}

impl Summary {
    fn refuse(&mut self, reasons: &[&'static str]) {
        self.refused += 1;
        for reason in reasons {
            *self.violations.entry(reason).or_default() += 1;
        }
    }

    fn accept(&mut self, call: &Call, is_repeated: bool, is_too_old: bool) {
        self.accepted += 1;
        self.repeated += u64::from(is_repeated);
        self.too_old += u64::from(is_too_old);
        self.to_meta += u64::from(!is_repeated && !is_too_old);
        self.without_order_id += u64::from(call.order_id.is_empty());
        *self.events.entry(call.event_name.clone()).or_default() += 1;
        if let Some(value) = call.value.filter(|_| !is_repeated) {
            let money = self.currencies.entry(call.currency.clone()).or_default();
            money.orders += 1;
            money.value += i128::from(value.millionths());
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} lines: {} would be accepted, {} refused", self.lines, self.accepted, self.refused)?;
        for (reason, count) in &self.violations {
            write!(f, "\n  {reason}: {count}")?;
        }
        write!(f, "\nTo Meta would go {}", self.to_meta)?;
        write!(f, "; {} repeat an order of an earlier line, {} are over 7 days old", self.repeated, self.too_old)?;
        if self.without_order_id > 0 {
            write!(f, "\n{} have no order id: each time that such a line is sent it counts", self.without_order_id)?;
        }
        for (name, count) in &self.events {
            write!(f, "\n{name}: {count} lines")?;
        }
        for (currency, Money { orders, value }) in &self.currencies {
            write!(f, "\n{currency}: {} in {orders} orders", decimal(*value))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(order: &str, value: &str, age: i64) -> String {
        let time = moment::now() / 1000 - age;
        format!(
            r#"{{"cnct_tracking_id":"t","event_name":"Purchase","sendout_id":"s","attribution":{{"meta_ctwa":{{"ctwa_clid":"c","ad_id":"a"}}}},"payload":{{"currency":"usd","value":{value},"order_id":{order},"event_time":{time}}}}}"#
        )
    }

    fn summary(bodies: &[String]) -> Summary {
        let output = Output::new(true);
        let mut check = Check::new(&output);
        let names = ["a.ndjson".to_owned()];
        for (at, body) in bodies.iter().enumerate() {
            let record = Record { line: at as u64 + 1, body: Ok(body.clone().into()) };
            check.record(&names, 0, &record).unwrap();
        }
        check.summary
    }

    #[test]
    fn the_summary_says_what_would_happen() {
        let day = 24 * 3600;
        let found = summary(&[
            body("\"1\"", "99.97", 0),
            body("\"2\"", "0.03", 8 * day),
            body("\"1\"", "99.97", 0),
            body("null", "1", 7 * day - 100),
            body("\"3\"", "\"1\"", 0),
            "{}".into(),
            "{".into(),
        ]);
        let violations = BTreeMap::from([("FIELD_REQUIRED", 5), ("FIELD_TYPE", 1), ("MALFORMED_JSON", 1)]);
        let expected = Summary {
            lines: 7,
            refused: 3,
            violations,
            accepted: 4,
            repeated: 1,
            too_old: 1,
            without_order_id: 1,
            to_meta: 2,
            events: BTreeMap::from([("Purchase".into(), 4)]),
            currencies: BTreeMap::from([("USD".into(), Money { orders: 3, value: 101_000_000 })]),
        };
        assert_eq!(found, expected);
        let told = found.to_string();
        assert!(told.contains("USD: 101.00 in 3 orders") && told.contains("FIELD_REQUIRED: 5"), "{told}");
    }

    #[test]
    fn an_order_is_its_event_and_its_id() {
        let view = body("\"1\"", "1", 0).replace("Purchase", "ViewContent");
        let found = summary(&[body("\"1\"", "1", 0), view.clone(), view]);
        assert_eq!((found.repeated, found.to_meta), (1, 2));
    }

    #[test]
    fn amounts_are_decimals() {
        for (millionths, text) in [(0, "0.00"), (1_500_000, "1.50"), (1_000_001, "1.000001"), (10_120_000, "10.12")] {
            assert_eq!(decimal(millionths), text);
        }
    }
}
