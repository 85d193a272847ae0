//! What operators are given: the runbook and the alert rules say what is so.

pub(crate) mod disaster;

use std::{collections::BTreeSet, fs, path::Path};

use anyhow::{Context as _, ensure};
use e2e::{
    deployment::Deployment,
    event::{purchase, with_click},
    merchant::Merchant,
};

use crate::meta::{OF_THE_EVENT, OF_THE_REQUEST, Rejection};

/// A file of the repository.
pub(crate) fn read(path: &str) -> anyhow::Result<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the workspace")?;
    fs::read_to_string(root.join(path)).with_context(|| path.to_owned())
}

/// What follows `start` in the lines that begin with it.
pub(crate) fn after<'a>(text: &'a str, start: &'a str) -> impl Iterator<Item = &'a str> {
    text.lines().filter_map(move |line| line.trim_start().strip_prefix(start))
}

/// Each alert has a page in the runbook that its annotation names, and a trial that it fires in, with the labels that its
/// words are made of; each page has an alert.
pub(crate) fn every_alert_has_a_page_and_a_trial() -> anyhow::Result<()> {
    let (alerts, runbook) = (read("deploy/prometheus/alerts.yml")?, read("docs/operations.md")?);
    let trials = read("deploy/prometheus/alerts_test.yml")?;
    let named: BTreeSet<&str> = after(&alerts, "- alert: ").collect();
    let pages: BTreeSet<&str> = after(&runbook, "### ").collect();
    ensure!(!named.is_empty() && named == pages, "{:?} differ", named.symmetric_difference(&pages));
    let urls: Vec<String> = named_urls(&alerts);
    for (name, url) in after(&alerts, "- alert: ").zip(urls) {
        ensure!(url == format!("docs/operations.md#{}", name.to_lowercase()), "{name} names {url}");
    }
    for (name, summary) in after(&alerts, "- alert: ").zip(after(&alerts, "summary: ")) {
        let beginning = format!("{{alertname=\"{name}\", ");
        let fired: Vec<&str> = trials.lines().filter(|line| line.contains(&beginning)).collect();
        ensure!(!fired.is_empty(), "{name} is fired by no trial");
        for label in words(summary, "$labels.").map(|word| word.replace("$labels.", "")) {
            let has = |trial: &&str| trial.contains(&format!(", {label}=\""));
            ensure!(fired.iter().all(has), "{name} is told without its {label}");
        }
    }
    // A page is found by its anchor: of all the links within the runbook none may lead nowhere.
    let anchors: BTreeSet<String> = runbook.lines().filter_map(anchor).collect();
    for link in runbook.split("](#").skip(1).filter_map(|rest| rest.split(')').next()) {
        ensure!(anchors.contains(link), "no section is named {link}");
    }
    Ok(())
}

fn named_urls(alerts: &str) -> Vec<String> {
    after(alerts, "runbook_url: ").map(str::to_owned).collect()
}

/// The anchor that a heading has: its words in small letters, joined by dashes.
pub(crate) fn anchor(line: &str) -> Option<String> {
    let heading = line.strip_prefix('#')?.trim_start_matches('#').trim();
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    Some(kept.collect::<String>().to_lowercase().replace(' ', "-"))
}

/// Every metric that an alert or a page asks for is exported, with every value of a label that is asked for, before the
/// first call: `increase` sees no first count of a counter that was not there.
pub(crate) async fn every_watched_metric_begins_at_zero(deployment: &mut Deployment) -> anyhow::Result<()> {
    let mut exported = String::new();
    for worker in deployment.ingests.iter().chain(&deployment.forwarders).chain(&deployment.recorders) {
        exported.push_str(&worker.admin_page("/metrics").await?.1);
    }
    let alerts = read("deploy/prometheus/alerts.yml")?;
    let asked = selectors(&alerts);
    ensure!(asked.len() > 30, "the rules ask for {} metrics only", asked.len());
    for (name, matchers) in &asked {
        for label in matchers {
            let found = exported.lines().any(|line| is_sample(line, name) && line.contains(label.as_str()));
            ensure!(found, "{name} with {label} is not exported");
        }
        ensure!(exported.lines().any(|line| is_sample(line, name)), "{name} is not exported");
    }
    for name in words(&read("docs/operations.md")?, "capi_").chain(words(&read("README.md")?, "capi_")) {
        // A page may name the beginning of several: `capi_forwarder_(a|b)`.
        ensure!(exported.lines().any(|line| line.starts_with(&name)), "{name} is not exported");
    }
    Ok(())
}

fn is_sample(line: &str, name: &str) -> bool {
    line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']))
}

/// Each metric of ours in the rules, with each `label="value"` that it is asked for.
fn selectors(rules: &str) -> Vec<(String, Vec<String>)> {
    let mut selectors = Vec::new();
    for (at, _) in rules.match_indices("capi_") {
        let rest = &rules[at..];
        let end = rest.find(|c: char| !(c.is_ascii_lowercase() || c == '_')).unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        let inside = after.strip_prefix('{').and_then(|after| after.split('}').next()).unwrap_or_default();
        selectors.push((name.to_owned(), inside.split("\",").flat_map(values).collect()));
    }
    selectors
}

