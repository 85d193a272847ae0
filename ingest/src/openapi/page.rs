//! The document's page: plain HTML, with no script, made of the document alone.

mod fields;
mod text;

use serde_json::Value;

use self::{
    fields::{Field, fields, resolve},
    text::{code, escape, prose},
};
use super::examples;

/// The page's style sheet, which stands in the page.
pub(super) const STYLE: &str = include_str!("page/style.css");

/// The page.
pub(super) fn render(document: &Value) -> String {
    let info = &document["info"];
    let (title, version) = (escape(string(&info["title"])), escape(string(&info["version"])));
    let operations = operations(document);
    let contents: String = operations.iter().map(Operation::entry).collect();
    let sections: String = operations.iter().map(|operation| operation.section(document)).collect();
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n<header>\n<h1>{title}</h1>\n\
         <p>Version {version}. For machines: <a href=\"/openapi.json\">OpenAPI 3.1</a>.</p>\n</header>\n\
         <nav aria-label=\"Operations\"><ul>{contents}</ul></nav>\n<main>\n{}{}{sections}</main>\n</body>\n</html>\n",
        prose(string(&info["description"])),
        authentication(document),
    )
}

fn authentication(document: &Value) -> String {
    let scheme = &document["components"]["securitySchemes"]["ApiKey"];
    let (name, about) = (code(string(&scheme["name"])), prose(string(&scheme["description"])));
    format!("<section><h2>Authentication</h2><p>Every call has the header {name}.</p>{about}</section>\n")
}

/// One method of one path.
struct Operation<'d> {
    method: &'d str,
    path: &'d str,
    /// What all methods of the path share.
    shared: &'d Value,
    said: &'d Value,
}

fn operations(document: &Value) -> Vec<Operation<'_>> {
    let paths = document["paths"].as_object().into_iter().flatten();
    let of_path = paths.flat_map(|(path, item)| {
        let methods = ["post", "get"].into_iter().filter_map(move |method| Some((method, item.get(method)?)));
        methods.map(move |(method, said)| Operation { method, path, shared: &item["parameters"], said })
    });
    of_path.collect()
}

impl Operation<'_> {
    fn id(&self) -> &str {
        string(&self.said["operationId"])
    }

    fn entry(&self) -> String {
        format!("<li><a href=\"#{}\">{}</a></li>", escape(self.id()), escape(string(&self.said["summary"])))
    }

    fn section(&self, document: &Value) -> String {
        format!(
            "<section id=\"{}\"><h2>{}</h2>\n<p class=\"path\"><b>{}</b> {}</p>\n{}{}{}{}</section>\n",
            escape(self.id()),
            escape(string(&self.said["summary"])),
            self.method.to_uppercase(),
            code(self.path),
            prose(string(&self.said["description"])),
            self.parameters(document),
            self.body(document),
            self.responses(document),
        )
    }

    fn parameters(&self, document: &Value) -> String {
        let parameters = [self.shared, &self.said["parameters"]].into_iter().filter_map(Value::as_array).flatten();
        let rows = parameters.map(|parameter| {
            let required = parameter["required"] == true;
            let mut field = Field::of(string(&parameter["name"]), &parameter["schema"], required, document);
            field.about = string(&parameter["description"]);
            format!("<tr><td>{}</td>{}</tr>\n", escape(string(&parameter["in"])), field.cells())
        });
        table("Parameters", &["In", "Name", "Type", "Required", "Meaning"], rows)
    }

    fn body(&self, document: &Value) -> String {
        let Some(content) = self.said.pointer("/requestBody/content/application~1json") else { return String::new() };
        let variants =
            content["schema"].pointer("/$ref").map_or(&Value::Null, |_| resolve(&content["schema"], document));
        let tables = variants["oneOf"].as_array().into_iter().flatten().map(|variant| {
            let title = string(&variant["$ref"]).rsplit('/').next().unwrap_or_default();
            let rows = fields(variant, document).into_iter().map(|field| format!("<tr>{}</tr>\n", field.cells()));
            table(&format!("Fields of {title}"), &["Field", "Type", "Required", "Meaning"], rows)
        });
        tables.collect::<String>() + &self.curl() + &samples(content)
    }

    fn curl(&self) -> String {
        let call = format!(
            "curl -i -X POST \"https://<HOST>{}\" \\\n  -H \"Content-Type: application/json\" \\\n  \
             -H \"X-API-KEY: <YOUR_API_KEY>\" \\\n  -d '{}'",
            self.path.replace("{business_id}", "<BUSINESS_ID>"),
            examples::PURCHASE,
        );
        format!("<h3>With curl</h3>\n<pre tabindex=\"0\"><code>{}</code></pre>\n", escape(&call))
    }

    fn responses(&self, document: &Value) -> String {
        let responses = self.said["responses"].as_object().into_iter().flatten();
        let told = responses.map(|(status, response)| {
            let content = &response["content"]["application/json"];
            format!(
                "<h4>{}</h4>\n{}{}{}{}",
                escape(status),
                prose(string(&response["description"])),
                headers(response, document),
                reasons(&content["schema"]),
                samples(content),
            )
        });
        format!("<h3>Answers</h3>\n{}{}", told.collect::<String>(), violations(document, self.said))
    }
}

