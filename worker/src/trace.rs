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

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use opentelemetry::trace::{TraceId, TracerProvider as _};
    use opentelemetry_sdk::{
        error::OTelSdkResult,
        propagation::TraceContextPropagator,
        trace::{SdkTracerProvider, SpanData, SpanExporter},
    };
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[derive(Clone, Debug, Default)]
    struct Ended(Arc<Mutex<Vec<SpanData>>>);

    impl SpanExporter for Ended {
        async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
            self.0.lock().unwrap().extend(batch);
            Ok(())
        }
    }

    /// The spans that the work ended, under a layer of traces.
    fn spans_of(work: impl FnOnce()) -> Vec<SpanData> {
        global::set_text_map_propagator(TraceContextPropagator::new());
        let ended = Ended::default();
        let provider = SdkTracerProvider::builder().with_simple_exporter(ended.clone()).build();
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), work);
        std::mem::take(&mut *ended.0.lock().unwrap())
    }

    fn span<'s>(spans: &'s [SpanData], name: &str) -> &'s SpanData {
        spans.iter().find(|span| span.name == name).unwrap()
    }

    #[test]
    fn a_trace_goes_on_across_a_message() {
        let spans = spans_of(|| {
            let headers = inject(OwnedHeaders::new(), &tracing::info_span!("produce"));
            continue_from(&tracing::info_span!("consume"), Some(&headers));
        });
        let (produce, consume) = (span(&spans, "produce"), span(&spans, "consume"));
        assert_ne!(produce.span_context.trace_id(), TraceId::INVALID);
        assert_eq!(consume.span_context.trace_id(), produce.span_context.trace_id());
        assert_eq!(consume.parent_span_id, produce.span_context.span_id());
    }

    #[test]
    fn a_batch_links_and_stays_a_trace_of_its_own() {
        let spans = spans_of(|| {
            let headers = inject(OwnedHeaders::new(), &tracing::info_span!("produce"));
            link(&tracing::info_span!("batch"), Some(&headers));
        });
        let (produce, batch) = (span(&spans, "produce"), span(&spans, "batch"));
        assert_ne!(batch.span_context.trace_id(), produce.span_context.trace_id());
        let links: Vec<_> = batch.links.iter().map(|link| link.span_context.span_id()).collect();
        assert_eq!(links, [produce.span_context.span_id()]);
    }

    #[test]
    fn an_http_callers_trace_goes_on() {
        let mut headers = axum::http::HeaderMap::new();
        let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        headers.insert("traceparent", parent.parse().unwrap());
        let spans = spans_of(|| continue_from_http(&tracing::info_span!("call"), &headers));
        assert_eq!(span(&spans, "call").span_context.trace_id().to_string(), "0af7651916cd43dd8448eb211c80319c");
    }

    #[test]
    fn other_headers_stay_and_nonsense_starts_a_new_trace() {
        let headers = OwnedHeaders::new().insert(Header { key: "traceparent", value: Some("nonsense") });
        let spans = spans_of(|| continue_from(&tracing::info_span!("consume"), Some(&headers)));
        assert_ne!(span(&spans, "consume").span_context.trace_id(), TraceId::INVALID);
        spans_of(|| {
            let before = OwnedHeaders::new().insert(Header { key: "attempt", value: Some("2") });
            let after = inject(before, &tracing::info_span!("produce"));
            let keys: Vec<_> = after.iter().map(|header| header.key).collect();
            assert_eq!((keys[0], keys.contains(&"traceparent")), ("attempt", true));
        });
    }
}
