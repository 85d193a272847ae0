//! End-to-end tests: the real programs over real Kafka and ClickHouse, with the sandbox for Meta.

// `cfg(test)` always holds here; it tells clippy that the modules are test code, where `unwrap` may stand.
#[cfg(test)]
mod example;

use std::process::ExitCode;

use e2e::suite;

/// A test by its path: its name in the list.
macro_rules! shared {
    ($suite:ident: $($test:path,)*) => { vec![$($suite.shared(stringify!($test), async |deployment| $test(deployment).await),)*] };
}

fn main() -> anyhow::Result<ExitCode> {
    suite::main(|suite| {
        shared![suite:
            example::the_page,
        ]
    })
}
