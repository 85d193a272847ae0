//! `capi dead-letters`: what no worker could read, and its way back.
//!
//! A letter is known by its offset in the dead-letter topic. A letter that was redriven is followed there by a mark that
//! names it, so that it is not redriven twice; the mark is written after the message is back in its topic, and where a
//! command dies in between, the message comes twice, which its identity makes harmless.

mod letter;
mod log;
mod redrive;

use clap::{Args, Subcommand};
use worker::settings::KafkaSettings;

use self::{
    letter::{Note, Whole},
    log::Log,
    redrive::Redrive,
};
use crate::{failure::Failure, output::Output};

#[derive(Debug, Subcommand)]
pub(crate) enum DeadLettersCommand {
    /// Every letter, the oldest first
    List(List),
    /// One letter
    Show(Show),
    /// Send letters back to where they came from, once what could not read them can
    Redrive(Redrive),
}

#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    kafka: KafkaSettings,
}

#[derive(Debug, Args)]
pub(crate) struct Show {
    /// The letter's number, as `list` prints it
    n: i64,
    #[command(flatten)]
    kafka: KafkaSettings,
}

impl DeadLettersCommand {
    pub(crate) async fn run(self, output: &Output) -> Result<(), Failure> {
        match self {
            Self::List(list) => list.run(output).await,
            Self::Show(show) => show.run(output).await,
            Self::Redrive(redrive) => redrive.run(output).await,
        }
    }
}

impl List {
    async fn run(self, output: &Output) -> Result<(), Failure> {
        let log = Log::open(&self.kafka)?;
        let redriven = log.redriven().await?;
        log.read(|note| match note {
            Note::Letter(letter) => output.print(&letter.shown(redriven.contains(&letter.n))),
            Note::Redriven(_) => Ok(()),
        })
        .await
    }
}

impl Show {
    async fn run(self, output: &Output) -> Result<(), Failure> {
        let log = Log::open(&self.kafka)?;
        let (redriven, letter) = (log.redriven().await?, log.letter(self.n).await?);
        output.print(&Whole(letter.shown(redriven.contains(&letter.n))))
    }
}
