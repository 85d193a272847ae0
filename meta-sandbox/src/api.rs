//! `/sandbox/…`: what the sandbox can do, is told to do, has seen and has counted.

use std::time::Duration;

use axum::{
    Json, Router,
    extract::{Query, State},
    response::{IntoResponse, Response},
    routing::{get, post, put},
};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    Sandbox,
    behaviour::{self, click_id::Plan},
    books::{
        credited::{CreditedEvent, Filter, OrderCount},
        seen::Seen,
        statistics::Statistics,
    },
    control::{InForce, read_script},
};

/// How many rows a list has where no `limit` is given.
const USUAL_LIMIT: usize = 100;

const HELP: &str = "\
GET    /sandbox/behaviours                                 what a click id can ask for (also behaviours.json)
GET    /sandbox/stats                                      requests, events, outcomes, in flight, alarms; by dataset too
GET    /sandbox/credited[?dataset&event_id&event_name&ctwa_clid&limit]    counted events, the newest first
GET    /sandbox/credited/orders[?…the same]                counted orders, with how often each was counted
GET    /sandbox/credited/repeated[?…the same]              only those counted more than once
GET    /sandbox/requests[?dataset&limit]                   the last requests, the newest first
GET    /sandbox/control                                    what is in force
PUT    /sandbox/latency?latency=200ms[&dataset=ID]         how long answers take
PUT    /sandbox/outage?behaviour=NAME[&dataset=ID]         every request gets this, until cleared
PUT    /sandbox/script?steps=throttle:3,ok,reset-counted[&dataset=ID]     the next requests get these
DELETE /sandbox/latency | outage | script | control[?dataset=ID]         clears it; control: all three
POST   /sandbox/reset                                      forgets everything
";

pub(crate) fn router() -> Router<Sandbox> {
    Router::new()
        .route("/sandbox", get(async || HELP))
        .route("/sandbox/behaviours", get(async || behaviour::as_text()))
        .route("/sandbox/behaviours.json", get(async || Json(behaviour::as_rows())))
        .route("/sandbox/stats", get(stats))
        .route("/sandbox/credited", get(credited))
        .route("/sandbox/credited/orders", get(orders))
        .route("/sandbox/credited/repeated", get(repeated))
        .route("/sandbox/requests", get(requests))
        .route("/sandbox/control", get(control).delete(clear))
        .route("/sandbox/latency", put(set_latency).delete(clear_latency))
        .route("/sandbox/outage", put(set_outage).delete(clear_outage))
        .route("/sandbox/script", put(set_script).delete(clear_script))
        .route("/sandbox/reset", post(reset))
}

/// Answer of `GET /sandbox/credited`.
#[derive(Debug, Serialize, Deserialize)]
pub struct CreditedEvents {
    /// Events counted since the last reset, whatever the filter; exact.
    pub events: u64,
    /// Events that match the filter, among those whose details are kept.
    pub matching: usize,
    /// Those events, the newest first.
    pub credited: Vec<CreditedEvent>,
}

/// Answer of `GET /sandbox/credited/orders` and `/repeated`.
#[derive(Debug, Serialize, Deserialize)]
pub struct CreditedOrders {
    /// Events counted since the last reset, whatever the filter; exact.
    pub events: u64,
    /// Different orders (dataset, event name, event id) among them; exact.
    pub distinct: u64,
    /// Orders that were counted more than once; exact. Anything but 0 is a sale that was credited twice.
    pub repeated: u64,
    /// The orders that match.
    pub orders: Vec<OrderCount>,
}

#[derive(Deserialize)]
struct Limit {
    limit: Option<usize>,
}

impl Limit {
    fn rows(&self) -> usize {
        self.limit.unwrap_or(USUAL_LIMIT)
    }
}

#[derive(Deserialize)]
struct Target {
    dataset: Option<String>,
}

#[derive(Deserialize)]
struct NewLatency {
    latency: String,
}

#[derive(Deserialize)]
struct NewOutage {
    behaviour: String,
}

#[derive(Deserialize)]
struct NewScript {
    steps: String,
}

/// An order that cannot be read.
struct Misread(String);

impl IntoResponse for Misread {
    fn into_response(self) -> Response {
        (StatusCode::BAD_REQUEST, Json(json!({"error": self.0}))).into_response()
    }
}

type Controlled = Result<Json<Vec<InForce>>, Misread>;

