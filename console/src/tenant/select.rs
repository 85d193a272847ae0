//! A question to ClickHouse about one business.
//!
//! Its SQL is put together from this program's own text: what is not `'static` has no way in but as the value of a
//! parameter, which ClickHouse binds itself. The first condition is always the business.

use std::fmt::Write as _;

/// What may be asked: the views, never the tables beneath.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum View {
    Calls,
    ConversionsPerAd,
    RevenuePerAd,
    RevenuePerCampaign,
    RevenuePerProduct,
    FailureRates,
    PurchaseRates,
}

impl View {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Calls => "calls",
            Self::ConversionsPerAd => "conversions_per_ad",
            Self::RevenuePerAd => "revenue_per_ad",
            Self::RevenuePerCampaign => "revenue_per_campaign",
            Self::RevenuePerProduct => "revenue_per_product",
            Self::FailureRates => "failure_rates",
            Self::PurchaseRates => "view_to_purchase",
        }
    }
}

/// The value of a parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Text(String),
    Number(i64),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

/// Which way rows are ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// The least first.
    Up,
    /// The greatest first.
    Down,
}

impl Direction {
    pub(crate) fn other(self) -> Self {
        match self {
            Self::Up => Self::Down,
            Self::Down => Self::Up,
        }
    }

    fn sql(self) -> &'static str {
        match self {
            Self::Up => "ASC",
            Self::Down => "DESC",
        }
    }
}

/// A question about one business.
#[derive(Clone, Debug)]
pub(crate) struct Select {
    view: View,
    columns: Vec<&'static str>,
    conditions: Vec<&'static str>,
    group: Vec<&'static str>,
    order: Vec<(&'static str, Direction)>,
    limit: u64,
    offset: u64,
    values: Vec<(&'static str, Value)>,
}

/// The condition that every question begins with.
const OF_BUSINESS: &str = "business_id = {business:String}";

impl Select {
    /// A question about this business: for [`Business`](super::Business) alone.
    pub(super) fn of(business: &str, view: View, columns: Vec<&'static str>) -> Self {
        Self {
            view,
            columns,
            conditions: vec![OF_BUSINESS],
            group: Vec::new(),
            order: Vec::new(),
            limit: 1000,
            offset: 0,
            values: vec![("business", Value::from(business))],
        }
    }

    /// A further condition. Its parameters are given by [`Select::with`].
    pub(crate) fn and(mut self, condition: &'static str) -> Self {
        self.conditions.push(condition);
        self
    }

    /// The value of a parameter. The business is no longer one's own to choose.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        debug_assert!(self.values.iter().all(|(known, _)| *known != name), "{name} is given twice");
        self.values.push((name, value.into()));
        self
    }

    pub(crate) fn group_by(mut self, columns: impl IntoIterator<Item = &'static str>) -> Self {
        self.group.extend(columns);
        self
    }

    pub(crate) fn order_by(mut self, columns: impl IntoIterator<Item = (&'static str, Direction)>) -> Self {
        self.order.extend(columns);
        self
    }

    pub(crate) fn limit(mut self, limit: u64) -> Self {
        self.limit = limit;
        self
    }

    pub(crate) fn offset(mut self, offset: u64) -> Self {
        self.offset = offset;
        self
    }

    pub(crate) fn values(&self) -> &[(&'static str, Value)] {
        &self.values
    }

    /// The statement, with its parameters as parameters.
    pub(crate) fn sql(&self) -> String {
        let mut sql = format!("SELECT {}\nFROM {}", self.columns.join(", "), self.view.name());
        // Each condition in parentheses: an OR in one must not let the business go.
        let conditions: Vec<_> = self.conditions.iter().map(|condition| format!("({condition})")).collect();
        // Writing to a string cannot fail.
        let _ = write!(sql, "\nWHERE {}", conditions.join("\n  AND "));
        if !self.group.is_empty() {
            let _ = write!(sql, "\nGROUP BY {}", self.group.join(", "));
        }
        if !self.order.is_empty() {
            let order: Vec<_> = self.order.iter().map(|(column, way)| format!("{column} {}", way.sql())).collect();
            let _ = write!(sql, "\nORDER BY {}", order.join(", "));
        }
        let _ = write!(sql, "\nLIMIT {}", self.limit);
        if self.offset > 0 {
            let _ = write!(sql, " OFFSET {}", self.offset);
        }
        sql
    }

    /// The statement as a person runs it elsewhere, with its values in their places. It is shown, and never run.
    pub(crate) fn shown(&self) -> String {
        let (sql, mut shown) = (self.sql(), String::new());
        let mut rest = sql.as_str();
        while let Some((before, parameter, after)) = next_parameter(rest) {
            shown.push_str(before);
            let value = self.values.iter().find(|(name, _)| *name == parameter);
            shown.push_str(&value.map(|(_, value)| literal(value)).unwrap_or_default());
            rest = after;
        }
        shown + rest
    }
}

/// What stands before the first `{name:Type}`, the name, and what stands after it.
fn next_parameter(sql: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = sql.split_once('{')?;
    let (parameter, after) = rest.split_once('}')?;
    let (name, _) = parameter.split_once(':')?;
    Some((before, name, after))
}

fn literal(value: &Value) -> String {
    match value {
        Value::Number(number) => number.to_string(),
        Value::Text(text) => format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn select() -> Select {
        Select::of("shop", View::Calls, vec!["count() AS calls"])
    }

    #[test]
    fn every_question_is_about_one_business() {
        let sql = select().and("lane = {lane:String} OR 1").with("lane", "live").sql();
        assert_eq!(
            sql,
            "SELECT count() AS calls\nFROM calls\nWHERE (business_id = {business:String})\n  \
             AND (lane = {lane:String} OR 1)\nLIMIT 1000"
        );
        assert_eq!(select().values(), [("business", Value::from("shop"))]);
    }

    #[test]
    fn what_is_shown_has_its_values_in_their_places() {
        let shown = select()
            .and("order_id = {order:String} AND received_at < fromUnixTimestamp64Milli({to:Int64})")
            .with("order", r"it's \ {to:Int64}")
            .with("to", 7)
            .order_by([("calls", Direction::Down)])
            .limit(5)
            .offset(10)
            .shown();
        assert!(shown.contains("(business_id = 'shop')"), "{shown}");
        assert!(shown.contains(r"order_id = 'it\'s \\ {to:Int64}'"), "{shown}");
        assert!(shown.ends_with("fromUnixTimestamp64Milli(7))\nORDER BY calls DESC\nLIMIT 5 OFFSET 10"), "{shown}");
    }
}
