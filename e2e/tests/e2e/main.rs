//! End-to-end tests: the real programs over real Kafka and ClickHouse, with the sandbox for Meta.

// `cfg(test)` always holds here; it tells clippy that the modules are test code, where `unwrap` may stand.
#[cfg(test)]
mod abuse;
#[cfg(test)]
mod backfill;
#[cfg(test)]
mod backfill_command;
#[cfg(test)]
mod changes;
#[cfg(test)]
mod console;
#[cfg(test)]
mod crashes;
#[cfg(test)]
mod dashboards;
#[cfg(test)]
mod dead_letters;
#[cfg(test)]
mod described;
#[cfg(test)]
mod example;
#[cfg(test)]
mod fields;
#[cfg(test)]
mod groups;
#[cfg(test)]
mod load;
#[cfg(test)]
mod lookup;
mod meta;
#[cfg(test)]
mod operations;
#[cfg(test)]
mod orders;
#[cfg(test)]
mod outages;
#[cfg(test)]
mod prefer;
#[cfg(test)]
mod protocol;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod replay;
#[cfg(test)]
mod secrets;
#[cfg(test)]
mod setup;
#[cfg(test)]
mod trace;
#[cfg(test)]
mod upgrade;
#[cfg(test)]
mod users;
#[cfg(test)]
mod views;
#[cfg(test)]
mod wire;

use std::{process::ExitCode, sync::Arc};

use e2e::{
    deployment::Plan,
    suite::{self, Suite},
};
use libtest_mimic::Trial;

/// Tests on the shared deployment, named by their paths.
macro_rules! shared {
    ($suite:ident: $($test:path,)*) => {
        vec![$($suite.shared(stringify!($test), async |deployment| $test(deployment).await),)*]
    };
}

/// Tests on deployments of their own, each after what its deployment is made of.
macro_rules! own {
    ($suite:ident: $($plan:expr => $test:path,)*) => {
        vec![$($suite.own(stringify!($test), $plan, async |deployment| $test(deployment).await),)*]
    };
}

/// Tests that start all they need by themselves, named by their paths.
macro_rules! alone {
    ($suite:ident: $($test:path,)*) => {
        vec![$($suite.alone(stringify!($test), async |cluster| $test(cluster).await),)*]
    };
}

fn main() -> ExitCode {
    // Those that take long come first.
    suite::main(|suite| {
        let own = own(suite)?;
        Ok(alone(suite).into_iter().chain(own).chain(shared(suite)).chain(pure()).collect())
    })
}

fn alone(suite: &Arc<Suite>) -> Vec<Trial> {
    alone![suite:
        secrets::tls::a_cluster_with_tls_and_passwords,
        outages::kafka::kafka_comes_and_goes,
        upgrade::a_rolling_deploy_and_back,
        upgrade::a_writer_before_its_readers,
        upgrade::users_before_their_readers,
    ]
}

fn own(suite: &Arc<Suite>) -> anyhow::Result<Vec<Trial>> {
    let (listening, tracing) = (wire::plan()?, trace::plan()?);
    Ok(own![suite:
        crashes::dynamic(2) => crashes::a_forwarder_is_a_zombie,
        crashes::patient(Plan::default()) => crashes::a_forwarder_is_killed,
        crashes::patient(crashes::dynamic(1)) => crashes::forwarders_join_and_leave,
        Plan { forwarders: 2, ..Plan::default() } => groups::a_named_forwarder_that_was_replaced_joins_anew,
        groups::named() => groups::a_named_forwarder_returns_without_a_rebalance,
        crashes::dynamic(1) => groups::a_partition_that_stays_is_not_restored_again,
        backfill::plan() => backfill::a_bad_event_among_a_thousand,
        Plan::default() => backfill_command::killed_and_resumed,
        Plan::default() => backfill_command::an_ingest_goes_away,
        crashes::patient(Plan::default()) => crashes::an_ingest_is_killed,
        crashes::patient(Plan::default()) => crashes::a_recorder_is_killed,
        Plan::default() => crashes::an_order_is_remembered,
        console::plan() => console::from_the_first_key_to_its_revocation,
        console::plan() => console::what_a_view_says_is_what_a_page_says,
        console::plan() => console::another_merchant_sees_nothing,
        console::plan() => console::a_session_ends_everywhere,
        secrets::plan("json")? => secrets::nothing_leaves,
        secrets::plan("text")? => secrets::nothing_leaves_as_text,
        Plan::default() => secrets::rotation::the_secret_key,
        outages::plan() => outages::clickhouse_comes_and_goes,
        outages::plan() => outages::records::memory_stays_flat,
        Plan::default() => operations::every_watched_metric_begins_at_zero,
        Plan::default() => operations::every_statement_runs,
        Plan::default() => operations::pages_find_what_they_are_about,
        Plan::default() => operations::disaster::lost_topics_are_made_anew,
        outages::meta::plan() => outages::meta::a_dead_dataset_and_a_flood_delay_nobody,
        tracing => trace::from_the_request_to_the_row,
        listening => wire::what_leaves,
    ])
}

