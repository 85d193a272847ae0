//! The recorder's settings.

use std::{net::SocketAddr, path::Path};

use warehouse::ClickHouseSettings;
use worker::settings::{DedupWindow, KafkaSettings, LogSettings, Settings, SettingsFault};

/// Writes every call's analytics record to ClickHouse: Kafka in, ClickHouse out.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "capi-recorder", version)]
pub struct RecorderSettings {
    /// Where Kafka is.
    #[command(flatten)]
    pub kafka: KafkaSettings,
    /// Where ClickHouse is.
    #[command(flatten)]
    pub clickhouse: ClickHouseSettings,
    /// How long an accepted order is remembered. `capi setup` builds the views from it, and a recorder that was given
    /// another value does not start
    #[arg(long, env = "CAPI_DEDUP_WINDOW", default_value = "28d", value_name = "DURATION")]
    pub dedup_window: DedupWindow,
    /// Stable name of this instance. Set, its membership in the consumer group is static: a restart moves no partition
    #[arg(long, env = "CAPI_INSTANCE", value_name = "NAME")]
    pub instance: Option<String>,
    /// Address of /livez, /readyz and /metrics: never a public one
    #[arg(long, env = "CAPI_ADMIN_LISTEN", default_value = "127.0.0.1:8083", value_name = "HOST:PORT")]
    pub admin_listen: SocketAddr,
    /// How it logs.
    #[command(flatten)]
    pub log: LogSettings,
}

impl Settings for RecorderSettings {
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
        faults.extend(self.kafka.client().err());
        if self.instance.as_deref().is_some_and(|name| name.trim().is_empty()) {
            faults.push(SettingsFault::new("CAPI_INSTANCE is empty: give the instance a name, or leave it unset"));
        }
        faults
    }
}
