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
