//! What every worker stands on.
//!
//! | module | holds |
//! |---|---|
//! | [`run`] | a worker's life: settings, telemetry, runtime, admin address, drain, exit code |
//! | [`settings`] | settings that workers share, and how a fault in one is told |
//! | [`properties`] | the file of librdkafka properties |
//! | `secret_file` | who may read a file that holds a secret |
//! | `kafka_lines` | what librdkafka says of an outage |
//! | [`telemetry`] | logs, traces, metrics |
//! | `receiver` | TLS to the receiver of traces |
//! | [`trace`] | trace context in Kafka and HTTP headers |
//! | [`client`] | the address that a request comes from, behind trusted proxies |
//! | [`server`] | connections on a public address |
//! | [`health`], [`admin`] | readiness, and where it is asked |
//! | [`shutdown`] | the wish to end |
//! | [`vital`] | tasks that a worker ends with |
//! | [`producer`] | writing to Kafka: done, not done, unknown |
//! | [`lost_client`] | Kafka clients that cannot come back, and a process that starts anew |
//! | [`outage`] | readers while Kafka is away |
//! | [`topics`] | what Kafka has, checked at boot |
//! | [`dead_letters`] | where unreadable messages go |

pub mod admin;
#[cfg(test)]
mod captured;
pub mod client;
pub mod dead_letters;
pub mod health;
mod kafka_lines;
mod log_line;
pub mod lost_client;
pub mod outage;
pub mod producer;
pub mod properties;
mod receiver;
pub mod run;
mod secret_file;
pub mod server;
pub mod settings;
pub mod shutdown;
mod span_exporter;
pub mod telemetry;
pub mod topics;
pub mod trace;
pub mod vital;

pub use run::Worker;
