//! Avro single-object encoding: two marker bytes, the schema's Rabin fingerprint, the datum. A message names its schema,
//! so no registry is asked. Every version ever released stays in `avro/`, and what was written with an old one is read
//! into today's type by field name: a field that came later has a serde default.
//!
//! A release reads one version more than it writes, until it is told otherwise ([`WriteSchemas`]). So during a rolling
//! deploy nobody meets a version that it does not know: it would bury every message.

use std::{borrow::Cow, collections::HashMap, sync::OnceLock};

use apache_avro::{Schema, rabin::Rabin, reader::datum::GenericDatumReader, writer::datum::GenericDatumWriter};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    Business, CallRecord, ConversionEvent, EndedSession, User, Verdict, WriteSchemas,
    ledger::{Accepted, Claim, Intent, Refused, State},
};

/// The marker of single-object encoding (Avro 1.12, "Single-object encoding").
const MARKER: [u8; 2] = [0xC3, 0x01];
/// Marker and fingerprint.
const HEADER: usize = 10;

/// Eight bytes that name a schema.
type Fingerprint = [u8; 8];

/// Why bytes from a topic could not be read. All of these are dead letters: what wrote them is at fault.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Shorter than a header, or without the marker.
    #[error("not an Avro single object")]
    NotSingleObject,
    /// No release up to this one knows the schema.
    #[error("unknown schema fingerprint {0:02x?}")]
    UnknownSchema([u8; 8]),
    /// A known message on the wrong topic.
    #[error("expected {expected}, found {found}")]
    WrongMessage {
        /// What was asked for.
        expected: &'static str,
        /// What the fingerprint names.
        found: &'static str,
    },
    /// The datum does not fit its schema.
    #[error("unreadable {name}: {source}")]
    Datum {
        /// The message that was expected.
        name: &'static str,
        /// What the reader says.
        source: Box<apache_avro::Error>,
    },
    /// Bytes are left after the datum.
    #[error("{left} bytes after the {name}")]
    Trailing {
        /// The message that was read.
        name: &'static str,
        /// How many bytes are left.
        left: usize,
    },
}

/// A type that travels over Kafka.
pub trait Message: Clone + Serialize + DeserializeOwned + Sized + 'static {
    /// The schema's name.
    const NAME: &'static str;

    /// The codec, built once.
    fn codec() -> &'static Codec;

    /// The message without what only the newest version can hold.
    fn as_released(&self) -> Cow<'_, Self>;

    /// Avro, single-object encoding, in the version that this process writes.
    fn encode(&self) -> Vec<u8> {
        self.encode_as(WriteSchemas::of_this_process())
    }

    /// Avro, single-object encoding, in this version.
    fn encode_as(&self, version: WriteSchemas) -> Vec<u8> {
        let codec = Self::codec();
        match version {
            WriteSchemas::Newest => codec.newest.encode(self),
            WriteSchemas::Released => codec.released.encode(self.as_released().as_ref()),
        }
    }

    /// Reads any released version.
    ///
    /// # Errors
    /// Where the bytes are something else, or are cut.
    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::codec().decode(bytes)
    }
}

/// Writers and readers of one message.
pub struct Codec {
    name: &'static str,
    released: Writer,
    newest: Writer,
    readers: Vec<(Fingerprint, GenericDatumReader<'static>)>,
}

impl Codec {
    /// From every version, oldest first. They are compiled in, and every test of a message reads them.
    #[expect(clippy::expect_used, reason = "the schemas are constants of this crate")]
    fn new(name: &'static str, released: &str, newest: &str, versions: &[&str]) -> Self {
        let reader = |version: &&str| {
            let schema = leaked(version);
            (fingerprint(schema), GenericDatumReader::builder(schema).build().expect("a schema in avro/"))
        };
        let readers = versions.iter().map(reader).collect();
        Self { name, released: Writer::new(released), newest: Writer::new(newest), readers }
    }

    fn decode<T: DeserializeOwned>(&self, bytes: &[u8]) -> Result<T, DecodeError> {
        let (fingerprint, mut datum) = split(bytes)?;
        let Some((_, reader)) = self.readers.iter().find(|(known, _)| *known == fingerprint) else {
            return Err(match registry().get(&fingerprint) {
                Some(found) => DecodeError::WrongMessage { expected: self.name, found },
                None => DecodeError::UnknownSchema(fingerprint),
            });
        };
        let message = reader
            .read_deser(&mut datum)
            .map_err(|source| DecodeError::Datum { name: self.name, source: Box::new(source) })?;
        if datum.is_empty() { Ok(message) } else { Err(DecodeError::Trailing { name: self.name, left: datum.len() }) }
    }
}

/// The writer of one version of one message.
struct Writer {
    header: [u8; HEADER],
    datum: GenericDatumWriter<'static>,
}

impl Writer {
    #[expect(clippy::expect_used, reason = "the schemas are constants of this crate")]
    fn new(version: &str) -> Self {
        let schema = leaked(version);
        let mut header = [0; HEADER];
        header[..2].copy_from_slice(&MARKER);
        header[2..].copy_from_slice(&fingerprint(schema));
        Self { header, datum: GenericDatumWriter::builder(schema).build().expect("a schema in avro/") }
    }

