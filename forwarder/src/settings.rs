//! The forwarder's settings.

use std::{net::SocketAddr, path::Path, str::FromStr, time::Duration};

use directory::{Fault, SecretKeySettings, rules::graph_version};
use schemas::topics::TIERS;
use url::Url;
use worker::settings::{
    DedupWindow, HttpUrl, KafkaSettings, LogSettings, Settings as WorkerSettings, SettingsFault, duration,
};

use crate::tiers::Tiers;

/// In an outage every event of a dataset goes round its tier this often, at most, and each time through Kafka.
const SHORTEST_RETRY: Duration = Duration::from_secs(1);
/// Rule 12 of the ledger: a drain waits for the last answer, and ends within the 25 s that it is given.
const LONGEST_META_TIMEOUT: Duration = Duration::from_secs(15);

/// Takes events from Kafka, asks the order ledger who may send, sends to Meta, and says what became of each call.
#[derive(Debug, clap::Parser)]
#[command(name = "capi-forwarder", version)]
pub struct Settings {
    /// Logging
    #[command(flatten)]
    pub log: LogSettings,
    /// Kafka
    #[command(flatten)]
    pub kafka: KafkaSettings,
    /// Stable name of this instance; set, group membership is static: a restart within the session moves no partition
    #[arg(long, env = "CAPI_INSTANCE", value_name = "NAME")]
    pub instance: Option<String>,
    /// Address of /livez, /readyz and /metrics
    #[arg(long, env = "CAPI_ADMIN_LISTEN", default_value = "127.0.0.1:8082", value_name = "ADDRESS")]
    pub admin_listen: SocketAddr,
    /// Meta's Graph API
    #[arg(long, env = "CAPI_META_URL", default_value = "https://graph.facebook.com", value_name = "URL", value_parser = HttpUrl)]
    pub meta_url: Url,
    /// Graph version for channels that name none
    #[arg(long, env = "CAPI_META_VERSION", default_value = "v26.0", value_name = "VERSION", value_parser = version)]
    pub meta_version: String,
    /// How long Meta's answer to one request is waited for. The same for all forwarders of a deployment: an owner leaves
    /// alone for this long and 15 s more what an earlier owner had open
    #[arg(long, env = "CAPI_META_TIMEOUT", default_value = "15s", value_parser = duration, value_name = "DURATION")]
    pub meta_timeout: Duration,
    /// The key that access tokens are encrypted with
    #[command(flatten)]
    pub secret_key: SecretKeySettings,
    /// How long an order that Meta accepted is remembered: a further call for it is a duplicate
    #[arg(long, env = "CAPI_DEDUP_WINDOW", default_value = "28d", value_name = "DURATION")]
    pub dedup_window: DedupWindow,
    /// Delays of the three retry tiers, rising; the last repeats
    #[arg(long, env = "CAPI_RETRY_DELAYS", default_value = "1m,10m,1h", value_name = "A,B,C")]
    pub retry_delays: RetryDelays,
}

impl WorkerSettings for Settings {
    fn log(&self) -> &LogSettings {
        &self.log
    }

    fn admin_listen(&self) -> SocketAddr {
        self.admin_listen
    }

    fn secret_files(&self) -> Vec<(&'static str, &Path)> {
        self.secret_key.file().into_iter().chain(self.kafka.secret_file()).collect()
    }

    fn check(&self) -> Vec<SettingsFault> {
        let mut faults = Vec::new();
        if let Err(fault) = self.kafka.client() {
            faults.push(fault);
        }
        if let Err(fault) = self.secret_key.load() {
            faults.push(SettingsFault::new(fault.to_string()));
        }
        if !(Duration::from_millis(100)..=LONGEST_META_TIMEOUT).contains(&self.meta_timeout) {
            faults.push(SettingsFault::new(
                "CAPI_META_TIMEOUT must be from 100ms to 15s: a drain waits 5 s longer than it, and has 25 s in all",
            ));
        }
        faults
    }
}

/// A channel's own version is held to the same rule.
fn version(text: &str) -> Result<String, Fault> {
    graph_version(text).map(|()| text.to_owned())
}

/// The delays of the retry tiers.
#[derive(Clone, Debug)]
pub struct RetryDelays(pub Tiers);

impl FromStr for RetryDelays {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let delays = text.split(',').map(|delay| duration(delay.trim())).collect::<Result<Vec<_>, _>>()?;
        let delays: [Duration; TIERS] = delays
            .try_into()
            .map_err(|given: Vec<_>| format!("{TIERS} delays are needed, {} are given", given.len()))?;
        if delays[0] < SHORTEST_RETRY {
            return Err("the delays are 1s or longer: an event that cannot be sent goes through Kafka for each".into());
        }
        if delays.windows(2).any(|pair| pair[0] >= pair[1]) {
            return Err("the delays must rise: each is longer than the one before".into());
        }
        Ok(Self(Tiers::new(delays)))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    fn read(setting: &str, value: &str) -> Result<Settings, String> {
        Settings::try_parse_from(["capi-forwarder", setting, value]).map_err(|fault| fault.to_string())
    }

    /// It would end in an address that Meta does not serve, or in another one's.
    #[test]
    fn a_version_looks_like_one_of_meta_s() {
        assert_eq!(read("--meta-version", "v27.0").unwrap().meta_version, "v27.0");
        for version in ["26", "latest", "", "v26", "v26.0/../x", "v26.0?x"] {
            let told = read("--meta-version", version).unwrap_err();
            assert!(told.contains("looks like v26.0"), "{told}");
        }
    }

    #[test]
    fn delays_rise_from_a_second_on() {
        assert!(read("--retry-delays", "1s,2s,3s").is_ok());
        for (delays, says) in [
            ("0s,0s,0s", "1s or longer"),
            ("999ms,1m,1h", "1s or longer"),
            ("1m,1m,1h", "must rise"),
            ("1m,1h,1h", "must rise"),
            ("1h,10m,1m", "must rise"),
            ("1m,10m", "3 delays are needed"),
        ] {
            let told = read("--retry-delays", delays).unwrap_err();
            assert!(told.contains(says), "{told}");
        }
    }

    #[test]
    fn meta_s_address_holds_no_secret_and_none_is_repeated() {
        for url in ["http://h/?access_token=SECRETtok", "http://u:SECRETtok@h", "graph.facebook.com/SECRETtok"] {
            let told = read("--meta-url", url).unwrap_err();
            assert!(told.contains("CAPI_META_URL: ") && !told.contains("SECRETtok"), "{told}");
        }
    }

    /// What is said of the time-out alone: no key is given here.
    fn faults(meta_timeout: &str) -> Vec<String> {
        let settings = Settings::try_parse_from(["capi-forwarder", "--meta-timeout", meta_timeout]).unwrap();
        let told = settings.check().into_iter().map(|fault| fault.to_string());
        told.filter(|fault| fault.contains("CAPI_META_TIMEOUT")).collect()
    }

    /// Rule 12 of the ledger: T and the drain rest on it.
    #[test]
    fn an_answer_that_a_drain_could_not_wait_for_is_refused() {
        assert!(faults("15s").is_empty());
        let faults = faults("15001ms");
        assert!(faults[0].contains("must be from 100ms to 15s"), "{faults:?}");
    }
}