fn headers(response: &Value, document: &Value) -> String {
    let headers = response["headers"].as_object().into_iter().flatten();
    let rows = headers.map(|(name, header)| {
        let header = resolve(header, document);
        format!("<tr><td>{}</td><td>{}</td></tr>\n", code(name), text::inline(string(&header["description"])))
    });
    table("Headers", &["Name", "Meaning"], rows)
}

/// The reasons of a failure.
fn reasons(schema: &Value) -> String {
    let reason = schema.pointer("/properties/details/prefixItems/0/properties/reason");
    reason.map_or_else(String::new, |reason| named("Reasons", reason))
}

/// The kinds of violations, below the operation that has fields.
fn violations(document: &Value, said: &Value) -> String {
    if said.get("requestBody").is_none() {
        return String::new();
    }
    let reason = "/components/schemas/BadRequest/properties/field_violations/items/properties/reason";
    document.pointer(reason).map_or_else(String::new, |reason| named("Violations of a field", reason))
}

fn named(title: &str, reason: &Value) -> String {
    let names = reason["oneOf"].as_array().into_iter().flatten();
    let rows = names.map(|name| {
        let meaning = text::inline(string(&name["description"]));
        format!("<tr><td>{}</td><td>{meaning}</td></tr>\n", code(string(&name["const"])))
    });
    table(title, &["Name", "Meaning"], rows)
}

/// The examples of a body, folded.
fn samples(content: &Value) -> String {
    let examples = content["examples"].as_object().into_iter().flatten();
    let folded = examples.map(|(name, example)| {
        let body = serde_json::to_string_pretty(&example["value"]).unwrap_or_default();
        let title = example["summary"].as_str().map_or_else(|| name.replace('_', " "), str::to_owned);
        format!(
            "<details><summary>Example: {}</summary><pre tabindex=\"0\"><code>{}</code></pre></details>\n",
            escape(&title),
            escape(&body)
        )
    });
    folded.collect()
}

fn table(title: &str, columns: &[&str], rows: impl Iterator<Item = String>) -> String {
    let rows: String = rows.collect();
    if rows.is_empty() {
        return String::new();
    }
    let columns = columns.iter().map(|column| format!("<th scope=\"col\">{}</th>", escape(column)));
    let columns = columns.collect::<Vec<_>>().concat();
    let title = escape(title);
    format!(
        "<div class=\"table\" role=\"region\" aria-label=\"{title}\" tabindex=\"0\"><table><caption>{title}</caption>\
         <thead><tr>{columns}</tr></thead>\n<tbody>\n{rows}</tbody></table></div>\n"
    )
}

fn string(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
