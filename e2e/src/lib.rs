//! The harness of the end-to-end tests: it plays everyone who deals with the pipeline, and starts the pipeline itself.
//!
//! A [`deployment`] is the real programs over the Kafka and the ClickHouse that `make test` started, apart from all others
//! by its topic prefix, database, ports and secret key. Its [`merchant`]s call the endpoint, its [`operator`] uses the
//! command line, its [`analyst`] asks ClickHouse, and its [`sandbox`] stands in for Meta. The tests are in `tests/e2e`.

pub mod analyst;
pub mod answer;
pub mod cluster;
pub mod deployment;
pub mod event;
pub mod instance;
pub mod merchant;
pub mod operator;
pub mod port;
pub mod process;
pub mod queue;
pub mod sandbox;
pub mod suite;
pub mod wait;
