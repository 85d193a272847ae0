//! Why a command failed, and its exit code: those of BSD's sysexits.

use std::{io, process::ExitCode};

use directory::{Fault, StoreError, secret::SecretKeyFault};
use rdkafka::error::KafkaError;
use worker::{settings::SettingsFault, topics::Unanswered};

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// 64: the command was given wrongly.
    #[error("{0}")]
    Usage(String),
    /// 65: what it was given, or was to work on, is wrong or unknown.
    #[error("{0}")]
    Data(String),
    /// 69: Kafka or ClickHouse is away, or has not been set up.
    #[error("{0}")]
    Unavailable(String),
    /// 1: anything else.
    #[error("{0}")]
    Other(String),
    /// 0: whoever reads the output wants no more of it.
    #[error("the output was closed")]
    Closed,
}

impl Failure {
    fn code(&self) -> u8 {
        match self {
            Self::Usage(_) => 64,
            Self::Data(_) => 65,
            Self::Unavailable(_) => 69,
            Self::Other(_) => 1,
            Self::Closed => 0,
        }
    }

    /// Says what is wrong on stderr.
    #[expect(clippy::print_stderr, reason = "this is where the command line says what is wrong")]
    pub(crate) fn report(&self) -> ExitCode {
        if !matches!(self, Self::Closed) {
            eprintln!("capi: {self}");
        }
        self.code().into()
    }
}

/// The exit code of arguments that clap did not take: help and version are no fault.
pub(crate) fn of_arguments(fault: &clap::Error) -> ExitCode {
    let code = if fault.use_stderr() { 64 } else { 0 };
    // Where stderr is closed there is nobody to tell.
    let _ = fault.print();
    code.into()
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let sentence = error.to_string();
        match error {
            StoreError::UnknownBusiness(_)
            | StoreError::UnknownUser(_)
            | StoreError::UnknownKey { .. }
            | StoreError::Rule(_)
            | StoreError::Token { .. } => Self::Data(sentence),
            StoreError::NotSetUp(_) | StoreError::Unavailable(_) => Self::Unavailable(sentence),
            StoreError::Contended(_) | StoreError::Newer { .. } => Self::Other(sentence),
        }
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::Data(fault.to_string())
    }
}

impl From<SettingsFault> for Failure {
    fn from(fault: SettingsFault) -> Self {
        Self::Usage(fault.to_string())
    }
}

impl From<SecretKeyFault> for Failure {
    fn from(fault: SecretKeyFault) -> Self {
        Self::Usage(fault.to_string())
    }
}

impl From<KafkaError> for Failure {
    fn from(error: KafkaError) -> Self {
        Self::Unavailable(format!("Kafka is not available: {error}"))
    }
}

impl From<Unanswered> for Failure {
    fn from(error: Unanswered) -> Self {
        Self::Unavailable(format!("Kafka is not available: {error}"))
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::Closed,
            _ => Self::Other(error.to_string()),
        }
    }
}
