//! Every message survives the wire, and what is no message says why.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use capi_schemas::{
    ApiKey, Business, Call, CallId, CallRecord, Channel, ConversionEvent, ConversionStatus, DecodeError, EndedSession,
    FailureStage, Lane, LedgerRecord, LineItem, Message, MetaError, Micros, Outcome, Progress, Reason, Role, User,
    Verdict,
    ledger::{Acceptance, Accepted, Claim, Intent, Listed, OpenIntent, Refused, State},
};

use proptest::{
    collection::vec,
    prelude::{any, proptest},
};

fn call() -> Call {
    Call {
        business_id: "b1".into(),
        api_key_id: "k1".into(),
        event_name: "Purchase".into(),
        event_time: Some(1_746_480_000),
        ctwa_clid: "Ação-✓".into(),
        currency: "USD".into(),
        value: Micros::new(99_970_000),
        content_ids: vec!["a".into(), "b".into()],
        num_items: Some(i32::MAX),
        contents: vec![LineItem { id: "a".into(), quantity: None, item_price: Some(Micros::MAX) }],
        body: vec![0, 159, 146, 150].into(),
        ..Call::blank(CallId::now(), 1_746_480_000_123)
    }
}

fn outcome() -> Outcome {
    Outcome {
        failure_stage: Some(FailureStage::MetaForward),
        reason: Some(Reason::MetaRejected),
        error: "Messaging Event Invalid Ctwa Clid".into(),
        meta_code: Some(100),
        duplicate_of: Some(CallId::now()),
        forward_ms: Some(12),
        ..Outcome::new(400, ConversionStatus::Rejected)
    }
}

fn survives<M: Message + PartialEq + std::fmt::Debug>(message: &M) {
    assert_eq!(&M::decode(&message.encode()).unwrap(), message);
}

#[test]
fn every_message_survives_the_wire() {
    let error =
        MetaError { http_status: 400, code: Some(4), subcode: None, message: "x".into(), fbtrace_id: "A".into() };
    let progress = Progress { tier: 2, not_before: 5, forward_attempts: 3, forward_ms: 7, last_error: Some(error) };
    survives(&ConversionEvent { call: call(), lane: Lane::Backfill, progress: Some(progress) });
    survives(&ConversionEvent { call: call(), lane: Lane::Live, progress: None });
    survives(&CallRecord { call: call(), lane: None, outcome: outcome(), rests_on: 0 });
    survives(&Verdict { call_id: CallId::now(), outcome: outcome() });
    let key = ApiKey {
        key_id: "k".into(),
        name: "n".into(),
        digest: [7; 32],
        scopes: vec!["s".into()],
        created_at: 1,
        expires_at: None,
        revoked_at: Some(2),
    };
    let channel = Channel {
        waba_id: "w".into(),
        dataset_id: "d".into(),
        access_token: vec![1, 2],
        graph_version: Some("v26.0".into()),
        partner_agent: None,
        test_event_code: None,
        max_concurrency: Some(4),
    };
    survives(&Business {
        business_id: "b".into(),
        name: "n".into(),
        enabled: true,
        rate_limit: Some(10),
        channel: Some(channel),
        keys: vec![key],
    });
}

fn user(role: Role) -> User {
    let (name, password) = ("ada".into(), "$argon2id$".into());
    User { name, role, businesses: vec!["b1".into(), "b2".into()], password, sessions_from: 7 }
}

#[test]
fn users_and_ended_sessions_survive_the_wire() {
    survives(&user(Role::Operator));
    survives(&user(Role::Merchant));
    survives(&EndedSession { session_id: "s_-1".into(), expires_at: 9 });
}

#[test]
fn no_formatting_shows_the_hash_of_a_password() {
    assert!(!format!("{:#?}", user(Role::Operator)).contains("argon2id"));
}

