//! Who calls too often.

mod failures;
mod rate;

pub use failures::Failures;
pub(crate) use failures::{MOST as MOST_FAILURES, WINDOW as FAILURE_WINDOW};
pub use rate::Rates;
