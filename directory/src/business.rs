//! A business and its channel, as the workers hold them: what has been read here cannot be wrong any more.

use std::{fmt, num::NonZeroU32, str::FromStr};

use schemas::{ApiKey, Business, Channel};
use uuid::Uuid;

/// The longest name, in bytes: names are for people and travel in every copy of the directory.
const NAME_MAX: usize = 256;
/// The longest id, version, partner agent or test code, in bytes: Meta's are far shorter.
const TEXT_MAX: usize = 128;

/// What is wrong with a business, a channel or a key: one sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Fault(String);

impl Fault {
    pub(crate) fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }
}

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

/// A business with its channel and its keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BusinessEntry {
    /// Its id.
    pub id: BusinessId,
    /// For people.
    pub name: String,
    /// A disabled business is answered like an unknown one.
    pub enabled: bool,
    /// Calls a second; `None` for no limit.
    pub rate_limit: Option<NonZeroU32>,
    /// `None` where no channel is configured.
    pub channel: Option<ChannelEntry>,
    /// Live, expired and revoked keys, in the order in which they were made.
    pub keys: Vec<ApiKey>,
}

/// The WhatsApp Cloud channel of a business.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelEntry {
    /// WhatsApp Business Account id: digits.
    pub waba_id: String,
    /// Dataset that receives the events: digits.
    pub dataset_id: String,
    /// Encrypted; [`SecretKeys::open`](crate::SecretKeys::open) reads it.
    pub access_token: Vec<u8>,
    /// Graph version such as `v26.0`; `None` for the forwarder's.
    pub graph_version: Option<String>,
    /// Meta's `partner_agent`.
    pub partner_agent: Option<String>,
    /// Meta's `test_event_code`; such events count all the same.
    pub test_event_code: Option<String>,
    /// Requests at once to this dataset; `None` for the forwarder's default.
    pub max_concurrency: Option<NonZeroU32>,
}

impl BusinessEntry {
    /// A business as `capi business put` makes it: without a channel and without keys.
    #[must_use]
    pub fn new(id: BusinessId, name: impl Into<String>) -> Self {
        Self { id, name: name.into(), enabled: true, rate_limit: None, channel: None, keys: Vec::new() }
    }

    /// The key with this public id.
    pub fn key(&self, key_id: &str) -> Option<&ApiKey> {
        self.keys.iter().find(|key| key.key_id == key_id)
    }

    /// Whether every rule of the model holds; what breaks one is neither written nor taken over from the topic.
    ///
    /// # Errors
    /// Names the first rule that is broken.
    pub fn check(&self) -> Result<(), Fault> {
        text("a name", &self.name, NAME_MAX)?;
        if let Some(channel) = &self.channel {
            channel.check()?;
        }
        self.keys.iter().try_for_each(|key| text("a key's name", &key.name, NAME_MAX))
    }
}

impl ChannelEntry {
    fn check(&self) -> Result<(), Fault> {
        digits("a WABA id", &self.waba_id)?;
        digits("a dataset id", &self.dataset_id)?;
        self.graph_version.as_deref().map_or(Ok(()), graph_version)?;
        self.partner_agent.as_deref().map_or(Ok(()), |agent| text("a partner agent", agent, TEXT_MAX))?;
        self.test_event_code.as_deref().map_or(Ok(()), |code| text("a test event code", code, TEXT_MAX))
    }
}

fn text(what: &str, text: &str, longest: usize) -> Result<(), Fault> {
    if text.trim().is_empty() || text.len() > longest || text.chars().any(char::is_control) {
        return Err(Fault::new(format!("{what} has 1 to {longest} bytes, is not blank and has no control characters")));
    }
    Ok(())
}

/// Ids of Meta's objects stand in URLs and are numbers.
fn digits(what: &str, id: &str) -> Result<(), Fault> {
    let valid = (1..=TEXT_MAX).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_digit());
    if valid { Ok(()) } else { Err(Fault::new(format!("{what} consists of digits"))) }
}

/// The version stands in URLs: `v`, a number, a point, a number.
fn graph_version(version: &str) -> Result<(), Fault> {
    let number = |part: &str| (1..=4).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
    let parts = version.strip_prefix('v').and_then(|numbers| numbers.split_once('.'));
    match parts {
        Some((major, minor)) if number(major) && number(minor) => Ok(()),
        _ => Err(Fault::new("a Graph version looks like v26.0")),
    }
}

