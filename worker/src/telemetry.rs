//! Logs on stderr, traces over OTLP where the standard environment names a receiver, metrics for Prometheus.

use std::{
    backtrace::Backtrace,
    env::{self, VarError},
    io::{IsTerminal as _, stderr},
    panic::PanicHookInfo,
    time::{SystemTime, UNIX_EPOCH},
};

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use opentelemetry::{Key, global, trace::TracerProvider as _};
use opentelemetry_otlp::{SpanExporter, WithHttpConfig as _};
use opentelemetry_sdk::{Resource, propagation::TraceContextPropagator, trace::SdkTracerProvider};
use tracing::{Level, Metadata, level_filters::LevelFilter};
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    filter::{FilterExt as _, FilterFn, filter_fn},
    fmt::format::Format,
    layer::{Filter, SubscriberExt as _},
    util::SubscriberInitExt as _,
};

use crate::{
    kafka_lines::UnlessAway,
    log_line::{JsonLine, SpanFields},
    receiver,
    settings::{LogFormat, LogSettings, SettingsFault},
    span_exporter::SayingOnce,
};

/// Buckets of histograms whose names end in `_seconds`.
const SECONDS: &[f64] =
    &[0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 60.0, 600.0, 3600.0];
/// Buckets of every other histogram: sizes and counts.
const SIZES: &[f64] = &[1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 10_000.0, 100_000.0, 1_000_000.0];

/// How many panics there have been: each is a fault of ours.
const PANICS: &str = "capi_panics_total";

/// What is running for a worker's telemetry.
pub struct Telemetry {
    /// Renders `/metrics`.
    pub metrics: PrometheusHandle,
    traces: Option<SdkTracerProvider>,
}

