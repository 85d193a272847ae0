//! How commands reach the directory.

use clap::Args;
use directory::{BusinessId, Store};
use worker::settings::KafkaSettings;

use crate::failure::Failure;

/// A command that is about one business.
#[derive(Debug, Args)]
pub(crate) struct OneBusiness {
    /// The business's UUID
    business_id: String,
    #[command(flatten)]
    pub(crate) kafka: KafkaSettings,
}

impl OneBusiness {
    /// An id that is no UUID is an unknown business, as it is for a caller of the endpoint.
    pub(crate) fn id(&self) -> Result<BusinessId, Failure> {
        Ok(self.business_id.parse()?)
    }

    pub(crate) fn store(&self) -> Result<Store, Failure> {
        store(&self.kafka)
    }
}

pub(crate) fn store(kafka: &KafkaSettings) -> Result<Store, Failure> {
    Ok(Store::open(&kafka.client()?, &kafka.topics())?)
}
