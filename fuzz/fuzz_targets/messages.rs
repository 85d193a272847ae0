//! Any bytes on any topic: a message, or an error. What can be read is read the same once it is written again. The first
//! byte picks a message; what follows is its datum, and, without a header, the whole.
#![no_main]

use std::{fmt::Debug, sync::OnceLock};

use arbitrary::Unstructured;
use libfuzzer_sys::fuzz_target;
use schemas::{
    ApiKey, Business, CallId, CallRecord, Channel, ConversionEvent, LedgerRecord, Message, Verdict, WriteSchemas,
    ledger::{Acceptance, Accepted, Claim, Intent, Listed, OpenIntent, Refused, State},
};
use uuid::Uuid;

fuzz_target!(|data: &[u8]| {
    let Some((pick, datum)) = data.split_first() else { return };
    let headers = headers();
    let header = &headers[usize::from(*pick) % headers.len()];
    let bytes = [header.as_slice(), datum].concat();
    for bytes in [bytes.as_slice(), datum] {
        reads::<ConversionEvent>(bytes);
        reads::<CallRecord>(bytes);
        reads::<Verdict>(bytes);
        reads::<Business>(bytes);
        reads_a_ledger_record(bytes);
    }
});

fn reads<T: Message + PartialEq + Debug>(bytes: &[u8]) {
    let Ok(message) = T::decode(bytes) else { return };
    // The newest version holds all that an older one does.
    assert_eq!(T::decode(&message.encode_as(WriteSchemas::Newest)).expect("what is written is read"), message);
}

fn reads_a_ledger_record(bytes: &[u8]) {
    let Ok(record) = LedgerRecord::decode(bytes) else { return };
    assert_eq!(LedgerRecord::decode(&record.encode()).expect("what is written is read"), record);
}

/// The header of every message: what a coverage-guided search does not guess.
fn headers() -> &'static [Vec<u8>] {
    static HEADERS: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    HEADERS.get_or_init(|| messages().into_iter().map(|message| message[..10].to_vec()).collect())
}

fn messages() -> [Vec<u8>; 11] {
    let nothing = || Unstructured::new(&[]);
    let (call, listed) = (CallId::from(Uuid::nil()), Listed::default());
    [
        capi_fuzz::event(&mut nothing()).expect("an event of nothing").encode_as(WriteSchemas::Released),
        capi_fuzz::event(&mut nothing()).expect("an event of nothing").encode_as(WriteSchemas::Newest),
        capi_fuzz::record(&mut nothing()).expect("a record of nothing").encode_as(WriteSchemas::Released),
        capi_fuzz::record(&mut nothing()).expect("a record of nothing").encode_as(WriteSchemas::Newest),
        capi_fuzz::verdict(&mut nothing()).expect("a verdict of nothing").encode(),
        business().encode(),
        Claim { claim_id: Uuid::nil(), instance: String::new(), partitions: 1, window_ms: 1, at: 1 }.encode(),
        Intent { epoch: 0, call, overrides: 0, listed: listed.clone(), at: 1 }.encode(),
        Accepted {
            intent: 0,
            call,
            listed: listed.clone(),
            at: 1,
            events_received: None,
            fbtrace_id: String::new(),
            http_status: 200,
            forward_attempts: 1,
            forward_ms: 1,
        }
        .encode(),
        Refused { intent: 0, call, listed: listed.clone(), at: 1 }.encode(),
        State {
            epoch: 0,
            after: 0,
            open: Some(OpenIntent { intent: 0, epoch: 0, call }),
            accepted: Some(Acceptance { offset: 0, call, at: 1 }),
            listed,
            at: 1,
        }
        .encode(),
    ]
}

fn business() -> Business {
    let key = ApiKey {
        key_id: String::new(),
        name: String::new(),
        digest: [0; 32],
        scopes: Vec::new(),
        created_at: 0,
        expires_at: None,
        revoked_at: None,
    };
    let channel = Channel {
        waba_id: String::new(),
        dataset_id: String::new(),
        access_token: Vec::new(),
        graph_version: None,
        partner_agent: None,
        test_event_code: None,
        max_concurrency: None,
    };
    Business {
        business_id: String::new(),
        name: String::new(),
        enabled: true,
        rate_limit: None,
        channel: Some(channel),
        keys: vec![key],
    }
}
