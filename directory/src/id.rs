//! The id of a business.

use std::{fmt, str::FromStr};

use uuid::Uuid;

use crate::rules::Fault;

/// A business id: a UUID, written 8-4-4-4-12 in any case, and kept in small letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BusinessId(Uuid);

impl BusinessId {
    /// The id in a path or a key; `None` where it is not 8-4-4-4-12 hex, and so an unknown business.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        // `Uuid` also reads braces, URNs and bare hex: only the hyphenated form has this length and these hyphens.
        let hyphens = [8, 13, 18, 23].iter().all(|at| text.as_bytes().get(*at) == Some(&b'-'));
        (text.len() == 36 && hyphens).then(|| Uuid::try_parse(text).ok().map(Self)).flatten()
    }

    /// The 16 bytes of the id.
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl From<Uuid> for BusinessId {
    fn from(uuid: Uuid) -> Self {
        Self(uuid)
    }
}

impl FromStr for BusinessId {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        Self::parse(text)
            .ok_or_else(|| Fault::new("a business id is a UUID, such as 6f1c1b1e-0d6c-4b7e-9a44-0a4f6f0b7f10"))
    }
}

impl fmt::Display for BusinessId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_8_4_4_4_12_hex_in_any_case() {
        let id = BusinessId::parse("6F1C1B1E-0D6C-4b7e-9a44-0a4f6f0b7f10").unwrap();
        assert_eq!(id.to_string(), "6f1c1b1e-0d6c-4b7e-9a44-0a4f6f0b7f10");
        for other in [
            "",
            "6f1c1b1e0d6c4b7e9a440a4f6f0b7f10",
            "{6f1c1b1e-0d6c-4b7e-9a44-0a4f6f0b7f10}",
            "urn:uuid:6f1c1b1e-0d6c-4b7e-9a44-0a4f6f0b7f10",
            "6f1c1b1e-0d6c-4b7e-9a44-0a4f6f0b7f1g",
            "6f1c1b1e-0d6c4-b7e-9a44-0a4f6f0b7f10",
            " 6f1c1b1e-0d6c-4b7e-9a44-0a4f6f0b7f1",
        ] {
            assert_eq!(BusinessId::parse(other), None, "{other}");
        }
    }
}
