//! Settings that workers share. A worker's own are a `clap` parser that flattens these in; all of it is checked before a
//! port opens, and every fault is one sentence.

mod http_url;

use std::{
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use clap::ValueEnum;
use rdkafka::ClientConfig;
use schemas::{Topics, WriteSchemas};

use crate::properties;

pub use http_url::HttpUrl;

/// What is wrong with a setting, in one sentence that says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SettingsFault(String);

impl SettingsFault {
    /// A fault in words.
    pub fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }
}

/// A worker's settings.
pub trait Settings: clap::Parser {
    /// How it logs.
    fn log(&self) -> &LogSettings;
    /// Where `/livez`, `/readyz` and `/metrics` are.
    fn admin_listen(&self) -> SocketAddr;
    /// The files that it reads secrets from, each with the name of its setting.
    fn secret_files(&self) -> Vec<(&'static str, &Path)>;
    /// Every contradiction and every value that cannot work.
    fn check(&self) -> Vec<SettingsFault>;
}

/// How a program logs.
#[derive(Clone, Debug, clap::Args)]
pub struct LogSettings {
    /// One JSON object a line, or text for people; the default is text where stderr is a terminal. `RUST_LOG` sets the
    /// level, default info
    #[arg(long, env = "CAPI_LOG_FORMAT", value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
}

/// The form of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// Where Kafka is.
#[derive(Clone, Debug, clap::Args)]
pub struct KafkaSettings {
    /// Kafka's bootstrap servers: host:port, separated by commas
    #[arg(long, env = "CAPI_KAFKA_BROKERS", default_value = "127.0.0.1:9092", value_name = "HOST:PORT,…")]
    pub kafka_brokers: String,
    /// File of librdkafka properties (name=value lines), for TLS, SASL and the rest
    #[arg(long, env = "CAPI_KAFKA_PROPERTIES", value_name = "FILE")]
    pub kafka_properties: Option<PathBuf>,
    /// Prefix of all topics and groups: two deployments on one cluster
    #[arg(long, env = "CAPI_TOPIC_PREFIX", default_value = "capi", value_name = "PREFIX")]
    pub topic_prefix: TopicPrefix,
    /// Versions of messages to write: `released`, which workers of the release before read too, or `newest`, once all
    /// workers are of this release
    #[arg(long, env = "CAPI_WRITE_SCHEMAS", default_value_t, value_name = "VERSIONS")]
    pub write_schemas: WriteSchemas,
}

impl KafkaSettings {
    /// The names of the topics.
    pub fn topics(&self) -> Topics {
        Topics::new(self.topic_prefix.0.clone())
    }

    /// The file of properties, with the name of its setting, where a password or a key stands in it.
    pub fn secret_file(&self) -> Option<(&'static str, &Path)> {
        let file = self.kafka_properties.as_deref().filter(|file| properties::hold_a_secret(file))?;
        Some(("CAPI_KAFKA_PROPERTIES", file))
    }

