//! `capi channel reencrypt`: the second step of a rotation of the secret key, after which the previous one may go.

use std::{collections::BTreeSet, fmt};

use clap::Args;
use directory::{BusinessId, SecretKeySettings, SecretKeys, Store, StoreError, store::Listing};
use futures::{StreamExt as _, stream};
use serde::Serialize;
use worker::settings::KafkaSettings;

use crate::{failure::Failure, output::Output, store::store};

/// Businesses at once: each is read back before it counts, and most of that is waiting.
const AT_ONCE: usize = 8;

#[derive(Debug, Args)]
pub(crate) struct Reencrypt {
    /// Businesses [default: all that have a channel]
    #[arg(value_name = "BUSINESS_ID")]
    businesses: Vec<String>,
    #[command(flatten)]
    kafka: KafkaSettings,
    #[command(flatten)]
    secret_key: SecretKeySettings,
}

/// What became of the tokens.
#[derive(Debug, Default, Serialize)]
struct Tally {
    reencrypted: usize,
    already_new: usize,
    unreadable: usize,
}

impl Reencrypt {
    pub(crate) async fn run(self, output: &Output) -> Result<(), Failure> {
        let (keys, store) = (self.secret_key.load()?, store(&self.kafka)?);
        let listing = store.list().await?;
        let chosen = self.chosen(&listing)?;
        let (counted, faults) = reencrypt(&store, &keys, chosen).await?;
        output.print(&counted)?;
        let faults: Vec<_> = listing.faults.into_iter().chain(faults).collect();
        if faults.is_empty() { Ok(()) } else { Err(Failure::Data(faults.join("; "))) }
    }

    /// The businesses to look at, all of them known and with a channel.
    fn chosen(&self, listing: &Listing) -> Result<BTreeSet<BusinessId>, Failure> {
        let with_channel = listing.businesses.iter().filter(|entry| entry.channel.is_some()).map(|entry| entry.id);
        let with_channel: BTreeSet<_> = with_channel.collect();
        if self.businesses.is_empty() {
            return Ok(with_channel);
        }
        let named = self.businesses.iter().map(|id| {
            let id = id.parse()?;
            if with_channel.contains(&id) {
                return Ok(id);
            }
            let known = listing.businesses.iter().any(|entry| entry.id == id);
            Err(Failure::Data(if known {
                format!("business {id} has no channel")
            } else {
                StoreError::UnknownBusiness(id).to_string()
            }))
        });
        named.collect()
    }
}

/// Goes through the businesses; a token that cannot be read is a fault and holds up none of the others.
async fn reencrypt(
    store: &Store,
    keys: &SecretKeys,
    chosen: BTreeSet<BusinessId>,
) -> Result<(Tally, Vec<String>), Failure> {
    let (mut counted, mut faults) = (Tally::default(), Vec::new());
    let mut outcomes = stream::iter(chosen).map(|id| store.seal_token_anew(id, keys)).buffer_unordered(AT_ONCE);
    while let Some(outcome) = outcomes.next().await {
        match outcome {
            Ok(true) => counted.reencrypted += 1,
            Ok(false) => counted.already_new += 1,
            Err(fault @ StoreError::Token { .. }) => {
                counted.unreadable += 1;
                faults.push(fault.to_string());
            }
            Err(fault) => return Err(fault.into()),
        }
    }
    faults.sort();
    Ok((counted, faults))
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { reencrypted, already_new, unreadable } = self;
        write!(f, "{reencrypted} re-encrypted, {already_new} already under the new key, {unreadable} unreadable")
    }
}
