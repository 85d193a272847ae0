//! The release before this one, made of this one: its programs, without the newest versions of the messages. Where a
//! program looks for those, it finds others by their place, so it takes what is written in them for what it never heard of.

use std::{
    fs,
    path::{Path, PathBuf},
};

use aho_corasick::AhoCorasick;
use anyhow::{Context as _, ensure};
use e2e::{cluster::Cluster, event::fresh};

/// Each message's version that this release is the first to read, as it is compiled into every program.
const NEWEST: [&str; 4] = [
    include_str!("../../../../schemas/avro/ConversionEvent.v2.avsc"),
    include_str!("../../../../schemas/avro/CallRecord.v2.avsc"),
    include_str!("../../../../schemas/avro/User.v1.avsc"),
    include_str!("../../../../schemas/avro/EndedSession.v1.avsc"),
];
/// A field of each, and another of the same length: under that name it makes another schema.
const FIELDS: [(&str, &str); 3] = [
    (r#""release""#, r#""foreign""#),
    (r#""sessions_from""#, r#""sessions_else""#),
    (r#""session_id""#, r#""foreign_id""#),
];

const PROGRAMS: [&str; 5] = ["capi", "capi-ingest", "capi-forwarder", "capi-recorder", "capi-meta-sandbox"];

/// The programs of the release before.
pub(super) struct Earlier {
    folder: PathBuf,
}

impl Earlier {
    /// Makes them of this release's.
    ///
    /// # Errors
    /// Where a program does not hold the newest schemas, or cannot be copied.
    pub(super) fn of(cluster: &Cluster) -> anyhow::Result<Self> {
        let earlier = Self { folder: cluster.scratch().join(fresh("release-before")) };
        fs::create_dir_all(earlier.programs())?;
        for name in PROGRAMS {
            make(&cluster.program(name)?, &earlier.programs().join(name)).with_context(|| name)?;
        }
        Ok(earlier)
    }

    pub(super) fn programs(&self) -> PathBuf {
        self.folder.join("programs")
    }

    /// Removes them.
    pub(super) fn discard(self) -> anyhow::Result<()> {
        Ok(fs::remove_dir_all(self.folder)?)
    }
}

fn make(from: &Path, to: &Path) -> anyhow::Result<()> {
    let mut program = fs::read(from)?;
    let found: Vec<_> = AhoCorasick::new(NEWEST)?.find_iter(&program).map(|found| found.range()).collect();
    // The stand-in for Meta reads no messages.
    ensure!(found.len() == NEWEST.len() || found.is_empty() && to.ends_with("capi-meta-sandbox"), "{found:?}");
    for schema in found {
        let text = std::str::from_utf8(&program[schema.clone()])?.to_owned();
        let text = FIELDS.iter().fold(text, |text, (field, another)| text.replace(field, another));
        program[schema].copy_from_slice(text.as_bytes());
    }
    ensure!(AhoCorasick::new(NEWEST)?.find(&program).is_none(), "it knows the newest schemas still");
    fs::write(to, program)?;
    Ok(fs::set_permissions(to, fs::metadata(from)?.permissions())?)
}
