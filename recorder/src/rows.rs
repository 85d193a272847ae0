//! From messages to the rows of an insert. A message becomes a row only when it is sent: what is held until ClickHouse has
//! acknowledged is the message alone, and an attempt that is repeated makes the same rows again.

use crate::{consume::Taken, read::Sources, row::CallRow};

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Its row is stored, with this `conversion_status`.
    Stored(&'static str),
    /// It is no message that this release knows.
    Unreadable(String),
    /// `ClickHouse` will not have its row.
    Refused(String),
}

impl Fate {
    /// The `conversion_status` of a row that is stored.
    pub(crate) fn stored(&self) -> Option<&'static str> {
        if let Self::Stored(status) = self { Some(status) } else { None }
    }
}

/// The rows of some messages.
pub(crate) struct Rows<'m> {
    /// The messages.
    pub(crate) messages: &'m [Taken],
    sources: &'m Sources,
    recorded_at: i64,
    /// Of each message that was read so far.
    fates: Vec<Fate>,
}

impl<'m> Rows<'m> {
    /// Of these messages. The same messages, recorded at the same moment, are the same rows.
    pub(crate) fn new(messages: &'m [Taken], sources: &'m Sources, recorded_at: i64) -> Self {
        Self { messages, sources, recorded_at, fates: Vec::with_capacity(messages.len()) }
    }

    /// What became of the messages, once all rows are stored.
    pub(crate) fn into_fates(self) -> Vec<Fate> {
        self.fates
    }
}

/// Of each message that can be read its row, in order.
impl Iterator for Rows<'_> {
    type Item = CallRow;

    fn next(&mut self) -> Option<CallRow> {
        while let Some(Taken { message, .. }) = self.messages.get(self.fates.len()) {
            match self.sources.read(message, self.recorded_at) {
                Ok(row) => {
                    self.fates.push(Fate::Stored(row.conversion_status()));
                    return Some(row);
                }
                Err(error) => self.fates.push(Fate::Unreadable(error.to_string())),
            }
        }
        None
    }
}
