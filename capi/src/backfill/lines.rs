//! Calls on lines: each the body of a call, or a refused call as the file of refusals holds it.

use std::io::{self, BufRead, Read as _};

use bytes::Bytes;
use ingest::body::BODY_LIMIT;
use serde::{Deserialize, de::IgnoredAny};
use serde_json::value::RawValue;

use super::record::{Flaw, Record};

/// The longest line that is read: a body and what a refusal says of it. Of a longer one, no more is held.
const LONGEST: usize = 2 * BODY_LIMIT;

/// The calls of a text.
pub(crate) struct Lines<R> {
    text: R,
    line: u64,
}

impl<R: BufRead> Lines<R> {
    pub(crate) fn new(text: R) -> Self {
        Self { text, line: 0 }
    }

    /// The next line without its end; `None` after the last.
    fn next_line(&mut self) -> io::Result<Option<Result<Vec<u8>, Flaw>>> {
        let mut line = Vec::new();
        let most = LONGEST as u64 + 1;
        if self.text.by_ref().take(most).read_until(b'\n', &mut line)? == 0 {
            return Ok(None);
        }
        self.line += 1;
        if line.len() > LONGEST && line.last() != Some(&b'\n') {
            self.text.skip_until(b'\n')?;
            return Ok(Some(Err(Flaw::TooLong)));
        }
        line.truncate(line.trim_ascii_end().len());
        Ok(Some(Ok(line)))
    }
}

impl<R: BufRead> Iterator for Lines<R> {
    type Item = io::Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let body = match self.next_line().transpose()? {
                Ok(Ok(line)) if line.is_empty() => continue,
                Ok(Ok(line)) => Ok(call_of(&line).unwrap_or_else(|| line.into())),
                Ok(Err(flaw)) => Err(flaw),
                Err(error) => return Some(Err(error)),
            };
            return Some(Ok(Record { line: self.line, body }));
        }
    }
}

/// A line of the file of refusals: `{"refused": {…}, "call": {…}}`.
#[derive(Deserialize)]
struct RefusedLine<'l> {
    #[serde(rename = "refused")]
    _refused: IgnoredAny,
    #[serde(borrow)]
    call: &'l RawValue,
}

/// The call inside a line of the file of refusals; `None` where it is another line. A call that was no JSON stands
/// there as text.
fn call_of(line: &[u8]) -> Option<Bytes> {
    let first_key = line.strip_prefix(b"{")?.trim_ascii_start();
    if !first_key.starts_with(br#""refused""#) && !first_key.starts_with(br#""call""#) {
        return None;
    }
    let call = serde_json::from_slice::<RefusedLine<'_>>(line).ok()?.call.get();
    let text = serde_json::from_str::<String>(call).ok();
    Some(text.map_or_else(|| Bytes::copy_from_slice(call.as_bytes()), Bytes::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8]) -> Vec<(u64, Result<String, Flaw>)> {
        let records = Lines::new(text).map(Result::unwrap);
        records
            .map(|record| (record.line, record.body.map(|body| String::from_utf8_lossy(&body).into_owned())))
            .collect()
    }

    #[test]
    fn lines_keep_their_numbers_and_their_bytes() {
        let lines = read(b"{\"a\":1}\n\n  \r\n {\"b\":2} \r\nnonsense\n{\"c\":3}");
        let lines: Vec<_> = lines.into_iter().map(|(line, body)| (line, body.unwrap())).collect();
        let expected = [(1, "{\"a\":1}"), (4, " {\"b\":2}"), (5, "nonsense"), (6, "{\"c\":3}")];
        assert_eq!(lines, expected.map(|(line, body)| (line, body.to_owned())));
    }

    #[test]
    fn a_line_beyond_all_bounds_is_skipped_and_the_next_is_read() {
        let mut text = vec![b'x'; LONGEST];
        text.extend(b"\n");
        text.extend(vec![b'x'; 3 * LONGEST]);
        text.extend(b"\n{}\n");
        let lines = read(&text);
        assert_eq!(lines[0].1.as_ref().unwrap().len(), LONGEST);
        assert_eq!(lines[1..], [(2, Err(Flaw::TooLong)), (3, Ok("{}".into()))]);
    }

    #[test]
    fn a_refused_call_is_read_as_the_call_it_was() {
        let body = |line: &str| read(line.as_bytes()).remove(0).1.unwrap();
        assert_eq!(body(r#"{"refused":{"line":1},"call":{"value":1.10}}"#), r#"{"value":1.10}"#);
        assert_eq!(body(r#"{ "call": {"a":[]}, "refused": {}}"#), r#"{"a":[]}"#);
        assert_eq!(body(r#"{"refused":{},"call":"{\"a\":"}"#), r#"{"a":"#);
        for other in [r#"{"refused":1}"#, r#"{"call":{}}"#, r#"{"refused":{},"call":"#, r#"{"event_name":"refused"}"#] {
            assert_eq!(body(other), other);
        }
    }
}
