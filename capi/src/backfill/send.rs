//! The lines of one input, each to its end: accepted, refused, or unknown; and every end into the journal.

use std::{path::PathBuf, sync::Arc};

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio_util::task::TaskTracker;

use super::{
    endpoint::{Answer, Endpoint},
    input::Input,
    journal::{Entry, Fate, Journal, Known, Note, Past, Writer},
    pace::Pace,
    reader::{self, Records},
    record::{Record, counts_each_time, fingerprint},
    refused::{self, Refused},
    stop::Stop,
    tally::Tally,
};
use crate::failure::Failure;

/// What all inputs of a backfill share.
#[derive(Clone)]
pub(crate) struct Sender {
    pub(crate) endpoint: Arc<Endpoint>,
    pub(crate) pace: Arc<Pace>,
    pub(crate) tally: Arc<Tally>,
    pub(crate) stop: Stop,
    /// Whether to send lines of which nobody knows whether they were taken.
    pub(crate) resend_unknown: bool,
}

/// An input that is ready to be sent.
pub(crate) struct Ready {
    pub(crate) input: Input,
    pub(crate) records: Records,
    pub(crate) journal: Journal,
    pub(crate) refusals: PathBuf,
}

/// One line on its way.
struct Outbound {
    sender: Sender,
    file: Arc<str>,
    notes: mpsc::Sender<Note>,
    record: Record,
    fingerprint: u32,
}

/// The journal can be written no more: its writer says why.
struct NoJournal;

impl Sender {
    /// Sends what the journal does not know as answered, and waits for what is on its way.
    ///
    /// # Errors
    /// Where the journal cannot be written. What else ends a backfill early is in [`Stop`].
    pub(crate) async fn send(&self, ready: Ready) -> Result<(), Failure> {
        let Ready { input, records, journal: Journal { file, past }, refusals } = ready;
        let refused_before = refused_before(&refusals, &past)?;
        let (accepted, refused) = (past.accepted, past.refused);
        self.tally.accepted.add(accepted);
        self.tally.refused.add(refused);
        self.tally.before.add(accepted + refused);
        let writer = Writer::start(file, refusals, refused_before);
        if let Err(failure) = self.send_all(records, &input.name(), &past, &writer).await {
            self.stop.because(failure);
        }
        writer.finish()
    }

    /// A permit is taken before a line is on its way: no more is in memory than may be under way.
    async fn send_all(&self, records: Records, name: &str, past: &Past, writer: &Writer) -> Result<(), Failure> {
        let (mut batches, tasks, file) = (reader::batches(records), TaskTracker::new(), Arc::<str>::from(name));
        let mut last = 0;
        let unreadable = |error| Failure::Data(format!("{name}: {error}"));
        let done = async {
            while let Some(batch) = batches.recv().await {
                for record in batch.map_err(unreadable)? {
                    last = record.line;
                    let fingerprint = fingerprint(&record);
                    if !self.is_to_send(past, name, last, fingerprint)? {
                        continue;
                    }
                    let Some(permit) = self.pace.room().await else { return Ok(()) };
                    let (sender, file, notes) = (self.clone(), Arc::clone(&file), writer.notes());
                    tasks.spawn(Outbound { sender, file, notes, record, fingerprint }.deliver(permit));
                }
            }
            is_whole(name, last, past)
        };
        let done = self.stop.unless(done).await;
        tasks.close();
        tasks.wait().await;
        done.unwrap_or(Ok(()))
    }

    /// Whether a line is still to be sent, as the journal knows it.
    fn is_to_send(&self, past: &Past, name: &str, line: u64, fingerprint: u32) -> Result<bool, Failure> {
        let (known, to_send) = match past.known(line) {
            Known::Nothing => return Ok(true),
            Known::Answered(known) => (known, false),
            Known::Sending(known) => (known, self.resend_unknown),
        };
        if known != fingerprint {
            return Err(Failure::Data(format!(
                "line {line} of {name} is not what it was when it was sent: put the input back as it was (lines may be \
                 added at its end), or begin anew with --journal"
            )));
        }
        if !to_send && matches!(past.known(line), Known::Sending(_)) {
            self.tally.unknown.add(1);
        }
        Ok(to_send)
    }
}

fn is_whole(name: &str, last: u64, past: &Past) -> Result<(), Failure> {
    if past.last_line() <= last {
        return Ok(());
    }
    let known = past.last_line();
    Err(Failure::Data(format!("{name} ends with line {last}, and line {known} was sent: it has been cut off since")))
}

