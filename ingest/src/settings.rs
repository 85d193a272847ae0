//! What an operator chooses.

use std::{net::SocketAddr, path::Path, time::Duration};

use clap::Parser;
use warehouse::ClickHouseSettings;
use worker::{
    client::Networks,
    settings::{KafkaSettings, LogSettings, SettingsFault, duration},
};

use crate::{admission::Capacity, body::BODY_LIMIT, service::Terms};

/// A wait that is longer outlives what proxies in front allow.
const LONGEST_WAIT: Duration = Duration::from_mins(5);

/// Takes the calls of merchants over HTTP and answers them.
#[derive(Debug, Parser)]
#[command(name = "capi-ingest", version)]
pub struct Settings {
    /// The public address
    #[arg(long, env = "CAPI_LISTEN", default_value = "0.0.0.0:8080", value_name = "ADDRESS")]
    pub listen: SocketAddr,
    /// The address of /livez, /readyz and /metrics; never public
    #[arg(long, env = "CAPI_ADMIN_LISTEN", default_value = "127.0.0.1:8081", value_name = "ADDRESS")]
    pub admin_listen: SocketAddr,
    /// Proxies whose X-Forwarded-For is believed: addresses and CIDRs, separated by commas
    #[arg(long, env = "CAPI_TRUSTED_PROXIES", default_value = "", hide_default_value = true, value_name = "CIDR,…")]
    pub trusted_proxies: Networks,
    /// The longest wait for Meta's verdict: 500ms, 10s, 1m; at most 5m
    #[arg(long, env = "CAPI_VERDICT_WAIT", default_value = "10s", value_parser = duration, value_name = "DURATION")]
    pub verdict_wait: Duration,
    /// Calls in flight at once, those that wait for a verdict included; more are answered 503
    #[arg(long, env = "CAPI_MAX_IN_FLIGHT", default_value = "20000", value_name = "CALLS")]
    pub max_in_flight: usize,
    /// Bytes of request bodies in flight at once; more are answered 503. A call takes up to three times its body
    #[arg(long, env = "CAPI_MAX_BODY_BYTES", default_value = "268435456", value_name = "BYTES")]
    pub max_body_bytes: usize,
    /// Open connections at once; beyond them, those that have been quiet for longest make way
    #[arg(long, env = "CAPI_MAX_CONNECTIONS", default_value = "10000", value_name = "CONNECTIONS")]
    pub max_connections: usize,
    /// Where Kafka is.
    #[command(flatten)]
    pub kafka: KafkaSettings,
    /// Where ClickHouse is: only for answers about past calls, which new ones do not wait for.
    #[command(flatten)]
    pub clickhouse: ClickHouseSettings,
    /// How to log.
    #[command(flatten)]
    pub log: LogSettings,
}

impl Settings {
    /// What concerns every call.
    pub fn terms(&self) -> Terms {
        Terms {
            capacity: Capacity { calls: self.max_in_flight, body_bytes: self.max_body_bytes },
            verdict_wait: self.verdict_wait,
            trusted_proxies: self.trusted_proxies.0.clone(),
            clickhouse: self.clickhouse.clone(),
        }
    }
}

impl worker::settings::Settings for Settings {
    fn log(&self) -> &LogSettings {
        &self.log
    }

    fn admin_listen(&self) -> SocketAddr {
        self.admin_listen
    }

    fn secret_files(&self) -> Vec<(&'static str, &Path)> {
        self.kafka.secret_file().into_iter().collect()
    }

    fn check(&self) -> Vec<SettingsFault> {
        let mut faults = Vec::new();
        let mut refuse = |sentence: &str| faults.push(SettingsFault::new(sentence));
        if self.listen == self.admin_listen && self.listen.port() != 0 {
            refuse("CAPI_LISTEN and CAPI_ADMIN_LISTEN are the same: the admin address must not be public");
        }
        if self.verdict_wait > LONGEST_WAIT {
            refuse("CAPI_VERDICT_WAIT is at most 5m");
        }
        if self.max_in_flight == 0 || self.max_connections == 0 {
            refuse("CAPI_MAX_IN_FLIGHT and CAPI_MAX_CONNECTIONS are at least 1: with 0 no call is ever taken");
        }
        if self.max_body_bytes < BODY_LIMIT {
            refuse("CAPI_MAX_BODY_BYTES is at least 262144: with less, the largest bodies are never taken");
        }
        faults.extend(self.kafka.client().err());
        faults
    }
}

#[cfg(test)]
mod tests {
    use worker::settings::Settings as _;

    use super::*;

    fn settings(arguments: &[&str]) -> Result<Settings, String> {
        Settings::try_parse_from([&["capi-ingest"], arguments].concat()).map_err(|fault| fault.to_string())
    }

    #[test]
    fn the_defaults_are_the_documented_ones() {
        let settings = settings(&[]).unwrap();
        assert_eq!(settings.check(), []);
        assert_eq!((settings.listen.to_string().as_str(), settings.verdict_wait.as_secs()), ("0.0.0.0:8080", 10));
        assert_eq!(
            (settings.admin_listen.to_string().as_str(), settings.trusted_proxies.0.len()),
            ("127.0.0.1:8081", 0)
        );
    }

    #[test]
    fn proxies_are_networks_or_addresses() {
        let settings = settings(&["--trusted-proxies", "10.0.0.0/8, 192.0.2.1,fd00::/8"]).unwrap();
        let proxies: Vec<_> = settings.trusted_proxies.0.iter().map(ToString::to_string).collect();
        assert_eq!(proxies, ["10.0.0.0/8", "192.0.2.1/32", "fd00::/8"]);
        assert!(self::settings(&["--trusted-proxies", "proxy.local"]).is_err());
    }

    #[test]
    fn what_cannot_work_is_refused() {
        for (arguments, word) in [
            (["--listen", "127.0.0.1:8081"], "CAPI_LISTEN"),
            (["--verdict-wait", "6m"], "CAPI_VERDICT_WAIT"),
            (["--max-in-flight", "0"], "CAPI_MAX_IN_FLIGHT"),
            (["--max-connections", "0"], "CAPI_MAX_CONNECTIONS"),
            (["--max-body-bytes", "262143"], "CAPI_MAX_BODY_BYTES"),
        ] {
            let faults = settings(&arguments).unwrap().check();
            assert!(faults.len() == 1 && faults[0].to_string().contains(word), "{faults:?}");
        }
        assert!(settings(&["--verdict-wait", "10"]).unwrap_err().contains("10s"));
    }
}
