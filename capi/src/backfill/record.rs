//! One call of an input, before it is sent.

use bytes::Bytes;
use ingest::{body::BODY_LIMIT, call, refusal::Refusal};
use schemas::{Call, CallId, Reason};
use sha2::{Digest as _, Sha256};

use crate::moment;

/// One call: where it stands, and the body to send.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    /// The line it begins on; the first is 1.
    pub(crate) line: u64,
    /// The body; or why there is none to send.
    pub(crate) body: Result<Bytes, Flaw>,
}

/// Why no body can be made of a line: it is refused here, as the endpoint would refuse it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Flaw {
    /// The line is longer than any body may be.
    #[error("the line is longer than the {BODY_LIMIT} bytes that a call may have")]
    TooLong,
    /// A row of a table that has not the header's columns.
    #[error("the row has {found} cells, and the header {expected}")]
    Cells {
        /// Of this row.
        found: u64,
        /// Of the header.
        expected: u64,
    },
    /// A row that is no text.
    #[error("the row is not valid UTF-8")]
    NotUtf8,
}

impl Flaw {
    /// The reason, as the endpoint names it.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::TooLong => Reason::BodyTooLarge.as_str(),
            Self::Cells { .. } | Self::NotUtf8 => Reason::MalformedJson.as_str(),
        }
    }
}

/// Names a line by what it says, so that another line in its place is noticed: the start of its SHA-256, never 0.
pub(crate) fn fingerprint(record: &Record) -> u32 {
    let hash = match &record.body {
        Ok(body) => Sha256::digest(body),
        Err(flaw) => Sha256::digest(flaw.to_string()),
    };
    let [a, b, c, d, ..] = <[u8; 32]>::from(hash);
    u32::from_be_bytes([a, b, c, d]).max(1)
}

/// Reads a body by the endpoint's own code.
pub(crate) fn judge(body: &[u8]) -> (Call, Result<(), Refusal>) {
    let mut call = Call::blank(CallId::now(), moment::now());
    if body.len() > BODY_LIMIT {
        return (call, Err(Refusal::too_large()));
    }
    let read = call::fill(body, &mut call);
    (call, read)
}

/// Whether sending a body twice may count it twice: it can be read, and no order id lets the pipeline know it again.
/// A field that breaks its rule by our clock may keep it by the endpoint's.
pub(crate) fn counts_each_time(body: &[u8]) -> bool {
    let (call, read) = judge(body);
    call.order_id.is_empty() && read.err().is_none_or(|refusal| refusal.reason == Reason::InvalidFields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_without_an_order_counts_each_time_and_no_other() {
        let body = |order: &str| {
            format!(
                r#"{{"cnct_tracking_id":"t","event_name":"ViewContent","sendout_id":"s",
                "attribution":{{"meta_ctwa":{{"ctwa_clid":"c","ad_id":"a"}}}},"payload":{{"order_id":{order}}}}}"#
            )
        };
        for (order, counts) in [("null", true), (r#"" ""#, true), (r#""1""#, false)] {
            assert_eq!(counts_each_time(body(order).as_bytes()), counts, "{order}");
        }
        assert!(!counts_each_time(b"{"));
        assert!(!counts_each_time(&vec![b' '; BODY_LIMIT + 1]));
    }
}
