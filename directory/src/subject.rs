//! What a message of the directory's topic is about: its key.

use std::fmt;

use crate::{
    id::BusinessId,
    users::{SessionId, UserName},
};

const USER: &str = "user";
const SESSION: &str = "session";

/// What a message is about. The key of a business is its id alone; all that came later has its kind before a colon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    Business(BusinessId),
    User(UserName),
    Session(SessionId),
    /// Of a kind that a later release keeps here, and nothing to this one.
    Later,
}

impl Subject {
    /// By the key; `None` where it is none of ours.
    pub(crate) fn of_key(key: &[u8]) -> Option<Self> {
        let key = std::str::from_utf8(key).ok()?;
        match key.split_once(':') {
            None => BusinessId::parse(key).map(Self::Business),
            Some((USER, name)) => name.parse().ok().filter(|known: &UserName| known.as_str() == name).map(Self::User),
            Some((SESSION, id)) => id.parse().ok().map(Self::Session),
            Some((kind, _)) => is_kind(kind).then_some(Self::Later),
        }
    }

    pub(crate) fn key(&self) -> String {
        match self {
            Self::Business(id) => id.to_string(),
            Self::User(name) => format!("{USER}:{name}"),
            Self::Session(id) => format!("{SESSION}:{id}"),
            Self::Later => String::new(),
        }
    }
}

fn is_kind(kind: &str) -> bool {
    !kind.is_empty() && kind.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Business(id) => write!(f, "business {id}"),
            Self::User(name) => write!(f, "user {name}"),
            Self::Session(id) => write!(f, "session {id}"),
            Self::Later => f.write_str("what a later release keeps here"),
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_key_tells_what_its_message_is_about() {
        let subjects = [
            Subject::Business(Uuid::from_u128(7).into()),
            Subject::User("ada@shop.example".parse().unwrap()),
            Subject::Session("s-1_A".parse().unwrap()),
        ];
        for subject in subjects {
            assert_eq!(Subject::of_key(subject.key().as_bytes()), Some(subject));
        }
        assert_eq!(Subject::of_key(b"alert-rule:7"), Some(Subject::Later));
    }

    #[test]
    fn what_is_no_key_of_ours_is_none() {
        for key in ["", ":", "shop", "user:", "user:Ada", "user:a b", "session:", "session:a:b", "Alert:7", "\u{e9}:1"]
        {
            assert_eq!(Subject::of_key(key.as_bytes()), None, "{key}");
        }
        assert_eq!(Subject::of_key(b"user:\xff"), None);
    }
}
