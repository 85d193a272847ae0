//! `POST /v{N}/{dataset_id}/events`: a request is read, judged, counted and answered.

mod answer;
mod envelope;
mod event;
mod judge;

use std::{sync::Arc, time::SystemTime};

use axum::{
    Extension, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Path, State, rejection::BytesRejection},
    response::Response,
    routing::post,
};
use http::{HeaderMap, Uri};

use self::{
    envelope::Request,
    judge::{Judgement, judge},
};
use crate::{
    Sandbox,
    behaviour::{catalogue, click_id::Plan},
    books::{Settled, rfc3339, seen::Seen},
    serve::Line,
};

/// Meta publishes no limit. This one takes 1,000 events of 100 items each and keeps the sandbox's memory in bounds.
const BODY_LIMIT: usize = 64 << 20;
/// The longest dataset id that has counts of its own; Meta's have about 16 digits.
const MAX_DATASET_LEN: usize = 64;

pub(crate) fn router() -> Router<Sandbox> {
    Router::new()
        .route("/{version}/{dataset}/events", post(receive))
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .fallback(unknown_path)
        .method_not_allowed_fallback(unknown_path)
}

async fn receive(
    State(sandbox): State<Sandbox>,
    Extension(line): Extension<Line>,
    Path((version, dataset)): Path<(String, String)>,
    uri: Uri,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let dataset: Arc<str> = dataset.chars().take(MAX_DATASET_LEN).collect::<String>().into();
    let arrival = sandbox.arrive(Arc::clone(&dataset));
    let order = sandbox.control().next(&dataset);
    let request = Request::new(version, dataset, &uri, headers, body);
    let judgement = judge(&sandbox, order.plan, &request, arrival.number);
    let Judgement { plan, received, click_id, .. } = judgement;
    let delay = order.latency + plan.delay();
    // Counted on arrival, whatever happens to the answer: a client that gives up while it waits was counted all the same.
    sandbox.books().settle(Settled {
        seen: Seen {
            number: arrival.number,
            at: rfc3339(SystemTime::now()),
            version: request.version.chars().take(MAX_DATASET_LEN).collect(),
            dataset: request.dataset.to_string(),
            headers: request.header_names(),
            bytes: request.body_len(),
            events: judgement.events,
            carried: request.carried(),
            credited: judgement.credits.len(),
            outcome: judge::outcome(&plan),
            status: answer::status(plan.behaviour),
            answered: false,
            delay_ms: u64::try_from(delay.as_millis()).unwrap_or(u64::MAX),
        },
        credits: judgement.credits,
        foreign_fields: judgement.foreign_fields,
        without_event_id: judgement.without_event_id,
    });
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    let answer = answer::give(&request, &plan, received, &click_id, &line).await;
    sandbox.books().answered(arrival.number);
    answer
}

async fn unknown_path(uri: Uri) -> Response {
    tracing::warn!(path = uri.path(), "no such path or method here");
    answer::refuse_path(uri.path(), &Plan::of(&catalogue::UNKNOWN_PATH))
}
