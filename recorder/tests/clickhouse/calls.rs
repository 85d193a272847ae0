//! The view `calls`: one row a call, its columns as the contract lists them.

use schemas::{Call, CallId, ConversionStatus, FailureStage, Outcome, Reason};
use uuid::Uuid;

use crate::{
    database::Database,
    story::{purchase, view},
};

/// `contract.md`, section 5.
const COLUMNS: &str = "call_id, received_at, recorded_at, business_id, api_key_id, http_status, conversion_status, \
    success, failure_stage, reason, error, event_name, event_time, cnct_tracking_id, sendout_id, ctwa_clid, ad_id, \
    currency, value, order_id, content_type, content_ids, num_items, contents.id, contents.quantity, \
    contents.item_price, events_received, forward_reference_id, meta_http_status, meta_code, meta_error_subcode, \
    meta_error, duplicate_of, lane, forward_attempts, possibly_duplicate, forward_ms, total_ms, body";

#[tokio::test]
async fn the_columns_are_the_contracts_in_its_order_and_of_its_types() {
    let database = Database::new().await;
    let columns = database
        .ask("SELECT name FROM system.columns WHERE database = currentDatabase() AND table = 'calls' ORDER BY position")
        .await;
    assert_eq!(columns.join(", "), COLUMNS);
    let types = "SELECT name, type FROM system.columns WHERE database = currentDatabase() AND table = 'calls' AND name IN \
        ('call_id', 'duplicate_of', 'business_id', 'success', 'possibly_duplicate', 'value', 'contents.item_price', \
        'meta_code', 'meta_error_subcode', 'received_at', 'recorded_at', 'event_time', 'body') ORDER BY name";
    assert_eq!(
        database.ask(types).await,
        [
            "body String",
            "business_id String",
            "call_id UUID",
            "contents.item_price Array(Nullable(Decimal(38, 6)))",
            "duplicate_of Nullable(UUID)",
            r"event_time Nullable(DateTime(\'UTC\'))",
            "meta_code Nullable(Int32)",
            "meta_error_subcode Nullable(Int32)",
            "possibly_duplicate Bool",
            r"received_at DateTime64(3, \'UTC\')",
            r"recorded_at DateTime64(3, \'UTC\')",
            "success Bool",
            "value Nullable(Decimal(38, 6))",
        ]
    );
}

#[tokio::test]
async fn a_row_holds_what_its_record_holds() {
    let database = Database::new().await;
    let (id, other) = (Uuid::now_v7(), Uuid::now_v7());
    let call = Call {
        call_id: CallId::from(id),
        received_at: 1_772_366_400_123,
        api_key_id: "k1".into(),
        cnct_tracking_id: " tracking ".into(),
        ctwa_clid: "Aé\u{1f600}'\\".into(),
        content_type: "product".into(),
        content_ids: vec!["a".into(), "b".into()],
        num_items: Some(3),
        body: vec![b'{', 0, 0xff, b'\n', b'}'].into(),
        ..purchase("A-1")
            .worth("BRL", "999999999999.000001")
            .line("a", Some(2), Some("0.1"))
            .line("b", None, None)
            .call()
    };
    let outcome = Outcome {
        failure_stage: Some(FailureStage::MetaForward),
        reason: Some(Reason::MetaRejected),
        error: "Nope".into(),
        events_received: Some(0),
        fbtrace_id: "A1".into(),
        meta_http_status: Some(400),
        meta_code: Some(100),
        meta_error_subcode: Some(2_804_087),
        meta_error: "Nope".into(),
        duplicate_of: Some(CallId::from(other)),
        forward_attempts: 2,
        possibly_duplicate: true,
        forward_ms: Some(1234),
        total_ms: 5678,
        ..Outcome::new(400, ConversionStatus::Rejected)
    };
    let record = schemas::CallRecord { call, lane: Some(schemas::Lane::Backfill), outcome, rests_on: 7 };
    database.record([record]).await;
    let query = format!("SELECT * EXCEPT body, hex(body) FROM calls WHERE call_id = '{id}' FORMAT Vertical");
    let found = database.ask(&query).await.join("\n");
    for expected in [
        format!("call_id:              {id}"),
        "received_at:          2026-03-01 12:00:00.123".into(),
        "api_key_id:           k1".into(),
        "http_status:          400".into(),
        "conversion_status:    rejected".into(),
        "success:              false".into(),
        "failure_stage:        meta_forward".into(),
        "reason:               META_REJECTED".into(),
        "error:                Nope".into(),
        "event_name:           Purchase".into(),
        "event_time:           2026-03-01 12:00:00".into(),
        "cnct_tracking_id:      tracking ".into(),
        "ctwa_clid:            Aé\u{1f600}'\\".into(),
        "currency:             BRL".into(),
        "value:                999999999999.000001".into(),
        "content_type:         product".into(),
        "content_ids:          ['a','b']".into(),
        "num_items:            3".into(),
        "contents.id:          ['a','b']".into(),
        "contents.quantity:    [2,NULL]".into(),
        "contents.item_price:  [0.1,NULL]".into(),
        "events_received:      0".into(),
        "forward_reference_id: A1".into(),
        "meta_http_status:     400".into(),
        "meta_code:            100".into(),
        "meta_error_subcode:   2804087".into(),
        "meta_error:           Nope".into(),
        format!("duplicate_of:         {other}"),
        "lane:                 backfill".into(),
        "forward_attempts:     2".into(),
        "possibly_duplicate:   true".into(),
        "forward_ms:           1234".into(),
        "total_ms:             5678".into(),
        "hex(body):            7B00FF0A7D".into(),
    ] {
        // Beside a large number the format says how large it is.
        let holds = |line: &str| line == expected || line.starts_with(&format!("{expected} -- "));
        assert!(found.lines().any(holds), "{expected} is not in\n{found}");
    }
}

