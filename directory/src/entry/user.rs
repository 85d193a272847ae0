//! The parts of a user: what may be seen, the password, and from when on sessions count. The last only moves on, whatever
//! is written after it.

use schemas::Message as _;

use super::Entry;
use crate::{
    fold::Unreadable,
    rules::Fault,
    subject::Subject,
    users::{User, UserName},
};

impl Entry for User {
    type Id = UserName;

    /// What cannot be read may have taken rights away: nobody signs in with those of before.
    const OUTLIVES_UNREADABLE: bool = false;

    fn subject(name: &UserName) -> Subject {
        Subject::User(name.clone())
    }

    fn decode(name: &UserName, payload: &[u8]) -> Result<Self, Unreadable> {
        let user = Self::try_from(schemas::User::decode(payload)?)?;
        if user.name == *name { Ok(user) } else { Err(Unreadable::Key) }
    }

    fn encode(&self) -> Vec<u8> {
        schemas::User::from(self.clone()).encode()
    }

    fn check(&self) -> Result<(), Fault> {
        Self::check(self)
    }

    fn merge(base: Option<&Self>, theirs: &Self, current: &Self) -> Self {
        let mut merged = Self::replace(current, theirs);
        let sees = |user: &Self| (user.role, user.businesses.clone());
        if base.map(sees) != Some(sees(theirs)) {
            (merged.role, merged.businesses) = sees(theirs);
        }
        if base.map(|base| &base.password) != Some(&theirs.password) {
            merged.password.clone_from(&theirs.password);
        }
        merged
    }

    fn replace(theirs: &Self, current: &Self) -> Self {
        Self { sessions_from: theirs.sessions_from.max(current.sessions_from), ..theirs.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::users::{
        PasswordHash, Role,
        tests::{business, merchant},
    };

    fn other_password() -> PasswordHash {
        PasswordHash::parse("$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5J3Mgc2FsdC4uLg$b3RoZXIgcGFzc3dvcmQ".into()).unwrap()
    }

    #[test]
    fn each_part_changes_apart_from_the_others() {
        let base = merchant("ada");
        let fewer = User { businesses: [business(2)].into(), ..base.clone() };
        let password = User { password: other_password(), sessions_from: 9, ..base.clone() };
        let both = User { businesses: [business(2)].into(), ..password.clone() };
        assert_eq!(User::merge(Some(&base), &password, &fewer), both);
        assert_eq!(User::merge(Some(&base), &fewer, &password), both);
        assert_eq!(User::merge(None, &fewer, &password), User { sessions_from: 9, ..fewer });
    }

    #[test]
    fn sessions_that_were_ended_stay_so() {
        let base = merchant("ada");
        let ended = User { sessions_from: 9, ..base.clone() };
        let operator = User { role: Role::Operator, businesses: [].into(), ..base.clone() };
        let both = User { sessions_from: 9, ..operator.clone() };
        assert_eq!(User::merge(Some(&base), &operator, &ended), both);
        assert_eq!(User::replace(&operator, &ended), both);
    }
}