    /// The settings that every Kafka client of this process starts from.
    ///
    /// # Errors
    /// Where a broker is none, or the file of properties cannot be used.
    pub fn client(&self) -> Result<ClientConfig, SettingsFault> {
        if let Some(broker) = self.kafka_brokers.split(',').find(|broker| !is_broker(broker)) {
            return Err(SettingsFault::new(format!("CAPI_KAFKA_BROKERS: `{broker}` is not written as host:port")));
        }
        let mut config = ClientConfig::new();
        // A broker that comes back is found within a second.
        config
            .set("reconnect.backoff.ms", "50")
            .set("reconnect.backoff.max.ms", "1000")
            // A broker that comes back may say that nobody leads a partition; the default believes it for five minutes.
            .set("topic.metadata.refresh.interval.ms", "5000");
        config.set("socket.keepalive.enable", "true").set("socket.nagle.disable", "true");
        for (name, value) in self.kafka_properties.as_deref().map(properties::read).transpose()?.unwrap_or_default() {
            config.set(name, value);
        }
        config.set("bootstrap.servers", &self.kafka_brokers);
        Ok(config)
    }
}

fn is_broker(text: &str) -> bool {
    let host_and_port = text.trim().rsplit_once(':');
    host_and_port.is_some_and(|(host, port)| !host.is_empty() && port.parse().is_ok_and(|port: u16| port > 0))
}

/// The prefix of topic names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicPrefix(String);

impl FromStr for TopicPrefix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        if text.is_empty() || text.len() > 200 || !text.bytes().all(legal) {
            return Err("a topic prefix has 1 to 200 letters, digits, dots, dashes and underscores".into());
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for TopicPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How long an accepted order is remembered (`CAPI_DEDUP_WINDOW`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DedupWindow(pub Duration);

impl FromStr for DedupWindow {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let window = duration(text)?;
        let days = |days: u64| Duration::from_hours(24 * days);
        if !(Duration::from_hours(1)..=days(3650)).contains(&window) {
            return Err("the deduplication window is from 1h to 3650d".into());
        }
        if window.subsec_nanos() != 0 {
            return Err("the deduplication window is whole seconds".into());
        }
        Ok(Self(window))
    }
}

impl fmt::Display for DedupWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(self.0).fmt(f)
    }
}

/// Reads a duration with its unit: `500ms`, `10s`, `1m`, `28d`.
///
/// # Errors
/// Where it is none.
pub fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|error| format!("{error}; write it as 500ms, 10s, 1m, 28d"))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[test]
    fn durations_have_units() {
        assert_eq!(duration("10s"), Ok(Duration::from_secs(10)));
        assert_eq!("28d".parse(), Ok(DedupWindow(Duration::from_hours(28 * 24))));
        assert!(duration("10").unwrap_err().contains("10s"));
        assert!("1s".parse::<DedupWindow>().is_err());
    }

    #[derive(clap::Parser)]
    struct OnlyKafka {
        #[command(flatten)]
        kafka: KafkaSettings,
    }

    #[test]
    fn what_the_release_before_reads_is_written_until_told_otherwise() {
        assert_eq!(kafka(&[]).write_schemas, WriteSchemas::Released);
        assert_eq!(kafka(&["--write-schemas", "newest"]).write_schemas, WriteSchemas::Newest);
        assert!(OnlyKafka::try_parse_from(["x", "--write-schemas", "v2"]).is_err());
    }

    fn kafka(flags: &[&str]) -> KafkaSettings {
        OnlyKafka::try_parse_from([&["x"], flags].concat()).unwrap().kafka
    }

    #[test]
    fn brokers_are_hosts_with_ports() {
        for brokers in ["kafka:9092", "10.0.0.1:9092,b:1", "SSL://kafka:9093", "[::1]:9092"] {
            assert!(kafka(&["--kafka-brokers", brokers]).client().is_ok(), "{brokers}");
        }
        for brokers in ["", "kafka", "kafka:", ":9092", "kafka:0", "kafka:70000", "a:1,,b:1"] {
            let fault = kafka(&["--kafka-brokers", brokers]).client().unwrap_err();
            assert!(fault.to_string().starts_with("CAPI_KAFKA_BROKERS"), "{fault}");
        }
    }

    #[test]
    fn properties_win_over_our_defaults_and_brokers_stay_ours() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, "client.id=me\nreconnect.backoff.max.ms=200\n").unwrap();
        let flags = ["--kafka-properties", file.path().to_str().unwrap(), "--kafka-brokers", "k:1"];
        let config = kafka(&flags).client().unwrap();
        assert_eq!((config.get("client.id"), config.get("bootstrap.servers")), (Some("me"), Some("k:1")));
        assert_eq!(config.get("reconnect.backoff.max.ms"), Some("200"));
    }

    #[test]
    fn a_prefix_is_a_legal_topic_name() {
        assert!("capi-test_1.a".parse::<TopicPrefix>().is_ok());
        for text in ["", "a b", "ä", "a/b"] {
            assert!(text.parse::<TopicPrefix>().is_err(), "{text}");
        }
    }
}
