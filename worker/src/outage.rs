//! Kafka is away: its standing in `/readyz` says so once, with the reason, and readers that go on asking add nothing to
//! that.

use rdkafka::{
    ClientContext,
    consumer::ConsumerContext,
    error::{KafkaError, RDKafkaErrorCode},
};

use crate::lost_client::Watch;

/// The callbacks of a reader that joins no group. Its client should give statistics every [`LOOK_EVERY_MS`].
///
/// [`LOOK_EVERY_MS`]: crate::lost_client::LOOK_EVERY_MS
#[derive(Default)]
pub struct Callbacks {
    brokers: Watch,
}

impl ClientContext for Callbacks {
    fn stats_raw(&self, statistics: &[u8]) {
        self.brokers.judge(statistics);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "Kafka client");
    }
}

impl ConsumerContext for Callbacks {}

/// Logs why nothing can be read now, unless that is an outage: a line for every attempt would bury all others.
pub fn log_unless_away(error: &KafkaError, reads: &str) {
    if is_away(error) {
        tracing::debug!(%error, "cannot read {reads} now");
    } else {
        tracing::warn!(%error, "cannot read {reads} now");
    }
}

fn is_away(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{AllBrokersDown, BrokerTransportFailure, OperationTimedOut, Resolve};
    matches!(error.rdkafka_error_code(), Some(AllBrokersDown | BrokerTransportFailure | OperationTimedOut | Resolve))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_told_from_a_fault() {
        assert!(is_away(&KafkaError::MessageConsumption(RDKafkaErrorCode::AllBrokersDown)));
        assert!(!is_away(&KafkaError::MessageConsumption(RDKafkaErrorCode::TopicAuthorizationFailed)));
    }
}
