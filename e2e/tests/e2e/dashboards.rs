//! The dashboards of `deploy/grafana`: every panel asks for something that is there. No Grafana is needed: what its panels
//! send is known.

mod board;
mod promql;
mod sql;

use std::collections::BTreeSet;

use anyhow::{Context as _, ensure};
use board::{Board, CLICKHOUSE, PROMETHEUS, Question, list, text};
use e2e::{
    deployment::Deployment,
    event::{fresh, now, purchase, with, with_click},
    merchant::{Merchant, send},
};
use serde_json::{Value, json};
use sql::Range;

use crate::operations::{after, anchor, read};

const DAY: i64 = 24 * 3600;

/// What Prometheus itself has, beside what it reads from a worker.
const OF_PROMETHEUS: [&str; 2] = ["up", "ALERTS"];
/// Labels that Prometheus and its rules give.
const GIVEN: [&str; 7] = ["job", "instance", "le", "alertname", "alertstate", "severity", "page"];

/// Files that Grafana takes and people can keep: unique names, a place for each panel, known data sources and variables, a
/// word on every panel, links that lead somewhere, and nothing that an export leaves behind.
pub(crate) fn are_well_formed() -> anyhow::Result<()> {
    promql::is_not_blind()?;
    let (boards, sources) = (board::all()?, read("deploy/grafana/provisioning/datasources/capi.yml")?);
    let runbook = read("docs/operations.md")?;
    let sources: BTreeSet<&str> = after(&sources, "uid: ").collect();
    let anchors: BTreeSet<String> = runbook.lines().filter_map(anchor).collect();
    ensure!(boards.len() >= 5 && !anchors.is_empty(), "{} dashboards", boards.len());
    for name in ["uid", "title"] {
        let named: BTreeSet<&str> = boards.iter().map(|board| text(&board.json[name])).collect();
        ensure!(
            named.len() == boards.len() && !named.contains(""),
            "not every dashboard has its own {name}: {named:?}"
        );
    }
    for title in runbook.split("*CAPI / ").skip(1).filter_map(|rest| rest.split('*').next()) {
        let is_its = |board: &Board| board.json["title"] == format!("CAPI / {title}");
        ensure!(boards.iter().any(is_its), "the runbook names a dashboard {title}");
    }
    for board in &boards {
        has_panels_that_fit(board, &sources).with_context(|| board.file.clone())?;
        leads_somewhere(board, &anchors).with_context(|| board.file.clone())?;
        is_kept_by_hand(&board.json).with_context(|| board.file.clone())?;
    }
    Ok(())
}

fn has_panels_that_fit(board: &Board, sources: &BTreeSet<&str>) -> anyhow::Result<()> {
    let (mut ids, mut taken) = (BTreeSet::new(), BTreeSet::new());
    for panel in board.panels() {
        let title = text(&panel["title"]);
        ensure!(ids.insert(panel["id"].as_u64().context("an id")?), "{title} has the id of another");
        for cell in cells(&panel["gridPos"]).with_context(|| title.to_owned())? {
            ensure!(taken.insert(cell), "{title} lies over another, at {cell:?}");
        }
        if panel["type"] != "row" {
            ensure!(
                !title.is_empty() && !text(&panel["description"]).is_empty(),
                "panel {title} says nothing of itself"
            );
            ensure!(!list(&panel["targets"]).is_empty(), "{title} asks nothing");
        }
    }
    let asking = board.panels().iter().filter(|panel| panel["type"] != "row");
    let asking = asking.chain(board.variables().iter().filter(|variable| variable["type"] == "query"));
    for source in asking.map(|asker| text(&asker["datasource"]["uid"])) {
        ensure!(sources.contains(source), "{source:?} is not provisioned");
    }
    Ok(())
}

/// The cells of the grid, 24 wide, that a panel covers.
fn cells(place: &Value) -> anyhow::Result<impl Iterator<Item = (u64, u64)>> {
    let number = |name: &str| place[name].as_u64().with_context(|| format!("no {name}"));
    let (x, y, w, h) = (number("x")?, number("y")?, number("w")?, number("h")?);
    ensure!(w > 0 && h > 0 && x + w <= 24, "it stands out of the grid");
    Ok((x..x + w).flat_map(move |x| (y..y + h).map(move |y| (x, y))))
}

