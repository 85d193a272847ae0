//! The receiver of traces, where its certificate is of an authority of its own: `OTEL_EXPORTER_OTLP_CERTIFICATE`, which the
//! exporter itself does not read.

use std::{env, fs, time::Duration};

use reqwest::{Certificate, blocking::Client};

use crate::settings::SettingsFault;

/// The file of authorities; the first that is set counts.
const CERTIFICATE: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "OTEL_EXPORTER_OTLP_CERTIFICATE"];
/// How long an export may take, in milliseconds; likewise.
const TIMEOUT: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"];
/// OpenTelemetry's own default.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// A client that trusts the authorities of the environment, and no others; none where it names none. The exporter's own
/// client trusts the system's, or those of `SSL_CERT_FILE`. Blocks: not for async tasks.
///
/// # Errors
/// Where the file cannot be used.
pub(crate) fn client() -> Result<Option<Client>, SettingsFault> {
    let Some((name, path)) = first_set(CERTIFICATE) else { return Ok(None) };
    let fault = |why: &dyn std::fmt::Display| SettingsFault::new(format!("{name}: {path}: {why}"));
    let pem = fs::read(&path).map_err(|error| fault(&error))?;
    let authorities = Certificate::from_pem_bundle(&pem).map_err(|error| fault(&error))?;
    if authorities.is_empty() {
        return Err(fault(&"it holds no certificate in PEM"));
    }
    let client = Client::builder().tls_certs_only(authorities).timeout(timeout()).build();
    client.map(Some).map_err(|error| fault(&error))
}

fn timeout() -> Duration {
    let millis = first_set(TIMEOUT).and_then(|(_, millis)| millis.parse().ok());
    millis.map_or(DEFAULT_TIMEOUT, Duration::from_millis)
}

fn first_set(names: [&'static str; 2]) -> Option<(&'static str, String)> {
    names.into_iter().find_map(|name| Some((name, env::var(name).ok().filter(|value| !value.is_empty())?)))
}
