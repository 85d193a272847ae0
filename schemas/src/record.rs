//! The analytics record of a call.

use serde::{Deserialize, Serialize};

use crate::{Call, Lane, Outcome};

/// The analytics record of a call: what was reported and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallRecord {
    /// What the merchant reported.
    pub call: Call,
    /// The lane the call came in by; `None` for a refused call.
    pub lane: Option<Lane>,
    /// What became of it.
    pub outcome: Outcome,
    /// Offset in the orders topic of the ledger record this rests on; 0 where it rests on none.
    pub rests_on: i64,
}

impl CallRecord {
    /// The row's version, by which a reader chooses among the rows of one call: `final << 63 | rests_on`
    /// (rule 11 of the ledger). A pending row never replaces a final one.
    pub fn version(&self) -> u64 {
        let settled = u64::from(self.outcome.conversion_status.is_final()) << 63;
        settled | self.rests_on.unsigned_abs()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CallId, ConversionStatus};

    fn record(status: ConversionStatus, rests_on: i64) -> CallRecord {
        CallRecord { call: Call::blank(CallId::now(), 0), lane: None, outcome: Outcome::new(200, status), rests_on }
    }

    #[test]
    fn a_pending_row_never_replaces_a_final_one() {
        let pending = record(ConversionStatus::Pending, i64::MAX);
        let forwarded = record(ConversionStatus::Forwarded, 0);
        assert!(pending.version() < forwarded.version());
    }

    #[test]
    fn a_later_ledger_record_replaces_an_earlier_one() {
        assert!(record(ConversionStatus::Rejected, 7).version() < record(ConversionStatus::Forwarded, 8).version());
        assert!(record(ConversionStatus::Pending, 0).version() < record(ConversionStatus::Pending, 1).version());
    }
}
