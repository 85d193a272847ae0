//! What a backfill says in the end.

use std::{fmt, path::PathBuf, time::Duration};

use serde::Serialize;

use super::{follow::Verdicts, tally::Tally};
use crate::failure::Failure;

/// The report, of this run and of those that it went on from.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// Lines with an end.
    lines: u64,
    /// Lines that the endpoint has.
    accepted: u64,
    /// Lines that were refused.
    refused: u64,
    /// Lines of which nobody knows whether they were taken.
    unknown: u64,
    /// The accepted and refused that were so before this run.
    before: u64,
    /// Calls of this run that were sent once more.
    retried: u64,
    /// Of this run.
    seconds: f64,
    /// Answers a second.
    rate: f64,
    /// Files of refusals that are there.
    refused_files: Vec<PathBuf>,
    journals: Vec<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) verdicts: Option<Verdicts>,
}

impl Report {
    pub(crate) fn new(tally: &Tally, took: Duration, journals: Vec<PathBuf>, refused_files: Vec<PathBuf>) -> Self {
        let (accepted, refused, unknown) = (tally.accepted.get(), tally.refused.get(), tally.unknown.get());
        let seconds = took.as_secs_f64().max(0.001);
        // A rate for people: no count here comes near 2⁵³.
        #[expect(clippy::cast_precision_loss)]
        let rate = tally.answered_now() as f64 / seconds;
        let rounded = |number: f64| (number * 10.0).round() / 10.0;
        Self {
            lines: accepted + refused + unknown,
            accepted,
            refused,
            unknown,
            before: tally.before.get(),
            retried: tally.retried.get(),
            seconds: rounded(seconds),
            rate: rounded(rate),
            refused_files: refused_files.into_iter().filter(|path| path.exists()).collect(),
            journals,
            verdicts: None,
        }
    }

    /// What the exit code says of it.
    ///
    /// # Errors
    /// Where not all was accepted.
    pub(crate) fn outcome(&self) -> Result<(), Failure> {
        match (self.refused, self.unknown) {
            (0, 0) => Ok(()),
            (0, unknown) => Err(Failure::Other(unknown_lines(unknown))),
            (refused, 0) => Err(Failure::Data(format!("{refused} lines were refused"))),
            (refused, unknown) => {
                Err(Failure::Data(format!("{refused} lines were refused; {}", unknown_lines(unknown))))
            }
        }
    }
}

fn unknown_lines(count: u64) -> String {
    format!(
        "of {count} lines without an order id nobody knows whether they were taken: look them up (`sending` in the \
         journal), or send them again with --resend-unknown, which may count them twice"
    )
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} lines: {} accepted, {} refused", self.lines, self.accepted, self.refused)?;
        if self.unknown > 0 {
            write!(f, ", {} unknown", self.unknown)?;
        }
        if self.before > 0 {
            write!(f, "; {} of them before this run", self.before)?;
        }
        write!(f, "\n{} s, {} a second", self.seconds, self.rate)?;
        if self.retried > 0 {
            write!(f, ", {} sent again", self.retried)?;
        }
        for file in &self.refused_files {
            write!(f, "\nrefused calls, to be mended and sent again: {}", file.display())?;
        }
        if let Some(verdicts) = &self.verdicts {
            write!(f, "\n{verdicts}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(refused: u64, unknown: u64) -> Result<(), Failure> {
        let tally = Tally::default();
        tally.refused.add(refused);
        tally.unknown.add(unknown);
        Report::new(&tally, Duration::ZERO, Vec::new(), Vec::new()).outcome()
    }

    #[test]
    fn the_exit_code_says_whether_all_was_accepted() {
        assert!(outcome(0, 0).is_ok());
        assert!(matches!(outcome(1, 0), Err(Failure::Data(_))));
        assert!(matches!(outcome(0, 1), Err(Failure::Other(_))));
        assert!(matches!(outcome(1, 1), Err(Failure::Data(sentence)) if sentence.contains("--resend-unknown")));
    }
}
