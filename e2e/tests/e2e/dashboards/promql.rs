//! As much of an expression of Prometheus as tells which metrics and labels it asks for. Its grammar is for `promtool` to judge
//! (`deploy/local/check.sh`).

use anyhow::{Context as _, ensure};

/// A metric, with what is asked of its labels.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Selector {
    pub(super) metric: String,
    /// Each label with a value that it is compared with; a pattern's alternatives count singly.
    pub(super) labels: Vec<(String, String)>,
}

/// What an expression asks for.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Asked {
    pub(super) selectors: Vec<Selector>,
    /// Labels that it groups by.
    pub(super) groups: Vec<String>,
}

/// What stands between operands.
const OPERATORS: [&str; 5] = ["and", "or", "unless", "bool", "offset"];
/// What labels in parentheses may follow.
const GROUPING: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];

/// Reads an expression.
pub(super) fn read(expression: &str) -> anyhow::Result<Asked> {
    let (mut asked, mut rest) = (Asked::default(), expression);
    while let Some(start) = rest.find(|c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '"' | '[')) {
        rest = &rest[start..];
        rest = match rest.as_bytes()[0] {
            b'"' => quoted(rest)?.1,
            b'[' => rest.split_once(']').context("a range without an end")?.1,
            b'0'..=b'9' => rest.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '.'),
            _ => word(rest, &mut asked)?,
        };
    }
    Ok(asked)
}

fn word<'a>(text: &'a str, asked: &mut Asked) -> anyhow::Result<&'a str> {
    let (name, rest) = name(text);
    let next = rest.trim_start();
    if GROUPING.contains(&name) {
        let Some(inside) = next.strip_prefix('(') else { return Ok(rest) };
        let (labels, rest) = inside.split_once(')').context("labels without an end")?;
        asked.groups.extend(labels.split(',').map(|label| label.trim().to_owned()));
        return Ok(rest);
    }
    // What is followed by a parenthesis is a function or an aggregation.
    if OPERATORS.contains(&name) || next.starts_with('(') || next.starts_with("by ") {
        return Ok(rest);
    }
    let (labels, rest) = match next.strip_prefix('{') {
        Some(inside) => matchers(inside)?,
        None => (Vec::new(), rest),
    };
    asked.selectors.push(Selector { metric: name.to_owned(), labels });
    Ok(rest)
}

fn matchers(mut text: &str) -> anyhow::Result<(Vec<(String, String)>, &str)> {
    let mut labels = Vec::new();
    loop {
        text = text.trim_start_matches([',', ' ']);
        if let Some(rest) = text.strip_prefix('}') {
            return Ok((labels, rest));
        }
        let (label, rest) = name(text);
        ensure!(!label.is_empty(), "no label at {text}");
        let (value, rest) = quoted(rest.trim_start_matches(['=', '!', '~']))?;
        labels.extend(value.split('|').map(|value| (label.to_owned(), value.to_owned())));
        text = rest;
    }
}

fn name(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'));
    text.split_at(end.unwrap_or(text.len()))
}

/// A text in quotes, without what would need an escape, and what follows it.
fn quoted(text: &str) -> anyhow::Result<(&str, &str)> {
    text.strip_prefix('"').and_then(|text| text.split_once('"')).with_context(|| format!("no text at {text}"))
}

/// The labels that a legend names, as in `{{input}}`.
pub(super) fn of_legend(legend: &str) -> impl Iterator<Item = String> {
    legend.split("{{").skip(1).filter_map(|rest| rest.split_once("}}")).map(|(label, _)| label.trim().to_owned())
}

/// The reader is held against expressions whose answer is known: a blind one would let every typo pass.
pub(super) fn is_not_blind() -> anyhow::Result<()> {
    let asked = read(
        "histogram_quantile(0.9, sum by (le, input) (rate(a_b_bucket{x=\"1\", y!~\"p|q\"}[5m]))) / on (job) c\n\
         or label_replace(vector(0), \"job\", \"d\", \"\", \"\") > 1e3",
    )?;
    let pair = |label: &str, value: &str| (label.to_owned(), value.to_owned());
    let first = Selector { metric: "a_b_bucket".into(), labels: vec![pair("x", "1"), pair("y", "p"), pair("y", "q")] };
    let second = Selector { metric: "c".into(), labels: Vec::new() };
    ensure!(asked.groups == ["le", "input", "job"] && asked.selectors == [first, second], "read as {asked:?}");
    Ok(())
}