    #[expect(
        clippy::expect_used,
        reason = "the types and their schemas are constants of this crate, and tests write each"
    )]
    fn encode<T: Serialize>(&self, message: &T) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(1024);
        bytes.extend_from_slice(&self.header);
        self.datum.write_ser(&mut bytes, message).expect("the type fits its schema");
        bytes
    }
}

/// A schema that lives as long as the process: there is one codec for each message.
#[expect(clippy::expect_used, reason = "the schemas are constants of this crate")]
fn leaked(version: &str) -> &'static Schema {
    Box::leak(Box::new(Schema::parse_str(version).expect("a schema in avro/")))
}

/// The message that these bytes hold, by their fingerprint.
pub(crate) fn name_of(bytes: &[u8]) -> Result<&'static str, DecodeError> {
    let (fingerprint, _) = split(bytes)?;
    registry().get(&fingerprint).copied().ok_or(DecodeError::UnknownSchema(fingerprint))
}

fn split(bytes: &[u8]) -> Result<(Fingerprint, &[u8]), DecodeError> {
    let (header, datum) = bytes.split_first_chunk::<HEADER>().ok_or(DecodeError::NotSingleObject)?;
    let [first, second, fingerprint @ ..] = *header;
    if [first, second] == MARKER { Ok((fingerprint, datum)) } else { Err(DecodeError::NotSingleObject) }
}

fn fingerprint(schema: &Schema) -> Fingerprint {
    let mut bytes = Fingerprint::default();
    bytes.copy_from_slice(&schema.fingerprint::<Rabin>().bytes);
    bytes
}

/// Every version of every message.
fn registry() -> &'static HashMap<Fingerprint, &'static str> {
    static REGISTRY: OnceLock<HashMap<Fingerprint, &'static str>> = OnceLock::new();
    REGISTRY.get_or_init(|| {
        CODECS
            .iter()
            .map(|codec| codec())
            .flat_map(|codec| codec.readers.iter().map(|(known, _)| (*known, codec.name)))
            .collect()
    })
}

/// Whether a field holds what it has where it was never written.
fn is_absent<T: Default + PartialEq>(field: &T) -> bool {
    *field == T::default()
}

macro_rules! schema {
    ($type:ident $version:literal) => {
        include_str!(concat!("../avro/", stringify!($type), ".", $version, ".avsc"))
    };
}

/// `old older newest`, of which all but the newest are known to the release before, and what the newest adds.
macro_rules! messages {
    ($($type:ident: $($old:literal)* [$released:literal] $($newest:literal adds $($added:ident).+)?;)+) => {
        const CODECS: &[fn() -> &'static Codec] = &[$($type::codec),+];

        $(impl Message for $type {
            const NAME: &'static str = stringify!($type);

            fn codec() -> &'static Codec {
                static CODEC: OnceLock<Codec> = OnceLock::new();
                CODEC.get_or_init(|| {
                    let versions =
                        [$(schema!($type $old),)* schema!($type $released), $(schema!($type $newest))?];
                    Codec::new(Self::NAME, schema!($type $released), versions[versions.len() - 1], &versions)
                })
            }

            fn as_released(&self) -> Cow<'_, Self> {
                $(if !is_absent(&self.$($added).+) {
                    let mut released = self.clone();
                    std::mem::take(&mut released.$($added).+);
                    return Cow::Owned(released);
                })?
                Cow::Borrowed(self)
            }
        })+
    };
}

// Every version, oldest first. In brackets the one that the release before this reads already, and that is written by
// default; behind it one that this release is the first to read. The next release moves the brackets on.
//
// A symbol of an enum is added like a field: a version that has it is read by one release, and the symbol is not used
// before the next, for no older version can hold it (`every_symbol_is_written_in_each_version`).
messages! {
    ConversionEvent: ["v1"] "v2" adds call.release;
    CallRecord: ["v1"] "v2" adds call.release;
    Verdict: ["v1"];
    Claim: ["v1"];
    Intent: ["v1"];
    Accepted: ["v1"];
    Refused: ["v1"];
    State: ["v1"];
    Business: ["v1"];
    // New in this release: workers of the one before report each value and go on.
    User: ["v1"];
    EndedSession: ["v1"];
}