/// A limit on the wire is an `int`; 0 and less is no limit that anyone can have meant.
fn limit(what: &str, wire: Option<i32>) -> Result<Option<NonZeroU32>, Fault> {
    let Some(wire) = wire else { return Ok(None) };
    let limit = u32::try_from(wire).ok().and_then(NonZeroU32::new);
    limit.map(Some).ok_or_else(|| Fault::new(format!("{what} is 1 or more")))
}

fn to_wire(limit: Option<NonZeroU32>) -> Option<i32> {
    limit.map(|limit| i32::try_from(limit.get()).unwrap_or(i32::MAX))
}

impl TryFrom<Business> for BusinessEntry {
    type Error = Fault;

    fn try_from(wire: Business) -> Result<Self, Fault> {
        let entry = Self {
            id: wire.business_id.parse()?,
            name: wire.name,
            enabled: wire.enabled,
            rate_limit: limit("a rate limit", wire.rate_limit)?,
            channel: wire.channel.map(ChannelEntry::try_from).transpose()?,
            keys: wire.keys,
        };
        entry.check()?;
        Ok(entry)
    }
}

impl TryFrom<Channel> for ChannelEntry {
    type Error = Fault;

    fn try_from(wire: Channel) -> Result<Self, Fault> {
        Ok(Self {
            waba_id: wire.waba_id,
            dataset_id: wire.dataset_id,
            access_token: wire.access_token,
            graph_version: wire.graph_version,
            partner_agent: wire.partner_agent,
            test_event_code: wire.test_event_code,
            max_concurrency: limit("a greatest concurrency", wire.max_concurrency)?,
        })
    }
}

impl From<BusinessEntry> for Business {
    fn from(entry: BusinessEntry) -> Self {
        Self {
            business_id: entry.id.to_string(),
            name: entry.name,
            enabled: entry.enabled,
            rate_limit: to_wire(entry.rate_limit),
            channel: entry.channel.map(Channel::from),
            keys: entry.keys,
        }
    }
}

impl From<ChannelEntry> for Channel {
    fn from(entry: ChannelEntry) -> Self {
        Self {
            waba_id: entry.waba_id,
            dataset_id: entry.dataset_id,
            access_token: entry.access_token,
            graph_version: entry.graph_version,
            partner_agent: entry.partner_agent,
            test_event_code: entry.test_event_code,
            max_concurrency: to_wire(entry.max_concurrency),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channel() -> ChannelEntry {
        ChannelEntry {
            waba_id: "102290129340398".into(),
            dataset_id: "1234567890".into(),
            access_token: vec![1, 2, 3],
            graph_version: Some("v26.0".into()),
            partner_agent: None,
            test_event_code: None,
            max_concurrency: NonZeroU32::new(4),
        }
    }

    fn entry() -> BusinessEntry {
        let mut entry = BusinessEntry::new(Uuid::from_u128(7).into(), "Shop");
        entry.rate_limit = NonZeroU32::new(50);
        entry.channel = Some(channel());
        entry
    }

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

    #[test]
    fn the_wire_gives_back_what_it_took() {
        assert_eq!(BusinessEntry::try_from(Business::from(entry())), Ok(entry()));
    }

    #[test]
    fn every_rule_is_kept() {
        let broken: [(fn(&mut Business), &str); 8] = [
            (|business| business.business_id = "shop".into(), "a business id"),
            (|business| business.name = "  ".into(), "a name"),
            (|business| business.name = "x".repeat(257), "a name"),
            (|business| business.rate_limit = Some(0), "a rate limit"),
            (|business| business.channel.as_mut().unwrap().waba_id = "1/../2".into(), "a WABA id"),
            (|business| business.channel.as_mut().unwrap().dataset_id = String::new(), "a dataset id"),
            (|business| business.channel.as_mut().unwrap().graph_version = Some("26".into()), "a Graph version"),
            (|business| business.channel.as_mut().unwrap().max_concurrency = Some(-1), "a greatest concurrency"),
        ];
        for (breaks, sentence) in broken {
            let mut business = Business::from(entry());
            breaks(&mut business);
            let fault = BusinessEntry::try_from(business).unwrap_err().to_string();
            assert!(fault.starts_with(sentence), "{fault}");
        }
    }
}