/// `a=~"x|y"` asks for `a="x"` and for `a="y"`.
fn values(matcher: &str) -> Vec<String> {
    let Some((label, values)) = matcher.split_once('=') else { return Vec::new() };
    let values = values.trim_start_matches('~').trim_matches('"');
    values.split('|').map(|value| format!("{label}=\"{value}\"")).collect()
}

/// Words of a document with this beginning, as far as they are a metric's name.
fn words<'a>(text: &'a str, start: &'a str) -> impl Iterator<Item = String> + 'a {
    text.match_indices(start).map(|(at, _)| {
        let named = text[at + start.len()..].chars().take_while(|c| c.is_ascii_lowercase() || *c == '_');
        start.chars().chain(named).collect()
    })
}

/// Every statement of the runbook and of the README is one that ClickHouse takes.
pub(crate) async fn every_statement_runs(deployment: &mut Deployment) -> anyhow::Result<()> {
    let merchant = Merchant::open(deployment).await?;
    let call = merchant.call(&purchase("ORD-1")).await?.expect(200, "forwarded")?.call;
    deployment.analyst.row(call).await?;
    let database = deployment.setting("CAPI_CLICKHOUSE_DATABASE").context("a database")?.to_owned();
    let mut count = 0;
    for document in ["docs/operations.md", "README.md"] {
        for statement in statements(&read(document)?) {
            let filled = statement
                .replace("FROM capi.", &format!("FROM {database}."))
                .replace("TABLE capi.", &format!("TABLE {database}."))
                .replace("CALL_ID", &call.to_string())
                .replace("'BUSINESS'", &format!("'{}'", merchant.business))
                .replace("'…'", &format!("'{}'", merchant.business));
            let rows = deployment.analyst.run(&filled).await.with_context(|| format!("in {document}"))?;
            ensure!(!filled.contains(&call.to_string()) || rows.contains('\n'), "no row of the call: {filled}");
            count += 1;
        }
    }
    ensure!(count > 20, "only {count} statements were found");
    Ok(())
}

/// The number that Meta says where it says something new.
const UNKNOWN: i32 = 9999;
/// What is neither token, permission nor wiring: the envelope by its subcodes, the Graph version by its code.
const NOT_OF_THE_CHANNEL: [i32; 3] = [2_804_063, 2_804_064, 2635];

/// Of everything that Meta rejects, a page's statement finds what its alert is about and nothing else.
pub(crate) async fn pages_find_what_they_are_about(deployment: &mut Deployment) -> anyhow::Result<()> {
    let merchant = Merchant::open(deployment).await?;
    let mut rejected = Vec::new();
    for (behaviour, ..) in OF_THE_EVENT.iter().chain(&OF_THE_REQUEST) {
        let answer = merchant.call(&with_click(&format!("sandbox-{behaviour}"), behaviour)).await?;
        answer.expect_error(400, "META_REJECTED")?;
        rejected.push(answer.call);
    }
    for call in rejected {
        deployment.analyst.row(call).await?;
    }
    let unknown: BTreeSet<_> = OF_THE_EVENT.iter().filter(|(_, _, code, ..)| *code == UNKNOWN).map(numbers).collect();
    ensure!(found(deployment, "CapiMetaErrorUnknown").await? == unknown, "not only {unknown:?}");
    let of_the_channel = |(_, _, code, subcode, _): &&Rejection| {
        !NOT_OF_THE_CHANNEL.contains(code) && subcode.is_none_or(|subcode| !NOT_OF_THE_CHANNEL.contains(&subcode))
    };
    let channel: BTreeSet<_> = OF_THE_REQUEST.iter().filter(of_the_channel).map(numbers).collect();
    let told = found(deployment, "CapiChannelRefused").await?;
    ensure!(told == channel, "{:?} differ", told.symmetric_difference(&channel));
    Ok(())
}

fn numbers((_, _, code, subcode, _): &Rejection) -> (i64, Option<i64>) {
    (i64::from(*code), subcode.map(i64::from))
}

/// Codes and subcodes of the rows that a page's first statement finds.
async fn found(deployment: &Deployment, page: &str) -> anyhow::Result<BTreeSet<(i64, Option<i64>)>> {
    let runbook = read("docs/operations.md")?;
    let text = runbook.split(&format!("### {page}\n")).nth(1).with_context(|| page.to_owned())?;
    let statement = statements(text).into_iter().next().context("a statement")?;
    let database = deployment.setting("CAPI_CLICKHOUSE_DATABASE").context("a database")?;
    let rows = deployment.analyst.rows(&statement.replace("FROM capi.", &format!("FROM {database}."))).await?;
    rows.iter()
        .map(|row| Ok((row["meta_code"].as_i64().context("a code")?, row["meta_error_subcode"].as_i64())))
        .collect()
}

/// The statements of the blocks that are marked as SQL, each ended by an empty line or by its block.
fn statements(document: &str) -> Vec<String> {
    let (mut statements, mut inside) = (vec![String::new()], false);
    for line in document.lines().map(str::trim) {
        match (line, inside) {
            ("```sql", _) => inside = true,
            ("```" | "", true) => {
                inside = line.is_empty();
                statements.push(String::new());
            }
            (text, true) if !text.starts_with("--") => {
                if let Some(statement) = statements.last_mut() {
                    statement.push_str(text);
                    statement.push('\n');
                }
            }
            _ => {}
        }
    }
    statements.retain(|statement| !statement.is_empty());
    statements
}
