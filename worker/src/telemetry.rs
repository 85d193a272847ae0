//! Logs on stderr, traces over OTLP where the standard environment names a receiver, metrics for Prometheus.

use std::{
    backtrace::Backtrace,
    env::{self, VarError},
    io::{IsTerminal as _, stderr},
    time::{SystemTime, UNIX_EPOCH},
};

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use opentelemetry::{Key, global, trace::TracerProvider as _};
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::{Resource, propagation::TraceContextPropagator, trace::SdkTracerProvider};
use tracing_subscriber::{
    EnvFilter, Layer, Registry, fmt::format::JsonFields, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

use crate::{
    log_line::JsonLine,
    settings::{LogFormat, LogSettings, SettingsFault},
    span_exporter::SayingOnce,
};

/// Buckets of histograms whose names end in `_seconds`.
const SECONDS: &[f64] =
    &[0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 60.0, 600.0, 3600.0];
/// Buckets of every other histogram: sizes and counts.
const SIZES: &[f64] = &[1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 10_000.0, 100_000.0, 1_000_000.0];

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
    /// `RUST_LOG` is wrong.
    #[error(transparent)]
    Filter(#[from] SettingsFault),
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
    let layer = traces.as_ref().map(|provider| tracing_opentelemetry::layer().with_tracer(provider.tracer(program)));
    tracing_subscriber::registry()
        .with(layer.with_filter(spans_of_ours()))
        .with(log_layer(log, log_filter()?))
        .try_init()?;
    std::panic::set_hook(Box::new(|panic| tracing::error!(backtrace = %Backtrace::capture(), "{panic}")));
    let metrics = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), SECONDS)?
        .set_buckets(SIZES)?
        .install_recorder()?;
    metrics::gauge!("capi_build_info", "program" => program, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    // A worker that starts again and again shows in nothing else.
    let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    metrics::gauge!("capi_start_time_seconds").set(started.as_secs_f64());
    Ok(Telemetry { metrics, traces })
}

/// The libraries' spans say nothing of a call.
fn spans_of_ours() -> EnvFilter {
    EnvFilter::new("info,hyper=off,h2=off,reqwest=off,rdkafka=off")
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

fn log_layer(log: &LogSettings, filter: EnvFilter) -> Box<dyn Layer<Registry0> + Send + Sync> {
    let default = if stderr().is_terminal() { LogFormat::Text } else { LogFormat::Json };
    let layer = tracing_subscriber::fmt::layer().with_writer(stderr);
    match log.log_format.unwrap_or(default) {
        LogFormat::Json => layer.fmt_fields(JsonFields::new()).event_format(JsonLine).with_filter(filter).boxed(),
        LogFormat::Text => layer.with_ansi(stderr().is_terminal()).with_filter(filter).boxed(),
    }
}

/// What the log layer stands on: the registry with the layer of traces.
type Registry0 = tracing_subscriber::layer::Layered<
    tracing_subscriber::filter::Filtered<
        Option<tracing_opentelemetry::OpenTelemetryLayer<Registry, opentelemetry_sdk::trace::SdkTracer>>,
        EnvFilter,
        Registry,
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
    let exporter = SpanExporter::builder().with_http().build()?;
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
