//! The id of a session of the console.

use std::{fmt, str::FromStr};

use rand::distr::{Alphanumeric, SampleString};

use crate::rules::Fault;

/// 131 bits: nobody meets an id by trying.
const LENGTH: usize = 22;
/// The longest id that is taken over, in characters.
const LONGEST: usize = 64;

/// The id of a session: letters, digits, `-` and `_`. It names a session and is no secret that opens one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(String);

impl SessionId {
    /// An id that no other session has.
    #[must_use]
    pub fn generate() -> Self {
        Self(Alphanumeric.sample_string(&mut rand::rng(), LENGTH))
    }

    /// The id itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SessionId {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        if (1..=LONGEST).contains(&text.len()) && text.bytes().all(fits) {
            return Ok(Self(text.to_owned()));
        }
        Err(Fault::new(format!("a session id has 1 to {LONGEST} letters, digits, - and _")))
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_as_it_is_written() {
        let id = SessionId::generate();
        assert_eq!((id.to_string().parse(), id.as_str().len()), (Ok(id.clone()), LENGTH));
        assert_ne!(id, SessionId::generate());
        for wrong in ["", "a b", "a:b", "\u{e9}", &"a".repeat(65)] {
            assert!(wrong.parse::<SessionId>().is_err(), "{wrong:?}");
        }
    }
}