async fn stats(State(sandbox): State<Sandbox>) -> Json<Statistics> {
    Json(sandbox.books().statistics.clone())
}

async fn credited(
    State(sandbox): State<Sandbox>,
    Query(filter): Query<Filter>,
    Query(limit): Query<Limit>,
) -> Json<CreditedEvents> {
    let books = sandbox.books();
    let (events, ..) = books.credited.totals();
    let (matching, credited) = books.credited.latest(&filter, limit.rows());
    Json(CreditedEvents { events, matching, credited })
}

async fn orders(
    State(sandbox): State<Sandbox>,
    Query(filter): Query<Filter>,
    Query(limit): Query<Limit>,
) -> Json<CreditedOrders> {
    let books = sandbox.books();
    let (events, distinct, repeated) = books.credited.totals();
    Json(CreditedOrders { events, distinct, repeated, orders: books.credited.orders(&filter, limit.rows()) })
}

async fn repeated(
    State(sandbox): State<Sandbox>,
    Query(filter): Query<Filter>,
    Query(limit): Query<Limit>,
) -> Json<CreditedOrders> {
    let books = sandbox.books();
    let (events, distinct, repeated) = books.credited.totals();
    Json(CreditedOrders { events, distinct, repeated, orders: books.credited.repeated(&filter, limit.rows()) })
}

async fn requests(
    State(sandbox): State<Sandbox>,
    Query(target): Query<Target>,
    Query(limit): Query<Limit>,
) -> Json<Vec<Seen>> {
    let books = sandbox.books();
    let matching = books.seen().filter(|seen| target.dataset.as_ref().is_none_or(|dataset| *dataset == seen.dataset));
    Json(matching.take(limit.rows()).cloned().collect())
}

async fn control(State(sandbox): State<Sandbox>) -> Json<Vec<InForce>> {
    Json(sandbox.control().in_force())
}

async fn clear(State(sandbox): State<Sandbox>, Query(target): Query<Target>) -> Json<Vec<InForce>> {
    match target.dataset {
        Some(dataset) => sandbox.control().clear(&dataset),
        None => sandbox.control().clear_all(),
    }
    control(State(sandbox)).await
}

async fn set_latency(
    State(sandbox): State<Sandbox>,
    Query(target): Query<Target>,
    Query(new): Query<NewLatency>,
) -> Controlled {
    let latency: Duration = humantime::parse_duration(&new.latency)
        .map_err(|fault| Misread(format!("latency {:?}: {fault}; write 200ms", new.latency)))?;
    sandbox.control().set_latency(target.dataset, Some(latency));
    Ok(control(State(sandbox)).await)
}

async fn clear_latency(State(sandbox): State<Sandbox>, Query(target): Query<Target>) -> Json<Vec<InForce>> {
    sandbox.control().set_latency(target.dataset, None);
    control(State(sandbox)).await
}

async fn set_outage(
    State(sandbox): State<Sandbox>,
    Query(target): Query<Target>,
    Query(new): Query<NewOutage>,
) -> Controlled {
    let plan = Plan::named(&new.behaviour)
        .ok_or_else(|| Misread(format!("no behaviour {:?}: see GET /sandbox/behaviours", new.behaviour)))?;
    sandbox.control().set_outage(target.dataset, Some(plan));
    Ok(control(State(sandbox)).await)
}

async fn clear_outage(State(sandbox): State<Sandbox>, Query(target): Query<Target>) -> Json<Vec<InForce>> {
    sandbox.control().set_outage(target.dataset, None);
    control(State(sandbox)).await
}

async fn set_script(
    State(sandbox): State<Sandbox>,
    Query(target): Query<Target>,
    Query(new): Query<NewScript>,
) -> Controlled {
    let script = read_script(&new.steps)
        .map_err(|step| Misread(format!("step {step:?}: write NAME or NAME:TIMES, see GET /sandbox/behaviours")))?;
    sandbox.control().set_script(target.dataset, script);
    Ok(control(State(sandbox)).await)
}

async fn clear_script(State(sandbox): State<Sandbox>, Query(target): Query<Target>) -> Json<Vec<InForce>> {
    sandbox.control().set_script(target.dataset, Vec::new());
    control(State(sandbox)).await
}

async fn reset(State(sandbox): State<Sandbox>) -> StatusCode {
    sandbox.reset();
    StatusCode::NO_CONTENT
}
