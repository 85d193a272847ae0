//! The fields of a schema, a row each, with their paths.

use serde_json::Value;

use super::{
    string,
    text::{code, inline},
};

/// A field as a row tells it.
pub(super) struct Field<'d> {
    path: String,
    kind: String,
    required: bool,
    pub(super) about: &'d str,
}

/// The schema itself, or the one that it refers to.
pub(super) fn resolve<'d>(schema: &'d Value, document: &'d Value) -> &'d Value {
    let pointer = schema.get("$ref").and_then(Value::as_str).and_then(|reference| reference.strip_prefix('#'));
    pointer.and_then(|pointer| document.pointer(pointer)).unwrap_or(schema)
}

/// Every field of an object, and of what is within it.
pub(super) fn fields<'d>(schema: &'d Value, document: &'d Value) -> Vec<Field<'d>> {
    let mut fields = Vec::new();
    below("", resolve(schema, document), document, &mut fields);
    fields
}

fn below<'d>(path: &str, object: &'d Value, document: &'d Value, fields: &mut Vec<Field<'d>>) {
    let required: Vec<_> = object["required"].as_array().into_iter().flatten().map(string).collect();
    let mut properties: Vec<_> = object["properties"].as_object().into_iter().flatten().collect();
    // As the schema lists what is required, and then the others by name.
    properties.sort_by_key(|(name, _)| required.iter().position(|known| known == name).unwrap_or(usize::MAX));
    for (name, schema) in properties {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let schema = told(schema, document);
        fields.push(Field::of(&path, schema, required.contains(&name.as_str()), document));
        below(&path, schema, document, fields);
        if let Some(items) = schema.get("items") {
            below(&format!("{path}[]"), told(items, document), document, fields);
        }
    }
}

/// Of several schemas the first: the others say how a value may be absent.
fn told<'d>(schema: &'d Value, document: &'d Value) -> &'d Value {
    let first =
        ["oneOf", "anyOf"].iter().find_map(|one| schema.get(*one)?.get(0)?.get("$ref").map(|_| &schema[*one][0]));
    resolve(first.unwrap_or(schema), document)
}

impl<'d> Field<'d> {
    pub(super) fn of(path: &str, schema: &'d Value, required: bool, document: &'d Value) -> Self {
        let schema = told(schema, document);
        Self { path: path.to_owned(), kind: kind(schema), required, about: string(&schema["description"]) }
    }

    /// Name, type, whether it is required, and what it means.
    pub(super) fn cells(&self) -> String {
        let required = if self.required { "yes" } else { "no" };
        let (path, kind) = (code(&self.path), inline(&self.kind));
        format!("<td>{path}</td><td>{kind}</td><td>{required}</td><td>{}</td>", inline(self.about))
    }
}

/// The type, with what bounds it.
fn kind(schema: &Value) -> String {
    if let Some(only) = schema.get("const").and_then(Value::as_str) {
        return format!("`{only}`");
    }
    let names: Vec<_> = match &schema["type"] {
        Value::Array(names) => names.iter().map(string).filter(|name| *name != "null").collect(),
        name => name.as_str().into_iter().collect(),
    };
    let enumerated = schema.pointer("/anyOf/0/enum").and_then(Value::as_array);
    let kind = match enumerated {
        Some(values) => values.iter().map(|value| format!("`{}`", string(value))).collect::<Vec<_>>().join(" or "),
        None => names.join(" or "),
    };
    let bounds = [("minimum", "from "), ("maximum", "to "), ("maxItems", "at most ")];
    let bounds = bounds.iter().filter_map(|(bound, word)| Some(format!("{word}{}", schema.get(*bound)?)));
    std::iter::once(kind).chain(bounds).collect::<Vec<_>>().join(", ")
}
