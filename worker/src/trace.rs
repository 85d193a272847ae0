//! Trace context (W3C `traceparent`) in Kafka and HTTP headers: a call is one trace from the request to the last row.

use opentelemetry::{
    Context, global,
    propagation::{Extractor, Injector},
    trace::TraceContextExt as _,
};
use rdkafka::message::{Header, Headers, OwnedHeaders};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// The headers with the span's context on them.
pub fn inject(headers: OwnedHeaders, span: &Span) -> OwnedHeaders {
    let mut carrier = Carrier(Some(headers));
    global::get_text_map_propagator(|propagator| propagator.inject_context(&span.context(), &mut carrier));
    carrier.0.unwrap_or_default()
}

/// Makes the span a child of the producer's: the same trace goes on.
pub fn continue_from(span: &Span, headers: Option<&impl Headers>) {
    if let Some(context) = headers.and_then(context_of) {
        // Without a layer of traces there is nothing to be a child of.
        let _ = span.set_parent(context);
    }
}

/// Links the span to the producer's: a batch joins many traces.
pub fn link(span: &Span, headers: Option<&impl Headers>) {
    if let Some(context) = headers.and_then(context_of) {
        span.add_link(context.span().span_context().clone());
    }
}

/// Makes the span a child of an HTTP caller's.
pub fn continue_from_http(span: &Span, headers: &axum::http::HeaderMap) {
    let context = global::get_text_map_propagator(|propagator| propagator.extract(&HttpHeaders(headers)));
    if context.span().span_context().is_valid() {
        let _ = span.set_parent(context);
    }
}

fn context_of(headers: &impl Headers) -> Option<Context> {
    let context = global::get_text_map_propagator(|propagator| propagator.extract(&KafkaHeaders(headers)));
    context.span().span_context().is_valid().then_some(context)
}

struct Carrier(Option<OwnedHeaders>);

impl Injector for Carrier {
    fn set(&mut self, key: &str, value: String) {
        self.0 = self.0.take().map(|headers| headers.insert(Header { key, value: Some(&value) }));
    }
}

struct KafkaHeaders<'h, H>(&'h H);

impl<H: Headers> Extractor for KafkaHeaders<'_, H> {
    fn get(&self, key: &str) -> Option<&str> {
        let header = self.0.iter().find(|header| header.key == key)?;
        std::str::from_utf8(header.value?).ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.iter().map(|header| header.key).collect()
    }
}

struct HttpHeaders<'h>(&'h axum::http::HeaderMap);

impl Extractor for HttpHeaders<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(axum::http::HeaderName::as_str).collect()
    }
}
