//! What ClickHouse must hold: the migrations and views, compiled in, and the columns they come to.

use std::{fmt::Write as _, time::Duration};

use sha2::{Digest as _, Sha256};

/// The table of rows.
pub const CALL_RECORDS: &str = "call_records";
/// The view that people read.
pub(crate) const CALLS: &str = "calls";

/// A step of the tables' history. Once released it never changes: what comes later is another step.
pub(crate) struct Migration {
    /// Its place in the order.
    pub(crate) number: u32,
    /// Its file's name.
    pub(crate) name: &'static str,
    /// One statement that may run twice, and twice at once.
    pub(crate) sql: &'static str,
}

impl Migration {
    /// What shows that a step was changed after it was applied.
    pub(crate) fn checksum(&self) -> String {
        checksum(&[self.sql])
    }
}

macro_rules! migrations {
    ($($number:literal $name:literal),+ $(,)?) => {
        &[$(Migration {
            number: $number,
            name: $name,
            sql: include_str!(concat!("../migrations/", $name, ".sql")),
        }),+]
    };
}

/// The table of applied migrations, which is there before any of them.
pub(crate) const MIGRATIONS_TABLE: &str = include_str!("../migrations/0000_migrations.sql");

/// Every migration, in order.
pub(crate) const MIGRATIONS: &[Migration] = migrations![
    1 "0001_call_records",
    2 "0002_release",
    3 "0003_by_order_id",
    4 "0004_by_order_id_of_old_rows",
];

macro_rules! views {
    ($($name:literal),+ $(,)?) => {
        &[$(($name, include_str!(concat!("../migrations/views/", $name, ".sql")))),+]
    };
}

/// Every view and its query, each after those it reads. They hold no data: `capi setup` rebuilds them as it likes.
const VIEWS: &[(&str, &str)] = views![
    "calls",
    "conversions",
    "conversions_per_ad",
    "revenue_per_ad",
    "revenue_per_campaign",
    "revenue_per_product",
    "failure_rates",
    "view_to_purchase",
];

/// The views of one deduplication window.
pub(crate) struct Views {
    window: Duration,
}

impl Views {
    /// For this window.
    pub(crate) fn new(window: Duration) -> Self {
        Self { window }
    }

    /// Their names, each after those it reads.
    pub(crate) fn names() -> impl Iterator<Item = &'static str> {
        VIEWS.iter().map(|(name, _)| *name)
    }

    /// The statements that build them, in order.
    pub(crate) fn statements(&self) -> impl Iterator<Item = String> + '_ {
        let label = self.label();
        self.queries().map(move |(name, query)| format!("CREATE OR REPLACE VIEW {name} AS\n{query}\nCOMMENT '{label}'"))
    }

    /// What stands in each view's comment: which queries it was built with, and for which window. So a view says by
    /// itself whether it is the one that a worker expects.
    pub(crate) fn label(&self) -> String {
        let queries: Vec<String> = self.queries().map(|(_, query)| query).collect();
        let parts: Vec<&str> = queries.iter().map(String::as_str).collect();
        format!("capi views {}, {}", &checksum(&parts)[..16], self.window_label())
    }

    /// Whether a view with this label is for the same window, whatever its query.
    pub(crate) fn same_window(&self, label: &str) -> bool {
        label.split_once(", ").is_some_and(|(_, window)| window == self.window_label())
    }

    fn window_label(&self) -> String {
        format!("deduplication window {} s", self.window.as_secs())
    }

    fn queries(&self) -> impl Iterator<Item = (&'static str, String)> + '_ {
        let window = self.window.as_millis().to_string();
        VIEWS.iter().map(move |(name, query)| (*name, query.replace("{window_ms}", &window)))
    }
}

fn checksum(parts: &[&str]) -> String {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update(part.as_bytes());
        digest.update([0]);
    }
    digest.finalize().iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The columns of the view `calls`, in order: names and types that dashboards lean on.
