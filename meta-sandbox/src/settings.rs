//! What the program can be told from outside.

use std::{net::SocketAddr, time::Duration};

use clap::{CommandFactory, FromArgMatches, Parser, ValueEnum};

use crate::behaviour;

/// A stand-in for graph.facebook.com: Meta's Conversions API for Business Messaging, the ugly answers included.
#[derive(Debug, Clone, Parser)]
#[command(name = "capi-meta-sandbox", version)]
pub struct Settings {
    /// Address to listen on, for the Graph API and for /sandbox alike. It has no authentication: keep it local
    #[arg(long, env = "CAPI_SANDBOX_LISTEN", default_value = "127.0.0.1:8090")]
    pub listen: SocketAddr,

    /// How long every answer takes, such as 200ms. An event is counted when it arrives, not when it is answered
    #[arg(long, env = "CAPI_SANDBOX_LATENCY", default_value = "0s", value_parser = humantime::parse_duration)]
    pub latency: Duration,

    /// How many counted events are kept with their details; the counts themselves stay exact without a limit
    #[arg(long, env = "CAPI_SANDBOX_CREDITS_KEPT", default_value_t = 200_000)]
    pub credits_kept: usize,

    /// Form of the logs on stderr [default: text where stderr is a terminal, else json]
    #[arg(long, env = "CAPI_LOG_FORMAT")]
    pub log_format: Option<LogFormat>,
}

/// Form of the logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

impl Settings {
    /// Reads flags and environment; `--help` also lists every behaviour.
    pub fn read() -> Result<Self, clap::Error> {
        let command = Self::command().after_long_help(behaviour::as_text());
        Self::from_arg_matches(&command.try_get_matches()?)
    }
}
