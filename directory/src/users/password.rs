//! Passwords: what is kept of one, and whether an attempt is it.
//!
//! People choose passwords, so that they can be guessed, and a hash of one has to be slow. It is argon2id with the
//! parameters that OWASP's Password Storage Cheat Sheet names first for servers (as of 2026): 19 MiB, two passes, one lane.

use std::{fmt, sync::LazyLock};

use argon2::{ARGON2ID_IDENT, Argon2, Params, PasswordHasher as _, PasswordVerifier as _, Version, password_hash::phc};
use zeroize::Zeroizing;

use super::UserName;
use crate::rules::Fault;

/// Memory of one hash, in KiB.
const MEMORY_KIB: u32 = 19 * 1024;
/// Passes over the memory.
const PASSES: u32 = 2;
/// Lanes.
const LANES: u32 = 1;

/// What a hash that was written elsewhere may ask for: above that, signing in would be a way to exhaust the process.
const MOST_MEMORY_KIB: u32 = 256 * 1024;
const MOST_PASSES: u32 = 16;

/// The shortest password, in characters.
const SHORTEST: usize = 12;
/// The longest, in bytes: nobody types more.
const LONGEST: usize = 1024;

/// A password that keeps the rules, in the clear. It is wiped when dropped, and no formatting shows it.
pub struct Password(Zeroizing<String>);

