//! A report as a page, and as a file.

use std::{collections::BTreeMap, sync::Arc};

use askama::Template;
use axum::{
    extract::{RawPathParams, RawQuery, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::{BufMut as _, BytesMut};
use serde::Deserialize;
use serde_json::Value;

use super::{
    catalogue::{Form, Report},
    question::{FILE, PAGE, Question, name},
};
use crate::{
    chart::{Bar, Chart, Part},
    console::Console,
    fault::Fault,
    fields::{Complaint, Fields},
    frame::Frame,
    money::{Amount, grouped},
    page,
    range::Range,
    tenant::{Business, Direction},
    when::{Moment, day_short},
};

#[derive(Template)]
#[template(path = "report.html")]
struct ReportPage {
    frame: Frame,
    url: String,
    report: &'static Report,
    complaints: Vec<Complaint>,
    range: Range,
    /// What the links to other ranges keep.
    kept: String,
    filters: Vec<Filter>,
    by_day: bool,
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
    chart: Option<Chart>,
    sql: String,
    /// The query string of the files.
    files: String,
    previous: Option<String>,
    next: Option<String>,
}

/// A text to filter by.
struct Filter {
    column: &'static str,
    label: &'static str,
    value: String,
}

/// A column's head, which sorts by it.
struct Column {
    label: &'static str,
    is_number: bool,
    /// The query string that sorts by it, or turns its order.
    query: String,
    /// `ascending` or `descending`, where the rows are sorted by it.
    sorted: &'static str,
}

struct Cell {
    text: String,
    is_number: bool,
    /// Whether calls can be looked for by it: the query string.
    calls: Option<String>,
}

#[derive(Deserialize)]
struct At {
    at: i64,
    #[serde(flatten)]
    measure: BTreeMap<String, Value>,
}

/// What a report is sent as.
#[derive(Clone, Copy)]
enum Kind {
    Page,
    Csv,
    Json,
}

/// A report. Its name may end in `.csv` or `.json`.
pub(crate) async fn report(
    State(console): State<Arc<Console>>,
    business: Business,
    parameters: RawPathParams,
    query: RawQuery,
) -> Response {
    let asked = parameters.iter().find(|(name, _)| *name == "report").map_or("", |(_, value)| value);
    let (path, kind) = match asked.rsplit_once('.') {
        Some((path, "csv")) => (path, Kind::Csv),
        Some((path, "json")) => (path, Kind::Json),
        _ => (asked, Kind::Page),
    };
    let Some(report) = Report::named(path) else { return Fault::NotFound.page(business.who().frame()) };
    let mut fields = Fields::parse(query.0.unwrap_or_default().as_bytes());
    let question = Question::read(report, &mut fields);
    let answer = match kind {
        Kind::Page => as_page(&console, &business, report, &question, fields.complaints()).await,
        Kind::Csv => as_file(&console, &business, report, &question, &fields, "CSVWithNames").await,
        Kind::Json => as_file(&console, &business, report, &question, &fields, "JSONEachRow").await,
    };
    answer.unwrap_or_else(|fault| fault.page(business.frame(report.section)))
}

async fn as_page(
    console: &Console,
    business: &Business,
    report: &'static Report,
    question: &Question,
    complaints: &[Complaint],
) -> Result<Response, Fault> {
    let select = question.select(report, business, PAGE + 1, question.page * PAGE);
    let sql = question.select(report, business, FILE, 0).shown();
    let rows = console.records.rows::<BTreeMap<String, Value>>(select);
    let (mut rows, chart) = tokio::try_join!(rows, course(console, business, report, question))?;
    let has_more = u64::try_from(rows.len()).is_ok_and(|rows| rows > PAGE);
    rows.truncate(usize::try_from(PAGE).unwrap_or(usize::MAX));
    let page = |to: u64| format!("{}&page={to}", question.query(&["page"]));
    let shown = ReportPage {
        frame: business.frame(report.section),
        url: business.url(),
        report,
        complaints: complaints.to_vec(),
        range: question.range,
        kept: format!("&{}", question.query(&["range", "from", "to", "page"])),
        filters: report.keys.iter().map(|key| Filter::of(key.column, key.label, question)).collect(),
        by_day: question.by_day,
        columns: columns(report, question),
        rows: rows.iter().map(|row| cells(report, question, row)).collect(),
        chart,
        sql,
        files: question.query(&["page"]),
        previous: (question.page > 0).then(|| page(question.page)),
        next: has_more.then(|| page(question.page + 2)),
    };
    Ok(page::shown(if complaints.is_empty() { StatusCode::OK } else { StatusCode::BAD_REQUEST }, &shown))
}

/// All rows in one file. Nothing is guessed here: what cannot be meant is no file.
async fn as_file(
    console: &Console,
    business: &Business,
    report: &Report,
    question: &Question,
    fields: &Fields,
    format: &'static str,
) -> Result<Response, Fault> {
    if let Some(complaint) = fields.complaints().first() {
        return Err(Fault::Input(format!("“{}” {}.", complaint.field, complaint.sentence)));
    }
    let text = console.records.text(&question.select(report, business, FILE, 0), format).await?;
    let (kind, extension, body) = match format {
        "CSVWithNames" => ("text/csv; charset=utf-8", "csv", text),
        _ => ("application/json", "json", as_array(&text)),
    };
    let name = format!("{}-{}-{}.{extension}", report.path, question.range.first_field(), question.range.last_field());
    let disposition = HeaderValue::try_from(format!("attachment; filename=\"{name}\"")).map_err(|_| Fault::NotFound)?;
    let headers = [(header::CONTENT_TYPE, HeaderValue::from_static(kind)), (header::CONTENT_DISPOSITION, disposition)];
    Ok((headers, body).into_response())
}

/// One object a line becomes one array.
fn as_array(lines: &[u8]) -> bytes::Bytes {
    let mut array = BytesMut::with_capacity(lines.len() + 4);
    array.put_u8(b'[');
    for (at, line) in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).enumerate() {
        array.put_slice(if at == 0 { b"\n" } else { b",\n" });
        array.put_slice(line);
    }
    array.put_slice(b"\n]\n");
    array.freeze()
}

/// The first measure over time; a single day has no course.
async fn course(
    console: &Console,
    business: &Business,
    report: &Report,
    question: &Question,
) -> Result<Option<Chart>, Fault> {
    if question.range.days() == 1 {
        return Ok(None);
    }
    let measure = &report.measures[0];
    let days: Vec<At> = console.records.rows(question.course(report, business)).await?;
    let from = question.range.begin_ms() / 1000;
    let slots = (0..question.range.days()).map(|day| (from + day * 86_400, 0.0));
    let mut values: BTreeMap<i64, f64> = slots.collect();
    for day in days {
        if let Some(value) = values.get_mut(&day.at) {
            *value = day.measure.get(measure.column).and_then(Value::as_f64).unwrap_or_default();
        }
    }
    let bar = |(at, value): (i64, f64)| Bar { label: day_short(Moment::of(at * 1000).date()), values: vec![value] };
    Ok(Some(Chart {
        title: format!("{} of each day", measure.label),
        parts: vec![Part { name: measure.label, colour: "one" }],
        bars: values.into_iter().map(bar).collect(),
    }))
}

impl Filter {
    fn of(column: &'static str, label: &'static str, question: &Question) -> Self {
        let value = question.filters.iter().find(|(key, _)| key.column == column).map(|(_, text)| text.clone());
        Self { column, label, value: value.unwrap_or_default() }
    }
}

fn columns(report: &Report, question: &Question) -> Vec<Column> {
    let day = question.by_day.then_some(("day", "Day", false));
    let keys = report.keys.iter().map(|key| (key.column, key.label, false));
    let measures = report.measures.iter().map(|measure| (measure.column, measure.label, measure.form != Form::Text));
    let head = |(column, label, is_number)| {
        let is_sorted = question.sort == column;
        let direction = match (is_sorted, is_number) {
            (true, _) => question.direction.other(),
            (false, true) => Direction::Down,
            (false, false) => Direction::Up,
        };
        let sorted = match (is_sorted, question.direction) {
            (false, _) => "",
            (true, Direction::Up) => "ascending",
            (true, Direction::Down) => "descending",
        };
        let query = format!("{}&sort={column}&dir={}", question.query(&["sort", "dir", "page"]), name(direction));
        Column { label, is_number, query, sorted }
    };
    day.into_iter().chain(keys).chain(measures).map(head).collect()
}

fn cells(report: &Report, question: &Question, row: &BTreeMap<String, Value>) -> Vec<Cell> {
    let value = |column: &str| row.get(column).unwrap_or(&Value::Null);
    let key = |column: &'static str| {
        let text = plain(value(column));
        Cell { calls: calls_by(column, &text), text, is_number: false }
    };
    let keys = question.keys(report).into_iter().map(key);
    let measure = |measure: &super::catalogue::Measure| Cell {
        text: shown(measure.form, value(measure.column)),
        is_number: measure.form != Form::Text,
        calls: None,
    };
    keys.chain(report.measures.iter().map(measure)).collect()
}

