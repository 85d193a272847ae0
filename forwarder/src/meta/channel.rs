//! The channel of a business, read at the time of sending.

use directory::{BusinessEntry, BusinessId, ChannelEntry, DirectoryView, SecretKeys};

use super::{client::Bearer, request::Envelope};

/// The queue that the events of a business stand in: one for each dataset and Graph version.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DatasetKey {
    /// Graph version such as `v26.0`.
    pub graph_version: String,
    /// Dataset that receives the events.
    pub dataset_id: String,
}

/// Where the events of a business go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The queue.
    pub key: DatasetKey,
    /// Requests at once; `None` for the forwarder's default.
    pub max_concurrency: Option<u32>,
}

/// A channel that is ready to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel {
    /// Where they go.
    pub route: Route,
    /// What stands around them.
    pub envelope: Envelope,
    /// Who sends them.
    pub bearer: Bearer,
}

impl Channel {
    /// Whether events of both channels may share a request.
    pub fn goes_with(&self, other: &Self) -> bool {
        (&self.route.key, &self.envelope, &self.bearer) == (&other.route.key, &other.envelope, &other.bearer)
    }
}

/// Why a business cannot send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelFault {
    /// It has no channel (now).
    Missing,
    /// Its token cannot be decrypted with the keys that this process has.
    TokenUnreadable,
}

/// Where channels are read. A disabled business keeps its channel here: what was accepted is still forwarded.
pub trait Channels: Send + Sync + 'static {
    /// Where the events of a business go now; `None` where it has no channel. Called for every event: cheap.
    fn route(&self, business_id: &str) -> Option<Route>;

    /// The channel now, with its token decrypted. Called for every request.
    ///
    /// # Errors
    /// Where there is none, or its token cannot be read.
    fn channel(&self, business_id: &str) -> Result<Channel, ChannelFault>;
}

/// The channels of the directory.
pub struct DirectoryChannels {
    view: DirectoryView,
    keys: SecretKeys,
    graph_version: String,
}

impl DirectoryChannels {
    /// `graph_version` is of channels that name none.
    pub fn new(view: DirectoryView, keys: SecretKeys, graph_version: String) -> Self {
        Self { view, keys, graph_version }
    }

    fn route_of(&self, channel: &ChannelEntry) -> Route {
        Route {
            key: DatasetKey {
                graph_version: channel.graph_version.as_ref().unwrap_or(&self.graph_version).clone(),
                dataset_id: channel.dataset_id.clone(),
            },
            max_concurrency: channel.max_concurrency.map(Into::into),
        }
    }

    fn bearer(&self, business: BusinessId, channel: &ChannelEntry) -> Option<Bearer> {
        let token = self.keys.open(business, &channel.access_token).ok()?;
        Bearer::new(token.expose())
    }
}

impl Channels for DirectoryChannels {
    fn route(&self, business_id: &str) -> Option<Route> {
        let business = self.view.snapshot().business(business_id)?;
        Some(self.route_of(business.channel.as_ref()?))
    }

    fn channel(&self, business_id: &str) -> Result<Channel, ChannelFault> {
        let business = self.view.snapshot().business(business_id).ok_or(ChannelFault::Missing)?;
        let BusinessEntry { id, channel: Some(channel), .. } = &*business else {
            return Err(ChannelFault::Missing);
        };
        Ok(Channel {
            route: self.route_of(channel),
            envelope: Envelope {
                waba_id: channel.waba_id.clone(),
                partner_agent: channel.partner_agent.clone(),
                test_event_code: channel.test_event_code.clone(),
            },
            bearer: self.bearer(*id, channel).ok_or(ChannelFault::TokenUnreadable)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use directory::{AccessToken, Snapshot};

    use super::*;

    const BUSINESS: &str = "6f1c1b1e-0d6c-4b7e-9a44-0a4f6f0b7f10";

    /// The channels of a directory with one disabled business, whose token was sealed with `key`.
    fn channels(key: u8, change: impl FnOnce(&mut BusinessEntry)) -> DirectoryChannels {
        let id: BusinessId = BUSINESS.parse().unwrap();
        let token = AccessToken::parse("EAAtoken".to_owned().into()).unwrap();
        let mut business = BusinessEntry::new(id, "Shop");
        business.enabled = false;
        business.channel = Some(ChannelEntry {
            waba_id: "1029".into(),
            dataset_id: "77".into(),
            access_token: SecretKeys::new([key; 32], None).seal(id, &token),
            graph_version: None,
            partner_agent: Some("connectly".into()),
            test_event_code: None,
            max_concurrency: NonZeroU32::new(3),
        });
        change(&mut business);
        let view = DirectoryView::from(Snapshot::from_iter([business]));
        DirectoryChannels::new(view, SecretKeys::new([1; 32], None), "v26.0".into())
    }

    #[test]
    fn a_disabled_business_still_sends_by_its_channel() {
        let channels = channels(1, |_| {});
        let channel = channels.channel(BUSINESS).unwrap();
        assert_eq!(Some(&channel.route), channels.route(BUSINESS).as_ref());
        assert_eq!(channel.route.key, DatasetKey { graph_version: "v26.0".into(), dataset_id: "77".into() });
        assert_eq!(channel.route.max_concurrency, Some(3));
        assert_eq!(channel.envelope.waba_id, "1029");
        assert_eq!(channel.envelope.partner_agent.as_deref(), Some("connectly"));
        assert_eq!(Some(channel.bearer), Bearer::new("EAAtoken"));
    }

    #[test]
    fn a_channel_s_own_version_wins() {
        let own = |business: &mut BusinessEntry| {
            business.channel.as_mut().unwrap().graph_version = Some("v25.0".into());
        };
        assert_eq!(channels(1, own).route(BUSINESS).unwrap().key.graph_version, "v25.0");
    }

    #[test]
    fn a_missing_channel_and_an_unreadable_token_are_told_apart() {
        let missing = channels(1, |business| business.channel = None);
        assert_eq!((missing.route(BUSINESS), missing.channel(BUSINESS)), (None, Err(ChannelFault::Missing)));
        assert_eq!(missing.channel("unknown"), Err(ChannelFault::Missing));
        assert_eq!(channels(2, |_| {}).channel(BUSINESS), Err(ChannelFault::TokenUnreadable));
    }

    #[test]
    fn what_differs_in_waba_token_or_envelope_travels_apart() {
        let channel = channels(1, |_| {}).channel(BUSINESS).unwrap();
        let mut wider = channel.clone();
        wider.route.max_concurrency = None;
        assert!(channel.goes_with(&wider));
        let other_waba =
            Channel { envelope: Envelope { waba_id: "1".into(), ..channel.envelope.clone() }, ..channel.clone() };
        let other_token = Channel { bearer: Bearer::new("other").unwrap(), ..channel.clone() };
        assert!(!channel.goes_with(&other_waba) && !channel.goes_with(&other_token));
    }
}
