//! Which column of a table holds which field, and the body that a row makes.

use std::str::FromStr;

use serde::Serialize;
use serde_json::value::RawValue;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// A field of a call that a column can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    CnctTrackingId,
    EventName,
    SendoutId,
    CtwaClid,
    AdId,
    Currency,
    Value,
    OrderId,
    ContentType,
    ContentIds,
    NumItems,
    Contents,
    EventTime,
}

/// Every field with its name, in the order of the enum.
const FIELDS: [(Field, &str); 13] = [
    (Field::CnctTrackingId, "cnct_tracking_id"),
    (Field::EventName, "event_name"),
    (Field::SendoutId, "sendout_id"),
    (Field::CtwaClid, "ctwa_clid"),
    (Field::AdId, "ad_id"),
    (Field::Currency, "currency"),
    (Field::Value, "value"),
    (Field::OrderId, "order_id"),
    (Field::ContentType, "content_type"),
    (Field::ContentIds, "content_ids"),
    (Field::NumItems, "num_items"),
    (Field::Contents, "contents"),
    (Field::EventTime, "event_time"),
];

/// Fields that no call is without: the first of [`FIELDS`].
const REQUIRED: usize = 5;

/// What `--map` says of one field: `field=Column`, or `field=:constant`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mapping {
    field: Field,
    source: Source,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Source {
    Column(String),
    Constant(String),
}

impl FromStr for Mapping {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, source) = text.split_once('=').ok_or("write it as field=Column or field=:constant")?;
        let field = FIELDS.iter().find(|(_, known)| *known == name).map(|(field, _)| *field).ok_or_else(|| {
            let names: Vec<_> = FIELDS.iter().map(|(_, name)| *name).collect();
            format!("`{name}` is no field; the fields are {}", names.join(", "))
        })?;
        let source = match source.strip_prefix(':') {
            Some(constant) => Source::Constant(constant.to_owned()),
            None => Source::Column(source.to_owned()),
        };
        Ok(Self { field, source })
    }
}

/// Where each field of a row comes from.
#[derive(Debug)]
pub(crate) struct Columns {
    places: [Place; FIELDS.len()],
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Nowhere,
    Cell(usize),
    Constant(String),
}

impl Columns {
    /// The columns of a header: as mapped, else the column that bears the field's name.
    ///
    /// # Errors
    /// In a sentence, where a mapped column is not there, or a field that is required has none.
    pub(crate) fn of(header: &[String], mappings: &[Mapping]) -> Result<Self, String> {
        let mut places: [Place; FIELDS.len()] = Default::default();
        for (place, (field, name)) in places.iter_mut().zip(FIELDS) {
            *place = match mappings.iter().find(|mapping| mapping.field == field).map(|mapping| &mapping.source) {
                Some(Source::Constant(text)) => Place::Constant(text.clone()),
                Some(Source::Column(column)) => Place::Cell(find(header, column).ok_or_else(|| {
                    format!("the header has no column `{column}` for {name}; it has {}", header.join(", "))
                })?),
                None => find(header, name).map_or(Place::Nowhere, Place::Cell),
            };
        }
        let missing = places.iter().zip(FIELDS).take(REQUIRED).filter(|(place, _)| **place == Place::Nowhere);
        let missing: Vec<_> = missing.map(|(_, (_, name))| name).collect();
        if missing.is_empty() {
            return Ok(Self { places });
        }
        let names = missing.join(", ");
        Err(format!("no column for {names}: say which with --map field=Column, or give a constant: field=:text"))
    }

    /// The body of a row. What is no number stays text, so that the endpoint's rules name the fault.
    pub(crate) fn body(&self, row: &[&str]) -> Vec<u8> {
        let cell = |field: Field| self.cell(field, row);
        let text = |field| cell(field).map(Value::Text);
        let body = Body {
            cnct_tracking_id: text(Field::CnctTrackingId),
            event_name: text(Field::EventName),
            sendout_id: text(Field::SendoutId),
            attribution: Attribution {
                meta_ctwa: Click { ctwa_clid: text(Field::CtwaClid), ad_id: text(Field::AdId) },
            },
            payload: Payload {
                currency: text(Field::Currency),
                value: cell(Field::Value).map(number),
                order_id: text(Field::OrderId),
                content_type: text(Field::ContentType),
                content_ids: cell(Field::ContentIds).map(ids),
                num_items: cell(Field::NumItems).map(number),
                contents: cell(Field::Contents).map(json),
                event_time: cell(Field::EventTime).map(moment),
            },
        };
        // Texts and JSON in structs: there is nothing in it that could fail to be written.
        serde_json::to_vec(&body).unwrap_or_default()
    }

    /// The cell of a field; `None` where it is blank.
    fn cell<'r>(&'r self, field: Field, row: &[&'r str]) -> Option<&'r str> {
        let text = match &self.places[field as usize] {
            Place::Nowhere => None,
            Place::Cell(at) => row.get(*at).copied(),
            Place::Constant(text) => Some(text.as_str()),
        };
        text.filter(|text| !text.trim().is_empty())
    }
}

fn find(header: &[String], column: &str) -> Option<usize> {
    header.iter().position(|name| name == column)
}

/// A number as it is written; else text.
fn number(cell: &str) -> Value<'_> {
    let trimmed = cell.trim();
    let is_number = trimmed.starts_with(|first: char| first == '-' || first.is_ascii_digit());
    if is_number { json(trimmed) } else { Value::Text(cell) }
}

