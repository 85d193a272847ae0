//! `capi key`.

use std::fmt;

use clap::{Args, Subcommand};
use directory::keys::NewKey;
use schemas::ApiKey;
use serde::Serialize;

use crate::{failure::Failure, moment, output::Output, store::OneBusiness};

#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Make a key; its plaintext is printed once and cannot be had again
    Create(Create),
    /// The keys of a business: live, expired and revoked
    List(OneBusiness),
    /// Revoke a key, for good
    Revoke(Revoke),
}

#[derive(Debug, Args)]
pub(crate) struct Create {
    #[command(flatten)]
    business: OneBusiness,
    /// Its name, for people
    #[arg(long)]
    name: String,
    /// A scope it is restricted to; may be given more than once. The conversion endpoint takes only keys without one
    #[arg(long = "scope", value_name = "S")]
    scopes: Vec<String>,
    /// When it expires, in RFC 3339 [default: never]
    #[arg(long, value_name = "RFC3339", value_parser = moment::parse)]
    expires_at: Option<i64>,
}

#[derive(Debug, Args)]
pub(crate) struct Revoke {
    #[command(flatten)]
    business: OneBusiness,
    /// The key's public id: the middle part of its plaintext
    key_id: String,
}

impl KeyCommand {
    pub(crate) async fn run(self, output: &Output) -> Result<(), Failure> {
        match self {
            Self::Create(create) => create.run(output).await,
            Self::List(one) => {
                let entry = one.store()?.find(one.id()?).await?;
                entry.keys.iter().try_for_each(|key| output.print(&KeyShown::from(key)))
            }
            Self::Revoke(revoke) => revoke.run(output).await,
        }
    }
}

impl Create {
    async fn run(self, output: &Output) -> Result<(), Failure> {
        let (id, store) = (self.business.id()?, self.business.store()?);
        let mut new = NewKey::generate(self.name, moment::now());
        new.key.scopes = self.scopes;
        new.key.expires_at = self.expires_at;
        store.create_key(id, &new).await?;
        output.print(&Created { key_id: &new.key.key_id, key: &new.plaintext })
    }
}

impl Revoke {
    async fn run(self, output: &Output) -> Result<(), Failure> {
        let entry = self.business.store()?.revoke_key(self.business.id()?, &self.key_id, moment::now()).await?;
        let revoked = entry.key(&self.key_id).map(KeyShown::from);
        revoked.map_or(Ok(()), |key| output.print(&key))
    }
}

/// A new key, on its only way out.
#[derive(Serialize)]
struct Created<'a> {
    key_id: &'a str,
    key: &'a str,
}

impl fmt::Display for Created<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n  key id {}; keep the key now, it is not shown again", self.key, self.key_id)
    }
}

/// A key without its digest.
#[derive(Serialize)]
pub(crate) struct KeyShown<'a> {
    key_id: &'a str,
    name: &'a str,
    scopes: &'a [String],
    created_at: String,
    expires_at: Option<String>,
    revoked_at: Option<String>,
}

impl<'a> From<&'a ApiKey> for KeyShown<'a> {
    fn from(key: &'a ApiKey) -> Self {
        Self {
            key_id: &key.key_id,
            name: &key.name,
            scopes: &key.scopes,
            created_at: moment::format(key.created_at),
            expires_at: key.expires_at.map(moment::format),
            revoked_at: key.revoked_at.map(moment::format),
        }
    }
}

impl fmt::Display for KeyShown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}  {}, created {}", self.key_id, self.name, self.created_at)?;
        if !self.scopes.is_empty() {
            write!(f, ", scopes {}", self.scopes.join(" "))?;
        }
        if let Some(moment) = &self.expires_at {
            write!(f, ", expires {moment}")?;
        }
        self.revoked_at.as_ref().map_or(Ok(()), |moment| write!(f, ", revoked {moment}"))
    }
}
