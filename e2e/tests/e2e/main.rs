//! End-to-end tests: the real programs over real Kafka and ClickHouse, with the sandbox for Meta.

// `cfg(test)` always holds here; it tells clippy that the modules are test code, where `unwrap` may stand.
#[cfg(test)]
mod example;
#[cfg(test)]
mod fields;
#[cfg(test)]
mod refusals;

use std::process::ExitCode;

use e2e::suite;

/// A test by its path: its name in the list.
macro_rules! shared {
    ($suite:ident: $($test:path,)*) => { vec![$($suite.shared(stringify!($test), async |deployment| $test(deployment).await),)*] };
}

fn main() -> anyhow::Result<ExitCode> {
    suite::main(|suite| {
        shared![suite:
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
    })
}
