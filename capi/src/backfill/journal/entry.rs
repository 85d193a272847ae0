//! An entry of the journal: one line, `fate line fingerprint call`.

use std::{fmt, str::FromStr};

use schemas::CallId;

/// What became of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// About to be sent, without an order id.
    Sending,
    /// It was noted as `sending`, and was not taken for certain.
    Unsent,
    /// The endpoint has the event.
    Accepted(CallId),
    /// The endpoint refuses the call, or would: there is a call only where it was asked.
    Refused(Option<CallId>),
}

/// A line and its fate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) line: u64,
    /// Of what the line said.
    pub(crate) fingerprint: u32,
    pub(crate) fate: Fate,
}

/// A line of a journal that is no entry.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NoEntry;

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, call) = match self.fate {
            Fate::Sending => ("sending", None),
            Fate::Unsent => ("unsent", None),
            Fate::Accepted(call) => ("accepted", Some(call)),
            Fate::Refused(call) => ("refused", call),
        };
        write!(f, "{name} {} {:08x} ", self.line, self.fingerprint)?;
        match call {
            Some(call) => call.fmt(f),
            None => f.write_str("-"),
        }
    }
}

impl FromStr for Entry {
    type Err = NoEntry;

    fn from_str(text: &str) -> Result<Self, NoEntry> {
        let mut words = text.split(' ');
        let mut word = || words.next().ok_or(NoEntry);
        let (name, line, fingerprint, call) = (word()?, word()?, word()?, word()?);
        let call = match call {
            "-" => None,
            id => Some(id.parse::<CallId>().map_err(|_| NoEntry)?),
        };
        let fate = match (name, call) {
            ("sending", None) => Fate::Sending,
            ("unsent", None) => Fate::Unsent,
            ("accepted", Some(call)) => Fate::Accepted(call),
            ("refused", call) => Fate::Refused(call),
            _ => return Err(NoEntry),
        };
        let line = line.parse().map_err(|_| NoEntry)?;
        let fingerprint = u32::from_str_radix(fingerprint, 16).map_err(|_| NoEntry)?;
        if words.next().is_some() { Err(NoEntry) } else { Ok(Self { line, fingerprint, fate }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_read_as_it_was_written() {
        let call = CallId::now();
        for fate in [Fate::Sending, Fate::Unsent, Fate::Accepted(call), Fate::Refused(Some(call)), Fate::Refused(None)]
        {
            let entry = Entry { line: 1_000_000, fingerprint: 0xa, fate };
            assert_eq!(entry.to_string().parse(), Ok(entry));
        }
        for other in ["", "accepted 1 0a -", "accepted 1 0a", "lost 1 0a -", "refused x 0a -", "refused 1 0a - -"] {
            assert_eq!(other.parse::<Entry>(), Err(NoEntry), "{other}");
        }
    }
}
