//! `capi channel`.

mod reencrypt;

use std::{
    fmt,
    fs::File,
    io::{Read, stdin},
    num::NonZeroU32,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use directory::{AccessToken, ChannelEntry, SecretKeySettings};
use serde::Serialize;
use zeroize::Zeroizing;

use self::reencrypt::Reencrypt;
use crate::{failure::Failure, output::Output, store::OneBusiness};

/// More than any token has: a file that is longer was not meant.
const TOKEN_FILE_MAX: u64 = 64 * 1024;

#[derive(Debug, Subcommand)]
pub(crate) enum ChannelCommand {
    /// Give a business its WhatsApp Cloud channel, or replace it whole
    Put(Put),
    /// Take the channel away: events that are on their way are rejected, and can be replayed
    Remove(OneBusiness),
    /// Encrypt access tokens with the new secret key, where they are not yet: afterwards `CAPI_SECRET_KEY_PREVIOUS` may
    /// go. Harmless twice
    Reencrypt(Reencrypt),
}

#[derive(Debug, Args)]
pub(crate) struct Put {
    #[command(flatten)]
    business: OneBusiness,
    /// WhatsApp Business Account id
    #[arg(long, value_name = "ID")]
    waba_id: String,
    /// Dataset that receives the events
    #[arg(long, value_name = "ID")]
    dataset_id: String,
    /// File with Meta's access token, or - for stdin; one trailing newline is taken off
    #[arg(long, value_name = "FILE|-")]
    access_token_file: PathBuf,
    /// Graph version, such as v26.0 [default: the forwarder's]
    #[arg(long, value_name = "VERSION")]
    graph_version: Option<String>,
    /// Meta's `partner_agent`
    #[arg(long, value_name = "S")]
    partner_agent: Option<String>,
    /// Meta's `test_event_code`: no sandbox, such events count
    #[arg(long, value_name = "S")]
    test_event_code: Option<String>,
    /// Requests at once to this dataset [default: the forwarder's]
    #[arg(long, value_name = "N")]
    max_concurrency: Option<NonZeroU32>,
    #[command(flatten)]
    secret_key: SecretKeySettings,
}

impl ChannelCommand {
    pub(crate) async fn run(self, output: &Output) -> Result<(), Failure> {
        let entry = match self {
            Self::Put(put) => {
                let (id, store) = (put.business.id()?, put.business.store()?);
                store.put_channel(id, &put.channel()?).await?
            }
            Self::Remove(one) => one.store()?.remove_channel(one.id()?).await?,
            Self::Reencrypt(reencrypt) => return reencrypt.run(output).await,
        };
        output.print(&ChannelOf {
            business_id: entry.id.to_string(),
            channel: entry.channel.as_ref().map(ChannelShown::from),
        })
    }
}

impl Put {
    fn channel(&self) -> Result<ChannelEntry, Failure> {
        let keys = self.secret_key.load()?;
        let token = AccessToken::parse(read_secret(&self.access_token_file)?)?;
        Ok(ChannelEntry {
            waba_id: self.waba_id.clone(),
            dataset_id: self.dataset_id.clone(),
            access_token: keys.seal(self.business.id()?, &token),
            graph_version: self.graph_version.clone(),
            partner_agent: self.partner_agent.clone(),
            test_event_code: self.test_event_code.clone(),
            max_concurrency: self.max_concurrency,
        })
    }
}

/// The secret in a file, or on stdin where the path is `-`.
pub(crate) fn read_secret(path: &Path) -> Result<Zeroizing<String>, Failure> {
    let unreadable = |error| Failure::Data(format!("{}: {error}", path.display()));
    if path.as_os_str() == "-" {
        return read_token(stdin().lock()).map_err(unreadable);
    }
    File::open(path).and_then(read_token).map_err(unreadable)
}

/// Reads a token, and takes one trailing newline off.
fn read_token(from: impl Read) -> std::io::Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::new());
    from.take(TOKEN_FILE_MAX).read_to_string(&mut text)?;
    let token = text.strip_suffix('\n').map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line));
    Ok(Zeroizing::new(token.to_owned()))
}

#[derive(Serialize)]
struct ChannelOf<'a> {
    business_id: String,
    channel: Option<ChannelShown<'a>>,
}

impl fmt::Display for ChannelOf<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.channel {
            Some(channel) => write!(f, "{}  {channel}", self.business_id),
            None => write!(f, "{}  no channel", self.business_id),
        }
    }
}

/// A channel without its access token.
#[derive(Serialize)]
pub(crate) struct ChannelShown<'a> {
    waba_id: &'a str,
    dataset_id: &'a str,
    graph_version: Option<&'a str>,
    partner_agent: Option<&'a str>,
    test_event_code: Option<&'a str>,
    max_concurrency: Option<NonZeroU32>,
}

impl<'a> From<&'a ChannelEntry> for ChannelShown<'a> {
    fn from(entry: &'a ChannelEntry) -> Self {
        Self {
            waba_id: &entry.waba_id,
            dataset_id: &entry.dataset_id,
            graph_version: entry.graph_version.as_deref(),
            partner_agent: entry.partner_agent.as_deref(),
            test_event_code: entry.test_event_code.as_deref(),
            max_concurrency: entry.max_concurrency,
        }
    }
}

impl fmt::Display for ChannelShown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WABA {}, dataset {}", self.waba_id, self.dataset_id)?;
        let more = [
            ("Graph", self.graph_version),
            ("partner agent", self.partner_agent),
            ("test event code", self.test_event_code),
        ];
        for (name, value) in more {
            if let Some(value) = value {
                write!(f, ", {name} {value}")?;
            }
        }
        self.max_concurrency.map_or(Ok(()), |requests| write!(f, ", {requests} requests at once"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_loses_one_trailing_newline() {
        for (text, token) in [("a", "a"), ("a\n", "a"), ("a\r\n", "a"), ("a\n\n", "a\n"), ("", ""), ("\n", "")] {
            assert_eq!(*read_token(text.as_bytes()).unwrap(), token);
        }
        assert!(read_token(&b"\xff"[..]).is_err());
    }
}