/// Every page that is named is one, and every variable is declared.
fn leads_somewhere(board: &Board, anchors: &BTreeSet<String>) -> anyhow::Result<()> {
    let written = board.json.to_string();
    for link in written.split("${runbook}#").skip(1).filter_map(|rest| rest.split([')', '"']).next()) {
        // The table of alerts takes its pages from the names of the alerts.
        ensure!(link.starts_with("${__data") || anchors.contains(link), "the runbook has no {link}");
    }
    let variables: BTreeSet<&str> = board.variables().iter().map(|variable| text(&variable["name"])).collect();
    for (at, _) in written.match_indices('$') {
        let rest = written[at + 1..].trim_start_matches('{');
        let name = rest.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).next().unwrap_or_default();
        // An end of a pattern; a built-in; the group of `label_replace`.
        ensure!(
            name.is_empty() || name.starts_with("__") || name == "1" || variables.contains(name),
            "there is no variable ${name}"
        );
    }
    Ok(())
}

/// What an export of Grafana's adds, and what differs from one installation to the next.
fn is_kept_by_hand(value: &Value) -> anyhow::Result<()> {
    for noise in ["pluginVersion", "version", "iteration", "__inputs", "__requires", "gnetId"] {
        ensure!(value.get(noise).is_none(), "{noise} is what an export leaves");
    }
    value.as_object().into_iter().flat_map(|object| object.values()).chain(list(value)).try_for_each(is_kept_by_hand)
}

/// Where a panel shows what an alert watches, it turns red, or draws its line, where the alert fires; and it leads to that
/// alert's page.
pub(crate) fn limits_are_those_of_the_alerts() -> anyhow::Result<()> {
    let (rules, boards) = (rules(&read("deploy/prometheus/alerts.yml")?), board::all()?);
    let mut matched = BTreeSet::new();
    for question in boards.iter().flat_map(|board| board.questions(PROMETHEUS)) {
        let shown = words(question.text);
        for (alert, rule) in &rules {
            let Some(limit) = rule.strip_prefix(&shown).and_then(limit) else { continue };
            matched.insert(alert.as_str());
            let steps = list(&question.panel["fieldConfig"]["defaults"]["thresholds"]["steps"]);
            ensure!(steps.iter().any(|step| step["value"] == limit), "{}: {alert} fires at {limit}", question.place);
            let page = format!("#{})", alert.to_lowercase());
            ensure!(text(&question.panel["description"]).contains(&page), "{}: names no {alert}", question.place);
        }
    }
    ensure!(matched.len() >= 9, "only these are shown as they are watched: {matched:?}");
    Ok(())
}

/// Each alert with its expression.
fn rules(alerts: &str) -> Vec<(String, String)> {
    let each = alerts.split("- alert: ").skip(1).filter_map(|alert| {
        let (name, rest) = alert.split_once('\n')?;
        let expression = rest.split_once("expr: ")?.1;
        let end = ["\n        for: ", "\n        labels: "].iter().filter_map(|end| expression.find(end)).min()?;
        Some((name.to_owned(), words(expression[..end].trim_start_matches('|'))))
    });
    each.collect()
}

fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The value at which what is left of a rule begins to hold: more than nothing, of what is counted, is one.
fn limit(rest: &str) -> Option<Value> {
    let (comparison, value) = rest.trim().split_once(' ')?;
    match (comparison, value) {
        (">", "0") => Some(json!(1)),
        (">" | "==", value) => serde_json::from_str(value).ok(),
        _ => None,
    }
}

