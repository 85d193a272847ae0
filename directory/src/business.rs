//! A business and its channel, as the workers hold them: what has been read here cannot be wrong any more.

use std::num::NonZeroU32;

use schemas::{ApiKey, Business, Channel};

use crate::{
    id::BusinessId,
    rules::{Fault, NAME_MAX, TEXT_MAX, digits, graph_version, limit, text},
};

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

fn to_wire(limit: Option<NonZeroU32>) -> Option<i32> {
    limit.map(|limit| i32::try_from(limit.get()).unwrap_or(i32::MAX))
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

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
    fn the_wire_gives_back_what_it_took() {
        assert_eq!(BusinessEntry::try_from(Business::from(entry())), Ok(entry()));
    }

    #[test]
    fn every_rule_is_kept() {
        type Break = fn(&mut Business);
        let broken: [(Break, &str); 8] = [
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
