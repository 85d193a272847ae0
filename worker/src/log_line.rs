//! The form of a log line for machines: one JSON object, flat, with the fields of every span around the event. So a line
//! deep inside a call still names its `call_id`.

use std::fmt;

use serde_json::{Map, Value};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    field::RecordFields,
    fmt::{
        FmtContext, FormatEvent, FormatFields, FormattedFields,
        format::Writer,
        time::{FormatTime as _, SystemTime},
    },
    registry::LookupSpan,
};

/// Keeps the fields of a span as the members of a JSON object, each with a comma behind it. Every call has spans and few
/// have lines: what is recorded later is written behind what is there, and nothing is read before a line needs it.
pub(crate) struct SpanFields;

impl<'writer> FormatFields<'writer> for SpanFields {
    fn format_fields<R: RecordFields>(&self, mut out: Writer<'writer>, fields: R) -> fmt::Result {
        let mut written = Ok(());
        fields.record(&mut Values(|field: &Field, value| {
            written = written.and_then(|()| write!(out, "\"{}\":{value},", field.name()));
        }));
        written
    }
}

/// The object of such members; of two of one name the later counts.
fn object_of(members: &str) -> Option<Map<String, Value>> {
    serde_json::from_str(&format!("{{{}}}", members.strip_suffix(',').unwrap_or(members))).ok()
}

/// Writes an event as `timestamp`, `level`, `target`, `span` (the innermost's name), `message` and all fields. Where a
/// field is on several, the event goes before its spans, and an inner span before an outer one. Spans must be formatted
/// as [`SpanFields`].
pub(crate) struct JsonLine;

impl<S, N> FormatEvent<S, N> for JsonLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut line = Map::new();
        for span in context.event_scope().into_iter().flat_map(tracing_subscriber::registry::Scope::from_root) {
            line.insert("span".into(), span.name().into());
            if let Some(fields) = span.extensions().get::<FormattedFields<N>>()
                && let Some(fields) = object_of(&fields.fields)
            {
                line.extend(fields);
            }
        }
        event.record(&mut Values(|field: &Field, value| {
            line.insert(field.name().to_owned(), value);
        }));
        let target = take_log_target(&mut line).unwrap_or_else(|| event.metadata().target().into());
        let mut timestamp = String::new();
        SystemTime.format_time(&mut Writer::new(&mut timestamp))?;
        line.insert("timestamp".into(), timestamp.into());
        line.insert("level".into(), event.metadata().level().as_str().into());
        line.insert("target".into(), target);
        writeln!(out, "{}", Value::Object(line))
    }
}

/// The target of a record of the `log` crate, such as librdkafka's: there it is a field, beside a place in the source
/// that is always the same.
fn take_log_target(line: &mut Map<String, Value>) -> Option<Value> {
    let target = line.remove("log.target")?;
    line.retain(|name, _| !name.starts_with("log."));
    Some(target)
}

/// Hands each field on with its value as JSON has it.
struct Values<T>(T);

impl<T: FnMut(&Field, Value)> Visit for Values<T> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.0(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0(field, value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0(field, value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0(field, format!("{value:?}").into());
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;
    use crate::captured::Captured;

    fn lines_of(work: impl FnOnce()) -> Vec<Value> {
        let written = Captured::default();
        let sink = written.clone();
        let layer = tracing_subscriber::fmt::layer()
            .fmt_fields(SpanFields)
            .event_format(JsonLine)
            .with_writer(move || sink.clone());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), work);
        written.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn a_line_deep_inside_a_call_names_the_call() {
        let lines = lines_of(|| {
            let call = tracing::info_span!("forward", call_id = %"c-1", outcome = tracing::field::Empty).entered();
            call.record("outcome", "tried").record("outcome", "credited \\o/");
            let _inner = tracing::info_span!("publish", topic = "verdicts").entered();
            tracing::warn!(attempt = 3, late = true, "again \"so\"");
        });
        let [line] = lines.as_slice() else { panic!("{lines:?}") };
        for (name, value) in [
            ("call_id", "c-1"),
            ("outcome", "credited \\o/"),
            ("topic", "verdicts"),
            ("span", "publish"),
            ("level", "WARN"),
            ("message", "again \"so\""),
        ] {
            assert_eq!(line[name], value, "{line}");
        }
        assert_eq!((&line["attempt"], &line["late"]), (&Value::from(3), &Value::from(true)));
        assert!(line["timestamp"].is_string() && line["target"].is_string(), "{line}");
    }

    #[test]
    fn a_librarys_record_has_its_own_target() {
        let lines = lines_of(|| {
            tracing::error!("log.target" = "librdkafka", "log.file" = "client.rs", "log.line" = 74, "FAIL");
        });
        assert_eq!(lines[0]["target"], "librdkafka");
        assert!(lines[0].as_object().unwrap().keys().all(|name| !name.starts_with("log.")), "{lines:?}");
    }

    #[test]
    fn the_event_goes_before_its_spans() {
        let lines = lines_of(|| {
            let _outer = tracing::info_span!("outer", at = 1).entered();
            let _inner = tracing::info_span!("inner", at = 2).entered();
            tracing::info!("from the span");
            tracing::info!(at = 3, "its own");
        });
        assert_eq!(lines.iter().map(|line| line["at"].as_i64().unwrap()).collect::<Vec<_>>(), [2, 3]);
    }
}
