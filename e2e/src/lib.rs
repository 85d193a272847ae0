//! The harness of the end-to-end tests: it plays everyone who deals with the pipeline, and starts the pipeline itself.
//!
//! A [`deployment`] is the real programs over the Kafka and the ClickHouse that `make test` started, apart from all others
//! by its topic prefix, database, ports and secret key. Its [`merchant`]s call the endpoint, its [`operator`] uses the
//! command line, its [`analyst`] asks ClickHouse, a [`browser`] looks at its console, and its [`sandbox`] stands in for
//! Meta. The tests are in `tests/e2e`. The
//! fault suite in `tests/faults` has a [`stack`] of its own to kill, and the [`checker`] judges what is left.

pub mod analyst;
pub mod answer;
pub mod browser;
pub mod checker;
pub mod cluster;
pub mod deployment;
pub mod event;
pub mod gather;
pub mod history;
pub mod instance;
pub mod line;
pub mod merchant;
pub mod operator;
pub mod port;
pub mod process;
pub mod queue;
pub mod sandbox;
pub mod stack;
pub mod suite;
pub mod usage;
pub mod wait;
