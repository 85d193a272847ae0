//! The paths, and what every answer carries.

use std::{sync::Arc, time::Instant};

use axum::{
    Router,
    extract::{MatchedPath, Request},
    http::{HeaderValue, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};

use crate::{
    assets, businesses, calls, console::Console, fault::Fault, integration, manage, metrics, overview, reports,
    session::SignedIn, sign_in,
};

/// Nothing is loaded but from here, no script stands in a page, nobody frames a page, and no form goes elsewhere.
const CONTENT_SECURITY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; \
     connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Routes every request to a page.
pub fn router(console: Arc<Console>) -> Router {
    Router::new()
        .route("/", get(businesses::home))
        .route("/businesses", get(businesses::list))
        .route("/businesses/{business_id}", get(overview::overview))
        .route("/businesses/{business_id}/calls", get(calls::list))
        .route("/businesses/{business_id}/calls/{call_id}", get(calls::call))
        .route("/businesses/{business_id}/reports/{report}", get(reports::report))
        .route("/businesses/{business_id}/integration", get(integration::integration))
        .route("/businesses/{business_id}/settings", get(manage::settings))
        .route("/businesses/{business_id}/settings/keys", post(manage::create_key))
        .route("/businesses/{business_id}/settings/keys/{key_id}/revoke", post(manage::revoke_key))
        .route("/businesses/{business_id}/settings/channel", post(manage::put_channel))
        .route("/businesses/{business_id}/settings/channel/check", post(manage::check_connection))
        .route("/sign-in", get(sign_in::form).post(sign_in::sign_in))
        .route("/sign-out", post(sign_in::sign_out))
        .route("/assets/{name}", get(assets::serve))
        .fallback(elsewhere)
        .method_not_allowed_fallback(otherwise)
        .layer(middleware::from_fn(around))
        .with_state(console)
}

/// What is not there is told in the same frame as the rest; who has not signed in learns nothing of what there is.
async fn elsewhere(who: SignedIn) -> Response {
    Fault::NotFound.page(who.frame())
}

async fn otherwise() -> Response {
    Fault::Method.into_response()
}

/// Counts every answer, and gives it the headers that all have.
async fn around(request: Request, next: Next) -> Response {
    let since = Instant::now();
    let route = request.extensions().get::<MatchedPath>().map_or("elsewhere", MatchedPath::as_str).to_owned();
    let mut answer = next.run(request).await;
    let status = answer.status();
    tracing::debug!(route, %status, "answered");
    let headers = answer.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // What stands on a page is one user's: no cache keeps it, and none after a sign-out.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    metrics::answered(route, status, since.elapsed());
    answer
}
