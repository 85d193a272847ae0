//! Who calls too often.

mod failures;
mod rate;

pub use failures::Failures;
pub use rate::Rates;