/// The query string that finds the calls of a key, where calls are found by it.
fn calls_by(column: &str, text: &str) -> Option<String> {
    let field = match column {
        "ad_id" => "ad",
        "sendout_id" => "campaign",
        "failure_stage" => "stage",
        _ => return None,
    };
    let encoded = url::form_urlencoded::Serializer::new(String::new()).append_pair(field, text).finish();
    (!text.is_empty()).then_some(encoded)
}

fn shown(form: Form, value: &Value) -> String {
    match (form, value) {
        (_, Value::Null) => "–".to_owned(),
        (Form::Count, Value::Number(number)) => grouped(&number.to_string()),
        (Form::Money, Value::String(text)) => Amount::from(text.clone()).to_string(),
        (Form::Rate, Value::Number(number)) => format!("{:.1} %", number.as_f64().unwrap_or_default() * 100.0),
        (_, value) => plain(value),
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_one_array() {
        let array = as_array(b"{\"a\":1}\n{\"a\":2}\n");
        assert_eq!(serde_json::from_slice::<Value>(&array).unwrap(), serde_json::json!([{"a": 1}, {"a": 2}]));
        assert_eq!(serde_json::from_slice::<Value>(&as_array(b"")).unwrap(), serde_json::json!([]));
    }

    #[test]
    fn values_are_shown_by_their_form() {
        for (form, value, text) in [
            (Form::Count, serde_json::json!(12_345), "12,345"),
            (Form::Money, serde_json::json!("12345.500000"), "12,345.50"),
            (Form::Rate, serde_json::json!(0.125), "12.5 %"),
            (Form::Rate, Value::Null, "–"),
            (Form::Text, serde_json::json!("<b>"), "<b>"),
        ] {
            assert_eq!(shown(form, &value), text);
        }
        assert_eq!(calls_by("ad_id", "a&b").as_deref(), Some("ad=a%26b"));
        assert_eq!(calls_by("currency", "USD"), None);
    }
}