#[tokio::test]
async fn what_is_absent_is_empty_text_or_null() {
    let database = Database::new().await;
    let bare = Call::blank(CallId::now(), 1_772_366_400_000);
    let outcome =
        Outcome { failure_stage: Some(FailureStage::Authentication), ..Outcome::new(401, ConversionStatus::Refused) };
    database.record([schemas::CallRecord { call: bare, lane: None, outcome, rests_on: 0 }]).await;
    let query = "SELECT business_id, event_name, event_time, currency, value, order_id, num_items, contents.id, \
        events_received, meta_code, duplicate_of, lane, forward_ms FROM calls";
    assert_eq!(database.ask(query).await, [r"'' '' \N '' \N '' \N [] \N \N \N '' \N"]);
}

#[tokio::test]
async fn a_reader_sees_a_call_once_with_its_latest_word() {
    let database = Database::new().await;
    let story = purchase("A-1");
    let status = "SELECT conversion_status FROM calls";
    let at = |rests_on, record| schemas::CallRecord { rests_on, ..record };
    // Each line arrives in an insert of its own; the last column is what a reader sees after it.
    for (record, seen) in [
        (at(0, story.clone().pending()), "pending"),
        (at(5, story.clone().pending()), "pending"),
        (at(9, story.clone().rejected("Invalid token")), "rejected"),
        // The same again, after a crash; a pending row from a late reader; a replay's.
        (at(9, story.clone().rejected("Invalid token")), "rejected"),
        (at(0, story.clone().pending()), "rejected"),
        (at(12, story.clone().pending()), "rejected"),
        (at(14, story.clone().forwarded()), "forwarded"),
        (at(9, story.clone().rejected("Invalid token")), "forwarded"),
    ] {
        database.record([record]).await;
        assert_eq!(database.ask(status).await, [seen]);
    }
    database.run("OPTIMIZE TABLE call_records FINAL").await;
    assert_eq!(database.ask(status).await, ["forwarded"]);
    assert_eq!(database.ask("SELECT count() FROM call_records").await, ["1"], "one key for all rows of the call");
}

#[tokio::test]
async fn one_insert_may_hold_many_months_and_many_rows_of_a_call() {
    let database = Database::new().await;
    let stories: Vec<_> = (1..=12).map(|month| view("").at(&format!("2026-{month:02}-01 00:00:00"))).collect();
    let pending = stories.iter().cloned().map(|story| schemas::CallRecord { rests_on: 0, ..story.pending() });
    let forwarded = stories.iter().cloned().map(crate::story::Story::forwarded);
    database.record(pending.chain(forwarded)).await;
    assert_eq!(database.ask("SELECT conversion_status, count() FROM calls GROUP BY 1").await, ["forwarded 12"]);
}

/// Who asks what became of an order does not have its business's rows read.
#[tokio::test]
async fn an_order_is_found_by_its_index() {
    let database = Database::new().await;
    database
        .run(
            "INSERT INTO call_records (call_id, received_at, business_id, order_id) SELECT generateUUIDv7(), \
             now64(3) - number, 'shop', concat('ORD-', toString(number)) FROM numbers(100000)",
        )
        .await;
    database.run("OPTIMIZE TABLE call_records FINAL").await;
    let read = "EXPLAIN indexes = 1 SELECT call_id FROM calls WHERE business_id = 'shop' AND order_id = 'ORD-777'";
    let explained = database.ask(read).await.join("\n");
    let (_, index) =
        explained.split_once("by_order_id").unwrap_or_else(|| panic!("the index is not used: {explained}"));
    let granules = index.lines().find_map(|line| line.trim().strip_prefix("Granules: ")).unwrap();
    let (read, all) = granules.split_once('/').unwrap();
    assert!(read.parse::<u32>().unwrap() <= 2 && all.parse::<u32>().unwrap() >= 10, "{granules} of {explained}");
}
