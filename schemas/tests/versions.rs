//! Two releases side by side: each version is read by this release, and what it writes by default by the one before.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use apache_avro::{Schema, rabin::Rabin, reader::datum::GenericDatumReader, types::Value};
use capi_schemas::{
    Call, CallId, CallRecord, ConversionEvent, ConversionStatus, FailureStage, Lane, Message, Micros, Outcome, Reason,
    WriteSchemas,
};

const EVENT_V1: &str = include_str!("../avro/ConversionEvent.v1.avsc");
const EVENT_V2: &str = include_str!("../avro/ConversionEvent.v2.avsc");
const RECORD_V1: &str = include_str!("../avro/CallRecord.v1.avsc");
const RECORD_V2: &str = include_str!("../avro/CallRecord.v2.avsc");

fn event(release: &str) -> ConversionEvent {
    let call = Call {
        business_id: "b1".into(),
        event_name: "Purchase".into(),
        event_time: Some(1_746_480_000),
        value: Micros::new(99_970_000),
        body: vec![0, 159, 146, 150].into(),
        release: release.into(),
        ..Call::blank(CallId::now(), 1_746_480_000_123)
    };
    ConversionEvent { call, lane: Lane::Live, progress: None }
}

fn record(release: &str) -> CallRecord {
    let outcome = Outcome::new(200, ConversionStatus::Forwarded);
    CallRecord { call: event(release).call, lane: Some(Lane::Live), outcome, rests_on: 7 }
}

/// The datum as a reader of another release meets it: by the writer's schema, which the header names, and its own.
fn read_by(own: &str, writers: &str, bytes: &[u8]) -> Value {
    let (own, writers) = (Schema::parse_str(own).unwrap(), Schema::parse_str(writers).unwrap());
    let (header, mut datum) = bytes.split_at(10);
    assert_eq!(header[2..], *writers.fingerprint::<Rabin>().bytes, "written in another version");
    let reader = GenericDatumReader::builder(&writers).reader_schema(&own).build().unwrap();
    let value = reader.read_value(&mut datum).unwrap();
    assert!(datum.is_empty());
    value
}

fn field<'v>(value: &'v Value, name: &str) -> Option<&'v Value> {
    let Value::Record(fields) = value else { return None };
    fields.iter().find(|(known, _)| known == name).map(|(_, value)| value)
}

fn release_of(value: &Value) -> Option<&Value> {
    field(field(value, "call").unwrap(), "release")
}

#[test]
fn what_is_written_by_default_is_read_by_the_release_before() {
    for bytes in [event("0.1.0").encode(), event("").encode(), event("0.1.0").encode_as(WriteSchemas::Released)] {
        assert_eq!(release_of(&read_by(EVENT_V1, EVENT_V1, &bytes)), None);
    }
    for bytes in [record("0.1.0").encode(), record("0.1.0").encode_as(WriteSchemas::Released)] {
        assert_eq!(release_of(&read_by(RECORD_V1, RECORD_V1, &bytes)), None);
    }
}

#[test]
fn this_release_reads_each_version_that_it_can_write() {
    let (newest, released) = (WriteSchemas::Newest, WriteSchemas::Released);
    assert_eq!(ConversionEvent::decode(&event("0.1.0").encode_as(newest)).unwrap().call.release, "0.1.0");
    assert_eq!(CallRecord::decode(&record("0.1.0").encode_as(newest)).unwrap().call.release, "0.1.0");
    let (event, record) = (event("0.1.0"), record("0.1.0"));
    let read = ConversionEvent::decode(&event.encode_as(released)).unwrap();
    assert_eq!(read, ConversionEvent { call: Call { release: String::new(), ..event.call }, ..event });
    let read = CallRecord::decode(&record.encode_as(released)).unwrap();
    assert_eq!(read, CallRecord { call: Call { release: String::new(), ..record.call }, ..record });
}

/// By Avro's own rules too, so that readers in other languages can follow.
#[test]
fn versions_next_to_each_other_resolve_both_ways() {
    let later = event("0.1.0").encode_as(WriteSchemas::Newest);
    assert_eq!(release_of(&read_by(EVENT_V2, EVENT_V2, &later)), Some(&Value::String("0.1.0".into())));
    assert_eq!(release_of(&read_by(EVENT_V1, EVENT_V2, &later)), None);
    let earlier = event("0.1.0").encode_as(WriteSchemas::Released);
    assert_eq!(release_of(&read_by(EVENT_V2, EVENT_V1, &earlier)), Some(&Value::String(String::new())));
    let later = record("0.1.0").encode_as(WriteSchemas::Newest);
    assert_eq!(release_of(&read_by(RECORD_V1, RECORD_V2, &later)), None);
    let earlier = record("0.1.0").encode_as(WriteSchemas::Released);
    assert_eq!(release_of(&read_by(RECORD_V2, RECORD_V1, &earlier)), Some(&Value::String(String::new())));
}

/// A call of an older version that goes through this release and is written anew has an empty field, not a missing one.
#[test]
fn what_has_no_release_is_written_in_the_newest_version_too() {
    let bytes = event("").encode_as(WriteSchemas::Newest);
    assert_eq!(release_of(&read_by(EVENT_V2, EVENT_V2, &bytes)), Some(&Value::String(String::new())));
    assert_eq!(ConversionEvent::decode(&bytes).unwrap().call.release, "");
}

const STATUSES: [ConversionStatus; 5] = {
    use ConversionStatus::{Duplicate, Forwarded, Pending, Refused, Rejected};
    // Does not compile where one is missing from the list.
    match Pending {
        Forwarded | Duplicate | Pending | Rejected | Refused => {}
    }
    [Forwarded, Duplicate, Pending, Rejected, Refused]
};

const STAGES: [FailureStage; 5] = {
    use FailureStage::{Authentication, BusinessLookup, ChannelLookup, MetaForward, PayloadMapping};
    match MetaForward {
        Authentication | BusinessLookup | ChannelLookup | PayloadMapping | MetaForward => {}
    }
    [Authentication, BusinessLookup, ChannelLookup, PayloadMapping, MetaForward]
};

/// A symbol that an older version lacks cannot be written in it, and a producer would panic over it.
#[test]
fn every_symbol_is_written_in_each_version() {
    let outcome = || Outcome::new(200, ConversionStatus::Forwarded);
    let statuses = STATUSES.iter().map(|status| Outcome::new(200, *status));
    let stages = STAGES.iter().map(|stage| Outcome { failure_stage: Some(*stage), ..outcome() });
    let reasons = Reason::ALL.iter().map(|reason| Outcome { reason: Some(*reason), ..outcome() });
    for outcome in statuses.chain(stages).chain(reasons) {
        for version in [WriteSchemas::Released, WriteSchemas::Newest] {
            let record = CallRecord { outcome: outcome.clone(), ..record("") };
            assert_eq!(CallRecord::decode(&record.encode_as(version)).unwrap(), record);
        }
    }
}
