//! The schema of a request and the validation say the same of every field: where the one has a limit, the other has it.

use std::sync::LazyLock;

use capi_ingest::{
    request::Request,
    validate::{FieldReason, Violation, validate},
};
use jsonschema::Validator;
use proptest::prelude::*;
use schemas::{Call, CallId};
use serde_json::{Value, json};

use crate::{
    conformity::{DOCUMENT, resolve},
    harness::EXAMPLE,
};

/// After every event time of these tests.
const RECEIVED_AT: i64 = 1_795_170_000_000;
/// The same in seconds.
const LATEST: f64 = 1_795_170_000.0;

/// A field of a purchase, by the pointer to it in a body.
struct Field {
    pointer: String,
    schema: &'static Value,
    is_required: bool,
}

impl Field {
    /// As violations name it.
    fn path(&self) -> String {
        self.pointer[1..].replace('/', ".").replace(".0", "[0]")
    }
}

/// Every field of a purchase, and those within.
fn fields() -> Vec<Field> {
    let mut fields = Vec::new();
    below("", &DOCUMENT["components"]["schemas"]["Purchase"], &mut fields);
    fields
}

fn below(pointer: &str, object: &'static Value, fields: &mut Vec<Field>) {
    let required =
        |name: &str| object["required"].as_array().is_some_and(|names| names.iter().any(|known| known == name));
    for (name, schema) in object["properties"].as_object().into_iter().flatten() {
        let (pointer, schema) = (format!("{pointer}/{name}"), resolve(schema));
        below(&pointer, schema, fields);
        if let Some(items) = schema.get("items") {
            let items = resolve(items.pointer("/anyOf/0").unwrap_or(items));
            below(&format!("{pointer}/0"), items, fields);
        }
        fields.push(Field { pointer, schema, is_required: required(name) });
    }
}

/// The paths of all fields as the page writes them.
pub fn paths() -> Vec<String> {
    fields().iter().map(|field| field.path().replace("[0]", "[]")).collect()
}

fn violations(body: &Value) -> Vec<(String, FieldReason)> {
    let body = body.to_string();
    let request = Request::read(body.as_bytes()).unwrap();
    let violations = validate(&request, &mut Call::blank(CallId::now(), RECEIVED_AT));
    violations.into_iter().map(|Violation { field, reason, .. }| (field, reason)).collect()
}

/// The example with something else at a pointer; `None` for nothing.
fn with(pointer: &str, value: Option<Value>) -> Value {
    let mut body: Value = serde_json::from_str(EXAMPLE).unwrap();
    put(&mut body, pointer, value);
    body
}

/// What is not there to be changed is left as it is.
fn put(body: &mut Value, pointer: &str, value: Option<Value>) {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let Some(object) = body.pointer_mut(parent).and_then(Value::as_object_mut) else { return };
    match value {
        Some(value) => drop(object.insert(name.to_owned(), value)),
        None => drop(object.remove(name)),
    }
}

#[track_caller]
fn takes(field: &Field, value: Value) {
    assert_eq!(violations(&with(&field.pointer, Some(value))), [], "{}", field.path());
}

#[track_caller]
fn refuses(field: &Field, value: Value, reason: FieldReason) {
    assert_eq!(violations(&with(&field.pointer, Some(value))), [(field.path(), reason)]);
}

#[test]
fn the_longest_texts_and_lists_are_those_of_the_document() {
    let (mut texts, mut lists) = (0, 0);
    for field in fields() {
        if let Some(longest) = field.schema["maxLength"].as_u64() {
            let longest = usize::try_from(longest).unwrap();
            takes(&field, json!("x".repeat(longest)));
            refuses(&field, json!("x".repeat(longest + 1)), FieldReason::FieldTooLong);
            texts += 1;
        }
        if let Some(most) = field.schema["maxItems"].as_u64() {
            let items = |count| {
                if field.path().ends_with("contents") {
                    json!(vec![json!({"id": "a"}); count])
                } else {
                    json!(vec!["a"; count])
                }
            };
            let most = usize::try_from(most).unwrap();
            takes(&field, items(most));
            refuses(&field, items(most + 1), FieldReason::TooManyItems);
            lists += 1;
        }
    }
    // Four ids of the landing page, the order's and a line's; ids of products have no name of their own.
    assert_eq!((texts, lists), (6, 2));
    let product =
        &DOCUMENT["components"]["schemas"]["PurchasePayload"]["properties"]["content_ids"]["items"]["maxLength"];
    let longest = usize::try_from(product.as_u64().unwrap()).unwrap();
    let ids = |length| with("/payload/content_ids", Some(json!(["x".repeat(length)])));
    assert_eq!(violations(&ids(longest)), []);
    assert_eq!(violations(&ids(longest + 1)), [("payload.content_ids[0]".into(), FieldReason::FieldTooLong)]);
}