fn shared(suite: &Arc<Suite>) -> Vec<Trial> {
    shared![suite:
        abuse::any_bytes,
        abuse::a_flood_of_one_business,
        example::one_call_from_end_to_end,
        example::the_same_order_again,
        example::a_call_without_an_order_id,
        example::the_columns_of_calls,
        fields::required_texts,
        fields::events_and_objects,
        fields::money,
        fields::optional_fields,
        fields::contents,
        fields::event_time,
        fields::an_event_that_is_too_old,
        lookup::an_order_and_its_calls,
        lookup::of_another_merchant,
        meta::rejections_of_the_event,
        meta::rejections_of_the_request,
        meta::a_single_drop,
        meta::throttles_and_transient_errors,
        meta::unknown_outcomes,
        meta::a_block_and_a_long_throttle,
        meta::an_outage_of_one_dataset,
        orders::forty_calls_at_once,
        orders::a_second_call_follows_a_rejected_first,
        orders::across_lanes,
        orders::an_unknown_outcome_marks_the_order,
        prefer::every_preference,
        prefer::pending_then_its_verdict,
        backfill_command::a_business_with_a_rate_limit,
        backfill_command::a_key_that_is_not_valid,
        changes::a_key_comes_and_goes,
        changes::a_business_is_disabled,
        changes::a_channel_is_replaced,
        changes::a_channel_is_removed,
        users::put_list_and_remove,
        replay::after_a_repair,
        replay::needs_a_filter,
        replay::from_two_terminals,
        dashboards::every_metric_is_exported,
        dashboards::every_statement_runs,
        described::as_it_answers,
        dead_letters::garbage,
        dead_letters::redrive,
        dead_letters::two_groups,
        setup::twice,
        setup::exit_codes,
        setup::the_tracking_link,
        setup::settings_that_cannot_work,
        setup::a_mismatch,
        setup::the_admin_addresses,
        views::by_hand,
        protocol::cleartext_http2,
        protocol::bodies_without_a_length,
        protocol::connections_that_say_nothing,
        protocol::no_alarm,
        secrets::rotation::a_token_of_another_business,
        refusals::keys,
        refusals::too_many_failures_from_one_address,
        refusals::businesses,
        refusals::no_channel,
        refusals::paths_and_methods,
        refusals::body_size,
        refusals::malformed_bodies,
        refusals::violations,
        refusals::the_rate_limit,
        refusals::no_queue,
    ]
}

/// Tests that need nothing that runs.
fn pure() -> Vec<Trial> {
    let test = |name: &str, test: fn() -> anyhow::Result<()>| {
        Trial::test(name, move || test().map_err(|error| format!("{error:#}").into()))
    };
    vec![
        test("dashboards::are_well_formed", dashboards::are_well_formed),
        test("dashboards::limits_are_those_of_the_alerts", dashboards::limits_are_those_of_the_alerts),
        test("operations::every_alert_has_a_page_and_a_trial", operations::every_alert_has_a_page_and_a_trial),
        test("secrets::planted::the_checker_is_not_blind", secrets::planted::the_checker_is_not_blind),
    ]
}
