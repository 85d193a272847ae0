//! What became of each line, written down beside the input, so that an interrupted backfill goes on where it was.
//!
//! A text file that is only ever added to: a header, then an entry on each line. Entries of lines are not in the lines'
//! order, for answers are not. Written in groups, each synced before anyone relies on it:
//!
//! * An answer is noted when it came. One that a power cut takes from the journal is a line in flight, as far as anyone
//!   knows, and is sent again: the pipeline knows its order.
//! * A line without an order id would count twice. So it is noted as `sending` before it is sent; where no answer
//!   follows, nobody knows whether it was taken, and it is not sent again unless the operator says so.
//! * A refusal stands in the file of refusals before its entry stands here.

mod entry;
mod past;
mod write;

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read, Seek as _, SeekFrom, Write as _},
    path::Path,
};

use serde::{Deserialize, Serialize};

pub(crate) use self::{
    entry::{Entry, Fate},
    past::{Known, Past, accepted_calls},
    write::{Note, Writer},
};
use crate::failure::Failure;

/// The journal's first line: whose calls these are, and where they were sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Header {
    /// The version of the format.
    capi_journal: u32,
    business: String,
    url: String,
}

impl Header {
    pub(crate) fn new(business: &str, url: &str) -> Self {
        Self { capi_journal: 1, business: business.to_owned(), url: url.to_owned() }
    }

    fn line(&self) -> io::Result<String> {
        Ok(serde_json::to_string(self)? + "\n")
    }
}

/// A journal that no other process writes to, and what it knows already.
#[derive(Debug)]
pub(crate) struct Journal {
    pub(crate) file: File,
    pub(crate) past: Past,
}

impl Journal {
    /// Opens the journal, or begins it.
    ///
    /// # Errors
    /// Where it is another backfill's, is written to by another process, or cannot be read.
    pub(crate) fn open(path: &Path, header: &Header) -> Result<Self, Failure> {
        let name = path.display();
        let unusable = |error: io::Error| Failure::Other(format!("the journal {name} cannot be used: {error}"));
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(path).map_err(unusable)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Failure::Usage(format!("another `capi backfill` is writing to the journal {name}")));
            }
            Err(TryLockError::Error(error)) => return Err(unusable(error)),
        }
        let past = match Past::read(&file).map_err(|fault| Failure::Data(format!("the journal {name} {fault}")))? {
            Some((found, past)) => {
                of_this_backfill(&found, header, path)?;
                // What a kill cut off is no entry.
                file.set_len(past.length).map_err(unusable)?;
                past
            }
            None => begin(&mut file, header, path).map_err(unusable)?,
        };
        Ok(Self { file, past })
    }
}

fn of_this_backfill(found: &Header, header: &Header, path: &Path) -> Result<(), Failure> {
    if found == header {
        return Ok(());
    }
    let (name, Header { business, url, .. }) = (path.display(), found);
    Err(Failure::Data(format!(
        "the journal {name} is of a backfill of business {business} to {url}: name another with --journal"
    )))
}

/// A journal that is not in its folder after a power cut would have the whole file sent again.
fn begin(file: &mut File, header: &Header, path: &Path) -> io::Result<Past> {
    let line = header.line()?;
    file.set_len(0)?;
    file.write_all(line.as_bytes())?;
    file.sync_all()?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()?;
    Ok(Past::of_header(line.len() as u64))
}

/// Takes a line off the end of a file that was cut off in the middle of it.
pub(crate) fn cut_torn_line(file: &mut File) -> io::Result<()> {
    let length = file.seek(SeekFrom::End(0))?;
    let mut end = length;
    let mut piece = Vec::new();
    while end > 0 {
        let start = end.saturating_sub(64 * 1024);
        piece.clear();
        file.seek(SeekFrom::Start(start))?;
        Read::take(&mut *file, end - start).read_to_end(&mut piece)?;
        if let Some(at) = piece.iter().rposition(|byte| *byte == b'\n') {
            return set_length(file, length, start + at as u64 + 1);
        }
        end = start;
    }
    set_length(file, length, 0)
}

fn set_length(file: &File, length: u64, kept: u64) -> io::Result<()> {
    if kept < length { file.set_len(kept) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn header() -> Header {
        Header::new("6f1c1b1e-0d6c-4b7e-9a44-0a4f6f0b7f10", "http://127.0.0.1:8080")
    }

    #[test]
    fn a_journal_belongs_to_one_business_and_one_endpoint_and_one_process() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("j");
        let open = |header: &Header| Journal::open(&path, header);
        let first = open(&header()).unwrap();
        assert!(matches!(open(&header()), Err(Failure::Usage(sentence)) if sentence.contains("another")));
        drop(first);
        assert!(open(&header()).is_ok());
        for other in [Header::new("other", &header().url), Header::new(&header().business, "http://other")] {
            let Err(Failure::Data(sentence)) = open(&other) else { panic!("taken") };
            assert!(sentence.contains("--journal") && sentence.contains("127.0.0.1:8080"), "{sentence}");
        }
    }

    #[test]
    fn what_is_no_journal_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("orders.ndjson");
        fs::write(&path, "{\"event_name\":\"Purchase\"}\n").unwrap();
        assert!(matches!(Journal::open(&path, &header()), Err(Failure::Data(_))));
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\"event_name\":\"Purchase\"}\n");
    }

    #[test]
    fn a_torn_line_is_cut_off_and_the_next_begins_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("j");
        drop(Journal::open(&path, &header()).unwrap());
        let call = "0190a2b4-0000-7000-8000-000000000001";
        for torn in ["accep", "accepted 2 0000", "\0\0\0\0\0\0"] {
            let whole = fs::read_to_string(&path).unwrap();
            let entry = format!("accepted 1 0000000a {call}\n");
            fs::write(&path, format!("{whole}{entry}{torn}")).unwrap();
            let journal = Journal::open(&path, &header()).unwrap();
            assert_eq!(journal.past.known(1), Known::Answered(10), "{torn:?}");
            assert_eq!(journal.past.known(2), Known::Nothing, "{torn:?}");
            drop(journal);
            assert_eq!(fs::read_to_string(&path).unwrap(), format!("{whole}{entry}"));
            fs::write(&path, whole).unwrap();
        }
        // A header that was cut off is no header.
        fs::write(&path, "{\"capi_jour").unwrap();
        assert_eq!(Journal::open(&path, &header()).unwrap().past.accepted, 0);
        assert_eq!(fs::read_to_string(&path).unwrap(), header().line().unwrap());
    }

    #[test]
    fn a_torn_line_of_any_length_is_cut() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        for (before, after) in [("a\nb", "a\n"), ("a\n", "a\n"), ("ab", ""), ("", "")] {
            fs::write(&path, before).unwrap();
            cut_torn_line(&mut OpenOptions::new().read(true).write(true).open(&path).unwrap()).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), after);
        }
        fs::write(&path, format!("a\n{}", "x".repeat(200_000))).unwrap();
        cut_torn_line(&mut OpenOptions::new().read(true).write(true).open(&path).unwrap()).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "a\n");
    }
}
