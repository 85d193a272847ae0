//! The journal's writer: a thread that takes what there is, writes it at once and syncs it at once.

use std::{
    collections::HashSet,
    fmt::Write as _,
    fs::{File, OpenOptions},
    io::{self, Write as _},
    path::PathBuf,
    thread::{self, JoinHandle},
};

use tokio::sync::{mpsc, oneshot};

use super::Entry;
use crate::failure::Failure;

/// Notes that wait, and that are written at once: what is beyond waits with its sender.
const GROUP: usize = 1024;

/// What is to be written.
#[derive(Debug)]
pub(crate) struct Note {
    pub(crate) entry: Entry,
    /// The line for the file of refusals.
    pub(crate) refusal: Option<Vec<u8>>,
    /// Told once the entry is durable.
    pub(crate) durable: Option<oneshot::Sender<()>>,
}

/// The journal and the file of refusals, written to.
pub(crate) struct Writer {
    notes: mpsc::Sender<Note>,
    thread: JoinHandle<io::Result<()>>,
}

impl Writer {
    /// Starts writing. Lines of `refused_before` stand in the file of refusals already.
    pub(crate) fn start(journal: File, refusals: PathBuf, refused_before: HashSet<u64>) -> Self {
        let (notes, arriving) = mpsc::channel(GROUP);
        let refusals = Refusals { path: refusals, file: None, before: refused_before };
        let thread = thread::spawn(move || write(journal, refusals, arriving));
        Self { notes, thread }
    }

    /// Where notes are sent. A channel that is closed says that nothing can be written any more.
    pub(crate) fn notes(&self) -> mpsc::Sender<Note> {
        self.notes.clone()
    }

    /// Waits until all is written. Every sender must be gone.
    pub(crate) fn finish(self) -> Result<(), Failure> {
        drop(self.notes);
        match self.thread.join() {
            Ok(written) => written.map_err(|error| Failure::Other(format!("the journal cannot be written: {error}"))),
            Err(_) => Err(Failure::Other("the journal's writer panicked".to_owned())),
        }
    }
}

fn write(mut journal: File, mut refusals: Refusals, mut arriving: mpsc::Receiver<Note>) -> io::Result<()> {
    let (mut group, mut text) = (Vec::with_capacity(GROUP), String::new());
    while arriving.blocking_recv_many(&mut group, GROUP) > 0 {
        refusals.write(&group)?;
        text.clear();
        for note in &group {
            // Into a string: it cannot fail.
            let _ = writeln!(text, "{}", note.entry);
        }
        journal.write_all(text.as_bytes())?;
        journal.sync_data()?;
        for durable in group.drain(..).filter_map(|note| note.durable) {
            // Whoever waited may have been interrupted.
            let _ = durable.send(());
        }
    }
    Ok(())
}

/// The file of refusals. It is begun with the first.
struct Refusals {
    path: PathBuf,
    file: Option<File>,
    before: HashSet<u64>,
}

impl Refusals {
    /// Writes a group's refusals, durable before the journal says that they were refused.
    fn write(&mut self, group: &[Note]) -> io::Result<()> {
        let mut text = Vec::new();
        for note in group {
            if let Some(line) = note.refusal.as_ref().filter(|_| !self.before.contains(&note.entry.line)) {
                text.extend_from_slice(line);
                text.push(b'\n');
            }
        }
        if text.is_empty() {
            return Ok(());
        }
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(OpenOptions::new().append(true).create(true).open(&self.path)?),
        };
        file.write_all(&text)?;
        file.sync_data()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{super::Fate, *};

    fn note(line: u64, refusal: Option<&str>) -> Note {
        let entry = Entry { line, fingerprint: 7, fate: Fate::Refused(None) };
        Note { entry, refusal: refusal.map(Into::into), durable: None }
    }

    #[tokio::test]
    async fn what_is_said_to_be_durable_is_in_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let (path, refusals) = (folder.path().join("j"), folder.path().join("r"));
        let writer = Writer::start(File::create(&path).unwrap(), refusals.clone(), HashSet::from([2]));
        let (durable, told) = oneshot::channel();
        let notes = writer.notes();
        notes.send(note(1, Some("one"))).await.unwrap();
        notes.send(note(2, Some("two"))).await.unwrap();
        notes.send(Note { durable: Some(durable), ..note(3, None) }).await.unwrap();
        told.await.unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 3);
        assert_eq!(fs::read_to_string(&refusals).unwrap(), "one\n", "two stands there already");
        drop(notes);
        writer.finish().unwrap();
    }

    #[tokio::test]
    async fn a_journal_that_cannot_be_written_stops_its_senders() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("j");
        fs::write(&path, "").unwrap();
        let writer = Writer::start(File::open(&path).unwrap(), folder.path().join("r"), HashSet::new());
        let (durable, told) = oneshot::channel();
        writer.notes().send(Note { durable: Some(durable), ..note(1, None) }).await.unwrap();
        assert!(told.await.is_err(), "it is not durable");
        assert!(matches!(writer.finish(), Err(Failure::Other(sentence)) if sentence.contains("cannot be written")));
    }
}
