//! What one call costs at each step, by itself.

use std::hint::black_box;

use bench::order;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use forwarder::{
    ledger::Ledger,
    meta::classify::{self, Reply},
};
use ingest::call::fill;
use recorder::row::CallRow;
use schemas::{
    Call, CallId, CallRecord, ConversionEvent, ConversionStatus, Lane, LedgerRecord, Message, OrderHash, Outcome,
    ledger::Accepted,
};

const CLICK: &str = "ARAkLkA8rmlFeiCktEJQ-QTwRiyYHAFDLMNDBH0CD3qpjd0HR4irJ6LEkR7JwFF4XvnO2E4Nx0";

fn event() -> ConversionEvent {
    order::event("6f1c1b1e-0d6c-4b7e-9a44-0a4f6f0b7f10", "k7Qx2a", 7, CLICK)
}

fn record() -> CallRecord {
    let outcome = Outcome { events_received: Some(1), ..Outcome::new(200, ConversionStatus::Forwarded) };
    CallRecord { call: event().call, lane: Some(Lane::Live), outcome, rests_on: 7 }
}

/// A body, read and held against every rule. Beside it, what only reading it as JSON takes.
fn validate(criterion: &mut Criterion) {
    let (body, event_now) = (order::body().to_string(), e2e::event::now() * 1000);
    let mut group = criterion.benchmark_group("validate");
    group.throughput(Throughput::Bytes(body.len() as u64));
    group.bench_function("a body", |bencher| {
        bencher.iter_batched_ref(
            || Call::blank(CallId::now(), event_now),
            |call| assert!(fill(black_box(body.as_bytes()), call).is_ok()),
            BatchSize::SmallInput,
        );
    });
    group.bench_function("yardstick: the same as JSON", |bencher| {
        bencher.iter(|| serde_json::from_slice::<serde_json::Value>(black_box(body.as_bytes())));
    });
    group.finish();
}

/// Beside each, what copying the bytes takes.
fn codec(criterion: &mut Criterion) {
    let (event, record) = (event(), record());
    let (event_bytes, record_bytes) = (event.encode(), record.encode());
    let mut encode = criterion.benchmark_group("encode");
    encode.bench_function("an event", |bencher| bencher.iter(|| black_box(&event).encode()));
    encode.bench_function("a record", |bencher| bencher.iter(|| black_box(&record).encode()));
    encode.bench_function("yardstick: a copy", |bencher| bencher.iter(|| black_box(&event_bytes).clone()));
    encode.finish();
    let mut decode = criterion.benchmark_group("decode");
    decode.bench_function("an event", |bencher| bencher.iter(|| ConversionEvent::decode(black_box(&event_bytes))));
    decode.bench_function("a record", |bencher| bencher.iter(|| CallRecord::decode(black_box(&record_bytes))));
    decode.bench_function("yardstick: a copy", |bencher| bencher.iter(|| black_box(&event).clone()));
    decode.finish();
}

/// What Meta's answer means.
fn classify(criterion: &mut Criterion) {
    let refusal = Reply::Refusal { code: Some(100), subcode: Some(2_804_003), is_transient: false };
    let mut group = criterion.benchmark_group("classify");
    for (name, status, reply) in [("a success", 200, Reply::Received(1000)), ("a refusal", 400, refusal)] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| classify::classify(black_box(status), black_box(reply), 1000));
        });
    }
    group.finish();
}

/// A record as a row of ClickHouse.
fn row(criterion: &mut Criterion) {
    let record = record();
    criterion.bench_function("row", |bencher| {
        bencher.iter_batched(|| record.clone(), |record| CallRow::new(record, 7), BatchSize::SmallInput);
    });
}

/// The order of a call, and the fold of its credit into a ledger of a hundred thousand.
fn ledger(criterion: &mut Criterion) {
    let event = event();
    criterion.bench_function("order key and hash", |bencher| {
        bencher.iter(|| black_box(&event).order_key().hash().partition(12));
    });
    let credit = |call| Accepted {
        intent: 0,
        call,
        listed: schemas::ledger::Listed::default(),
        at: 1_800_000_000_000,
        events_received: Some(1),
        fbtrace_id: "AbCdEfGhIjKlMnOpQrStUv".into(),
        http_status: 200,
        forward_attempts: 1,
        forward_ms: 200,
    };
    let (mut ledger, mut offset) = (Ledger::new(i64::MAX / 4), 0_i64);
    let record = LedgerRecord::Accepted(credit(CallId::now()));
    criterion.bench_function("fold of a credit", |bencher| {
        bencher.iter(|| {
            offset += 1;
            ledger.apply(offset, OrderHash::of(&(offset % 100_000).to_be_bytes()), black_box(&record))
        });
    });
}

criterion_group!(steps, validate, codec, classify, row, ledger);
criterion_main!(steps);
