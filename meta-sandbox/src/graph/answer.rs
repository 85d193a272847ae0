//! What goes back on the wire, or does not.

use std::{convert::Infallible, future, io};

use axum::{
    body::{Body, Bytes},
    response::Response,
};
use futures::{StreamExt, stream};
use http::{HeaderValue, StatusCode, header};
use rand::{Rng, distr::Alphanumeric};
use serde::Serialize;

use super::envelope::Request;
use crate::{
    behaviour::{
        Behaviour, Reply,
        click_id::Plan,
        refusal::{Drawn, HUGE_MIB, Refusal},
    },
    serve::Line,
};

const JSON: &str = "application/json; charset=UTF-8";
const MIB: usize = 1 << 20;
static BLANKS: [u8; MIB] = [b' '; MIB];

#[derive(Serialize)]
struct Success<'a> {
    events_received: usize,
    messages: [&'a str; 0],
    fbtrace_id: &'a str,
}

/// The status of the answer; none where no answer is given.
pub(super) fn status(behaviour: &Behaviour) -> Option<u16> {
    match &behaviour.reply {
        Reply::Refused(refusal) => Some(refusal.status),
        Reply::Page { status, .. } | Reply::Huge { status } => Some(*status),
        Reply::Reset | Reply::Silence => None,
        Reply::Received | Reply::Slow | Reply::DropEvent | Reply::DropAll | Reply::CutShort => Some(200),
    }
}

/// Answers as planned. `received` is what the usual answer says it counted, `click_id` whose wish this is.
pub(super) async fn give(request: &Request, plan: &Plan, received: usize, click_id: &str, line: &Line) -> Response {
    let fbtrace_id = fbtrace_id();
    match &plan.behaviour.reply {
        Reply::Received | Reply::Slow | Reply::DropEvent | Reply::DropAll => {
            json(200, serde_json::to_vec(&Success { events_received: received, messages: [], fbtrace_id: &fbtrace_id }))
        }
        Reply::Refused(refusal) => {
            let dataset = &request.dataset;
            let regain_minutes = plan.number;
            refuse(
                refusal,
                &Drawn { dataset, click_id, token: request.token(), fbtrace_id: &fbtrace_id, regain_minutes },
            )
        }
        Reply::Page { status, content_type, body } => page(*status, content_type, Body::from(*body)),
        Reply::Huge { status } => page(*status, JSON, huge()),
        Reply::CutShort => cut_short(),
        Reply::Reset => match line.reset().await {},
        Reply::Silence => match future::pending::<Infallible>().await {},
    }
}

/// Answers a request that has no dataset.
pub(super) fn refuse_path(path: &str, plan: &Plan) -> Response {
    let fbtrace_id = fbtrace_id();
    match &plan.behaviour.reply {
        Reply::Refused(refusal) => {
            let drawn = Drawn { dataset: path, click_id: "", token: "", fbtrace_id: &fbtrace_id, regain_minutes: None };
            refuse(refusal, &drawn)
        }
        _ => page(404, JSON, Body::empty()),
    }
}

fn refuse(refusal: &Refusal, drawn: &Drawn<'_>) -> Response {
    let mut response = json(refusal.status, refusal.body(drawn));
    for (name, value) in refusal.headers(drawn) {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

fn json(status: u16, body: Result<Vec<u8>, serde_json::Error>) -> Response {
    match body {
        Ok(body) => page(status, JSON, Body::from(body)),
        Err(fault) => {
            tracing::error!(%fault, "an answer could not be written as JSON");
            page(500, JSON, Body::empty())
        }
    }
}

fn page(status: u16, content_type: &'static str, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// Begins like an answer and goes on with blanks, a chunk at a time so that it costs no memory here.
fn huge() -> Body {
    let start = Bytes::from_static(br#"{"events_received":1,"messages":["#);
    let blanks = std::iter::repeat_n(Bytes::from_static(&BLANKS), HUGE_MIB);
    let end = Bytes::from_static(br"]}");
    Body::from_stream(stream::iter(std::iter::once(start).chain(blanks).chain([end]).map(Ok::<_, Infallible>)))
}

/// A Content-Length that the body does not reach: the fault in the stream makes the server close the connection. The
/// pause before it is what makes the server send the first part.
fn cut_short() -> Response {
    let start = stream::iter([Ok(Bytes::from_static(br#"{"events_received":1,"#))]);
    let fault = stream::once(async {
        tokio::task::yield_now().await;
        Err(io::Error::from(io::ErrorKind::ConnectionAborted))
    });
    let body = Body::from_stream(start.chain(fault));
    let mut response = page(200, JSON, body);
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from_static("82"));
    response
}

/// `A` and 22 characters, as Meta's are.
fn fbtrace_id() -> String {
    std::iter::once('A').chain(rand::rng().sample_iter(Alphanumeric).take(22).map(char::from)).collect()
}