/// Why telemetry cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The OTLP exporter's environment is wrong.
    #[error("traces: {0}")]
    Traces(#[from] opentelemetry_otlp::ExporterBuildError),
    /// The metrics recorder was installed before, or its buckets are wrong.
    #[error("metrics: {0}")]
    Metrics(#[from] metrics_exporter_prometheus::BuildError),
    /// `RUST_LOG` or the receiver's certificate is wrong.
    #[error(transparent)]
    Setting(#[from] SettingsFault),
    /// A logger was installed before.
    #[error("logs: {0}")]
    Logs(#[from] tracing_subscriber::util::TryInitError),
}

/// Sets up logs, traces and metrics, once for the process.
///
/// # Errors
/// Where one of them is wrongly configured.
pub fn init(program: &'static str, log: &LogSettings) -> Result<Telemetry, TelemetryError> {
    let traces = tracer(program)?;
    // Without a receiver there is no filter either: it would be asked at every step into a span and out of it.
    let layer = traces.as_ref().map(|provider| {
        let filter = Traced::new(is_traced).with_max_level_hint(LevelFilter::DEBUG);
        tracing_opentelemetry::layer().with_tracer(provider.tracer(program)).with_filter(filter)
    });
    tracing_subscriber::registry().with(layer).with(log_layer(log, log_filter()?)).try_init()?;
    std::panic::set_hook(Box::new(tell_panic));
    let metrics = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), SECONDS)?
        .set_buckets(SIZES)?
        .install_recorder()?;
    metrics::gauge!("capi_build_info", "program" => program, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    metrics::counter!(PANICS).increment(0);
    // A worker that starts again and again shows in nothing else.
    let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    metrics::gauge!("capi_start_time_seconds").set(started.as_secs_f64());
    Ok(Telemetry { metrics, traces })
}

/// Logs a panic, with its place, and counts it. Its words are those of the source: what was put together at run time may
/// hold anything, such as the text that could not be sliced, and stays inside.
fn tell_panic(panic: &PanicHookInfo<'_>) {
    metrics::counter!(PANICS).increment(1);
    let words = panic.payload().downcast_ref::<&'static str>().unwrap_or(&"(its message may hold secrets)");
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    tracing::error!(backtrace = %Backtrace::capture(), "panicked at {place}: {words}");
}

/// What goes into traces: lines from info on, and our own spans down to debug, of which those below info are for traces
/// alone and cost nothing where there is no receiver. The spans of libraries say nothing of a call.
fn is_traced(metadata: &Metadata<'_>) -> bool {
    let (target, level) = (metadata.target(), *metadata.level());
    if metadata.is_span() && target.starts_with("capi_") {
        return level <= Level::DEBUG;
    }
    level <= Level::INFO && !["hyper", "h2", "reqwest", "rdkafka"].iter().any(|library| target.starts_with(library))
}

/// What `RUST_LOG` lets through; info where it says nothing.
///
/// # Errors
/// Where it cannot be read.
pub(crate) fn log_filter() -> Result<EnvFilter, SettingsFault> {
    let directives = match env::var("RUST_LOG") {
        Ok(directives) if !directives.trim().is_empty() => directives,
        Ok(_) | Err(VarError::NotPresent) => "info".into(),
        Err(VarError::NotUnicode(_)) => return Err(SettingsFault::new("RUST_LOG: it is not text")),
    };
    EnvFilter::try_new(directives).map_err(|error| SettingsFault::new(format!("RUST_LOG: {error}")))
}

/// The filter, and whatever it lets through: no library says anything below info. What libraries write there is theirs to
/// choose, with each release anew: frames, headers and settings, and so keys and tokens. Kafka's client goes free, since
/// nothing else tells why a connection fails; it masks its secrets (test `secrets::tls::a_cluster_with_tls_and_passwords`).
pub fn discreet<S>(filter: EnvFilter) -> impl Filter<S> {
    let may_say = |target: &str, level: &Level| *level <= Level::INFO || speaks_freely(target);
    // Without the hint every line of every level would be put together before it is thrown away.
    filter.and(
        filter_fn(move |metadata| may_say(metadata.target(), metadata.level())).with_max_level_hint(LevelFilter::TRACE),
    )
}

fn speaks_freely(target: &str) -> bool {
    let library = target.split("::").next().unwrap_or(target);
    library == "capi" || library.starts_with("capi_") || matches!(library, "librdkafka" | "rdkafka")
}

fn log_layer(log: &LogSettings, filter: EnvFilter) -> Box<dyn Layer<Registry0> + Send + Sync> {
    // Whoever asks for debug gets to see the outages that librdkafka sees.
    let all = filter.max_level_hint().is_none_or(|most| most >= LevelFilter::DEBUG);
    let filter = discreet(filter);
    let default = if stderr().is_terminal() { LogFormat::Text } else { LogFormat::Json };
    let layer = tracing_subscriber::fmt::layer().with_writer(stderr);
    match log.log_format.unwrap_or(default) {
        LogFormat::Json => {
            layer.fmt_fields(SpanFields).event_format(UnlessAway { inner: JsonLine, all }).with_filter(filter).boxed()
        }
        LogFormat::Text => layer
            .event_format(UnlessAway { inner: Format::default(), all })
            .with_ansi(stderr().is_terminal())
            .with_filter(filter)
            .boxed(),
    }
}

/// The filter of traces.
type Traced = FilterFn<fn(&Metadata<'_>) -> bool>;

/// What the log layer stands on: the registry with the layer of traces.
type Registry0 = tracing_subscriber::layer::Layered<
    Option<
        tracing_subscriber::filter::Filtered<
            tracing_opentelemetry::OpenTelemetryLayer<Registry, opentelemetry_sdk::trace::SdkTracer>,
            Traced,
            Registry,
        >,
    >,
    Registry,
>;

/// No exporter unless the standard environment names a receiver, so that nothing is tried that nobody asked for.
fn tracer(program: &'static str) -> Result<Option<SdkTracerProvider>, TelemetryError> {
    global::set_text_map_propagator(TraceContextPropagator::new());
    let set = |name: &str| env::var(name).is_ok_and(|value| !value.is_empty());
    let disabled = env::var("OTEL_SDK_DISABLED").is_ok_and(|value| value.eq_ignore_ascii_case("true"));
    if disabled || !(set("OTEL_EXPORTER_OTLP_ENDPOINT") || set("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")) {
        return Ok(None);
    }
    // The exporter's HTTP client does not start without one, not even for a receiver that speaks no TLS. Where another
    // part of the process was quicker, its provider is the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let exporter = SpanExporter::builder().with_http();
    let exporter = match receiver::client()? {
        Some(client) => exporter.with_http_client(client).build()?,
        None => exporter.build()?,
    };
    Ok(Some(
        SdkTracerProvider::builder()
            .with_resource(resource(program))
            .with_batch_exporter(SayingOnce::new(exporter))
            .build(),
    ))
}

/// What the standard environment says of this process; where it names no service, the program is the name.
fn resource(program: &'static str) -> Resource {
    let detected = Resource::builder().build();
    let name = detected.get(&Key::from_static_str("service.name")).map(|name| name.to_string());
    // The SDK's stand-in for a missing name (OpenTelemetry's resource specification, "SDK-provided resource attributes").
    if name.is_some_and(|name| !name.starts_with("unknown_service")) {
        return detected;
    }
    Resource::builder().with_service_name(program).build()
}

impl Telemetry {
    /// Sends the spans that wait. Blocks for as long as the exporter's time-out at most.
    pub fn flush(&self) {
        if let Some(traces) = &self.traces
            && let Err(error) = traces.shutdown()
        {
            tracing::warn!(%error, "the last spans are lost");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::layer::Context;

    use super::*;

    /// Keeps target and level of each line.
    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<(String, Level)>>>);

    impl<S: tracing::Subscriber> Layer<S> for Kept {
        fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
            let metadata = event.metadata();
            self.0.lock().unwrap().push((metadata.target().to_owned(), *metadata.level()));
        }
    }

    fn said_under(directives: &str) -> Vec<(String, Level)> {
        let kept = Kept::default();
        let layer = kept.clone().with_filter(discreet(EnvFilter::new(directives)));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            tracing::debug!(target: "hyper_util::client", "x-api-key: capi_…");
            tracing::trace!(target: "capitalism", "not ours");
            tracing::info!(target: "h2::codec", "about itself");
            tracing::trace!(target: "capi_worker::run", "ours");
            tracing::debug!(target: "librdkafka", "Kafka's");
        });
        let kept = kept.0.lock().unwrap();
        kept.clone()
    }

    #[test]
    fn no_library_says_anything_below_info_whatever_rust_log_says() {
        let all = ["h2::codec", "capi_worker::run", "librdkafka"];
        for directives in ["trace", "trace,hyper_util=trace", "trace,hyper_util::client=debug,capitalism=trace"] {
            let said: Vec<_> = said_under(directives).into_iter().map(|(target, _)| target).collect();
            assert_eq!(said, all, "{directives}");
        }
        assert_eq!(said_under("hyper_util::client=trace"), []);
        assert_eq!(said_under("warn"), []);
    }

    /// Keeps the name of each span.
    #[derive(Clone, Default)]
    struct Named(Arc<Mutex<Vec<&'static str>>>);

    impl<S: tracing::Subscriber> Layer<S> for Named {
        fn on_new_span(&self, span: &tracing::span::Attributes<'_>, _: &tracing::span::Id, _: Context<'_, S>) {
            self.0.lock().unwrap().push(span.metadata().name());
        }
    }

    #[test]
    fn traces_take_our_spans_down_to_debug_and_no_library_s() {
        let (named, kept) = (Named::default(), Kept::default());
        let layer = named.clone().and_then(kept.clone()).with_filter(Traced::new(is_traced));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            let _spans = [
                tracing::info_span!(target: "capi_ingest::router", "call"),
                tracing::debug_span!(target: "capi_ingest::publish", "publish"),
                tracing::trace_span!(target: "capi_ingest::publish", "poll"),
                tracing::debug_span!(target: "tower", "service"),
                tracing::info_span!(target: "hyper_util::client", "request"),
            ];
            tracing::info!(target: "capi_ingest::call", "ours");
            tracing::debug!(target: "capi_ingest::call", "ours, and not for traces");
        });
        assert_eq!(*named.0.lock().unwrap(), ["call", "publish"]);
        assert_eq!(*kept.0.lock().unwrap(), [("capi_ingest::call".to_owned(), Level::INFO)]);
    }

    #[test]
    fn a_panic_is_counted() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let _here = metrics::set_default_local_recorder(&recorder);
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(tell_panic));
        let panicked = std::panic::catch_unwind(|| panic!("a fault of ours"));
        std::panic::set_hook(hook);
        assert!(panicked.is_err());
        assert!(recorder.handle().render().contains("capi_panics_total 1"), "{}", recorder.handle().render());
    }

    /// A level that nobody wants costs nothing.
    #[test]
    fn what_is_asked_for_is_still_the_most_that_is_made() {
        let hint = |directives| Filter::<Registry>::max_level_hint(&discreet(EnvFilter::new(directives)));
        assert_eq!((hint("info"), hint("debug,h2=trace")), (Some(LevelFilter::INFO), Some(LevelFilter::TRACE)));
    }
}
