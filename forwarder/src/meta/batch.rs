//! A batch, and the search for the bad events of one that was refused.
//!
//! A refused batch says that one of its events is bad, not which. The search sends a part of it: if that is accepted, the
//! other part holds the bad event; if it is refused, the bad event is in it, and nothing is known any more of the other
//! part, which goes back to the queue. No event is rejected by inference: it is once Meta refused it alone, or once Meta
//! refused all of them for what they share, and each of two of them alone for the same.

use std::sync::Arc;

use super::{answer::Answer, classify::Fault, retry::QuickRetries};

/// Lone events that must draw a batch's own error before it is believed of all of them.
const WITNESSES: u8 = 2;

/// Events that go together.
#[derive(Debug)]
pub(super) struct Batch<T> {
    /// What the request carries.
    pub(super) events: Vec<T>,
    /// What hangs on its answer: if all of `events` are accepted, one of these is bad.
    rest: Vec<T>,
    role: Role,
    /// Its quick retries.
    pub(super) retries: QuickRetries,
}

/// What a batch is sent for.
#[derive(Debug)]
enum Role {
    /// Nothing is known of it.
    Fresh,
    /// It is part of a refused batch whose fault is one event's.
    Search,
    /// Its only event stands for a refused batch whose fault is the request's, by its class.
    Witness { refusal: Arc<Answer>, met: u8 },
}

/// What follows from a definite rejection.
#[derive(Debug)]
pub(super) struct Rejection<T> {
    /// Events with their verdict.
    pub(super) verdicts: Vec<(T, Arc<Answer>)>,
    /// What to send next.
    pub(super) next: Option<Batch<T>>,
    /// Events of which nothing is known (any more).
    pub(super) released: Vec<T>,
}

impl<T> Rejection<T> {
    fn of(events: Vec<T>, answer: &Arc<Answer>) -> Self {
        let verdicts = events.into_iter().map(|event| (event, Arc::clone(answer))).collect();
        Self { verdicts, next: None, released: Vec::new() }
    }

    fn then(next: Batch<T>) -> Self {
        Self { verdicts: Vec::new(), next: Some(next), released: Vec::new() }
    }
}

impl<T> Batch<T> {
    /// Events of which nothing is known.
    pub(super) fn fresh(events: Vec<T>) -> Self {
        Self::new(events, Vec::new(), Role::Fresh)
    }

    fn new(events: Vec<T>, rest: Vec<T>, role: Role) -> Self {
        Self { events, rest, role, retries: QuickRetries::new() }
    }

    /// The next step of the search in events of which at least one is bad: one half, but no more than `largest`.
    fn suspects(mut events: Vec<T>, largest: usize) -> Self {
        let half = events.len().div_ceil(2).min(largest.max(1));
        let rest = events.split_off(half);
        Self::new(events, rest, Role::Search)
    }

    /// The next lone event that stands for all of them: from either end in turn, for neighbours have more in common.
    fn witness(mut events: Vec<T>, refusal: Arc<Answer>, met: u8) -> Option<Self> {
        events.reverse();
        let witness = events.pop()?;
        Some(Self::new(vec![witness], events, Role::Witness { refusal, met }))
    }

    /// Takes the events out, to send fewer of them than were meant. Nothing follows any more from an answer for what
    /// hung on it: that is returned too.
    pub(super) fn dissolve(&mut self) -> Vec<T> {
        self.role = Role::Fresh;
        std::mem::take(&mut self.rest)
    }

    /// Every event, whether the request carries it or it hangs on the answer.
    pub(super) fn into_all(mut self) -> Vec<T> {
        self.events.append(&mut self.rest);
        self.events
    }

    /// Every event, in place.
    pub(super) fn all(&self) -> impl Iterator<Item = &T> {
        self.events.iter().chain(&self.rest)
    }

    /// All of the request's events were accepted: those, and what to send next.
    pub(super) fn accepted(self, largest: usize) -> (Vec<T>, Option<Self>) {
        let next = (!self.rest.is_empty()).then(|| Self::suspects(self.rest, largest));
        (self.events, next)
    }

    /// The request was refused for good, by `fault`.
    pub(super) fn rejected(self, answer: &Arc<Answer>, fault: Fault, largest: usize) -> Rejection<T> {
        let Self { events, rest, role, .. } = self;
        let lone = events.len() == 1;
        let mut rejection = match (fault, &role) {
            _ if lone => Rejection::of(events, answer),
            (Fault::Request, Role::Fresh) => {
                let Some(next) = Self::witness(events, Arc::clone(answer), 0) else {
                    return Rejection::of(rest, answer);
                };
                Rejection::then(next)
            }
            _ => Rejection::then(Self::suspects(events, largest)),
        };
        match role {
            Role::Witness { refusal, met } if lone && same_error(&refusal, answer) => {
                if met + 1 == WITNESSES {
                    rejection.verdicts.extend(rest.into_iter().map(|event| (event, Arc::clone(&refusal))));
                } else {
                    rejection.next = Self::witness(rest, refusal, met + 1);
                }
            }
            _ => rejection.released = rest,
        }
        rejection
    }
}

/// Numbers decide, here too.
fn same_error(one: &Answer, other: &Answer) -> bool {
    let numbers = |answer: &Answer| answer.error.as_ref().map(|error| (error.code, error.subcode));
    one.class == other.class && numbers(one) == numbers(other)
}

#[cfg(test)]
mod tests;
