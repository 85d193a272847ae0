//! Overload is refused before anything is done for a call: what is let in can be finished.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::body::BODY_LIMIT;

/// How much is let in at once.
#[derive(Clone, Copy, Debug)]
pub struct Capacity {
    /// Calls.
    pub calls: usize,
    /// Bytes of their bodies. A call holds up to three times its body: as received, as read, as encoded.
    pub body_bytes: usize,
}

/// The calls that are in flight, in number and in bytes.
pub struct Admission {
    calls: Arc<Semaphore>,
    body_bytes: Arc<Semaphore>,
}

/// The right to be in flight, until it is dropped.
pub struct Permit {
    _call: OwnedSemaphorePermit,
    _body_bytes: OwnedSemaphorePermit,
}

/// Why a call is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overload {
    /// Calls in flight.
    Calls,
    /// Bytes in flight.
    BodyBytes,
    /// Nothing: the queue or the directory is away.
    NotReady,
}

impl Admission {
    /// Lets in so much at once.
    pub fn new(capacity: Capacity) -> Self {
        let semaphore = |permits: usize| Arc::new(Semaphore::new(permits.min(Semaphore::MAX_PERMITS)));
        Self { calls: semaphore(capacity.calls), body_bytes: semaphore(capacity.body_bytes) }
    }

    /// Lets a call in, if there is room for it and for its body: `declared` bytes, or as large as one may be.
    ///
    /// # Errors
    /// Where there is no room. Nobody queues: a caller that is told so can go elsewhere.
    pub fn admit(&self, declared: Option<usize>) -> Result<Permit, Overload> {
        let call = Arc::clone(&self.calls).try_acquire_owned().map_err(|_| Overload::Calls)?;
        let size = declared.map_or(BODY_LIMIT, |declared| declared.min(BODY_LIMIT));
        let size = u32::try_from(size).unwrap_or(u32::MAX);
        let body_bytes = Arc::clone(&self.body_bytes).try_acquire_many_owned(size).map_err(|_| Overload::BodyBytes)?;
        Ok(Permit { _call: call, _body_bytes: body_bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_bounded_in_number() {
        let admission = Admission::new(Capacity { calls: 2, body_bytes: usize::MAX });
        let permits = [admission.admit(Some(0)), admission.admit(None)];
        assert_eq!(admission.admit(Some(0)).err(), Some(Overload::Calls));
        drop(permits);
        assert!(admission.admit(Some(0)).is_ok());
    }

    #[test]
    fn calls_are_bounded_in_bytes() {
        let admission = Admission::new(Capacity { calls: 100, body_bytes: BODY_LIMIT + 10 });
        let unknown = admission.admit(None).ok().unwrap();
        assert_eq!(admission.admit(Some(11)).err(), Some(Overload::BodyBytes));
        let small = admission.admit(Some(10)).ok().unwrap();
        drop(unknown);
        assert!(admission.admit(Some(usize::MAX)).is_ok(), "no body counts for more than is kept of it");
        drop(small);
    }
}
