//! What the command line understands.

use clap::{Parser, Subcommand};

use crate::{
    backfill::Backfill, business::BusinessCommand, channel::ChannelCommand, dead_letters::DeadLettersCommand,
    failure::Failure, key::KeyCommand, link::Link, output::Output, replay::Replay, setup::Setup, user::UserCommand,
};

/// Sets the conversion pipeline up, keeps its businesses, channels, keys and users, and sends again what was rejected.
///
/// Exit codes: 0 done, 64 usage, 65 bad data or an unknown business, key or user, 69 Kafka or ClickHouse is unavailable, 1 else.
#[derive(Debug, Parser)]
#[command(name = "capi", version, arg_required_else_help = true)]
pub(crate) struct Cli {
    /// Answer in JSON; a list is one object a line
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Create topics and tables, or bring them up to date; harmless twice
    Setup(Setup),
    /// Businesses: put, list, show
    #[command(subcommand)]
    Business(BusinessCommand),
    /// The WhatsApp Cloud channel of a business: put, remove, reencrypt
    #[command(subcommand)]
    Channel(ChannelCommand),
    /// API keys of a business: create, list, revoke
    #[command(subcommand)]
    Key(KeyCommand),
    /// Who signs in to the console: put, list, remove, end-sessions
    #[command(subcommand)]
    User(UserCommand),
    /// Send rejected calls again, once what rejected them is repaired
    Replay(Replay),
    // Described where its arguments are: the help of it is long.
    Backfill(Box<Backfill>),
    /// What no worker could read: list, show, redrive
    #[command(subcommand)]
    DeadLetters(DeadLettersCommand),
    /// The tracking link of a landing page
    Link(Link),
}

impl Command {
    pub(crate) async fn run(self, output: &Output) -> Result<(), Failure> {
        match self {
            Self::Setup(setup) => setup.run(output).await,
            Self::Business(command) => command.run(output).await,
            Self::Channel(command) => command.run(output).await,
            Self::Key(command) => command.run(output).await,
            Self::User(command) => command.run(output).await,
            Self::Replay(replay) => replay.run(output).await,
            Self::Backfill(backfill) => backfill.run(output).await,
            Self::DeadLetters(command) => command.run(output).await,
            Self::Link(link) => link.run(output),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_holds() {
        Cli::command().debug_assert();
    }
}
