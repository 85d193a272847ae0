//! The public paths: calls are posted to the one, and what became of them is got from it; the others describe it.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use axum::{
    Router,
    extract::{Request, State},
    response::Response,
    routing::get,
};
use http::request::Parts;
use schemas::CallId;
use tracing::{Instrument, Span, field::Empty};
pub use worker::server::Peer;

use crate::{
    answer::Failure,
    call::{self, Arrival, Lasting},
    lookup,
    openapi::{DOCS, Document, Documents, OPENAPI},
    service::Service,
};

pub(crate) const CONVERSION_EVENTS: &str = "/external/v1/businesses/{business_id}/conversion_events";

/// Routes every request to an answer.
pub fn router(service: Arc<Service>) -> Router {
    let Documents { openapi, docs } = Documents::render();
    let read = |document: Document| get(move |request| read(document, request)).fallback(only_read);
    Router::new()
        .route(CONVERSION_EVENTS, get(look_up).post(conversion_events).fallback(other_method))
        .route(OPENAPI, read(openapi))
        .route(DOCS, read(docs))
        .fallback(other_path)
        .with_state(service)
}

/// A caller that goes away does not take back what it sent.
async fn conversion_events(State(service): State<Arc<Service>>, request: Request) -> Response {
    let arrival = arrival(&request);
    let (head, body) = request.into_parts();
    let span = call_span(arrival.call_id);
    worker::trace::continue_from_http(&span, &head.headers);
    let calls = service.calls.clone();
    let answered = async move { call::answer(&service, arrival, asked(&head), &head, body).await };
    let answered = Lasting::new(answered.instrument(span), &calls).await;
    answered.unwrap_or_else(|| call::respond(arrival, Failure::unavailable(call::COME_BACK).into()))
}

/// A question has no body that matters, and is dropped where its caller goes away.
async fn look_up(State(service): State<Arc<Service>>, request: Request) -> Response {
    let arrival = arrival(&request);
    let (head, body) = request.into_parts();
    call::drain(&head, body).await;
    lookup::answer(&service, arrival, asked(&head), &head).await
}

/// The route matched, so the id is there; it is taken as it was sent, since an id that needs decoding is no UUID.
fn asked(head: &Parts) -> &str {
    head.uri.path().split('/').nth(4).unwrap_or_default()
}

/// The root of a call's trace here. What is empty is filled with the answer.
fn call_span(call_id: CallId) -> Span {
    tracing::info_span!("call", %call_id, otel.kind = "server", http_status = Empty, outcome = Empty)
}

/// A document has no record, and no call's metrics count it.
async fn read(document: Document, request: Request) -> Response {
    let arrival = arrival(&request);
    let (head, body) = request.into_parts();
    call::drain(&head, body).await;
    document.response(arrival.call_id)
}

async fn only_read(request: Request) -> Response {
    not_a_call(request, Failure::only_read()).await
}

async fn other_method(request: Request) -> Response {
    not_a_call(request, Failure::method_not_allowed()).await
}

async fn other_path(request: Request) -> Response {
    not_a_call(request, Failure::path_not_found()).await
}

async fn not_a_call(request: Request, failure: Failure) -> Response {
    let arrival = arrival(&request);
    let (head, body) = request.into_parts();
    call::drain(&head, body).await;
    call::respond(arrival, failure.into())
}

fn arrival(request: &Request) -> Arrival {
    let peer = request.extensions().get().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |Peer(address)| *address);
    Arrival::now(peer)
}
