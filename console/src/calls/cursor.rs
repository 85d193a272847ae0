//! Where a page of calls ends and the next one begins: a place in the order of calls, and not a number of them, so that
//! the thousandth page costs what the first does, and new calls move nothing.

use std::fmt;

use uuid::Uuid;

/// Calls before this place are asked for: those received before `millis`, and those of that very millisecond with a
/// smaller id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cursor {
    /// Unix milliseconds.
    pub(super) millis: i64,
    /// The last call of the page before. Nil where there is none, and so nothing is of that millisecond.
    pub(super) call: Uuid,
}

impl Cursor {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (millis, call) = text.split_once('_')?;
        let millis = millis.parse().ok().filter(|millis| (0..1 << 43).contains(millis))?;
        Some(Self { millis, call: Uuid::try_parse(call).ok()? })
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", self.millis, self.call.simple())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_as_it_went() {
        let cursor = Cursor { millis: 1_800_000_000_000, call: Uuid::from_u128(7) };
        assert_eq!(Cursor::parse(&cursor.to_string()), Some(cursor));
    }

    #[test]
    fn what_is_no_cursor_is_none() {
        for text in ["", "_", "1", "1_x", "-1_00000000000000000000000000000007", "9223372036854775807_0", "x_0"] {
            assert_eq!(Cursor::parse(text), None, "{text}");
        }
    }
}
