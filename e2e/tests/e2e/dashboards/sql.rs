//! Statements as Grafana's data source for ClickHouse sends them: its macros and the variable put in.

use anyhow::{bail, ensure};

/// The time chosen, in Unix seconds.
#[derive(Clone, Copy)]
pub(super) struct Range {
    pub(super) from: i64,
    pub(super) to: i64,
}

/// The only way in which a statement may name the business.
const BOUND: &str = "${business:percentencode}";

/// Puts in the macros as the data source does (its `pkg/macros`), and the business as Grafana does.
pub(super) fn fill(statement: &str, range: Range, business: &str) -> anyhow::Result<String> {
    let (from, to) = (format!("toDateTime({})", range.from), format!("toDateTime({})", range.to));
    let filled =
        with_argument(statement, "$__timeFilter(", |column| format!("{column} >= {from} AND {column} <= {to}"))?;
    let filled = with_argument(&filled, "$__timeInterval(", |column| {
        format!("toStartOfInterval(toDateTime({column}), INTERVAL 60 second)")
    })?;
    let filled = filled.replace("$__fromTime", &from).replace("$__toTime", &to);
    ensure!(!filled.replace(BOUND, "").contains('$'), "something is not filled in, or not bound: {filled}");
    Ok(filled.replace(BOUND, business))
}

fn with_argument(statement: &str, name: &str, write: impl Fn(&str) -> String) -> anyhow::Result<String> {
    let mut parts = statement.split(name);
    let mut filled = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let Some((argument, rest)) = part.split_once(')') else { bail!("{name} does not end") };
        filled.push_str(&write(argument));
        filled.push_str(rest);
    }
    Ok(filled)
}

/// What Grafana makes of a value by `:percentencode`: all but letters, digits and `-_.~`, byte by byte.
pub(super) fn percent_encode(value: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(byte);
    let encoded = value.bytes().map(|byte| if plain(&byte) { char::from(byte).into() } else { format!("%{byte:02X}") });
    encoded.collect()
}