/// Every metric that a panel asks for is exported, with every label and value, once there was one call of each kind.
pub(crate) async fn every_metric_is_exported(deployment: &Deployment) -> anyhow::Result<()> {
    trade(deployment).await?;
    let mut exported = String::new();
    for worker in deployment.ingests.iter().chain(&deployment.forwarders).chain(&deployment.recorders) {
        exported.push_str(&worker.admin_page("/metrics").await?.1);
    }
    let boards = board::all()?;
    let mut metrics = BTreeSet::new();
    for question in boards.iter().flat_map(|board| board.questions(PROMETHEUS)) {
        let place = || question.place.clone();
        let asked = promql::read(question.text).with_context(place)?;
        ensure!(!asked.selectors.is_empty(), "{} asks for no metric", question.place);
        for label in promql::of_legend(question.legend) {
            ensure!(asked.groups.contains(&label), "{}: its series have no {label}", question.place);
        }
        for selector in &asked.selectors {
            is_exported(&exported, selector, &asked.groups).with_context(place)?;
            metrics.insert(selector.metric.clone());
        }
    }
    // What nobody looks at is not measured for anybody.
    let shown = |name: &str| metrics.iter().any(|metric| metric == name || of_histogram(metric) == name);
    let unseen: Vec<&str> = after(&exported, "# TYPE ").filter_map(|line| line.split(' ').next()).collect();
    let unseen: BTreeSet<&str> = unseen.into_iter().filter(|name| !shown(name)).collect();
    ensure!(unseen.is_empty(), "no dashboard shows {unseen:?}");
    Ok(())
}

fn of_histogram(metric: &str) -> &str {
    ["_bucket", "_sum", "_count"].iter().find_map(|end| metric.strip_suffix(end)).unwrap_or(metric)
}

fn is_exported(exported: &str, selector: &promql::Selector, groups: &[String]) -> anyhow::Result<()> {
    let metric = selector.metric.as_str();
    if OF_PROMETHEUS.contains(&metric) {
        return Ok(());
    }
    let samples =
        || exported.lines().filter(|line| line.strip_prefix(metric).is_some_and(|rest| rest.starts_with(['{', ' '])));
    ensure!(samples().next().is_some(), "{metric} is not exported");
    let given = |label: &str| GIVEN.contains(&label);
    for (label, value) in selector.labels.iter().filter(|(label, _)| !given(label)) {
        let wanted = format!("{label}=\"{value}\"");
        ensure!(samples().any(|line| has(line, &wanted)), "{metric} has no {wanted}");
    }
    for label in groups.iter().filter(|label| !given(label)) {
        ensure!(samples().any(|line| has(line, &format!("{label}=\""))), "{metric} has no label {label}");
    }
    Ok(())
}

/// Whether a label of a sample begins like this; another's end may look the same.
fn has(sample: &str, label: &str) -> bool {
    ["{", ","].iter().any(|before| sample.contains(&format!("{before}{label}")))
}

/// Every statement of a panel or a variable runs as Grafana sends it, has the columns that its panel shows, finds this
/// merchant's calls, and finds nothing for a business that is none, whatever its id looks like.
pub(crate) async fn every_statement_runs(deployment: &Deployment) -> anyhow::Result<()> {
    let merchant = trade(deployment).await?;
    let hostile = r"x\' OR 1 = 1 -- ' OR '*' = '*' $__toTime ${business} {a:String}";
    let bound = format!("SELECT decodeURLComponent('{}') AS bound", sql::percent_encode(hostile));
    ensure!(deployment.analyst.one(&bound).await?["bound"] == hostile, "the business is not bound as it is");
    for board in &board::all()? {
        let variable = board.variables().iter().find(|variable| variable["name"] == "business");
        let all = variable.map_or("", |variable| text(&variable["allValue"]));
        // Some releases of Grafana encode this value too, others do not.
        ensure!(sql::percent_encode(all) == all, "{all} of {} is not the same when it is encoded", board.file);
        for question in board.questions(CLICKHOUSE) {
            let answer = async |business: &str| ask(deployment, &question, business).await;
            for business in [all, &sql::percent_encode(&merchant.business)] {
                ensure!(!is_empty(&answer(business).await?), "{} finds nothing for {business}", question.place);
            }
            // The variable's own statement lists them all.
            if variable.is_some() && !question.panel.is_null() {
                let none = answer(&sql::percent_encode(hostile)).await?;
                ensure!(is_empty(&none), "{} finds others' calls: {}", question.place, none["data"]);
            }
        }
    }
    Ok(())
}

