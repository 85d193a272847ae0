//! The row of any record, written by ClickHouse's client and read back by it: every column says what the record said.
#![no_main]

use std::cell::RefCell;

use arbitrary::Unstructured;
use capi_recorder::row::CallRow;
use clickhouse::{
    Client,
    test::{Mock, handlers},
};
use libfuzzer_sys::fuzz_target;
use read_back::CallRow as ReadBack;
use tokio::runtime::{Builder, Runtime};

/// Two names and types of the same columns: told apart only by the module, so that both are shown alike.
mod read_back {
    use clickhouse::Row;
    use serde::Deserialize;
    use uuid::Uuid;

    #[derive(Debug, Deserialize)]
    pub struct Decimal(#[expect(dead_code, reason = "shown")] i128);

    #[derive(Debug, Deserialize, Row)]
    #[expect(dead_code, reason = "shown")]
    pub struct CallRow {
        #[serde(with = "clickhouse::serde::uuid")]
        call_id: Uuid,
        received_at: i64,
        recorded_at: i64,
        business_id: String,
        api_key_id: String,
        http_status: i32,
        conversion_status: String,
        success: bool,
        failure_stage: String,
        reason: String,
        error: String,
        event_name: String,
        event_time: Option<u32>,
        cnct_tracking_id: String,
        sendout_id: String,
        ctwa_clid: String,
        ad_id: String,
        currency: String,
        value: Option<Decimal>,
        order_id: String,
        content_type: String,
        content_ids: Vec<String>,
        num_items: Option<i32>,
        contents_id: Vec<String>,
        contents_quantity: Vec<Option<i32>>,
        contents_item_price: Vec<Option<Decimal>>,
        events_received: Option<i32>,
        forward_reference_id: String,
        meta_http_status: Option<i32>,
        meta_code: Option<i32>,
        meta_error_subcode: Option<i32>,
        meta_error: String,
        #[serde(with = "clickhouse::serde::uuid::option")]
        duplicate_of: Option<Uuid>,
        lane: String,
        forward_attempts: i32,
        possibly_duplicate: bool,
        forward_ms: Option<i64>,
        total_ms: i64,
        #[serde(with = "serde_bytes")]
        body: Vec<u8>,
        version: u64,
        release: String,
    }
}

struct Warehouse {
    runtime: Runtime,
    mock: Mock,
    client: Client,
}

impl Warehouse {
    fn new() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let _entered = runtime.enter();
        let mock = Mock::new();
        let client = Client::default().with_mock(&mock);
        drop(_entered);
        Self { runtime, mock, client }
    }

    fn round_trip(&self, row: &CallRow) -> Vec<ReadBack> {
        self.runtime.block_on(async {
            let recorded = self.mock.add(handlers::record::<ReadBack>());
            let mut insert = self.client.insert::<CallRow>("call_records").await.expect("an insert");
            insert.write(row).await.expect("any row can be written");
            insert.end().await.expect("stored");
            recorded.collect().await
        })
    }
}

thread_local! {
    static WAREHOUSE: RefCell<Option<Warehouse>> = const { RefCell::new(None) };
}

fuzz_target!(|data: &[u8]| {
    let mut u = Unstructured::new(data);
    let Ok(record) = capi_fuzz::record(&mut u) else { return };
    let row = CallRow::new(record, 7);
    WAREHOUSE.with_borrow_mut(|warehouse| {
        let read = warehouse.get_or_insert_with(Warehouse::new).round_trip(&row);
        let [read] = read.as_slice() else { panic!("{} rows", read.len()) };
        assert_eq!(format!("{read:?}"), format!("{row:?}"));
    });
});
