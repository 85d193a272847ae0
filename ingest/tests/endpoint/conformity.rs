//! Every answer that the tests of the endpoint get is held against the `OpenAPI` document: its status is one that the
//! document has for the operation, its headers are those, and nothing is in its body that is not documented.

use std::{
    collections::HashMap,
    sync::{LazyLock, Mutex, PoisonError},
};

use capi_ingest::openapi::{DOCS, OPENAPI, document};
use http::Method;
use jsonschema::Validator;
use serde_json::{Value, json};

use crate::harness::Got;

pub static DOCUMENT: LazyLock<Value> = LazyLock::new(document);

/// # Panics
/// Where the answer is not as documented.
#[track_caller]
pub fn check(method: &Method, path: &str, got: &Got) {
    let response = response(method, path, got.http);
    let what = || format!("{method} {path}: {} {:?} {}", got.http, got.headers, got.body);
    assert_eq!(got.header("content-type"), "application/json", "{}", what());
    let schema = &response["content"]["application/json"]["schema"];
    if let Err(fault) = validator(schema).validate(&got.body) {
        panic!("{}: {fault}, at {}", what(), fault.instance_path());
    }
    let documented = response["headers"].as_object().unwrap();
    for (name, header) in documented {
        let header = resolve(header);
        match got.headers.get(name) {
            Some(value) => fits(header, value.to_str().unwrap(), &what),
            None => assert_ne!(header["required"], true, "no {name}: {}", what()),
        }
    }
    for name in got.headers.keys().filter(|name| !["content-type", "content-length"].contains(&name.as_str())) {
        assert!(
            documented.keys().any(|known| known.eq_ignore_ascii_case(name.as_str())),
            "{name} is not documented: {}",
            what()
        );
    }
}

fn fits(header: &'static Value, value: &str, what: &dyn Fn() -> String) {
    let is_number = header["schema"]["type"] == "integer";
    let value = if is_number { json!(value.parse::<u64>().unwrap()) } else { json!(value) };
    assert!(validator(&header["schema"]).is_valid(&value), "{value} is no header as documented: {}", what());
}

/// The response that the document has for it.
fn response(method: &Method, path: &str, status: u16) -> &'static Value {
    let (template, item) = DOCUMENT["paths"].as_object().unwrap().iter().next().unwrap();
    let segments = template.split('/').count();
    let is_endpoint = path.starts_with("/external/v1/businesses/")
        && path.ends_with("/conversion_events")
        && path.split('/').count() == segments;
    let operation = item.get(method.as_str().to_lowercase());
    let elsewhere = |name: &str, expected: u16| {
        assert_eq!(status, expected, "{method} {path}");
        &DOCUMENT["components"]["responses"][name]
    };
    match (is_endpoint, operation) {
        (true, Some(operation)) => {
            let response = operation["responses"].get(status.to_string());
            response.unwrap_or_else(|| panic!("{status} of {method} {path} is not documented"))
        }
        (true, None) => elsewhere("MethodNotAllowed", 405),
        (false, _) if [OPENAPI, DOCS].contains(&path) => elsewhere("MethodNotAllowed", 405),
        (false, _) => elsewhere("PathNotFound", 404),
    }
}

/// What a reference stands for.
pub fn resolve(value: &'static Value) -> &'static Value {
    match value.get("$ref").and_then(Value::as_str) {
        Some(reference) => DOCUMENT.pointer(reference.strip_prefix('#').unwrap()).unwrap(),
        None => value,
    }
}

/// A validator of a schema of the document, which takes nothing that is not documented; made once.
pub fn validator(schema: &'static Value) -> &'static Validator {
    static MADE: LazyLock<Mutex<HashMap<usize, &'static Validator>>> = LazyLock::new(Mutex::default);
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    made.entry(std::ptr::from_ref(schema).addr()).or_insert_with(|| Box::leak(Box::new(make(schema))))
}

fn make(schema: &Value) -> Validator {
    let root = json!({"components": sealed(&DOCUMENT["components"]), "allOf": [sealed(schema)]});
    jsonschema::options().offline().should_validate_formats(true).build(&root).unwrap()
}

/// The schema, closed to properties that it does not name.
fn sealed(schema: &Value) -> Value {
    match schema {
        Value::Object(object) => {
            let mut sealed: serde_json::Map<_, _> =
                object.iter().map(|(key, value)| (key.clone(), self::sealed(value))).collect();
            let is_object = object.get("type").is_some_and(|kind| kind == "object");
            if is_object && object.contains_key("properties") {
                sealed.insert("additionalProperties".into(), json!(false));
            }
            sealed.into()
        }
        Value::Array(values) => values.iter().map(sealed).collect(),
        other => other.clone(),
    }
}
