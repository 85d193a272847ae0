//! What all pages share.

use std::{
    net::IpAddr,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::http::HeaderMap;
use directory::{BusinessId, DirectoryView, SecretKeys, Store};
use forwarder::meta::Client;
use ipnet::IpNet;
use url::Url;
use worker::client;

use crate::{attempts::Attempts, records::Records, settings::Settings, sign_in::Door};

/// Checks of one connection within [`CHECKS_WITHIN`]: each is a request that Meta refuses, and it counts those.
const CHECKS: u32 = 5;
const CHECKS_WITHIN: Duration = Duration::from_mins(1);

/// What all pages share.
pub struct Console {
    pub(crate) directory: DirectoryView,
    pub(crate) store: Store,
    pub(crate) records: Records,
    pub(crate) keys: SecretKeys,
    pub(crate) door: Door,
    pub(crate) meta: Meta,
    pub(crate) checks: Attempts<BusinessId>,
    pub(crate) terms: Terms,
}

/// The way to Meta, for checks of a connection.
pub struct Meta {
    /// Its connections.
    pub client: Client,
    /// Graph version of channels that name none.
    pub version: String,
}

/// What an operator chooses.
#[derive(Clone, Debug)]
pub struct Terms {
    /// How long a session lasts.
    pub session_life: Duration,
    /// Where merchants call.
    pub endpoint_url: Url,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
}

impl Terms {
    /// Those of the settings.
    #[must_use]
    pub fn of(settings: &Settings) -> Self {
        Self {
            session_life: settings.session_life,
            endpoint_url: settings.endpoint_url.clone(),
            trusted_proxies: settings.trusted_proxies.0.clone(),
        }
    }
}

impl Console {
    /// A console over this directory and these records.
    #[must_use]
    pub fn new(
        directory: DirectoryView,
        store: Store,
        records: Records,
        keys: SecretKeys,
        meta: Meta,
        terms: Terms,
    ) -> Self {
        let checks = Attempts::new(CHECKS, CHECKS_WITHIN);
        Self { directory, store, records, keys, door: Door::default(), meta, checks, terms }
    }

    /// The address that a request comes from.
    pub(crate) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        client::address(peer, headers, &self.terms.trusted_proxies)
    }
}

/// This moment, in Unix milliseconds.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
