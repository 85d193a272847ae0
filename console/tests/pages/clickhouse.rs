//! A ClickHouse that is asked over HTTP, remembers what it was asked, and answers as it was told.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Bytes,
    extract::{RawQuery, State},
    http::{StatusCode, Uri},
    response::{IntoResponse, Response},
};
use serde_json::Value;
use tokio::net::TcpListener;

/// What one question was.
#[derive(Clone, Debug)]
pub struct Asked {
    pub sql: String,
    /// The values of its parameters, and settings.
    pub settings: BTreeMap<String, String>,
}

impl Asked {
    pub fn value(&self, name: &str) -> &str {
        self.settings.get(&format!("param_{name}")).map_or("", String::as_str)
    }
}

/// Rows for questions whose statement has a text in it; the first that matches answers.
type Answer = (&'static str, Vec<Value>);

#[derive(Clone, Default)]
pub struct ClickHouse {
    asked: Arc<Mutex<Vec<Asked>>>,
    answers: Arc<Mutex<Vec<Answer>>>,
    refusal: Arc<Mutex<Option<&'static str>>>,
    /// What is answered below a path that is not ClickHouse's.
    elsewhere: Arc<Mutex<Option<(&'static str, &'static str)>>>,
}

impl ClickHouse {
    pub async fn start(&self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(answer).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        address
    }

    /// From now on statements with this text in them have these rows.
    pub fn has(&self, text: &'static str, rows: impl Into<Vec<Value>>) {
        self.answers.lock().unwrap().insert(0, (text, rows.into()));
    }

    /// From now on it answers with this error.
    pub fn refuses(&self, error: &'static str) {
        *self.refusal.lock().unwrap() = Some(error);
    }

    /// From now on it answers with this, as a bad request, to whatever is asked below this path: it plays Meta as well.
    pub fn refuses_path(&self, path: &'static str, answer: &'static str) {
        *self.elsewhere.lock().unwrap() = Some((path, answer));
    }

    /// All that was asked since the last time.
    pub fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

/// A statement with parameters comes as a form of several parts.
fn parts(body: &str) -> Option<BTreeMap<String, String>> {
    let (boundary, _) = body.split_once("\r\n").filter(|(first, _)| first.starts_with("--"))?;
    let part = |part: &str| {
        let (_, rest) = part.split_once("name=\"")?;
        let (name, rest) = rest.split_once('"')?;
        let value = rest.strip_prefix("\r\n\r\n")?.strip_suffix("\r\n")?;
        Some((name.to_owned(), value.to_owned()))
    };
    Some(body.split(boundary).filter_map(part).collect())
}

async fn answer(State(clickhouse): State<ClickHouse>, uri: Uri, RawQuery(query): RawQuery, body: Bytes) -> Response {
    let query = query.unwrap_or_default();
    let mut settings: BTreeMap<_, _> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let body = String::from_utf8(body.to_vec()).unwrap();
    let sql = match parts(&body) {
        Some(mut parts) => {
            let sql = parts.remove("query").unwrap();
            settings.extend(parts);
            sql
        }
        None => body,
    };
    let answers = clickhouse.answers.lock().unwrap();
    let rows = answers.iter().find(|(text, _)| sql.contains(text)).map(|(_, rows)| rows.clone()).unwrap_or_default();
    let lines: Vec<_> = rows.iter().map(|row| format!("{row}\n")).collect();
    clickhouse.asked.lock().unwrap().push(Asked { sql, settings });
    if let Some((path, answer)) = *clickhouse.elsewhere.lock().unwrap()
        && uri.path().starts_with(path)
    {
        return (StatusCode::BAD_REQUEST, answer).into_response();
    }
    match *clickhouse.refusal.lock().unwrap() {
        Some(error) => (StatusCode::INTERNAL_SERVER_ERROR, error).into_response(),
        None => lines.concat().into_response(),
    }
}
