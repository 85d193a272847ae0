//! Values of the directory beside its businesses: who signs in to the console, and which sessions are over. The
//! directory's crate gives them meaning.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Somebody who signs in to the console.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Small letters, digits, and `. _ - @`.
    pub name: String,
    /// What the user may see.
    pub role: Role,
    /// What a merchant sees: UUIDs in small letters.
    pub businesses: Vec<String>,
    /// Argon2id, as a PHC string.
    pub password: String,
    /// Unix milliseconds: sessions of before are over.
    pub sessions_from: i64,
}

/// What a user of the console may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Every business.
    Operator,
    /// Its own businesses.
    Merchant,
}

/// A session of the console that was ended before its time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndedSession {
    /// Letters, digits, `-` and `_`.
    pub session_id: String,
    /// Unix milliseconds: when it would have ended by itself.
    pub expires_at: i64,
}

impl Role {
    /// The name in commands, messages and pages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Merchant => "merchant",
        }
    }
}

/// A hash is not for logs: whoever has it can try passwords at home.
impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("User");
        shown.field("name", &self.name).field("role", &self.role).field("businesses", &self.businesses);
        shown.field("sessions_from", &self.sessions_from).finish_non_exhaustive()
    }
}
