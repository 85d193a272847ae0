//! What a business, a channel and a key may hold.

use std::num::NonZeroU32;

/// The longest name, in bytes: names are for people and travel in every copy of the directory.
pub(crate) const NAME_MAX: usize = 256;
/// The longest id, version, partner agent or test code, in bytes: Meta's are far shorter.
pub(crate) const TEXT_MAX: usize = 128;

/// What is wrong with a business, a channel or a key: one sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Fault(String);

impl Fault {
    pub(crate) fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }
}

pub(crate) fn text(what: &str, text: &str, longest: usize) -> Result<(), Fault> {
    if text.trim().is_empty() || text.len() > longest || text.chars().any(char::is_control) {
        return Err(Fault::new(format!("{what} has 1 to {longest} bytes, is not blank and has no control characters")));
    }
    Ok(())
}

/// Ids of Meta's objects stand in URLs and are numbers.
pub(crate) fn digits(what: &str, id: &str) -> Result<(), Fault> {
    let valid = (1..=TEXT_MAX).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_digit());
    if valid { Ok(()) } else { Err(Fault::new(format!("{what} consists of digits"))) }
}

/// The version stands in URLs: `v`, a number, a point, a number.
///
/// # Errors
/// Where it does not look so.
pub fn graph_version(version: &str) -> Result<(), Fault> {
    let number = |part: &str| (1..=4).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
    let parts = version.strip_prefix('v').and_then(|numbers| numbers.split_once('.'));
    match parts {
        Some((major, minor)) if number(major) && number(minor) => Ok(()),
        _ => Err(Fault::new("a Graph version looks like v26.0")),
    }
}

/// A limit on the wire is an `int`; 0 and less is no limit that anyone can have meant.
pub(crate) fn limit(what: &str, wire: Option<i32>) -> Result<Option<NonZeroU32>, Fault> {
    let Some(wire) = wire else { return Ok(None) };
    let limit = u32::try_from(wire).ok().and_then(NonZeroU32::new);
    limit.map(Some).ok_or_else(|| Fault::new(format!("{what} is 1 or more")))
}
