//! `capi business`.

use std::{fmt, num::NonZeroU32};

use clap::{Args, Subcommand};
use directory::{BusinessEntry, store::Details};
use serde::Serialize;
use worker::settings::KafkaSettings;

use crate::{
    channel::ChannelShown,
    failure::Failure,
    key::KeyShown,
    output::Output,
    store::{OneBusiness, store},
};

#[derive(Debug, Subcommand)]
pub(crate) enum BusinessCommand {
    /// Make a business, or set its details anew; its channel and keys stay
    Put(Put),
    /// Every business, in the order of their ids
    List(List),
    /// One business, without its secrets
    Show(OneBusiness),
}

#[derive(Debug, Args)]
pub(crate) struct Put {
    #[command(flatten)]
    business: OneBusiness,
    /// Its name, for people
    #[arg(long)]
    name: String,
    /// Answer its calls as if the business did not exist
    #[arg(long)]
    disabled: bool,
    /// Calls a second that are taken; the others get 429 [default: no limit]
    #[arg(long, value_name = "CALLS_PER_SECOND")]
    rate_limit: Option<NonZeroU32>,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    kafka: KafkaSettings,
}

impl BusinessCommand {
    pub(crate) async fn run(self, output: &Output) -> Result<(), Failure> {
        match self {
            Self::Put(put) => put.run(output).await,
            Self::List(list) => list.run(output).await,
            Self::Show(one) => {
                let entry = one.store()?.find(one.id()?).await?;
                output.print(&BusinessShown::from(&entry))
            }
        }
    }
}

impl Put {
    async fn run(self, output: &Output) -> Result<(), Failure> {
        let details = Details { name: self.name, enabled: !self.disabled, rate_limit: self.rate_limit };
        let entry = self.business.store()?.put_business(self.business.id()?, &details).await?;
        output.print(&BusinessShown::from(&entry))
    }
}

impl List {
    async fn run(self, output: &Output) -> Result<(), Failure> {
        let listing = store(&self.kafka)?.list().await?;
        for entry in &listing.businesses {
            output.print(&BusinessShown::from(&**entry))?;
        }
        if listing.faults.is_empty() {
            return Ok(());
        }
        Err(Failure::Data(format!(
            "some values cannot be read, and what was before is shown: {}",
            listing.faults.join("; ")
        )))
    }
}

/// A business without its secrets.
#[derive(Serialize)]
struct BusinessShown<'a> {
    business_id: String,
    name: &'a str,
    enabled: bool,
    rate_limit: Option<NonZeroU32>,
    channel: Option<ChannelShown<'a>>,
    keys: Vec<KeyShown<'a>>,
}

impl<'a> From<&'a BusinessEntry> for BusinessShown<'a> {
    fn from(entry: &'a BusinessEntry) -> Self {
        Self {
            business_id: entry.id.to_string(),
            name: &entry.name,
            enabled: entry.enabled,
            rate_limit: entry.rate_limit,
            channel: entry.channel.as_ref().map(ChannelShown::from),
            keys: entry.keys.iter().map(KeyShown::from).collect(),
        }
    }
}

impl fmt::Display for BusinessShown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}  {}  {}", self.business_id, self.name, if self.enabled { "enabled" } else { "disabled" })?;
        if let Some(limit) = self.rate_limit {
            write!(f, ", {limit} calls a second")?;
        }
        match &self.channel {
            Some(channel) => write!(f, "\n  channel: {channel}")?,
            None => write!(f, "\n  no channel")?,
        }
        self.keys.iter().try_for_each(|key| write!(f, "\n  key: {key}"))
    }
}
