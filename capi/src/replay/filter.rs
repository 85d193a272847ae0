//! Which calls a replay is about.

use clap::Args;
use clickhouse::{Client, query::Query};
use schemas::CallId;

use super::row::COLUMNS;
use crate::moment;

/// The filters: at least one, and all of those that are given.
#[derive(Debug, Args)]
#[group(id = "filters", required = true, multiple = true)]
pub(crate) struct Filter {
    /// Calls of this business
    #[arg(long, value_name = "ID")]
    business: Option<String>,
    /// Calls that were rejected for this reason, such as `META_REJECTED`
    #[arg(long, value_name = "R")]
    reason: Option<String>,
    /// Calls that Meta rejected with this code, such as 190
    #[arg(long, value_name = "C", allow_negative_numbers = true)]
    meta_code: Option<i32>,
    /// Calls received at this moment (RFC 3339) or later
    #[arg(long, value_name = "T", value_parser = moment::parse)]
    since: Option<i64>,
    /// Calls received before this moment (RFC 3339)
    #[arg(long, value_name = "T", value_parser = moment::parse)]
    until: Option<i64>,
    /// This call; may be given more than once
    #[arg(long = "call", value_name = "ID")]
    calls: Vec<CallId>,
}

/// A condition with a `?` for each value that is bound.
struct Condition(String, Vec<Value>);

enum Value {
    Text(String),
    Number(i64),
}

/// Whether the calls' bodies are wanted: they are most of what there is to read.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Body {
    Read,
    LeftOut,
}

/// The table's own order: two replays of the same calls send them alike, and ClickHouse merges its parts as they lie. Any
/// other order it would have to sort, bodies and all, in its memory.
const ORDER: &str = " ORDER BY business_id, day, received_at, call_id";

impl Filter {
    /// The query for the rejected calls of this filter, in the order of [`ORDER`].
    pub(crate) fn query(&self, client: &Client, body: Body) -> Query {
        let body = match body {
            Body::Read => "body",
            Body::LeftOut => "'' AS body",
        };
        // What stands behind the view `calls`: the view has not the column `day`, by which the table is sorted.
        let mut sql = format!("SELECT {COLUMNS}, {body} FROM call_records FINAL WHERE conversion_status = 'rejected'");
        let mut values = Vec::new();
        for Condition(condition, bound) in self.conditions() {
            sql.push_str(" AND ");
            sql.push_str(&condition);
            values.extend(bound);
        }
        sql.push_str(ORDER);
        values.into_iter().fold(client.query(&sql), |query, value| match value {
            Value::Text(text) => query.bind(text),
            Value::Number(number) => query.bind(number),
        })
    }

    fn conditions(&self) -> impl Iterator<Item = Condition> {
        let text = |sql: &str, value: String| Condition(sql.to_owned(), vec![Value::Text(value)]);
        let number = |sql: &str, value: i64| Condition(sql.to_owned(), vec![Value::Number(value)]);
        [
            self.business.as_ref().map(|id| text("business_id = ?", id.to_ascii_lowercase())),
            self.reason.as_ref().map(|reason| text("reason = ?", reason.clone())),
            self.meta_code.map(|code| number("meta_code = ?", code.into())),
            self.since.map(|moment| number("received_at >= fromUnixTimestamp64Milli(?)", moment)),
            self.until.map(|moment| number("received_at < fromUnixTimestamp64Milli(?)", moment)),
            self.one_of_calls(),
        ]
        .into_iter()
        .flatten()
    }

    /// A `?` for each call: the values take the column's type, so that its index is used.
    fn one_of_calls(&self) -> Option<Condition> {
        let places = vec!["?"; self.calls.len()].join(", ");
        let values = self.calls.iter().map(|call| Value::Text(call.to_string())).collect();
        (!self.calls.is_empty()).then(|| Condition(format!("call_id IN ({places})"), values))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Arguments {
        #[command(flatten)]
        filter: Filter,
    }

    fn sql(arguments: &str) -> String {
        let arguments = Arguments::try_parse_from(arguments.split(' ')).unwrap();
        let query = arguments.filter.query(&Client::default(), Body::Read).sql_display().to_string();
        query.split_once("'rejected'").unwrap().1.strip_suffix(ORDER).unwrap().to_owned()
    }

    #[test]
    fn filters_are_anded() {
        assert_eq!(
            sql("capi --business ABC --reason META_DROPPED --meta-code 190"),
            " AND business_id = 'abc' AND reason = 'META_DROPPED' AND meta_code = 190"
        );
        assert_eq!(
            sql("capi --since 1970-01-01T00:00:01Z --until 1970-01-01T00:00:02Z"),
            " AND received_at >= fromUnixTimestamp64Milli(1000) AND received_at < fromUnixTimestamp64Milli(2000)"
        );
        let (one, two) = ("00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-000000000002");
        assert_eq!(sql(&format!("capi --call {one} --call {two}")), format!(" AND call_id IN ('{one}', '{two}')"));
    }

    #[test]
    fn what_is_bound_cannot_leave_its_quotes() {
        assert!(sql("capi --reason X'OR'1'='1").ends_with(r"reason = 'X\'OR\'1\'=\'1'"));
    }

    #[test]
    fn no_filter_is_a_fault() {
        assert!(Arguments::try_parse_from(["capi"]).is_err());
    }
}