/// Refusals that were written before an interruption. A file that is no run's of this journal is not added to.
fn refused_before(refusals: &std::path::Path, past: &Past) -> Result<std::collections::HashSet<u64>, Failure> {
    let name = refusals.display();
    if past.is_empty() && refusals.metadata().is_ok_and(|facts| facts.len() > 0) {
        let sentence =
            format!("{name} is there already, from another run: move it away, or name another with --refused");
        return Err(Failure::Data(sentence));
    }
    refused::lines_of(refusals).map_err(|error| Failure::Other(format!("{name}: {error}")))
}

impl Outbound {
    async fn deliver(self, permit: OwnedSemaphorePermit) {
        let noted = match &self.record.body {
            Ok(body) => self.send(body.clone()).await,
            Err(flaw) => {
                let (reason, message) = (flaw.reason().to_owned(), flaw.to_string());
                self.refused(&Refused { reason, message, ..Refused::default() }).await
            }
        };
        if noted.is_err() {
            self.sender.stop.because(Failure::Other("the journal cannot be written".to_owned()));
        }
        self.sender.pace.done(permit);
    }

    /// Sends the call until it has its end, or everything ends.
    async fn send(&self, body: Bytes) -> Result<(), NoJournal> {
        let Sender { endpoint, pace, tally, stop, .. } = &self.sender;
        let counts_each_time = counts_each_time(&body);
        if counts_each_time {
            self.note_durably(Fate::Sending).await?;
        }
        loop {
            if stop.unless(pace.turn()).await.is_none() {
                return self.unsent(counts_each_time).await;
            }
            match endpoint.send(body.clone()).await {
                Answer::Accepted(call) => {
                    pace.answered();
                    tally.accepted.add(1);
                    return self.note(Fate::Accepted(call), None).await;
                }
                Answer::Refused(refused) => {
                    pace.answered();
                    return self.refused(&refused).await;
                }
                Answer::NotNow(after) => {
                    tally.trouble("the endpoint asks for fewer calls (429)");
                    pace.heard();
                    pace.slow_down(after);
                }
                Answer::Unreached(why) => {
                    if self.trouble(&why).is_none() {
                        return self.unsent(counts_each_time).await;
                    }
                }
                Answer::Unknown { after, why } => {
                    after.into_iter().for_each(|after| pace.slow_down(after));
                    let goes_on = self.trouble(&why).is_some();
                    if counts_each_time {
                        // It stays `sending` in the journal.
                        tally.unknown.add(1);
                        return Ok(());
                    }
                    if !goes_on {
                        return Ok(());
                    }
                }
                Answer::Hopeless(why) => {
                    stop.because(Failure::Data(format!("the endpoint takes no call of this backfill: {why}")));
                    return self.unsent(counts_each_time).await;
                }
            }
            tally.retried.add(1);
        }
    }

    /// No answer, or none that says anything: all slow down, and in the end all stop, which is `None`.
    fn trouble(&self, why: &str) -> Option<()> {
        let Sender { pace, tally, stop, .. } = &self.sender;
        tally.trouble(why);
        let told = |_| stop.because(Failure::Unavailable(format!("the endpoint is not available: {why}")));
        pace.back_off().map_err(told).ok()
    }

    async fn refused(&self, refused: &Refused) -> Result<(), NoJournal> {
        self.sender.tally.refused.add(1);
        let line = refused::line(&self.file, &self.record, refused);
        self.note(Fate::Refused(refused.call), Some(line)).await
    }

    async fn unsent(&self, was_noted: bool) -> Result<(), NoJournal> {
        if was_noted { self.note(Fate::Unsent, None).await } else { Ok(()) }
    }

    async fn note(&self, fate: Fate, refusal: Option<Vec<u8>>) -> Result<(), NoJournal> {
        self.write(Note { entry: self.entry(fate), refusal, durable: None }).await
    }

    async fn note_durably(&self, fate: Fate) -> Result<(), NoJournal> {
        let (durable, told) = oneshot::channel();
        self.write(Note { entry: self.entry(fate), refusal: None, durable: Some(durable) }).await?;
        told.await.map_err(|_| NoJournal)
    }

    async fn write(&self, note: Note) -> Result<(), NoJournal> {
        self.notes.send(note).await.map_err(|_| NoJournal)
    }

    fn entry(&self, fate: Fate) -> Entry {
        Entry { line: self.record.line, fingerprint: self.fingerprint, fate }
    }
}

#[cfg(test)]
mod tests;