pub const CALLS_COLUMNS: &[(&str, &str)] = &[
    ("call_id", "UUID"),
    ("received_at", "DateTime64(3, 'UTC')"),
    ("recorded_at", "DateTime64(3, 'UTC')"),
    ("business_id", "String"),
    ("api_key_id", "LowCardinality(String)"),
    ("http_status", "Int32"),
    ("conversion_status", "LowCardinality(String)"),
    ("success", "Bool"),
    ("failure_stage", "LowCardinality(String)"),
    ("reason", "LowCardinality(String)"),
    ("error", "String"),
    ("event_name", "LowCardinality(String)"),
    ("event_time", "Nullable(DateTime('UTC'))"),
    ("cnct_tracking_id", "String"),
    ("sendout_id", "String"),
    ("ctwa_clid", "String"),
    ("ad_id", "String"),
    ("currency", "LowCardinality(String)"),
    ("value", "Nullable(Decimal(38, 6))"),
    ("order_id", "String"),
    ("content_type", "LowCardinality(String)"),
    ("content_ids", "Array(String)"),
    ("num_items", "Nullable(Int32)"),
    ("contents.id", "Array(String)"),
    ("contents.quantity", "Array(Nullable(Int32))"),
    ("contents.item_price", "Array(Nullable(Decimal(38, 6)))"),
    ("events_received", "Nullable(Int32)"),
    ("forward_reference_id", "String"),
    ("meta_http_status", "Nullable(Int32)"),
    ("meta_code", "Nullable(Int32)"),
    ("meta_error_subcode", "Nullable(Int32)"),
    ("meta_error", "String"),
    ("duplicate_of", "Nullable(UUID)"),
    ("lane", "LowCardinality(String)"),
    ("forward_attempts", "Int32"),
    ("possibly_duplicate", "Bool"),
    ("forward_ms", "Nullable(Int64)"),
    ("total_ms", "Int64"),
    ("body", "String"),
];

/// What the table has beyond those.
pub const TABLE_ONLY_COLUMNS: &[(&str, &str)] =
    &[("version", "UInt64"), ("day", "Date"), ("release", "LowCardinality(String)")];

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_hours(24);

    #[test]
    fn migrations_are_numbered_from_one_without_a_gap() {
        for (migration, number) in MIGRATIONS.iter().zip(1..) {
            assert_eq!(migration.number, number);
            assert!(migration.name.starts_with(&format!("{number:04}_")), "{}", migration.name);
        }
    }

    #[test]
    fn a_released_migration_is_not_changed() {
        // A change here would leave every database that was set up before it without it: add a migration instead.
        let released = [
            ("0001_call_records", "97941eeca7acb2896f30248de39587ff9780284fd2ae0e708a175e23124a07da"),
            ("0002_release", "b86a5d04dbc9ea82472293403adf482d1365e2629c5474cf68e647e2d40ac062"),
            ("0003_by_order_id", "02e031a5bf9060549d02cc02f57b595c88984e4745dd52266fc3ad120e87fc37"),
            ("0004_by_order_id_of_old_rows", "295011aa57ab7ecfbfcbc55060a9d988a77285f98fa12a56a4cddc6bca9426c7"),
        ];
        for (migration, (name, checksum)) in MIGRATIONS.iter().zip(released) {
            assert_eq!((migration.name, migration.checksum().as_str()), (name, checksum));
        }
    }

    #[test]
    fn views_change_with_a_migration() {
        // By the last migration a recorder of the release before sees that views it does not know are of a newer
        // release, and starts. A change here needs a migration, if only `SELECT 1`, and a line of its own.
        let released = [("0002_release", "bc14823b7c2e496e"), ("0004_by_order_id_of_old_rows", "bc14823b7c2e496e")];
        let newest = MIGRATIONS.last().map(|migration| migration.name);
        let views = Views::new(DAY).label();
        assert_eq!(released.last().map(|(name, _)| *name), newest);
        assert!(released.last().is_some_and(|(_, checksum)| views.contains(checksum)), "{views}");
    }

    #[test]
    fn the_window_stands_in_the_views_and_in_their_label() {
        let (four_weeks, one_week) = (Views::new(28 * DAY), Views::new(7 * DAY));
        assert_ne!(four_weeks.label(), one_week.label());
        let later = one_week.label().replace("capi views ", "capi views 0");
        assert!(one_week.same_window(&later) && !four_weeks.same_window(&later) && !one_week.same_window(""));
        let text: String = one_week.statements().collect();
        assert!(text.contains("604800000") && !text.contains("{window_ms}"), "{text}");
    }

    #[test]
    fn the_views_are_those_of_the_contract() {
        let names: Vec<_> = Views::names().collect();
        for view in ["calls", "conversions_per_ad", "revenue_per_ad", "revenue_per_campaign", "revenue_per_product"] {
            assert!(names.contains(&view), "{view}");
        }
        assert!(names.contains(&"failure_rates") && names.contains(&"view_to_purchase"));
    }
}
