//! The web pages that merchants and operators look at: what became of their calls, and the settings of a business.
//! Rendered here; they read ClickHouse's views and the directory, and change the directory by the code that `capi` uses.
//!
//! | module | holds |
//! |---|---|
//! | [`router`] | the paths, and what every answer carries |
//! | `sign_in`, `attempts`, `session`, `posted` | who looks, how often somebody tried, and whether a form is theirs |
//! | `tenant` | who may see which business: the only way to its rows |
//! | `businesses` | choosing one |
//! | `calls` | finding calls, and what became of each |
//! | `overview` | how a business does |
//! | `reports` | the six views as tables and files |
//! | `integration` | what a developer needs for the first call |
//! | `manage` | API keys and the WhatsApp channel |
//! | [`records`] | ClickHouse, as the pages ask it |
//! | `fields`, `choice` | what a query string or a form says |
//! | `when`, `range`, `money`, `chart` | moments, days, amounts and bars as they are shown |
//! | `frame`, `page`, [`fault`], `assets` | what stands around a page, and in place of one |
//!
//! [`console`] holds what all pages share, [`settings`] what an operator chooses, and [`run`] puts it together.

mod assets;
mod attempts;
mod businesses;
mod calls;
mod chart;
mod choice;
pub mod console;
pub mod fault;
mod fields;
mod frame;
mod integration;
mod manage;
pub mod metrics;
mod money;
mod overview;
mod page;
mod posted;
mod range;
pub mod records;
mod reports;
pub mod router;
pub mod run;
mod session;
pub mod settings;
mod sign_in;
mod tenant;
mod when;
