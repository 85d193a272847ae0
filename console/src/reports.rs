//! The six views as tables that sort, filter and page, and as CSV, JSON and SQL.

mod catalogue;
mod question;
mod table;

pub(crate) use self::table::report;
