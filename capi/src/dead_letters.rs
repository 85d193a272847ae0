//! `capi dead-letters`: what no worker could read, and its way back.
//!
//! A letter is known by its offset in the dead-letter topic. A letter that was redriven is followed there by a mark that
//! names it, so that it is not redriven twice. The mark is written after the message is back in its topic: a command that
//! dies in between, or two that run at once, send a message twice, and lose none. Twice is harmless, for an event's
//! `call_id` decides what becomes of it (rule 7 of the ledger), and a call's rows are one to a reader.

mod letter;
mod log;
mod redrive;
mod register;

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
    #[arg(value_parser = clap::value_parser!(i64).range(0..))]
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
        let (register, mut reading) = (log.register().await?, log.from(0)?);
        while let Some(note) = reading.next().await? {
            if let Note::Letter(letter) = note {
                output.print(&letter.shown(register.is_redriven(letter.n)))?;
            }
        }
        Ok(())
    }
}

impl Show {
    async fn run(self, output: &Output) -> Result<(), Failure> {
        let log = Log::open(&self.kafka)?;
        let (letter, register) = (log.letter(self.n).await?, log.register().await?);
        output.print(&Whole(letter.shown(register.is_redriven(letter.n))))
    }
}
