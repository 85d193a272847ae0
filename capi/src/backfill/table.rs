//! Calls in the rows of a table (RFC 4180), read within bounds.

use std::{
    io::{self, BufRead, Chain, Read},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use csv::{ByteRecord, Reader, ReaderBuilder, Terminator};
use ingest::body::BODY_LIMIT;

use super::{
    columns::{Columns, Mapping},
    record::{Flaw, Record},
};

/// The longest row that is read, in bytes: a quote that is never closed would make one of all the rest.
const LONGEST: usize = 2 * BODY_LIMIT;

/// How a table is to be read.
#[derive(Clone, Debug)]
pub(crate) struct TableOptions {
    /// Between two cells.
    pub(crate) delimiter: u8,
    /// Which column holds which field.
    pub(crate) mappings: Vec<Mapping>,
}

/// The calls of a table. Every row ends in a newline, the last too; so the line that it begins on can be counted back.
pub(crate) struct Table<R> {
    rows: Reader<Chain<Leash<R>, &'static [u8]>>,
    /// What may still be read for the row at hand.
    left: Arc<AtomicUsize>,
    columns: Columns,
    width: usize,
    row: ByteRecord,
}

impl<R: BufRead> Table<R> {
    /// Reads the header.
    pub(crate) fn new(text: R, options: &TableOptions) -> io::Result<Self> {
        let left = Arc::new(AtomicUsize::new(LONGEST));
        let text = Leash { text, left: Arc::clone(&left) }.chain(&b"\n"[..]);
        let mut how = ReaderBuilder::new();
        how.delimiter(options.delimiter).flexible(true).terminator(Terminator::Any(b'\n'));
        let mut rows = how.from_reader(text);
        let header: Vec<String> = rows.headers().map_err(|error| of_csv(error, 1))?.iter().map(trimmed).collect();
        let columns = Columns::of(&header, &options.mappings).map_err(bad)?;
        Ok(Self { rows, left, columns, width: header.len(), row: ByteRecord::new() })
    }

    fn body(&self) -> Result<Bytes, Flaw> {
        if self.row.len() != self.width {
            return Err(Flaw::Cells { found: self.row.len() as u64, expected: self.width as u64 });
        }
        let cells: Result<Vec<&str>, _> = self.row.iter().map(std::str::from_utf8).collect();
        let mut cells = cells.map_err(|_| Flaw::NotUtf8)?;
        if let Some(last) = cells.last_mut() {
            *last = last.strip_suffix('\r').unwrap_or(last);
        }
        Ok(self.columns.body(&cells).into())
    }

    /// The line that the row at hand begins on: as many before the next as it has newlines in it, and its own.
    fn line(&self) -> u64 {
        let lines = self.row.as_slice().split(|byte| *byte == b'\n').count() as u64;
        self.rows.position().line().saturating_sub(lines)
    }

    /// A line of nothing, as it ends on Windows.
    fn is_blank(&self) -> bool {
        self.row.as_slice().trim_ascii().is_empty() && self.row.len() == 1
    }
}

impl<R: BufRead> Iterator for Table<R> {
    type Item = io::Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            self.left.store(LONGEST, Ordering::Relaxed);
            match self.rows.read_byte_record(&mut self.row) {
                Ok(true) if self.is_blank() => {}
                Ok(true) => return Some(Ok(Record { line: self.line(), body: self.body() })),
                Ok(false) => return None,
                Err(error) => return Some(Err(of_csv(error, self.rows.position().line()))),
            }
        }
    }
}

fn trimmed(name: &str) -> String {
    name.trim().to_owned()
}

fn bad(sentence: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, sentence)
}

fn of_csv(error: csv::Error, line: u64) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => io::Error::new(error.kind(), format!("line {line}: {error}")),
        csv::ErrorKind::Utf8 { .. } => bad(format!("line {line}: the header is not valid UTF-8")),
        _ => bad(format!("line {line}: the table cannot be read")),
    }
}

/// A reader that gives no more than is left for one row.
struct Leash<R> {
    text: R,
    left: Arc<AtomicUsize>,
}

impl<R: Read> Read for Leash<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let left = self.left.load(Ordering::Relaxed);
        if left == 0 {
            return Err(bad(format!("a row is longer than {LONGEST} bytes: is a quote left open?")));
        }
        let most = into.len().min(left);
        let count = self.text.read(&mut into[..most])?;
        self.left.fetch_sub(count, Ordering::Relaxed);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "cnct_tracking_id,event_name,sendout_id,ctwa_clid,ad_id,order_id";

    type Row = (u64, Result<String, Flaw>);

    fn table(text: &[u8], delimiter: u8) -> io::Result<Vec<io::Result<Row>>> {
        let table = Table::new(text, &TableOptions { delimiter, mappings: Vec::new() })?;
        let shown = |body: Bytes| String::from_utf8(body.into()).unwrap();
        Ok(table.map(|record| record.map(|record| (record.line, record.body.map(shown)))).collect())
    }

    #[test]
    fn rows_keep_the_line_that_they_begin_on() {
        let text =
            format!("{HEADER}\nt,Purchase,s,c,1,\"A\n1\"\n\nt,Purchase,s,c,1,\"B,\"\"2\"\"\"\nt,Purchase,s,c,1,C");
        for text in [text.clone(), text.replace("\n1", "1").replace('\n', "\r\n").replace("A1", "A\n1")] {
            let rows: Vec<_> = table(text.as_bytes(), b',').unwrap().into_iter().map(Result::unwrap).collect();
            assert_eq!(rows.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [2, 5, 6], "{text:?}");
            let orders = [r#""order_id":"A\n1"}"#, r#""order_id":"B,\"2\""}"#, r#""order_id":"C"}"#];
            for (order, (_, body)) in orders.iter().zip(&rows) {
                assert!(body.as_ref().unwrap().contains(order), "{body:?}");
            }
        }
    }

    #[test]
    fn a_row_of_another_shape_is_a_flaw_and_the_next_is_read() {
        let mut text = format!("{HEADER}\nt,Purchase,s,c,1\nt,Purchase,s,c,1,").into_bytes();
        text.extend(b"\xff\nt,Purchase,s,c,1,C\n");
        let rows: Vec<_> = table(&text, b',').unwrap().into_iter().map(Result::unwrap).collect();
        assert_eq!(rows[0], (2, Err(Flaw::Cells { found: 5, expected: 6 })));
        assert_eq!(rows[1], (3, Err(Flaw::NotUtf8)));
        assert!(rows[2].1.is_ok());
    }

    #[test]
    fn an_open_quote_does_not_swallow_the_file() {
        let text = format!("{HEADER}\nt,Purchase,s,c,1,\"A\n{}", "t,Purchase,s,c,1,B\n".repeat(100_000));
        let error = table(text.as_bytes(), b',').unwrap().remove(0).unwrap_err().to_string();
        assert!(error.contains("quote") && error.contains("line"), "{error}");
    }

    #[test]
    fn many_rows_are_read_however_long_the_table_is() {
        let text = format!("{HEADER}\n{}", "t,Purchase,s,c,1,B\n".repeat(100_000));
        assert_eq!(table(text.as_bytes(), b',').unwrap().len(), 100_000);
    }

    #[test]
    fn other_delimiters() {
        let text = format!("{}\nt;Purchase;s;c;1;A\n", HEADER.replace(',', ";"));
        assert!(table(text.as_bytes(), b';').unwrap().remove(0).unwrap().1.is_ok());
        assert!(table(text.as_bytes(), b',').is_err());
    }
}
