//! The dashboards as they lie in `deploy/grafana/dashboards`, and what their panels ask.

use std::{fs, path::Path};

use anyhow::Context as _;
use serde_json::Value;

/// The data source of the operators' figures, as the provisioning names it.
pub(super) const PROMETHEUS: &str = "capi-prometheus";
/// The data source of the analysts' figures.
pub(super) const CLICKHOUSE: &str = "capi-clickhouse";

/// One dashboard.
pub(super) struct Board {
    /// The file's name.
    pub(super) file: String,
    pub(super) json: Value,
}

/// One question to a data source: of a panel, or of a variable.
pub(super) struct Question<'a> {
    /// The dashboard's file and the panel's title, for messages.
    pub(super) place: String,
    /// The panel; null for a variable.
    pub(super) panel: &'a Value,
    /// The legend of the series, where it has one.
    pub(super) legend: &'a str,
    /// The expression, or the statement.
    pub(super) text: &'a str,
}

/// Every dashboard.
pub(super) fn all() -> anyhow::Result<Vec<Board>> {
    let folder =
        Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the workspace")?.join("deploy/grafana/dashboards");
    let mut boards = Vec::new();
    for entry in fs::read_dir(folder)? {
        let (path, file) = entry.map(|entry| (entry.path(), entry.file_name().to_string_lossy().into_owned()))?;
        let json = serde_json::from_str(&fs::read_to_string(path)?).with_context(|| file.clone())?;
        boards.push(Board { file, json });
    }
    Ok(boards)
}

impl Board {
    pub(super) fn panels(&self) -> &[Value] {
        list(&self.json["panels"])
    }

    pub(super) fn variables(&self) -> &[Value] {
        list(&self.json["templating"]["list"])
    }

    /// What its panels and variables ask of a data source.
    pub(super) fn questions(&self, source: &str) -> Vec<Question<'_>> {
        let of_source = |asker: &&Value| asker["datasource"]["uid"] == source;
        let panels = self.panels().iter().filter(of_source).flat_map(|panel| self.of_panel(panel));
        let variables = self.variables().iter().filter(of_source).map(|variable| self.of_variable(variable));
        panels.chain(variables).collect()
    }

    fn of_panel<'a>(&self, panel: &'a Value) -> impl Iterator<Item = Question<'a>> {
        let place = format!("{}: {}", self.file, text(&panel["title"]));
        list(&panel["targets"]).iter().map(move |target| Question {
            place: place.clone(),
            panel,
            legend: text(&target["legendFormat"]),
            text: target["expr"].as_str().unwrap_or(text(&target["rawSql"])),
        })
    }

    fn of_variable<'a>(&self, variable: &'a Value) -> Question<'a> {
        let place = format!("{}: variable {}", self.file, text(&variable["name"]));
        let query = &variable["query"];
        let asked = query.as_str().unwrap_or_else(|| selector(text(&query["query"])));
        Question { place, panel: &Value::Null, legend: "", text: asked }
    }
}

/// Variables ask Prometheus by a function of Grafana's own: `label_values(selector, label)`.
fn selector(query: &str) -> &str {
    let inside = query.strip_prefix("label_values(").unwrap_or(query);
    inside.rsplit_once(',').map_or(query, |(selector, _)| selector)
}

pub(super) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

pub(super) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
