//! Who signs in to the console, what they may see, and which of their sessions are over.

mod password;
mod session;

use std::{collections::BTreeSet, fmt, str::FromStr};

pub use password::{Password, PasswordHash, hash, verify};
pub use schemas::Role;
pub use session::SessionId;

use crate::{id::BusinessId, rules::Fault};

/// The longest name, in characters: an e-mail address fits.
const NAME_MAX: usize = 64;

/// The name of a user: letters, digits, and `. _ - @`, in any case, and kept in small letters.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserName(String);

/// Somebody who signs in to the console.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The user's name.
    pub name: UserName,
    /// Whether every business is seen, or those below.
    pub role: Role,
    /// What a merchant sees; none of an operator, who sees all.
    pub businesses: BTreeSet<BusinessId>,
    /// What is kept of the password.
    pub password: PasswordHash,
    /// Unix milliseconds. It moves on with every sign-out everywhere and with every change of the password or of what may
    /// be seen: a session that began under an earlier one is over.
    pub sessions_from: i64,
}

impl UserName {
    /// The name itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for UserName {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-@".contains(&byte);
        if (1..=NAME_MAX).contains(&text.len()) && text.bytes().all(fits) {
            return Ok(Self(text.to_ascii_lowercase()));
        }
        Err(Fault::new(format!("a user's name has 1 to {NAME_MAX} letters a to z, digits, and . _ - @")))
    }
}

impl fmt::Display for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl User {
    /// Whether this user may see a business, and change what the console changes of it.
    pub fn may_see(&self, business: BusinessId) -> bool {
        match self.role {
            Role::Operator => true,
            Role::Merchant => self.businesses.contains(&business),
        }
    }

    /// Whether every rule of the model holds; what breaks one is neither written nor taken over from the topic.
    ///
    /// # Errors
    /// Names the first rule that is broken.
    pub fn check(&self) -> Result<(), Fault> {
        match (self.role, self.businesses.is_empty()) {
            (Role::Operator, false) => Err(Fault::new("an operator sees every business: name none")),
            (Role::Merchant, true) => Err(Fault::new("a merchant has one business or more")),
            (Role::Operator, true) | (Role::Merchant, false) => Ok(()),
        }
    }
}

impl TryFrom<schemas::User> for User {
    type Error = Fault;

    fn try_from(wire: schemas::User) -> Result<Self, Fault> {
        let user = Self {
            name: wire.name.parse()?,
            role: wire.role,
            businesses: wire.businesses.iter().map(|id| id.parse()).collect::<Result<_, _>>()?,
            password: PasswordHash::parse(wire.password)?,
            sessions_from: wire.sessions_from,
        };
        user.check()?;
        Ok(user)
    }
}

impl From<User> for schemas::User {
    fn from(user: User) -> Self {
        Self {
            name: user.name.0,
            role: user.role,
            businesses: user.businesses.iter().map(BusinessId::to_string).collect(),
            password: user.password.into_text(),
            sessions_from: user.sessions_from,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use uuid::Uuid;

    use super::*;

    pub(crate) fn business(number: u128) -> BusinessId {
        Uuid::from_u128(number).into()
    }

    /// A merchant of business 1, whose password nobody knows.
    pub(crate) fn merchant(name: &str) -> User {
        User {
            name: name.parse().unwrap(),
            role: Role::Merchant,
            businesses: [business(1)].into(),
            password: PasswordHash::of_nobody().clone(),
            sessions_from: 5,
        }
    }

    #[test]
    fn a_name_is_kept_in_small_letters() {
        assert_eq!("Ada.L-1_x@Shop.example".parse::<UserName>().unwrap().as_str(), "ada.l-1_x@shop.example");
        assert!("a".repeat(64).parse::<UserName>().is_ok());
        for wrong in ["", " ", "a b", "a:b", "a/b", "\u{e4}da", "a\n", &"a".repeat(65)] {
            assert!(wrong.parse::<UserName>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_merchant_sees_its_own_businesses_and_an_operator_all() {
        let merchant = merchant("ada");
        assert!(merchant.may_see(business(1)) && !merchant.may_see(business(2)));
        let operator = User { role: Role::Operator, businesses: BTreeSet::new(), ..merchant };
        assert!(operator.may_see(business(1)) && operator.may_see(business(2)));
    }

    #[test]
    fn the_wire_gives_back_what_it_took() {
        let user = User { businesses: [business(2), business(1)].into(), ..merchant("ada") };
        assert_eq!(User::try_from(schemas::User::from(user.clone())), Ok(user));
    }

    #[test]
    fn every_rule_is_kept() {
        type Break = fn(&mut schemas::User);
        let broken: [(Break, &str); 5] = [
            (|user| user.name = "a b".into(), "a user's name"),
            (|user| user.businesses.clear(), "a merchant has"),
            (|user| user.role = Role::Operator, "an operator sees"),
            (|user| user.businesses = vec!["shop".into()], "a business id"),
            (|user| user.password = "secret".into(), "a password is kept"),
        ];
        for (breaks, sentence) in broken {
            let mut user = schemas::User::from(merchant("ada"));
            breaks(&mut user);
            let fault = User::try_from(user).unwrap_err().to_string();
            assert!(fault.starts_with(sentence), "{fault}");
        }
    }

    #[test]
    fn no_formatting_shows_the_hash() {
        assert!(!format!("{:?}", merchant("ada")).contains("argon2id"));
    }
}
