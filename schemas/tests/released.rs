//! A released schema is never changed: it is followed by a new version.

use std::{collections::BTreeMap, fs};

use apache_avro::{Schema, rabin::Rabin};

/// Fingerprints of every released version. A line is added with a new file and never edited: messages of every
/// version may be in a topic for as long as it keeps them.
const RELEASED: &[(&str, &str)] = &[
    ("Accepted.v1", "f0e0945b4f938c4d"),
    ("Business.v1", "beddd94d55831310"),
    ("CallRecord.v1", "106a6cb615c73d1f"),
    ("CallRecord.v2", "4b391bfa2c9a74fb"),
    ("Claim.v1", "fa338cdd5675dce7"),
    ("ConversionEvent.v1", "260c9d3d0f42be56"),
    ("ConversionEvent.v2", "73c6d6d328fb9085"),
    ("EndedSession.v1", "ce1c28a50bfe572b"),
    ("Intent.v1", "cb089f6fcdbefdf3"),
    ("Refused.v1", "4fa3c13b2e4278e9"),
    ("State.v1", "c5dfd44da8cfa16e"),
    ("User.v1", "ff0e280b4cff7bac"),
    ("Verdict.v1", "2712dba7e496677c"),
];

#[test]
fn released_schemas_are_unchanged() {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/avro")).unwrap() {
        let path = entry.unwrap().path();
        let schema = Schema::parse_str(&fs::read_to_string(&path).unwrap()).unwrap();
        let fingerprint = schema.fingerprint::<Rabin>().to_string();
        found.insert(path.file_stem().unwrap().to_str().unwrap().to_owned(), fingerprint);
    }
    let released = RELEASED.iter().map(|(name, print)| ((*name).to_owned(), (*print).to_owned())).collect();
    assert_eq!(found, released, "a released schema is followed by a new version, never changed");
}
