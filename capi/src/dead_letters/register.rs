//! What the dead-letter topic says of its letters: which there are, and which of them were redriven.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
};

use super::letter::{Letter, Note};

/// The letters by their numbers, and the messages that went back.
///
/// Two groups read the backfill lane, and each buries what it cannot read: one message, two letters. It goes back once
/// for both; else each redrive of a message that stays unreadable would double its letters.
#[derive(Debug, Default)]
pub(crate) struct Register {
    letters: BTreeMap<i64, Origin>,
    redriven: HashSet<Origin>,
}

/// The message that a letter holds: its place and a digest of what lay there, for a topic that was made anew counts its
/// offsets from 0 again. A letter without a place is a message of its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Origin {
    Message { topic: String, partition: i32, offset: i64, digest: u64 },
    Letter(i64),
}

impl Register {
    /// Takes note of the next message of the topic.
    pub(crate) fn note(&mut self, note: &Note) {
        match note {
            Note::Letter(letter) => {
                self.letters.insert(letter.n, Origin::of(letter));
            }
            Note::Redriven(n) => self.mark(*n),
        }
    }

    /// The letter went back. The mark of one that the topic keeps no more says nothing.
    pub(crate) fn mark(&mut self, n: i64) {
        self.redriven.extend(self.letters.get(&n).cloned());
    }

    /// Whether there is a letter of this number.
    pub(crate) fn has(&self, n: i64) -> bool {
        self.letters.contains_key(&n)
    }

    /// Whether the message that a letter holds went back.
    pub(crate) fn is_redriven(&self, n: i64) -> bool {
        self.letters.get(&n).is_some_and(|origin| self.redriven.contains(origin))
    }

    /// The letters that were not redriven, each message once.
    pub(crate) fn waiting(&self) -> BTreeSet<i64> {
        let mut seen = HashSet::new();
        let waits = self.letters.iter().filter(|(_, origin)| !self.redriven.contains(*origin));
        waits.filter_map(|(n, origin)| seen.insert(origin.clone()).then_some(*n)).collect()
    }
}

impl Origin {
    fn of(letter: &Letter) -> Self {
        match (&letter.topic, letter.partition, letter.offset) {
            (Some(topic), Some(partition), Some(offset)) => {
                let mut digest = DefaultHasher::new();
                (&letter.key, &letter.payload).hash(&mut digest);
                Self::Message { topic: topic.clone(), partition, offset, digest: digest.finish() }
            }
            _ => Self::Letter(letter.n),
        }
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::message::OwnedHeaders;

    use super::*;

    fn letter(n: i64, offset: Option<i64>, payload: &str) -> Note {
        Note::Letter(Letter {
            n,
            topic: Some("capi.events.backfill".into()),
            partition: Some(2),
            offset,
            reason: String::new(),
            at: None,
            is_cut: false,
            key: Vec::new(),
            payload: payload.into(),
            headers: OwnedHeaders::new(),
        })
    }

    fn register(notes: &[Note]) -> Register {
        let mut register = Register::default();
        notes.iter().for_each(|note| register.note(note));
        register
    }

    #[test]
    fn a_message_that_two_groups_buried_goes_back_once() {
        let twice = [letter(0, Some(17), "x"), letter(1, Some(17), "x"), letter(2, Some(18), "x")];
        let mut register = register(&twice);
        assert_eq!(register.waiting(), [0, 2].into());
        register.mark(1);
        assert_eq!([0, 1, 2].map(|n| register.is_redriven(n)), [true, true, false]);
        assert_eq!(register.waiting(), [2].into());
    }

    #[test]
    fn another_message_at_the_same_place_is_another() {
        let anew = [letter(0, Some(17), "before the topic was made anew"), letter(1, Some(17), "after it")];
        let mut register = register(&anew);
        register.mark(0);
        assert_eq!(register.waiting(), [1].into());
    }

    #[test]
    fn letters_without_a_place_are_not_taken_for_one() {
        let mut register = register(&[letter(0, None, "x"), letter(1, None, "x")]);
        register.mark(0);
        assert_eq!(register.waiting(), [1].into());
    }

    #[test]
    fn a_mark_of_a_letter_that_is_gone_says_nothing() {
        let register = register(&[Note::Redriven(3), letter(5, Some(1), "x"), Note::Redriven(5)]);
        assert!(!register.has(3) && !register.is_redriven(3));
        assert!(register.is_redriven(5) && register.waiting().is_empty());
    }
}
