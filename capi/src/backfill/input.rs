//! Where calls come from: a file or a pipe, packed or not, of JSON lines or a table.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Chain, Cursor, Read, stdin},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use clap::ValueEnum;
use flate2::read::MultiGzDecoder;

/// What is read at once.
const BUFFER: usize = 128 * 1024;
/// How packed data begins (RFC 1952; RFC 8878).
const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
/// The mark that some spreadsheets put before UTF-8.
const BYTE_ORDER_MARK: &[u8] = &[0xef, 0xbb, 0xbf];

/// How an input is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// The body of one call on each line
    Ndjson,
    /// A table with a header
    Csv,
}

/// A file, or standard input.
#[derive(Clone, Debug)]
pub(crate) struct Input {
    path: PathBuf,
}

impl Input {
    pub(crate) fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    pub(crate) fn is_pipe(&self) -> bool {
        self.path.as_os_str() == "-"
    }

    /// As people are told of it.
    pub(crate) fn name(&self) -> String {
        if self.is_pipe() { "stdin".to_owned() } else { self.path.display().to_string() }
    }

    /// A file beside it; beside a pipe is the current folder.
    pub(crate) fn beside(&self, ending: &str) -> PathBuf {
        let mut path = if self.is_pipe() { PathBuf::from("stdin") } else { self.path.clone() }.into_os_string();
        path.push(ending);
        path.into()
    }

    /// Its bytes as they lie there; `None` where nobody can know.
    pub(crate) fn size(&self) -> Option<u64> {
        let facts = self.path.metadata().ok().filter(|_| !self.is_pipe())?;
        facts.is_file().then_some(facts.len())
    }

    /// Opens it. `read` counts the bytes as they lie there.
    pub(crate) fn open(&self, read: &Arc<AtomicU64>) -> io::Result<Box<dyn BufRead + Send>> {
        let bytes: Box<dyn Read + Send> =
            if self.is_pipe() { Box::new(stdin()) } else { Box::new(File::open(&self.path)?) };
        unpacked(Counted { bytes, read: Arc::clone(read) })
    }

    /// How it is written: as its name says, else as its first byte does.
    pub(crate) fn format(&self, text: &mut dyn BufRead) -> io::Result<Format> {
        let name = self.name().to_ascii_lowercase();
        let name = name.strip_suffix(".gz").or_else(|| name.strip_suffix(".zst")).unwrap_or(&name);
        match name.rsplit_once('.').map(|(_, ending)| ending) {
            Some("csv" | "tsv") => Ok(Format::Csv),
            Some("ndjson" | "jsonl" | "json") => of_first_byte(text).map(|_| Format::Ndjson),
            _ => of_first_byte(text),
        }
    }
}

fn of_first_byte(text: &mut dyn BufRead) -> io::Result<Format> {
    match text.fill_buf()?.iter().find(|byte| !byte.is_ascii_whitespace()) {
        Some(b'[') => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "this is a JSON array: make it one call a line, as `jq -c '.[]'` does",
        )),
        Some(b'{') | None => Ok(Format::Ndjson),
        Some(_) => Ok(Format::Csv),
    }
}

/// Packed or not is told by the first bytes: names lie.
fn unpacked(mut bytes: impl Read + Send + 'static) -> io::Result<Box<dyn BufRead + Send>> {
    let bytes = with_start(&mut bytes, ZSTD.len())?.chain_with(bytes);
    let start = bytes.get_ref().0.get_ref().clone();
    if start.starts_with(GZIP) {
        return text(MultiGzDecoder::new(BufReader::with_capacity(BUFFER, bytes)));
    }
    if start.starts_with(ZSTD) {
        return text(zstd::Decoder::new(bytes)?);
    }
    text(bytes)
}

/// The first bytes of a stream; fewer only at its end.
struct Start(Vec<u8>);

impl Start {
    fn chain_with<R: Read>(self, rest: R) -> Chain<Cursor<Vec<u8>>, R> {
        Cursor::new(self.0).chain(rest)
    }
}

fn with_start(bytes: &mut impl Read, count: usize) -> io::Result<Start> {
    let mut start = Vec::with_capacity(count);
    bytes.by_ref().take(count as u64).read_to_end(&mut start)?;
    Ok(Start(start))
}

fn text(mut bytes: impl Read + Send + 'static) -> io::Result<Box<dyn BufRead + Send>> {
    let mut start = with_start(&mut bytes, BYTE_ORDER_MARK.len())?;
    if start.0 == BYTE_ORDER_MARK {
        start.0.clear();
    }
    Ok(Box::new(BufReader::with_capacity(BUFFER, start.chain_with(bytes))))
}

/// Counts what is read through it.
struct Counted<R> {
    bytes: R,
    read: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.bytes.read(into)?;
        self.read.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    /// What is read of a file with these bytes, and how many bytes were counted.
    fn read(bytes: &[u8]) -> (String, u64) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        let (counter, mut text) = (Arc::default(), String::new());
        Input::new(file.path()).open(&counter).unwrap().read_to_string(&mut text).unwrap();
        (text, counter.load(Ordering::Relaxed))
    }

    fn gzip(text: &str) -> Vec<u8> {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(text.as_bytes()).unwrap();
        packed.finish().unwrap()
    }

    #[test]
    fn packed_data_is_known_by_its_first_bytes() {
        let long = "{\"a\":1}\n".repeat(50_000);
        let several = [gzip(&long), gzip("end\n")].concat();
        assert_eq!(read(&several), (format!("{long}end\n"), several.len() as u64));
        let several = [zstd::encode_all(long.as_bytes(), 1).unwrap(), zstd::encode_all(&b"end\n"[..], 1).unwrap()];
        assert_eq!(read(&several.concat()).0, format!("{long}end\n"));
        assert_eq!(read(long.as_bytes()), (long.clone(), long.len() as u64));
        for short in ["", "{", "{}\n"] {
            assert_eq!(read(short.as_bytes()).0, short);
        }
    }

    #[test]
    fn a_byte_order_mark_is_no_text() {
        assert_eq!(read(b"\xef\xbb\xbfa,b\n").0, "a,b\n");
        assert_eq!(read(&gzip("\u{feff}a")).0, "a");
    }

    #[test]
    fn a_cut_file_is_an_error() {
        let packed = gzip(&"{\"a\":1}\n".repeat(1000));
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&packed[..packed.len() - 10]).unwrap();
        let mut text = String::new();
        assert!(Input::new(file.path()).open(&Arc::default()).unwrap().read_to_string(&mut text).is_err());
    }

    #[test]
    fn the_format_follows_the_name_and_then_the_first_byte() {
        let format = |name: &str, mut text: &[u8]| Input::new(Path::new(name)).format(&mut text);
        assert_eq!(format("orders.csv.gz", b"{").unwrap(), Format::Csv);
        assert_eq!(format("orders.jsonl.zst", b"x").unwrap(), Format::Ndjson);
        assert_eq!(format("-", b" \n {}").unwrap(), Format::Ndjson);
        assert_eq!(format("orders", b"order_id,value").unwrap(), Format::Csv);
        assert_eq!(format("orders", b"").unwrap(), Format::Ndjson);
        assert!(format("orders.json", b" [{}]").unwrap_err().to_string().contains("jq"));
    }
}
