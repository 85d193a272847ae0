//! What librdkafka itself says while Kafka is away: every client tells of every connection, and again twice a minute. The
//! health entry tells the outage once. What says why a connection fails, such as TLS or a password, stays.

use std::fmt::{self, Debug};

use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    registry::LookupSpan,
};

/// The target of librdkafka's lines, which come through the `log` crate.
const LIBRDKAFKA: &str = "librdkafka";
/// The target of all lines that do; their own is a field.
const LOG: &str = "log";

/// Writes nothing of an outage, unless `all` is asked for, and everything else as `inner` does. It is no filter: one that
/// asks what an event says leaves the registry in doubt when nobody wants it.
pub(crate) struct UnlessAway<F> {
    pub(crate) inner: F,
    pub(crate) all: bool,
}

impl<S, N, F> FormatEvent<S, N> for UnlessAway<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        if self.all || !tells_of_an_outage(event) { self.inner.format_event(context, writer, event) } else { Ok(()) }
    }
}

fn tells_of_an_outage(event: &Event<'_>) -> bool {
    if event.metadata().target() != LOG {
        return false;
    }
    let mut line = Line::default();
    event.record(&mut line);
    line.target == LIBRDKAFKA && is_of_an_outage(&line.message)
}

/// Requests and sessions that time out; connections that are refused, or break once they were of use. A connection that
/// fails in between, in a handshake or while it logs in, says what is wrong with the settings.
fn is_of_an_outage(line: &str) -> bool {
    match line.trim_start_matches("librdkafka: ").split(' ').next() {
        Some("REQTMOUT" | "SESSTMOUT") => true,
        Some("FAIL") => line.contains(" in state CONNECT") || line.contains(" in state UP"),
        _ => false,
    }
}

#[derive(Default)]
struct Line {
    target: String,
    message: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "log.target" {
            value.clone_into(&mut self.target);
        }
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::fmt::format::Format;

    use super::*;
    use crate::captured::Captured;

    fn logged(all: bool) -> Vec<String> {
        let log = Captured::default();
        let sink = log.clone();
        let format = UnlessAway { inner: Format::default().without_time(), all };
        let subscriber = tracing_subscriber::fmt().event_format(format).with_writer(move || sink.clone()).finish();
        tracing::subscriber::with_default(subscriber, || {
            // As the bridge from the `log` crate makes them.
            let of_kafka =
                |says: &str| tracing::error!(target: "log", { log.target = "librdkafka" }, "librdkafka: {says}");
            of_kafka("FAIL refused (after 0ms in state CONNECT)");
            of_kafka("FAIL denied (after 0ms in state AUTH_REQ)");
            tracing::error!("FAIL ours (after 0ms in state CONNECT)");
        });
        log.text().lines().map(str::to_owned).collect()
    }

    #[test]
    fn an_outage_is_left_to_the_health_entry() {
        let lines = logged(false);
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[0].contains("denied") && lines[1].contains("ours"), "{lines:?}");
        assert_eq!(logged(true).len(), 3);
    }

    #[test]
    fn an_outage_is_told_from_what_says_why() {
        let away = [
            "FAIL [thrd:k:1/1]: k:1/1: Connect to ipv4#127.0.0.1:1 failed: Connection refused (after 0ms in state CONNECT)",
            "FAIL [thrd:k:1/1]: k:1/1: Disconnected (after 5003ms in state UP)",
            "REQTMOUT [thrd:k:1/1]: k:1/1: Timed out FetchRequest in flight (after 60000ms, timeout #0)",
            "SESSTMOUT [thrd:main]: Consumer group session timed out",
        ];
        let why = [
            "FAIL [thrd:ssl://k:1/1]: ssl://k:1/1: SSL handshake failed: certificate verify failed (after 3ms in state SSL_HANDSHAKE)",
            "FAIL [thrd:sasl://k:1/1]: SASL authentication error: Authentication failed (after 3ms in state AUTH_REQ)",
            "FAIL [thrd:k:1/1]: k:1/1: Disconnected while requesting ApiVersion (after 3ms in state APIVERSION_QUERY)",
            "MAXPOLL [thrd:main]: Application maximum poll interval (300000ms) exceeded",
        ];
        assert!(away.iter().all(|line| is_of_an_outage(&format!("librdkafka: {line}"))));
        assert!(!why.iter().any(|line| is_of_an_outage(&format!("librdkafka: {line}"))));
    }
}
