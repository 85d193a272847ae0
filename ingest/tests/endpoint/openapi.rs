//! The `OpenAPI` document: valid, true to the service, and served with its page.

mod agreement;

use std::collections::BTreeSet;

use axum::body::{Body, to_bytes};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use capi_ingest::{
    openapi::{DOCS, OPENAPI},
    validate::FieldReason,
};
use http::{HeaderMap, Method, Request};
use jsonschema::draft202012;
use schemas::Reason;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::{
    conformity::{DOCUMENT, resolve, validator},
    harness::{Fixture, Got, Setup},
};

/// The official schema of `OpenAPI` 3.1 documents, by the `OpenAPI` Initiative (Apache-2.0).
const META_SCHEMA: &str = include_str!("openapi/oas-3.1-2022-10-07.json");

fn operations() -> impl Iterator<Item = (&'static str, &'static Value)> {
    let paths = DOCUMENT["paths"].as_object().unwrap().values();
    paths.flat_map(|item| ["post", "get"].into_iter().map(move |method| (method, &item[method])))
}

/// Everything below a value, itself included.
fn walk(value: &'static Value) -> Box<dyn Iterator<Item = &'static Value>> {
    let below: Box<dyn Iterator<Item = &'static Value>> = match value {
        Value::Object(object) => Box::new(object.values().flat_map(walk)),
        Value::Array(values) => Box::new(values.iter().flat_map(walk)),
        _ => Box::new(std::iter::empty()),
    };
    Box::new(std::iter::once(value).chain(below))
}

#[test]
fn the_document_is_valid_openapi_3_1() {
    let meta_schema: Value = serde_json::from_str(META_SCHEMA).unwrap();
    let meta_schema = jsonschema::options().offline().build(&meta_schema).unwrap();
    let faults: Vec<_> = meta_schema.iter_errors(&DOCUMENT).map(|fault| fault.to_string()).collect();
    assert!(faults.is_empty(), "{faults:#?}");
    // Schemas are any JSON to that one.
    for schema in walk(&DOCUMENT)
        .filter_map(|value| value.get("schema"))
        .chain(DOCUMENT["components"]["schemas"].as_object().unwrap().values())
    {
        assert!(draft202012::meta::validate(schema).is_ok(), "{schema}");
        validator(schema);
    }
}

#[test]
fn every_reference_is_there_and_every_parameter_of_the_path() {
    for reference in walk(&DOCUMENT).filter(|value| value.get("$ref").is_some()) {
        resolve(reference);
    }
    for (path, item) in DOCUMENT["paths"].as_object().unwrap() {
        let named: Vec<_> = path.split(['{', '}']).skip(1).step_by(2).collect();
        let declared: Vec<_> = item["parameters"]
            .as_array()
            .unwrap()
            .iter()
            .map(|parameter| parameter["name"].as_str().unwrap())
            .collect();
        assert_eq!(named, declared);
    }
    let ids: BTreeSet<_> = operations().map(|(_, operation)| operation["operationId"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), operations().count());
}

#[tokio::test]
async fn every_example_of_a_request_is_taken() {
    let fixture = Fixture::new();
    let (_, post) = operations().next().unwrap();
    let examples = post["requestBody"]["content"]["application/json"]["examples"].as_object().unwrap();
    assert_eq!(examples.len(), 2);
    for (name, example) in examples {
        let got = fixture.post(example["value"].to_string()).await;
        assert_eq!((got.http, got.header("conversion-status")), (200, "forwarded"), "{name}: {}", got.body);
    }
}

/// They were answered by the service's own code; here each is one that its place in the document has.
#[test]
fn every_example_of_an_answer_is_one() {
    let mut examples = 0;
    for response in operations().flat_map(|(_, operation)| operation["responses"].as_object().unwrap().values()) {
        let content = &response["content"]["application/json"];
        for (name, example) in content["examples"].as_object().unwrap() {
            let fault = validator(&content["schema"]).validate(&example["value"]).err().map(|fault| fault.to_string());
            assert_eq!(fault, None, "{name}: {}", example["value"]);
            examples += 1;
        }
    }
    assert!(examples >= 15, "{examples}");
}