/// What ClickHouse answers, once the columns are those that the panel shows.
async fn ask(deployment: &Deployment, question: &Question<'_>, business: &str) -> anyhow::Result<Value> {
    let place = || question.place.clone();
    let range = Range { from: now() - 2 * DAY, to: now() + DAY };
    let statement = sql::fill(question.text, range, business).with_context(place)?;
    let answer = deployment.analyst.run(&format!("{statement} FORMAT JSONCompact")).await.with_context(place)?;
    let answer: Value = serde_json::from_str(&answer)?;
    shows(question.panel, list(&answer["meta"])).with_context(place)?;
    Ok(answer)
}

fn shows(panel: &Value, columns: &[Value]) -> anyhow::Result<()> {
    let names: BTreeSet<&str> = columns.iter().map(|column| text(&column["name"])).collect();
    for named in named_columns(panel) {
        ensure!(names.contains(named.as_str()), "it shows {named} of {names:?}");
    }
    if panel["type"] == "timeseries" {
        let is_time = |column: &Value| column["name"] == "time" && text(&column["type"]).starts_with("DateTime");
        ensure!(columns.first().is_some_and(is_time), "its first column is no time");
        let is_number = |column: &&Value| !text(&column["type"]).contains("String");
        ensure!(columns.iter().skip(1).any(|column| is_number(&column)), "it draws no number");
    }
    Ok(())
}

/// The columns that a panel names: to sort by, to pick, to dress, as a label.
fn named_columns(panel: &Value) -> Vec<String> {
    let (config, options) = (&panel["fieldConfig"], &panel["options"]);
    let dressed = list(&config["overrides"]).iter().map(|one| text(&one["matcher"]["options"]));
    let sorted = list(&options["sortBy"]).iter().map(|sort| text(&sort["displayName"]));
    let picked = text(&options["reduceOptions"]["fields"]).trim_matches(['/', '^', '$']);
    let label = text(&config["defaults"]["displayName"]);
    let label = label.strip_prefix("${__field.labels.").map_or(label, |rest| rest.trim_end_matches('}'));
    dressed.chain(sorted).chain([picked, label]).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// No row, or one that counts nothing.
fn is_empty(answer: &Value) -> bool {
    let nothing = |value: &Value| value.is_null() || text(value) == "0" || value.as_f64() == Some(0.0);
    list(&answer["data"]).iter().flat_map(list).all(nothing)
}

/// One call of each kind, until the last of them has its row: credited, a duplicate, rejected, a view, refused, from the
/// backfill lane, with a lost answer, and pending.
async fn trade(deployment: &Deployment) -> anyhow::Result<Merchant> {
    let merchant = Merchant::open(deployment).await?;
    let order = purchase("ORD-1");
    merchant.call(&order).await?.expect(200, "forwarded")?;
    merchant.call(&order).await?.expect(200, "duplicate")?;
    let view = with(&with(&purchase(""), "/event_name", json!("ViewContent")), "/payload/value", json!(0));
    merchant.call(&view).await?.expect(200, "forwarded")?;
    merchant.call(&with_click("sandbox-invalid-clid", "ORD-2")).await?.expect_error(400, "META_REJECTED")?;
    merchant.call(&json!({})).await?.expect_error(400, "INVALID_FIELDS")?;
    let queued = merchant.prefer("respond-async", &with_click("quick", "ORD-3")).await?;
    deployment.analyst.final_row(queued.expect(202, "pending")?.call).await?;
    // The sandbox counts by the click, whoever sends it.
    let lost = merchant.call(&with_click(&fresh("sandbox-reset-once"), "ORD-4")).await?;
    deployment.analyst.final_row(lost.call).await?;
    // From here on Meta wants nothing of this dataset for an hour.
    merchant.prefer("wait=0", &with_click("sandbox-throttle-60", "ORD-5")).await?.expect(200, "pending")?;
    let rows = format!("SELECT call_id FROM calls WHERE business_id = '{}'", merchant.business);
    deployment.analyst.rows_when(&rows, |rows| rows.len() == 8).await?;
    let question = merchant.asks(&merchant.url_of(&merchant.business)).query(&[("order_id", "ORD-1")]);
    ensure!(send(question).await?.status == 200, "ORD-1 is not found");
    Ok(merchant)
}
