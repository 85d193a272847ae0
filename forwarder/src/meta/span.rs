//! One client span for each request.

use tracing::{Span, field};

use super::{answer::Answer, channel::DatasetKey, classify::Class, ticket::Ticket};

/// Links a span carries at most: OpenTelemetry's own default limit.
const LINKS: usize = 128;

/// The span of a request: a child of the event's where it carries one, linked to theirs where it carries several.
pub(super) fn request_span(key: &DatasetKey, tickets: &[Ticket]) -> Span {
    let parent = match tickets {
        [only] => only.span.id(),
        _ => None,
    };
    let span = tracing::info_span!(
        parent: parent,
        "meta.request",
        otel.kind = "client",
        otel.status_code = field::Empty,
        dataset = %key.dataset_id,
        graph_version = %key.graph_version,
        events = tickets.len(),
        attempt = tickets.iter().map(Ticket::attempts).max(),
        class = field::Empty,
        http.response.status_code = field::Empty,
        fbtrace_id = field::Empty,
    );
    if tickets.len() > 1 && !span.is_disabled() {
        for ticket in tickets.iter().take(LINKS) {
            span.follows_from(ticket.span.id());
        }
    }
    span
}

/// Writes the answer into the current span, and what went wrong into the log.
pub(super) fn answered(answer: &Answer, events: usize) {
    let span = Span::current();
    span.record("class", answer.class.as_str());
    if let Some(status) = answer.http_status {
        span.record("http.response.status_code", status);
    }
    if !answer.fbtrace_id.is_empty() {
        span.record("fbtrace_id", &answer.fbtrace_id);
    }
    if answer.class == Class::Accepted {
        return;
    }
    span.record("otel.status_code", "ERROR");
    let class = answer.class.as_str();
    let detail = &answer.detail;
    match answer.class {
        // Ours to repair, or to be put into the table.
        Class::Envelope | Class::Other => tracing::error!(class, events, detail, "Meta refused a request"),
        Class::Token | Class::Permission | Class::Wiring | Class::OldVersion | Class::Blocked => {
            tracing::warn!(class, events, detail, "Meta refused a request");
        }
        // A merchant's own data, and often.
        Class::BadClick | Class::BadEvent => tracing::debug!(class, events, detail, "Meta refused a request"),
        _ => tracing::info!(class, events, detail, "a request to Meta did not go through"),
    }
}