/// The names that a schema has a meaning for.
fn names(schema: &'static Value) -> Vec<&'static str> {
    schema["oneOf"].as_array().unwrap().iter().map(|name| name["const"].as_str().unwrap()).collect()
}

fn reasons_of(operation: &'static Value) -> BTreeSet<&'static str> {
    let failures = operation["responses"].as_object().unwrap().values();
    let reasons = failures.filter_map(|response| {
        response.pointer("/content/application~1json/schema/properties/details/prefixItems/0/properties/reason")
    });
    reasons.flat_map(names).collect()
}

#[test]
fn every_reason_is_documented() {
    let (_, post) = operations().next().unwrap();
    let recorded = Reason::ALL.iter().map(|reason| reason.as_str());
    let expected: BTreeSet<_> = recorded.chain(["RATE_LIMITED", "UNAVAILABLE"]).collect();
    assert_eq!(reasons_of(post), expected);
    let violation = &DOCUMENT["components"]["schemas"]["BadRequest"]["properties"]["field_violations"]["items"]["properties"]
        ["reason"];
    assert_eq!(names(violation), FieldReason::ALL.iter().map(|reason| reason.as_str()).collect::<Vec<_>>());
}

async fn read(fixture: &Fixture, method: Method, path: &str) -> (u16, HeaderMap, String) {
    let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
    let (head, body) = fixture.respond_to("203.0.113.9", request).await.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    (head.status.as_u16(), head.headers, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn the_document_and_its_page_are_served_to_everybody() {
    // Also while there is no queue.
    let fixture = Fixture::closed(Setup::default());
    let (status, headers, body) = read(&fixture, Method::GET, OPENAPI).await;
    assert_eq!((status, headers["content-type"].to_str().unwrap()), (200, "application/json"));
    assert_eq!(serde_json::from_str::<Value>(&body).unwrap(), *DOCUMENT);
    for path in [OPENAPI, DOCS] {
        let (status, headers, body) = read(&fixture, Method::HEAD, path).await;
        assert_eq!((status, body.as_str()), (200, ""));
        assert!(headers.contains_key("x-request-id") && headers["x-content-type-options"] == "nosniff", "{headers:?}");
    }
    assert!(fixture.memory.messages.lock().unwrap().is_empty());
}

#[tokio::test]
async fn paths_beside_them_stay_unknown_and_they_are_only_read() {
    let fixture = Fixture::new();
    let got = async |method: Method, path: &str| -> Got {
        fixture.send(Request::builder().method(method).uri(path).body(Body::empty()).unwrap()).await
    };
    for path in ["/openapi.json/", "/openapi", "/openapi.yaml", "/docs/", "/docs/index.html", "/Docs", "/"] {
        let got = got(Method::GET, path).await;
        assert_eq!((got.http, got.reason()), (404, "PATH_NOT_FOUND"), "{path}");
    }
    for path in [OPENAPI, DOCS] {
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
            let got = got(method, path).await;
            assert_eq!((got.http, got.reason(), got.header("allow")), (405, "METHOD_NOT_ALLOWED", "GET, HEAD"));
        }
    }
}

#[tokio::test]
async fn the_page_needs_nothing_else_and_lets_nothing_else_in() {
    let (status, headers, page) = read(&Fixture::new(), Method::GET, DOCS).await;
    assert_eq!((status, headers["content-type"].to_str().unwrap()), (200, "text/html; charset=utf-8"));
    for foreign in ["<script", "<link", "<img", "<iframe", " src=", " style=", "@import", "url(", "http://"] {
        assert!(!page.contains(foreign), "{foreign}");
    }
    assert_eq!(page.matches("https://").count(), page.matches("https://&lt;HOST&gt;").count());
    let style = page.split("<style>").nth(1).unwrap().split("</style>").next().unwrap();
    let hash = BASE64_STANDARD.encode(Sha256::digest(style));
    let policy = headers["content-security-policy"].to_str().unwrap();
    for directive in [
        "default-src 'none'",
        &format!("style-src 'sha256-{hash}'"),
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ] {
        assert!(policy.split("; ").any(|known| known == directive), "{directive} in {policy}");
    }
}

#[tokio::test]
async fn the_page_tells_all_that_the_document_does() {
    let (_, _, page) = read(&Fixture::new(), Method::GET, DOCS).await;
    let told = |text: &str| page.contains(&format!("<code>{text}</code>"));
    for (method, operation) in operations() {
        assert!(page.contains(&format!("<b>{}</b>", method.to_uppercase())));
        for parameter in operation["parameters"].as_array().unwrap() {
            assert!(told(parameter["name"].as_str().unwrap()), "{parameter}");
        }
        for status in operation["responses"].as_object().unwrap().keys() {
            assert!(page.contains(&format!("<h4>{status}</h4>")), "{status}");
        }
        for reason in reasons_of(operation) {
            assert!(told(reason), "{reason}");
        }
    }
    for reason in FieldReason::ALL {
        assert!(told(reason.as_str()), "{}", reason.as_str());
    }
    for field in agreement::paths() {
        assert!(told(&field), "{field}");
    }
}