/// JSON as it is written; else text.
fn json(cell: &str) -> Value<'_> {
    serde_json::from_str(cell).map_or(Value::Text(cell), Value::Json)
}

/// A JSON array, or ids with `|` between them.
fn ids(cell: &str) -> Value<'_> {
    if cell.trim_start().starts_with('[') {
        return json(cell);
    }
    Value::Texts(cell.split('|').map(str::trim).collect())
}

/// Unix seconds, or RFC 3339.
fn moment(cell: &str) -> Value<'_> {
    match OffsetDateTime::parse(cell.trim(), &Rfc3339) {
        Ok(moment) => Value::Seconds(moment.unix_timestamp()),
        Err(_) => number(cell),
    }
}

#[derive(Serialize)]
#[serde(untagged)]
enum Value<'r> {
    Text(&'r str),
    Texts(Vec<&'r str>),
    Json(&'r RawValue),
    Seconds(i64),
}

#[derive(Serialize)]
struct Body<'r> {
    #[serde(skip_serializing_if = "Option::is_none")]
    cnct_tracking_id: Option<Value<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_name: Option<Value<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sendout_id: Option<Value<'r>>,
    attribution: Attribution<'r>,
    payload: Payload<'r>,
}

#[derive(Serialize)]
struct Attribution<'r> {
    meta_ctwa: Click<'r>,
}

#[derive(Serialize)]
struct Click<'r> {
    #[serde(skip_serializing_if = "Option::is_none")]
    ctwa_clid: Option<Value<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ad_id: Option<Value<'r>>,
}

#[derive(Serialize)]
struct Payload<'r> {
    #[serde(skip_serializing_if = "Option::is_none")]
    currency: Option<Value<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Value<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    order_id: Option<Value<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_type: Option<Value<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_ids: Option<Value<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    num_items: Option<Value<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    contents: Option<Value<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_time: Option<Value<'r>>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn columns(header: &str, maps: &[&str]) -> Result<Columns, String> {
        let header: Vec<_> = header.split(',').map(str::to_owned).collect();
        Columns::of(&header, &maps.iter().map(|map| map.parse().unwrap()).collect::<Vec<_>>())
    }

    const CLICK: &str = "cnct_tracking_id,event_name,sendout_id,ctwa_clid,ad_id";

    fn payload(header: &str, maps: &[&str], cells: &[&str]) -> serde_json::Value {
        let columns = columns(&format!("{CLICK},{header}"), maps).unwrap();
        let body = columns.body(&[&["t", "Purchase", "s", "c", "7"], cells].concat());
        serde_json::from_slice::<serde_json::Value>(&body).unwrap()["payload"].take()
    }

    #[test]
    fn fields_are_in_the_order_of_their_names() {
        for (at, (field, _)) in FIELDS.into_iter().enumerate() {
            assert_eq!(field as usize, at);
        }
    }

    #[test]
    fn a_row_becomes_the_endpoints_body() {
        let header = "Order,Total,currency,items,content_ids,when,num_items";
        let maps = ["order_id=Order", "value=Total", "contents=items", "event_time=when", "content_type=:product"];
        let cells = ["00123", "99.90", "usd", r#"[{"id":"x","quantity":2}]"#, "x|y", "2026-11-23T08:00:00Z", "2"];
        let expected = json!({
            "order_id": "00123", "value": 99.90, "currency": "usd", "contents": [{"id": "x", "quantity": 2}],
            "content_ids": ["x", "y"], "event_time": 1_795_420_800, "num_items": 2, "content_type": "product",
        });
        assert_eq!(payload(header, &maps, &cells), expected);
        let body = columns(CLICK, &["ad_id=:120"]).unwrap().body(&["t", "ViewContent", "s", " c ", "7"]);
        let expected = json!({
            "cnct_tracking_id": "t", "event_name": "ViewContent", "sendout_id": "s",
            "attribution": {"meta_ctwa": {"ctwa_clid": " c ", "ad_id": "120"}}, "payload": {},
        });
        assert_eq!(serde_json::from_slice::<serde_json::Value>(&body).unwrap(), expected);
    }

    #[test]
    fn numbers_keep_their_digits_and_what_is_none_stays_text() {
        let body =
            columns(&format!("{CLICK},value"), &[]).unwrap().body(&["t", "e", "s", "c", "7", "0.10000000000000000001"]);
        assert!(String::from_utf8(body).unwrap().contains(r#""value":0.10000000000000000001"#));
        let told = payload("value,event_time,num_items,contents", &[], &["99,97", "yesterday", " 3 ", "[{"]);
        assert_eq!(told, json!({"value": "99,97", "event_time": "yesterday", "num_items": 3, "contents": "[{"}));
        assert_eq!(payload("value,event_time,order_id", &[], &["", " ", ""]), json!({}));
        assert_eq!(payload("event_time", &[], &["1795420800"]), json!({"event_time": 1_795_420_800}));
    }

    #[test]
    fn what_cannot_be_mapped_is_said() {
        let missing = columns("cnct_tracking_id,event_name,ctwa_clid", &[]).unwrap_err();
        assert!(missing.starts_with("no column for sendout_id, ad_id:"), "{missing}");
        assert!(columns(CLICK, &["value=Total"]).unwrap_err().contains("no column `Total` for value"));
        assert!("price=Total".parse::<Mapping>().unwrap_err().contains("`price` is no field"));
        assert!("value".parse::<Mapping>().is_err());
    }
}