/// What is kept of a password: a PHC string of argon2id.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl Password {
    /// A password for the user of this name.
    ///
    /// # Errors
    /// Where it breaks a rule; the fault does not repeat it.
    pub fn parse(text: Zeroizing<String>, name: &UserName) -> Result<Self, Fault> {
        if text.chars().count() < SHORTEST || text.len() > LONGEST {
            return Err(Fault::new(format!(
                "a password has {SHORTEST} characters or more, and at most {LONGEST} bytes"
            )));
        }
        if text.trim().is_empty() || text.chars().any(char::is_control) {
            return Err(Fault::new("a password is not blank and has no control characters or line breaks"));
        }
        if text.eq_ignore_ascii_case(name.as_str()) {
            return Err(Fault::new("a password is not the user's name"));
        }
        Ok(Self(text))
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

impl PasswordHash {
    /// A hash as it is kept.
    ///
    /// # Errors
    /// Where it is no PHC string of argon2id, or asks for more memory or time than a sign-in may take.
    pub fn parse(text: String) -> Result<Self, Fault> {
        let fault = || Fault::new("a password is kept as a PHC string of argon2id, of at most 256 MiB and 16 passes");
        let hash = phc::PasswordHash::new(&text).map_err(|_| fault())?;
        let params = Params::try_from(&hash).map_err(|_| fault())?;
        let is_ours = hash.algorithm == ARGON2ID_IDENT && hash.version == Some(Version::V0x13.into());
        let is_whole = hash.salt.is_some() && hash.hash.is_some();
        let is_bounded = params.m_cost() <= MOST_MEMORY_KIB && params.t_cost() <= MOST_PASSES;
        if is_ours && is_whole && is_bounded { Ok(Self(text)) } else { Err(fault()) }
    }

    pub(super) fn into_text(self) -> String {
        self.0
    }

    /// What an attempt at the name of nobody is compared with, so that it takes as long as any other: salt and hash are
    /// arbitrary, and no password is known for them.
    #[expect(clippy::expect_used, reason = "a constant, which every test of a sign-in reads")]
    pub(super) fn of_nobody() -> &'static Self {
        static OF_NOBODY: LazyLock<PasswordHash> = LazyLock::new(|| {
            let (salt, hash) = ("bm9ib2R5J3Mgc2FsdC4uLg", "bm9ib2R5IGtub3dzIGEgcGFzc3dvcmQgb2YgdGhpcy4");
            let text = format!("$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}${salt}${hash}");
            PasswordHash::parse(text).expect("a PHC string")
        });
        &OF_NOBODY
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

/// What is kept of a password. It takes tens of milliseconds of a processor and 19 MiB: not for a thread that serves.
///
/// # Panics
/// Where the system gives no randomness for a salt, or no memory.
#[expect(clippy::expect_used, reason = "without randomness or memory nothing else works either")]
pub fn hash(password: &Password) -> PasswordHash {
    let hash: phc::PasswordHash = argon2().hash_password(password.0.as_bytes()).expect("a salt and 19 MiB");
    PasswordHash(hash.to_string())
}

/// Whether an attempt is the password of the user who is there. It costs what [`hash`] costs, whether there is such a
/// user or not: the time that a refusal takes must not tell who exists. The comparison itself takes constant time.
pub fn verify(attempt: &str, user: Option<&super::User>) -> bool {
    // Nobody's password is empty.
    let attempt = if attempt.len() > LONGEST { "" } else { attempt };
    let kept = user.map_or(PasswordHash::of_nobody(), |user| &user.password);
    let is_it = argon2().verify_password(attempt.as_bytes(), kept.0.as_str()).is_ok();
    is_it & user.is_some()
}

#[expect(clippy::expect_used, reason = "constants, which every test of a sign-in reads")]
fn argon2() -> Argon2<'static> {
    Params::new(MEMORY_KIB, PASSES, LANES, None).expect("parameters within the algorithm's limits").into()
}

#[cfg(test)]
mod tests {
    use super::{
        super::{User, tests::merchant},
        *,
    };

    const SECRET: &str = "correct horse battery";

    fn password(text: &str) -> Result<Password, Fault> {
        Password::parse(Zeroizing::new(text.to_owned()), &"ada.lovelace@x".parse().unwrap())
    }

    fn user() -> User {
        User { password: hash(&password(SECRET).unwrap()), ..merchant("ada") }
    }

    #[test]
    fn an_attempt_is_the_password_or_not() {
        let user = user();
        assert!(verify(SECRET, Some(&user)));
        for wrong in ["", "correct horse batterz", "correct horse battery ", "Correct horse battery"] {
            assert!(!verify(wrong, Some(&user)), "{wrong}");
        }
        assert!(!verify(&SECRET.repeat(100), Some(&user)));
    }

    /// The same work is done for a user who does not exist: what is compared with asks for the same.
    #[test]
    fn nobody_is_let_in_and_is_asked_as_much_as_anybody() {
        assert!(!verify(SECRET, None) && !verify("", None));
        let parameters = |hash: &PasswordHash| hash.0.split('$').take(4).collect::<Vec<_>>().join("$");
        assert_eq!(parameters(PasswordHash::of_nobody()), parameters(&user().password));
        assert_eq!(parameters(PasswordHash::of_nobody()), "$argon2id$v=19$m=19456,t=2,p=1");
        let lengths = |hash: &PasswordHash| hash.0.split('$').map(str::len).collect::<Vec<_>>();
        assert_eq!(lengths(PasswordHash::of_nobody()), lengths(&user().password));
    }

    #[test]
    fn two_hashes_of_one_password_are_not_alike() {
        assert_ne!(user().password, user().password);
    }

    #[test]
    fn a_password_keeps_the_rules_and_no_fault_repeats_it() {
        assert!(password("twelve chars").is_ok() && password("\u{e9}l\u{e8}ve \u{e0} Orl\u{e9}ans").is_ok());
        for wrong in [
            "eleven char",
            "\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}",
            "Ada.Lovelace@X",
            "line\nbreak in it",
            "tab\tbreak in it",
        ] {
            let fault = password(wrong).unwrap_err().to_string();
            assert!(!fault.contains(wrong), "{fault}");
        }
        assert!(password(&" ".repeat(20)).is_err() && password(&"x".repeat(1025)).is_err());
        assert_eq!(format!("{:?}", password(SECRET).unwrap()), "Password(…)");
    }

    #[test]
    fn a_hash_that_is_none_or_asks_for_too_much_is_refused() {
        let kept = hash(&password(SECRET).unwrap()).into_text();
        assert!(PasswordHash::parse(kept.clone()).is_ok());
        for (from, to) in [
            ("argon2id", "argon2i"),
            ("m=19456", "m=262145"),
            ("t=2", "t=17"),
            ("m=19456", "m=x"),
            ("v=19", "v=18"),
            ("$argon2id", "argon2id"),
        ] {
            let wrong = kept.replace(from, to);
            assert!(wrong != kept && PasswordHash::parse(wrong.clone()).is_err(), "{wrong}");
        }
        let (without_hash, _) = kept.rsplit_once('$').unwrap();
        assert!(PasswordHash::parse(without_hash.to_owned()).is_err());
        assert!(PasswordHash::parse(String::new()).is_err());
    }
}
