//! `capi user`.

use std::{
    collections::BTreeSet,
    fmt,
    io::{IsTerminal as _, stdin},
    path::Path,
};

use clap::{Args, Subcommand, ValueEnum};
use directory::{
    BusinessId, Role, User, UserName,
    store::UserDetails,
    users::{Password, hash},
};
use serde::Serialize;
use worker::settings::KafkaSettings;
use zeroize::Zeroizing;

use crate::{channel::read_secret, failure::Failure, moment, output::Output, store::store};

#[derive(Debug, Subcommand)]
pub(crate) enum UserCommand {
    /// Make a user, or set role, businesses and password of one anew, who is signed out then. The password, of 12
    /// characters or more, is read from standard input; one trailing newline is taken off
    Put(Put),
    /// Every user, in the order of their names; never a password
    List(List),
    /// Remove a user, who is signed out then
    Remove(OneUser),
    /// Sign a user out everywhere
    EndSessions(OneUser),
}

#[derive(Debug, Args)]
pub(crate) struct Put {
    #[command(flatten)]
    user: OneUser,
    /// An operator sees every business, a merchant its own
    #[arg(long, value_enum)]
    role: RoleName,
    /// A business that a merchant sees; may be given more than once
    #[arg(long = "business", value_name = "ID")]
    businesses: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    kafka: KafkaSettings,
}

/// A command that is about one user.
#[derive(Debug, Args)]
pub(crate) struct OneUser {
    /// The user's name: up to 64 letters a to z, digits, and . _ - @, in any case
    name: String,
    #[command(flatten)]
    kafka: KafkaSettings,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum RoleName {
    Operator,
    Merchant,
}

impl UserCommand {
    pub(crate) async fn run(self, output: &Output) -> Result<(), Failure> {
        match self {
            Self::Put(put) => put.run(output).await,
            Self::List(list) => list.run(output).await,
            Self::Remove(one) => {
                let name = one.name.parse()?;
                store(&one.kafka)?.remove_user(&name).await?;
                output.print(&Removed { removed: name.as_str() })
            }
            Self::EndSessions(one) => {
                let user = store(&one.kafka)?.end_sessions(&one.name.parse()?, moment::now()).await?;
                output.print(&UserShown::from(&user))
            }
        }
    }
}

impl Put {
    async fn run(self, output: &Output) -> Result<(), Failure> {
        let name: UserName = self.user.name.parse()?;
        let businesses = self.businesses.iter().map(|id| id.parse()).collect::<Result<BTreeSet<BusinessId>, _>>()?;
        let store = store(&self.user.kafka)?;
        let password = hash(&Password::parse(read_password()?, &name)?);
        let details = UserDetails { role: self.role.into(), businesses, password };
        let user = store.put_user(&name, &details, moment::now()).await?;
        output.print(&UserShown::from(&user))
    }
}

impl List {
    async fn run(self, output: &Output) -> Result<(), Failure> {
        let listing = store(&self.kafka)?.users().await?;
        for user in &listing.users {
            output.print(&UserShown::from(&**user))?;
        }
        if listing.faults.is_empty() {
            return Ok(());
        }
        Err(Failure::Data(format!(
            "some values cannot be read, and such a user does not sign in: {}",
            listing.faults.join("; ")
        )))
    }
}

/// A password is no argument, which stands in process lists. Typed at a terminal it is not shown, and so asked for twice.
fn read_password() -> Result<Zeroizing<String>, Failure> {
    if !stdin().is_terminal() {
        return read_secret(Path::new("-"));
    }
    let ask = |prompt| rpassword::prompt_password(prompt).map(Zeroizing::new);
    let (password, again) = (ask("Password: ")?, ask("Once more: ")?);
    if password == again { Ok(password) } else { Err(Failure::Data("the two are not the same".to_owned())) }
}

impl From<RoleName> for Role {
    fn from(name: RoleName) -> Self {
        match name {
            RoleName::Operator => Self::Operator,
            RoleName::Merchant => Self::Merchant,
        }
    }
}

/// A user without the hash of the password.
#[derive(Serialize)]
struct UserShown<'a> {
    name: &'a str,
    role: &'a str,
    businesses: Vec<String>,
    sessions_from: String,
}

impl<'a> From<&'a User> for UserShown<'a> {
    fn from(user: &'a User) -> Self {
        Self {
            name: user.name.as_str(),
            role: user.role.as_str(),
            businesses: user.businesses.iter().map(BusinessId::to_string).collect(),
            sessions_from: moment::format(user.sessions_from),
        }
    }
}

impl fmt::Display for UserShown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}  {}, sessions from {}", self.name, self.role, self.sessions_from)?;
        self.businesses.iter().try_for_each(|business| write!(f, "\n  business {business}"))
    }
}

#[derive(Serialize)]
struct Removed<'a> {
    removed: &'a str,
}

impl fmt::Display for Removed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is removed", self.removed)
    }
}