fn ledger_records() -> Vec<LedgerRecord> {
    let (call, listed) = (CallId::now(), Listed::from([CallId::now(), CallId::now()]));
    vec![
        LedgerRecord::Claim(Claim {
            claim_id: uuid::Uuid::now_v7(),
            instance: "f-0".into(),
            partitions: 12,
            window_ms: 1,
            at: 2,
        }),
        LedgerRecord::Intent(Intent { epoch: 1, call, overrides: 0, listed: listed.clone(), at: 3 }),
        LedgerRecord::Accepted(Accepted {
            intent: 2,
            call,
            listed: listed.clone(),
            at: 4,
            events_received: None,
            fbtrace_id: "A".into(),
            http_status: 200,
            forward_attempts: 1,
            forward_ms: 5,
        }),
        LedgerRecord::Refused(Refused { intent: 2, call, listed: Listed::default(), at: 4 }),
        LedgerRecord::State(State {
            epoch: 1,
            after: 4,
            open: Some(OpenIntent { intent: 2, epoch: 1, call }),
            accepted: Some(Acceptance { offset: 3, call, at: 4 }),
            listed,
            at: 5,
        }),
    ]
}

#[test]
fn every_ledger_record_survives_the_wire() {
    for record in ledger_records() {
        assert_eq!(LedgerRecord::decode(&record.encode()).unwrap(), record);
    }
}

#[test]
fn what_is_no_message_says_why() {
    let verdict = Verdict { call_id: CallId::now(), outcome: outcome() }.encode();
    assert!(matches!(Verdict::decode(b"{}"), Err(DecodeError::NotSingleObject)));
    assert!(matches!(Verdict::decode(b"0123456789"), Err(DecodeError::NotSingleObject)));
    assert!(matches!(Verdict::decode(&[0xC3, 1, 0, 0, 0, 0, 0, 0, 0, 0]), Err(DecodeError::UnknownSchema(_))));
    assert!(matches!(CallRecord::decode(&verdict), Err(DecodeError::WrongMessage { found: "Verdict", .. })));
    assert!(matches!(LedgerRecord::decode(&verdict), Err(DecodeError::WrongMessage { found: "Verdict", .. })));
    let longer = [verdict.as_slice(), &[0]].concat();
    assert!(matches!(Verdict::decode(&longer), Err(DecodeError::Trailing { left: 1, .. })));
}

#[test]
fn a_message_cut_anywhere_is_an_error() {
    let event = ConversionEvent { call: call(), lane: Lane::Live, progress: None }.encode();
    for cut in 0..event.len() {
        assert!(ConversionEvent::decode(&event[..cut]).is_err(), "cut at {cut}");
    }
}

/// Bytes that follow the header of each message, and bytes that are none.
fn reads_or_says_why<M: Message + PartialEq + std::fmt::Debug>(header: &[u8], datum: &[u8]) {
    for bytes in [[header, datum].concat(), datum.to_vec()] {
        if let Ok(message) = M::decode(&bytes) {
            survives(&message);
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_are_a_message_or_an_error(datum in vec(any::<u8>(), 0..300)) {
        let event = ConversionEvent { call: call(), lane: Lane::Live, progress: None };
        let record = CallRecord { call: call(), lane: None, outcome: outcome(), rests_on: 0 };
        let verdict = Verdict { call_id: CallId::now(), outcome: outcome() };
        reads_or_says_why::<ConversionEvent>(&event.encode()[..10], &datum);
        reads_or_says_why::<CallRecord>(&record.encode()[..10], &datum);
        reads_or_says_why::<Verdict>(&verdict.encode()[..10], &datum);
    }

    /// Lengths and counts among them: what they announce and is not there is not made room for.
    #[test]
    fn a_message_with_other_bytes_in_it_is_a_message_or_an_error(at in 10_usize..200, with in vec(any::<u8>(), 1..9)) {
        let event = ConversionEvent { call: call(), lane: Lane::Live, progress: None };
        let mut bytes = event.encode();
        let at = at.min(bytes.len());
        let end = (at + with.len()).min(bytes.len());
        bytes.splice(at..end, with);
        reads_or_says_why::<ConversionEvent>(&bytes[..10], &bytes[10..]);
    }
}
