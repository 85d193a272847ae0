//! A Meta that repeats what it was told, token and click id, in every kind of answer; and an OTLP receiver. Both keep what
//! came.

use std::{
    collections::HashSet,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, Uri, header},
    response::{Html, IntoResponse as _, Response},
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};

/// Click ids, each for one kind of answer; all but the first three are answered well when asked again.
pub(crate) const ANSWERS: [&str; 9] = [
    "parrot-refuses-the-click",
    "parrot-refuses-the-token",
    "parrot-knows-no-such-code",
    "parrot-answers-200-and-html",
    "parrot-answers-nonsense",
    "parrot-fails-for-now",
    "parrot-throttles",
    "parrot-answers-502-and-html",
    "parrot-hangs-up",
];

/// What came: each request's URL, headers but for the ones that carry secrets by design, and body.
#[derive(Clone, Default)]
pub(crate) struct Heard(Arc<Mutex<Vec<u8>>>);

impl Heard {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn keep(&self, url: &Uri, headers: &HeaderMap, body: &[u8]) {
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        heard.extend_from_slice(format!("{url}\n").as_bytes());
        for (name, value) in headers.iter().filter(|(name, _)| *name != header::AUTHORIZATION) {
            heard.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\n"].concat());
        }
        heard.extend_from_slice(body);
        heard.push(b'\n');
    }
}

#[derive(Clone, Default)]
struct Parrot {
    heard: Heard,
    answered: Arc<Mutex<HashSet<String>>>,
}

/// Starts the parrot.
pub(crate) async fn parrot(address: SocketAddr) -> anyhow::Result<(Heard, JoinHandle<()>)> {
    let parrot = Parrot::default();
    let heard = parrot.heard.clone();
    Ok((heard, serve(address, Router::new().fallback(answer).with_state(parrot)).await?))
}

/// Starts the receiver of traces.
pub(crate) async fn receiver(address: SocketAddr) -> anyhow::Result<(Heard, JoinHandle<()>)> {
    let heard = Heard::default();
    let collect = async |State(heard): State<Heard>, url: Uri, headers: HeaderMap, body: Bytes| {
        heard.keep(&url, &headers, &body);
        StatusCode::OK
    };
    Ok((heard.clone(), serve(address, Router::new().fallback(collect).with_state(heard)).await?))
}

async fn serve(address: SocketAddr, router: Router) -> anyhow::Result<JoinHandle<()>> {
    let socket = TcpListener::bind(address).await?;
    Ok(tokio::spawn(async move {
        // It ends with the test.
        let _ = axum::serve(socket, router).await;
    }))
}

async fn answer(State(parrot): State<Parrot>, url: Uri, headers: HeaderMap, body: Bytes) -> Response {
    parrot.heard.keep(&url, &headers, &body);
    let token = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let token = token.strip_prefix("Bearer ").unwrap_or_default();
    let request: Value = serde_json::from_slice(&body).unwrap_or_default();
    let events = request["data"].as_array().map_or(0, Vec::len);
    let clicks: Vec<_> = request["data"].as_array().into_iter().flatten().collect();
    let click = clicks.iter().find_map(|event| {
        let click = event["user_data"]["ctwa_clid"].as_str()?;
        ANSWERS.contains(&click.rsplit_once('#')?.0).then_some(click)
    });
    let Some((kind, _)) = click.and_then(|click| click.rsplit_once('#')) else { return counted(events) };
    let again =
        !parrot.answered.lock().unwrap_or_else(PoisonError::into_inner).insert(click.unwrap_or_default().into());
    let words = format!("access_token={token} is not good for ctwa_clid {}; Bearer {token}", click.unwrap_or_default());
    match kind {
        "parrot-refuses-the-click" => refused(400, 100, Some(2_804_087), &words),
        "parrot-refuses-the-token" => refused(401, 190, Some(463), &words),
        "parrot-knows-no-such-code" => refused(400, 9999, None, &words),
        "parrot-fails-for-now" if !again => refused(500, 2, None, &words),
        "parrot-throttles" if !again => refused(400, 613, None, &words),
        "parrot-answers-200-and-html" if !again => Html(format!("<html>{words}</html>")).into_response(),
        "parrot-answers-nonsense" if !again => axum::Json(json!({"events_received": words})).into_response(),
        "parrot-answers-502-and-html" if !again => {
            (StatusCode::BAD_GATEWAY, Html(format!("<h1>{words}</h1>"))).into_response()
        }
        "parrot-hangs-up" if !again => hang_up(&words),
        _ => counted(events),
    }
}

/// A body that breaks off in the middle of the token.
fn hang_up(words: &str) -> Response {
    let start = Ok::<_, std::io::Error>(Bytes::from(format!(r#"{{"error":{{"message":"{words}"#)));
    let broken = futures::stream::iter([start, Err(std::io::Error::other("gone"))]);
    axum::body::Body::from_stream(broken).into_response()
}

fn counted(events: usize) -> Response {
    axum::Json(json!({"events_received": events, "messages": [], "fbtrace_id": "Aparrot"})).into_response()
}

fn refused(status: u16, code: i32, subcode: Option<i32>, words: &str) -> Response {
    let body = json!({"error": {
        "message": words, "type": "OAuthException", "code": code, "error_subcode": subcode, "error_user_title": words,
        "error_user_msg": words, "error_data": {"blame_field_specs": [[words]]}, "fbtrace_id": "Aparrot",
    }});
    let headers = [("www-authenticate", format!("OAuth \"{words}\"")), ("x-app-usage", words.to_owned())];
    (StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST), headers, axum::Json(body)).into_response()
}
