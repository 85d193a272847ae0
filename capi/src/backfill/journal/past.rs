//! What a journal knows of its input: four bytes a line.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, BufRead, BufReader},
    path::Path,
};

use schemas::CallId;

use super::{Entry, Fate, Header};

/// No input has more lines, and no journal of ours names one beyond.
const MOST_LINES: u64 = u32::MAX as u64;

/// What is known of the lines of an input.
#[derive(Debug, Default)]
pub(crate) struct Past {
    /// The fingerprint of each line that was answered, by its number; 0 for the others.
    answered: Vec<u32>,
    /// Lines that were noted as `sending`, and their fingerprints.
    sending: HashMap<u64, u32>,
    /// Lines that were accepted.
    pub(crate) accepted: u64,
    /// Lines that were refused.
    pub(crate) refused: u64,
    /// Bytes of the journal up to its last whole line.
    pub(super) length: u64,
}

/// What is known of one line; with the fingerprint of what it said then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// It has not been sent; or it was, and may be again.
    Nothing,
    /// It has its answer.
    Answered(u32),
    /// It was sent without an order id, and nobody knows whether it was taken.
    Sending(u32),
}

/// What is wrong with a journal, after its name.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JournalFault {
    /// Not written by `capi backfill`, or by a later one.
    #[error("is none of this version of `capi backfill`: name another with --journal")]
    NotAJournal,
    /// Something else than entries is in it.
    #[error("is damaged in line {0}")]
    Damaged(u64),
    /// It cannot be read.
    #[error("cannot be read: {0}")]
    Unreadable(#[from] io::Error),
}

impl Past {
    /// Nothing yet, after a header of so many bytes.
    pub(super) fn of_header(length: u64) -> Self {
        Self { length, ..Self::default() }
    }

    /// Reads a journal from its start; nothing where it is empty, or its header was cut off.
    pub(super) fn read(file: &File) -> Result<Option<(Header, Self)>, JournalFault> {
        let mut lines = WholeLines::new(file);
        if !lines.next()? {
            let was_begun = lines.line.is_empty() || lines.line.starts_with(r#"{"capi"#);
            return if was_begun { Ok(None) } else { Err(JournalFault::NotAJournal) };
        }
        let header: Header = serde_json::from_str(&lines.line).map_err(|_| JournalFault::NotAJournal)?;
        if header.capi_journal != 1 {
            return Err(JournalFault::NotAJournal);
        }
        let mut past = Self::default();
        while lines.next()? {
            let entry =
                lines.line.trim_end_matches('\n').parse::<Entry>().ok().filter(|entry| entry.line <= MOST_LINES);
            past.take(entry.ok_or(JournalFault::Damaged(lines.count))?);
        }
        past.length = lines.length;
        Ok(Some((header, past)))
    }

    fn take(&mut self, entry: Entry) {
        match entry.fate {
            Fate::Sending => {
                self.sending.insert(entry.line, entry.fingerprint);
            }
            Fate::Unsent => {
                self.sending.remove(&entry.line);
            }
            Fate::Accepted(_) => {
                self.accepted += 1;
                self.answer(entry);
            }
            Fate::Refused(_) => {
                self.refused += 1;
                self.answer(entry);
            }
        }
    }

    fn answer(&mut self, entry: Entry) {
        self.sending.remove(&entry.line);
        let at = usize::try_from(entry.line).unwrap_or(usize::MAX);
        if self.answered.len() <= at {
            self.answered.resize(at + 1, 0);
        }
        self.answered[at] = entry.fingerprint;
    }

    /// What is known of a line.
    pub(crate) fn known(&self, line: u64) -> Known {
        let answered = usize::try_from(line).ok().and_then(|at| self.answered.get(at)).copied().unwrap_or(0);
        match (answered, self.sending.get(&line)) {
            (0, None) => Known::Nothing,
            (0, Some(fingerprint)) => Known::Sending(*fingerprint),
            (fingerprint, _) => Known::Answered(fingerprint),
        }
    }

    /// The last line that the journal knows.
    pub(crate) fn last_line(&self) -> u64 {
        let answered = self.answered.len().saturating_sub(1) as u64;
        self.sending.keys().copied().max().unwrap_or(0).max(answered)
    }

    /// Whether nothing has been sent yet.
    pub(crate) fn is_empty(&self) -> bool {
        self.answered.is_empty() && self.sending.is_empty()
    }
}

/// The calls that a journal's backfill was accepted with, in the order of their answers.
pub(crate) fn accepted_calls(path: &Path) -> io::Result<impl Iterator<Item = io::Result<CallId>>> {
    let lines = BufReader::new(File::open(path)?).lines();
    Ok(lines.filter_map(|line| match line {
        Ok(line) => match line.parse::<Entry>().ok()?.fate {
            Fate::Accepted(call) => Some(Ok(call)),
            _ => None,
        },
        Err(error) => Some(Err(error)),
    }))
}

/// Lines that end in a newline; what was cut off by a kill is left out.
struct WholeLines<'f> {
    text: BufReader<&'f File>,
    line: String,
    count: u64,
    length: u64,
}

impl<'f> WholeLines<'f> {
    fn new(file: &'f File) -> Self {
        Self { text: BufReader::new(file), line: String::new(), count: 0, length: 0 }
    }

    /// Reads the next line; whether there is one, and whole.
    fn next(&mut self) -> Result<bool, JournalFault> {
        self.line.clear();
        self.count += 1;
        let read = match self.text.read_line(&mut self.line) {
            Err(error) if error.kind() == io::ErrorKind::InvalidData => return Err(JournalFault::Damaged(self.count)),
            read => read?,
        };
        let is_whole = self.line.ends_with('\n');
        if is_whole {
            self.length += read as u64;
        }
        Ok(is_whole)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Seek as _, Write as _};

    use super::*;

    fn past(entries: &str) -> Result<Option<(Header, Past)>, JournalFault> {
        let mut file = tempfile::tempfile().unwrap();
        write!(file, "{{\"capi_journal\":1,\"business\":\"b\",\"url\":\"u\"}}\n{entries}").unwrap();
        file.rewind().unwrap();
        Past::read(&file)
    }

    #[test]
    fn the_past_is_the_fold_of_the_entries() {
        let call = CallId::now();
        let entries = format!(
            "accepted 3 0000000c {call}\nsending 1 0000000a -\nsending 2 0000000b -\nrefused 4 0000000d -\n\
             accepted 1 0000000a {call}\nsending 5 0000000e -\nunsent 5 0000000e -\n"
        );
        let (_, past) = past(&entries).unwrap().unwrap();
        let known = [0, 1, 2, 3, 4, 5, 6].map(|line| past.known(line));
        let expected = [
            Known::Nothing,
            Known::Answered(10),
            Known::Sending(11),
            Known::Answered(12),
            Known::Answered(13),
            Known::Nothing,
            Known::Nothing,
        ];
        assert_eq!(known, expected);
        assert_eq!((past.accepted, past.refused, past.last_line()), (2, 1, 4));
    }

    #[test]
    fn a_damaged_journal_is_no_reason_to_send_again() {
        assert!(matches!(past("accepted 1 zz -\nrefused 2 0000000a -\n"), Err(JournalFault::Damaged(2))));
        assert!(matches!(past("refused 99999999999 0000000a -\n"), Err(JournalFault::Damaged(2))));
    }
}