#[test]
fn the_bounds_of_numbers_are_those_of_the_document() {
    let mut bounds = 0;
    for field in fields() {
        if let Some(least) = field.schema["minimum"].as_i64() {
            takes(&field, json!(least));
            refuses(&field, json!(least - 1), FieldReason::FieldValue);
            bounds += 1;
        }
        if let Some(most) = field.schema["maximum"].as_i64() {
            takes(&field, json!(most));
            refuses(&field, json!(most + 1), FieldReason::FieldValue);
            bounds += 1;
        }
    }
    assert_eq!(bounds, 2 * 4 + 1, "two amounts, two counts, and a time");
}

#[test]
fn what_is_required_is_what_the_document_requires() {
    for field in fields() {
        let violations = violations(&with(&field.pointer, None));
        // A line without an id is skipped in silence.
        if field.is_required && field.path() != "payload.contents[0].id" {
            assert!(!violations.is_empty(), "{} is not required", field.path());
            assert!(violations.iter().all(|(_, reason)| *reason == FieldReason::FieldRequired), "{violations:?}");
        } else {
            assert_eq!(violations, [], "{} is required", field.path());
        }
    }
}

static EVENT: LazyLock<Validator> = LazyLock::new(|| {
    let root = json!({"components": DOCUMENT["components"], "$ref": "#/components/schemas/ConversionEvent"});
    jsonschema::options().offline().build(&root).unwrap()
});

/// Values that somebody may send for any field. What a schema cannot tell apart is not among them: bytes from characters,
/// an integer from `2.0`, a code of ISO 4217 from any three letters, and a time from one that is yet to come.
fn anything() -> impl Strategy<Value = Option<Value>> {
    let some = vec![
        json!(null),
        json!(""),
        json!("  "),
        json!("\t"),
        json!("\u{a0}\u{3000}"),
        json!("x"),
        json!("a b"),
        json!("\u{feff}x"),
        json!("a\u{0}"),
        json!("a\nb"),
        json!("x\u{85}y"),
        json!("x".repeat(128)),
        json!("x".repeat(129)),
        json!("x".repeat(257)),
        json!("x".repeat(1025)),
        json!("USD"),
        json!("usd"),
        json!("US"),
        json!("product"),
        json!("Product"),
        json!("product_group"),
        json!("Purchase"),
        json!("ViewContent"),
        json!("Lead"),
        json!("é✓"),
        json!(true),
        json!(0),
        json!(1),
        json!(-1),
        json!(1.5),
        json!(-0.5),
        json!(946_684_799),
        json!(946_684_800),
        json!(1_746_480_000),
        json!(i32::MAX),
        json!(2_147_483_648_i64),
        json!(1e12),
        json!(1.1e12),
        json!([]),
        json!([1]),
        json!([null]),
        json!([" "]),
        json!(["a", "b"]),
        json!(vec!["a"; 101]),
        json!({}),
        json!({"id": "a"}),
        json!([{"id": "a"}, {}, null, {"id": " ", "quantity": -1}]),
        json!([{"id": 7}]),
        json!([{"id": "a", "quantity": -1}]),
        json!([{"id": "a", "item_price": null}]),
        json!([["a"]]),
        json!(vec![json!({}); 100]),
        json!(vec![json!({}); 101]),
        json!({"meta_ctwa": {"ctwa_clid": "c", "ad_id": "a", "more": 1}}),
    ];
    prop::option::weighted(0.9, prop::sample::select(some))
}

/// The example, as one event or the other, with up to three of its fields changed.
fn bodies() -> impl Strategy<Value = Value> {
    let pointers: Vec<_> = fields().into_iter().map(|field| field.pointer).collect();
    let changes = prop::collection::vec((prop::sample::select(pointers), anything()), 0..4);
    let name = prop::sample::select(vec!["Purchase", "ViewContent"]);
    (name, changes).prop_map(|(name, changes)| {
        let mut body = with("/event_name", Some(json!(name)));
        changes.into_iter().for_each(|(pointer, value)| put(&mut body, &pointer, value));
        body
    })
}

/// What a schema cannot tell apart, where two changes have made it after all.
fn is_beyond_a_schema(body: &Value) -> bool {
    let payload = &body["payload"];
    let not_a_currency =
        payload["currency"].as_str().is_some_and(|code| code.len() == 3 && !code.eq_ignore_ascii_case("usd"));
    let in_future = payload["event_time"].as_f64().is_some_and(|time| time > LATEST);
    not_a_currency || in_future
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn the_document_and_the_validation_take_the_same_bodies(body in bodies()) {
        prop_assume!(!is_beyond_a_schema(&body));
        let (violations, is_valid) = (violations(&body), EVENT.is_valid(&body));
        let fault = EVENT.validate(&body).err().map(|fault| fault.to_string());
        prop_assert_eq!(violations.is_empty(), is_valid, "{}: {:?}, {:?}", body, violations, fault);
    }
}
