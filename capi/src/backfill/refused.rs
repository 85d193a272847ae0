//! The file of refusals: each refused call with all that is wrong with it, ready to be mended and sent again.
//!
//! `{"refused": {…}, "call": {…}}` a line; [`super::lines`] reads it as the call.

use std::{
    collections::HashSet,
    fs::{File, OpenOptions},
    io::{self, BufRead as _, BufReader, Seek as _},
    path::Path,
};

use schemas::CallId;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{journal::cut_torn_line, record::Record};

/// Why a call is refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Refused {
    /// HTTP status; `None` where the endpoint was not asked.
    pub(crate) status: Option<u16>,
    pub(crate) reason: String,
    pub(crate) message: String,
    /// `field_violations` of the answer.
    pub(crate) violations: Vec<Violation>,
    pub(crate) call: Option<CallId>,
}

/// One thing that is wrong with one field, as answers name it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Violation {
    pub(crate) field: String,
    pub(crate) reason: String,
    pub(crate) description: String,
}

#[derive(Serialize)]
struct Line<'l> {
    refused: About<'l>,
    call: Call<'l>,
}

#[derive(Serialize)]
struct About<'l> {
    file: &'l str,
    line: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    reason: &'l str,
    message: &'l str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    violations: &'l [Violation],
    #[serde(skip_serializing_if = "Option::is_none")]
    call_id: Option<CallId>,
}

/// A call as it stands in the file: JSON as it was written, else text.
#[derive(Serialize)]
#[serde(untagged)]
enum Call<'l> {
    Json(&'l RawValue),
    Text(String),
    Nothing,
}

/// The line of a refused call.
pub(crate) fn line(file: &str, record: &Record, refused: &Refused) -> Vec<u8> {
    let call = match &record.body {
        Ok(body) => serde_json::from_slice(body)
            .map_or_else(|_| Call::Text(String::from_utf8_lossy(body).into_owned()), Call::Json),
        Err(_) => Call::Nothing,
    };
    let about = About {
        file,
        line: record.line,
        status: refused.status,
        reason: &refused.reason,
        message: &refused.message,
        violations: &refused.violations,
        call_id: refused.call,
    };
    // Texts, numbers and JSON in structs: there is nothing in it that could fail to be written.
    serde_json::to_vec(&Line { refused: about, call }).unwrap_or_default()
}

/// The input's lines that a file of refusals holds already, from before an interruption.
///
/// # Errors
/// Where it cannot be read. That it is not there is no fault.
pub(crate) fn lines_of(path: &Path) -> io::Result<HashSet<u64>> {
    let mut file = match OpenOptions::new().read(true).write(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(HashSet::new()),
        file => file?,
    };
    cut_torn_line(&mut file)?;
    file.rewind()?;
    numbers(&file)
}

fn numbers(file: &File) -> io::Result<HashSet<u64>> {
    #[derive(Deserialize)]
    struct Known {
        refused: Numbered,
    }
    #[derive(Deserialize)]
    struct Numbered {
        line: u64,
    }
    let mut numbers = HashSet::new();
    for line in BufReader::new(file).split(b'\n') {
        // A line that somebody has mended may hold anything.
        numbers.extend(serde_json::from_slice::<Known>(&line?).ok().map(|known| known.refused.line));
    }
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::{
        super::{lines::Lines, record::Flaw},
        *,
    };

    fn refused() -> Refused {
        let violation = Violation { field: "payload.value".into(), reason: "R".into(), description: "d".into() };
        Refused {
            status: Some(400),
            reason: "INVALID_FIELDS".into(),
            violations: vec![violation],
            ..Refused::default()
        }
    }

    #[test]
    fn a_refused_line_is_read_back_as_the_call_it_was() {
        for body in [r#"{"payload":{"value":1.10}}"#, "{\"a\":", "no json"] {
            let record = Record { line: 3, body: Ok(body.as_bytes().to_vec().into()) };
            let line = line("orders.ndjson", &record, &refused());
            let again = Lines::new(&line[..]).next().unwrap().unwrap();
            assert_eq!(again.body.unwrap(), body);
        }
        let record = Record { line: 3, body: Err(Flaw::TooLong) };
        assert!(line("f", &record, &refused()).ends_with(br#""call":null}"#));
    }

    #[test]
    fn what_stands_there_is_known_and_a_torn_line_is_cut() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r");
        assert_eq!(lines_of(&path).unwrap(), HashSet::new());
        let record = |number| Record { line: number, body: Ok("{}".into()) };
        let mut text = [line("f", &record(3), &refused()), line("f", &record(70), &refused())].join(&b'\n');
        text.extend(b"\n{\"mended\":1}\n{\"refused\":{\"line\":71},");
        std::fs::write(&path, &text).unwrap();
        assert_eq!(lines_of(&path).unwrap(), HashSet::from([3, 70]));
        assert!(std::fs::read_to_string(&path).unwrap().ends_with("{\"mended\":1}\n"));
    }
}
