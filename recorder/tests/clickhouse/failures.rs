//! Failure rates: call by call, whatever became of the order.

use schemas::FailureStage::{Authentication, BusinessLookup, PayloadMapping};

use crate::{
    database::Database,
    story::{BUSINESS, purchase},
};

#[tokio::test]
async fn meta_rejected_a_share_of_yesterdays_calls() {
    let database = Database::new().await;
    let credited = purchase("F-1");
    let id = credited.id();
    // Events of long ago: the day is the arrival's.
    let old = || purchase("F-2").happened("2025-12-01 00:00:00");
    database
        .record(vec![
            credited.forwarded(),
            purchase("F-1").at("2026-03-01 13:00:00").duplicate_of(id),
            purchase("F-9").pending(),
            old().rejected("Invalid Ctwa Clid"),
            old().rejected("Invalid Ctwa Clid"),
            old().rejected("Mismatching WhatsApp Business Account ID"),
            purchase("").refused(PayloadMapping, "currency is required"),
            purchase("").refused(PayloadMapping, "value is required"),
            purchase("").refused(PayloadMapping, "value is required"),
            purchase("").refused(BusinessLookup, "business not found"),
            purchase("").refused(Authentication, "the key is unknown"),
            purchase("").refused(Authentication, "the key is unknown"),
            purchase("F-3").at("2026-03-02 00:00:00").forwarded(),
        ])
        .await;
    let query = "SELECT business_id, day, failure_stage, calls, failures, failure_rate, top_error FROM failure_rates ORDER BY ALL";
    assert_eq!(
        database.ask(query).await,
        [
            format!("{BUSINESS} 2026-03-01 business_lookup 10 1 0.1 business not found"),
            format!("{BUSINESS} 2026-03-01 meta_forward 10 3 0.3 Invalid Ctwa Clid"),
            format!("{BUSINESS} 2026-03-01 payload_mapping 10 3 0.3 value is required"),
        ]
    );
}

#[tokio::test]
async fn one_select_without_a_join_answers_for_one_business() {
    let database = Database::new().await;
    database.record([purchase("1").rejected("no"), purchase("2").of("other").rejected("no")]).await;
    let query = format!(
        "SELECT failure_rate FROM failure_rates \
         WHERE business_id = '{BUSINESS}' AND day = '2026-03-01' AND failure_stage = 'meta_forward'"
    );
    assert_eq!(database.ask(&query).await, ["1"]);
}
