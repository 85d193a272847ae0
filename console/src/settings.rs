//! What an operator chooses.

use std::{net::SocketAddr, path::Path, time::Duration};

use clap::Parser;
use directory::{SecretKeySettings, rules};
use url::Url;
use warehouse::ClickHouseSettings;
use worker::{
    client::Networks,
    settings::{HttpUrl, KafkaSettings, LogSettings, SettingsFault, duration},
};

/// A session that lasts longer outlives the reason it was begun for.
const LONGEST_SESSION: Duration = Duration::from_hours(30 * 24);
/// One that is shorter ends while a form is filled in.
const SHORTEST_SESSION: Duration = Duration::from_mins(5);

/// The web pages that merchants and operators look at
#[derive(Debug, Parser)]
#[command(name = "capi-console", version)]
pub struct Settings {
    /// The address of the pages, without TLS: that ends in front
    #[arg(long, env = "CAPI_LISTEN", default_value = "0.0.0.0:8084", value_name = "ADDRESS")]
    pub listen: SocketAddr,
    /// The address of /livez, /readyz and /metrics; never public
    #[arg(long, env = "CAPI_ADMIN_LISTEN", default_value = "127.0.0.1:8085", value_name = "ADDRESS")]
    pub admin_listen: SocketAddr,
    /// Proxies whose X-Forwarded-For is believed: addresses and CIDRs, separated by commas
    #[arg(long, env = "CAPI_TRUSTED_PROXIES", default_value = "", hide_default_value = true, value_name = "CIDR,…")]
    pub trusted_proxies: Networks,
    /// How long a sign-in lasts: 5m to 30d
    #[arg(long, env = "CAPI_SESSION_LIFE", default_value = "12h", value_parser = duration, value_name = "DURATION")]
    pub session_life: Duration,
    /// Where merchants call: the public address of ingest, as the pages show it
    #[arg(long, env = "CAPI_ENDPOINT_URL", default_value = "http://127.0.0.1:8080", value_name = "URL", value_parser = HttpUrl)]
    pub endpoint_url: Url,
    /// Meta's Graph API, for checks of a channel's connection
    #[arg(long, env = "CAPI_META_URL", default_value = "https://graph.facebook.com", value_name = "URL", value_parser = HttpUrl)]
    pub meta_url: Url,
    /// Graph version for channels that name none
    #[arg(long, env = "CAPI_META_VERSION", default_value = "v26.0", value_name = "VERSION", value_parser = version)]
    pub meta_version: String,
    /// Open connections at once; beyond them, those that have been quiet for longest make way
    #[arg(long, env = "CAPI_MAX_CONNECTIONS", default_value = "1000", value_name = "CONNECTIONS")]
    pub max_connections: usize,
    /// The key that signs sessions and encrypts access tokens.
    #[command(flatten)]
    pub secret_key: SecretKeySettings,
    /// Where Kafka is.
    #[command(flatten)]
    pub kafka: KafkaSettings,
    /// Where ClickHouse is.
    #[command(flatten)]
    pub clickhouse: ClickHouseSettings,
    /// How to log.
    #[command(flatten)]
    pub log: LogSettings,
}

fn version(text: &str) -> Result<String, rules::Fault> {
    rules::graph_version(text).map(|()| text.to_owned())
}

impl worker::settings::Settings for Settings {
    fn log(&self) -> &LogSettings {
        &self.log
    }

    fn admin_listen(&self) -> SocketAddr {
        self.admin_listen
    }

    fn secret_files(&self) -> Vec<(&'static str, &Path)> {
        self.kafka.secret_file().into_iter().chain(self.secret_key.file()).collect()
    }

    fn check(&self) -> Vec<SettingsFault> {
        let mut faults = Vec::new();
        let mut refuse = |sentence: String| faults.push(SettingsFault::new(sentence));
        if self.listen == self.admin_listen && self.listen.port() != 0 {
            refuse("CAPI_LISTEN and CAPI_ADMIN_LISTEN are the same: the admin address must not be public".into());
        }
        if !(SHORTEST_SESSION..=LONGEST_SESSION).contains(&self.session_life) {
            refuse("CAPI_SESSION_LIFE is from 5m to 30d".into());
        }
        if self.max_connections == 0 {
            refuse("CAPI_MAX_CONNECTIONS is at least 1: with 0 no page is ever shown".into());
        }
        if let Err(fault) = self.secret_key.load() {
            refuse(fault.to_string());
        }
        faults.extend(self.kafka.client().err());
        faults
    }
}

#[cfg(test)]
mod tests {
    use worker::settings::Settings as _;

    use super::*;

    fn faults(arguments: &[&str]) -> Vec<String> {
        let settings = Settings::try_parse_from([&["capi-console"], arguments].concat()).unwrap();
        settings.check().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_defaults_are_the_documented_ones() {
        let settings = Settings::try_parse_from(["capi-console"]).unwrap();
        assert_eq!(settings.listen.to_string(), "0.0.0.0:8084");
        assert_eq!(settings.admin_listen.to_string(), "127.0.0.1:8085");
        assert_eq!(settings.session_life, Duration::from_hours(12));
        assert_eq!(settings.endpoint_url.as_str(), "http://127.0.0.1:8080/");
    }

    #[test]
    fn what_cannot_work_is_refused() {
        for (arguments, word) in [
            (["--listen", "127.0.0.1:8085"], "CAPI_LISTEN"),
            (["--session-life", "1m"], "CAPI_SESSION_LIFE"),
            (["--session-life", "31d"], "CAPI_SESSION_LIFE"),
            (["--max-connections", "0"], "CAPI_MAX_CONNECTIONS"),
        ] {
            let faults = faults(&arguments);
            assert!(faults.iter().any(|fault| fault.contains(word)), "{faults:?}");
        }
        assert!(faults(&[]).iter().all(|fault| fault.contains("CAPI_SECRET_KEY")), "without the key nothing is signed");
    }
}
