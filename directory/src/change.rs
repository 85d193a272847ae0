//! What a change leaves of the changes of others.
//!
//! The topic has no compare-and-set: two commands that change one business, or one user, at once both read the same value,
//! and the one that writes last would undo the other. So a message names the one it was made from, its base, and stands for the
//! difference between the two: who reads the topic, a command or a worker, adds that difference to what stands. A command
//! reads on to its own write, and where that was made from less than what stands, it writes the whole again. Who wrote
//! first may have returned by then: it is the later writer that repairs.
//!
//! Parts change apart from each other, and of one part the later write is kept; [`entry`](crate::entry) has the parts of
//! each. Who was removed stays so where others changed the same from what was before
//! (`nobody_who_was_removed_comes_back`): only what was made anew, and so names no base, stands again.
//!
//! A command that is killed between its write and its repair so undoes nothing, to all who read both messages
//! (`no_killed_command_undoes_a_change`). Compaction keeps the last value of each alone, which then has to be the
//! whole: no value is compacted within seven days, and within these the next command that changes the same makes it
//! whole, such as the one that was killed, done again. Known limit: where none comes in that time, who starts to read
//! afterwards knows the last value only, a lost revocation included. In a copy of the topic with other offsets, copied
//! whole, bases name other messages.

use std::collections::BTreeMap;

use rdkafka::message::{Headers as _, Message};
use schemas::DecodeError;

use crate::entry::Entry;

/// Header of a message in the directory's topic: the offset of the value that it was made from. Absent on the first.
pub(crate) const BASE_HEADER: &str = "base-offset";
/// How many values are remembered as they were written. A command writes within seconds of reading, so that a base which
/// is older than these is the value before.
const REMEMBERED: usize = 4096;

/// One value of the topic, with its place. `None` where it was removed.
#[derive(Debug)]
pub(crate) struct Written<E: Entry> {
    pub(crate) id: E::Id,
    pub(crate) offset: i64,
    /// The offset of the value that it was made from.
    pub(crate) base: Option<i64>,
    pub(crate) value: Option<E>,
}

/// The latest values, as they were written.
#[derive(Debug)]
pub(crate) struct Recent<E: Entry>(BTreeMap<i64, (E::Id, Option<E>)>);

impl<E: Entry> Default for Recent<E> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<E: Entry> Recent<E> {
    /// What stands once `written` has come, where `current` stood before.
    pub(crate) fn take(&mut self, written: Written<E>, current: Option<&E>) -> Option<E> {
        let stands = written.value.as_ref().and_then(|theirs| self.stands(&written, theirs, current));
        self.0.insert(written.offset, (written.id, written.value));
        if self.0.len() > REMEMBERED {
            self.0.pop_first();
        }
        stands
    }

    fn stands(&self, written: &Written<E>, theirs: &E, current: Option<&E>) -> Option<E> {
        let base = written.base.map(|base| self.0.get(&base).filter(|(id, _)| *id == written.id));
        let base = base.map(|known| known.map(|(_, base)| base.as_ref()));
        match (base, current) {
            // Two that made it at once name no base: all of it is their change.
            (None, Some(current)) => Some(E::merge(None, theirs, current)),
            (Some(None), Some(current)) => Some(E::replace(theirs, current)),
            (Some(Some(base)), Some(current)) => Some(E::merge(base, theirs, current)),
            // It was there when the change was made, and was removed since.
            (Some(Some(Some(_))), None) => None,
            (_, None) => Some(theirs.clone()),
        }
    }

    fn last(&self) -> Option<(i64, Option<&E>)> {
        self.0.last_key_value().map(|(offset, (_, value))| (*offset, value.as_ref()))
    }
}

/// What one writer knows of one business or user.
#[derive(Debug)]
pub(crate) struct History<E: Entry> {
    recent: Recent<E>,
    current: Option<E>,
    /// The fingerprint of a value that a later release wrote, since the last removal.
    later: Option<[u8; 8]>,
}

impl<E: Entry> Default for History<E> {
    fn default() -> Self {
        Self { recent: Recent::default(), current: None, later: None }
    }
}

impl<E: Entry> History<E> {
    /// A value that stands in the topic, or was written since, by this writer or another.
    pub(crate) fn take(&mut self, written: Written<E>) {
        if written.value.is_none() {
            self.later = None;
        }
        self.current = self.recent.take(written, self.current.as_ref());
    }

    /// A value that a later release wrote, in the schema with this fingerprint.
    pub(crate) fn take_later(&mut self, schema: [u8; 8]) {
        self.later = Some(schema);
    }

    /// What the next change is applied to.
    ///
    /// # Errors
    /// Where a later release wrote of it: what this one does not know of would be undone.
    pub(crate) fn current(&self) -> Result<Option<E>, DecodeError> {
        match self.later {
            None => Ok(self.current.clone()),
            Some(schema) => Err(DecodeError::UnknownSchema(schema)),
        }
    }

    /// The offset that the next write names as its base: none where nothing stands, and so is made anew.
    pub(crate) fn base(&self) -> Option<i64> {
        self.current.as_ref().and_then(|_| self.recent.last()).map(|(offset, _)| offset)
    }

    /// Whether the last value is not all that stands: whoever wrote it has not repaired it yet, or never will.
    pub(crate) fn needs_repair(&self) -> bool {
        self.recent.last().and_then(|(_, value)| value) != self.current.as_ref()
    }
}

/// The offset of the value that a message was made from.
pub(crate) fn base(message: &impl Message) -> Option<i64> {
    let headers = message.headers()?;
    let base = headers.iter().find(|header| header.key == BASE_HEADER)?;
    std::str::from_utf8(base.value?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use schemas::ApiKey;
    use uuid::Uuid;

    use super::*;
    use crate::{
        business::{BusinessEntry, ChannelEntry},
        entry::put_key,
        id::BusinessId,
        keys::NewKey,
        users::{User, tests::merchant},
    };

    fn id() -> BusinessId {
        Uuid::from_u128(1).into()
    }

    fn written(offset: i64, base: Option<i64>, value: Option<BusinessEntry>) -> Written<BusinessEntry> {
        Written { id: id(), offset, base, value }
    }

    fn entry() -> BusinessEntry {
        BusinessEntry::new(id(), "Shop")
    }

    fn channel(waba_id: &str) -> ChannelEntry {
        ChannelEntry {
            waba_id: waba_id.into(),
            dataset_id: "2".into(),
            access_token: sealed(1, 1),
            graph_version: None,
            partner_agent: None,
            test_event_code: None,
            max_concurrency: None,
        }
    }

    /// A token of the model: sealed with a key, both known by numbers.
    fn sealed(key: u8, token: u8) -> Vec<u8> {
        [[key; 4].as_slice(), &[token; 24], &[key]].concat()
    }

    /// Seals a token with key 2.
    fn seal_anew(entry: &mut BusinessEntry) {
        if let Some(channel) = &mut entry.channel {
            channel.access_token = sealed(2, channel.access_token[4]);
        }
    }

    type Change = Box<dyn Fn(&mut BusinessEntry)>;

    /// A message of the model's topic.
    struct Message {
        base: Option<i64>,
        value: BusinessEntry,
    }

    impl Message {
        fn at(&self, offset: usize) -> Written<BusinessEntry> {
            written(i64::try_from(offset).unwrap(), self.base, Some(self.value.clone()))
        }
    }

    /// A writer of the model: what the store does, one step at a time.
    struct Writer {
        change: Change,
        history: History<BusinessEntry>,
        /// How many messages it has read.
        read: usize,
        started: bool,
        wrote: Option<(usize, BusinessEntry)>,
        /// Killed once it has written.
        is_killed: bool,
        done: bool,
    }

    impl Writer {
        fn new(change: impl Fn(&mut BusinessEntry) + 'static) -> Self {
            let history = History::default();
            Self {
                change: Box::new(change),
                history,
                read: 0,
                started: false,
                wrote: None,
                is_killed: false,
                done: false,
            }
        }

        /// Reads to the end, or writes, or reads back.
        fn step(&mut self, log: &mut Vec<Message>) {
            if !self.started {
                self.take(log, log.len());
                self.started = true;
                return;
            }
            let Some((offset, written)) = self.wrote.take() else {
                let value = self.changed();
                self.wrote = Some((log.len(), value.clone()));
                log.push(Message { base: self.history.base(), value });
                self.done = self.is_killed;
                return;
            };
            self.take(log, offset + 1);
            self.done = self.changed() == written;
        }

        fn take(&mut self, log: &[Message], up_to: usize) {
            for (offset, message) in log.iter().enumerate().take(up_to).skip(self.read) {
                self.history.take(message.at(offset));
            }
            self.read = up_to;
        }

        fn changed(&self) -> BusinessEntry {
            let mut entry = self.history.current().unwrap().unwrap();
            (self.change)(&mut entry);
            entry
        }
    }

    fn writers() -> Vec<Writer> {
        let added = ApiKey { key_id: "a".into(), ..NewKey::generate("a", 1).key };
        vec![
            Writer::new(|entry| entry.name = "Renamed".into()),
            Writer::new(|entry| entry.channel = Some(ChannelEntry { access_token: sealed(2, 77), ..channel("77") })),
            Writer::new(seal_anew),
            Writer::new(move |entry| put_key(&mut entry.keys, added.clone())),
            Writer::new(|entry| entry.keys[0].revoked_at = Some(5)),
        ]
    }

    fn start() -> Vec<Message> {
        let mut start = BusinessEntry { channel: Some(channel("1")), ..entry() };
        start.keys.push(ApiKey { key_id: "first".into(), ..NewKey::generate("first", 1).key });
        let before = BusinessEntry { name: "Once".into(), channel: Some(channel("1")), ..entry() };
        vec![Message { base: None, value: before }, Message { base: Some(0), value: start }]
    }

    /// Whether the change of each of the writers is in this.
    fn changes(entry: &BusinessEntry) -> [bool; 5] {
        let token = entry.channel.as_ref().map(|channel| &channel.access_token);
        let is_put = token == Some(&sealed(2, 77));
        let first = entry.key("first").unwrap();
        let is_sealed = is_put || token == Some(&sealed(2, 1));
        [entry.name == "Renamed", is_put, is_sealed, entry.key("a").is_some(), first.revoked_at == Some(5)]
    }

    proptest! {
        /// Who reads sees each change from its first message on, whoever dies before a repair.
        #[test]
        fn no_killed_command_undoes_a_change(
            schedule in prop::collection::vec(0_usize..5, 0..60),
            killed in prop::array::uniform5(any::<bool>()),
        ) {
            let (mut log, mut writers) = (start(), writers());
            for (writer, is_killed) in writers.iter_mut().zip(killed) {
                writer.is_killed = is_killed;
            }
            let (mut reader, mut has) = (Writer::new(|_| ()), [false; 5]);
            for turn in schedule.into_iter().chain((0..5).cycle().take(500)) {
                if writers[turn].done {
                    continue;
                }
                let before = log.len();
                writers[turn].step(&mut log);
                has[turn] |= log.len() > before;
                reader.take(&log, log.len());
                let seen = changes(&reader.changed());
                prop_assert!(has.iter().zip(seen).all(|(has, seen)| seen || !has), "{has:?} {seen:?}");
            }
            // A command that comes later writes down all that stands.
            let mut late = Writer::new(|_| ());
            late.step(&mut log);
            late.step(&mut log);
            prop_assert_eq!(changes(&log.last().unwrap().value), [true; 5]);
        }
    }

    /// As after a compaction, or so many values later.
    #[test]
    fn a_base_that_is_gone_is_the_value_before_and_no_revocation_is_taken_back() {
        let live = NewKey::generate("key", 1).key;
        let revoked = ApiKey { revoked_at: Some(5), ..live.clone() };
        let mut history = History::default();
        let value = BusinessEntry { channel: Some(channel("1")), keys: vec![revoked.clone()], ..entry() };
        history.take(written(7, Some(3), Some(value)));
        history.take(written(9, Some(4), Some(BusinessEntry { keys: vec![live.clone()], ..entry() })));
        let stands = BusinessEntry { keys: vec![revoked], ..entry() };
        assert_eq!((history.current().unwrap(), history.needs_repair()), (Some(stands.clone()), true));
        history.take(written(10, Some(9), Some(stands)));
        assert!(!history.needs_repair());
    }

    #[test]
    fn so_many_values_are_remembered() {
        let mut recent = Recent::default();
        for offset in 0..2 * i64::try_from(REMEMBERED).unwrap() {
            recent.take(written(offset, None, None), None);
        }
        assert_eq!(recent.0.len(), REMEMBERED);
    }

    proptest! {
        #[test]
        fn no_change_is_lost_however_the_writers_interleave(schedule in prop::collection::vec(0_usize..5, 0..60)) {
            let mut log = start();
            let mut writers = writers();
            // After the schedule each in turn, until all are done.
            for turn in schedule.into_iter().chain((0..5).cycle().take(500)) {
                if !writers[turn].done {
                    writers[turn].step(&mut log);
                }
            }
            prop_assert!(writers.iter().all(|writer| writer.done));
            let last = &log.last().unwrap().value;
            prop_assert_eq!(&last.name, "Renamed");
            let put = last.channel.as_ref().map(|channel| (channel.waba_id.as_str(), &channel.access_token));
            prop_assert_eq!(put, Some(("77", &sealed(2, 77))));
            prop_assert!(last.key("a").is_some());
            prop_assert_eq!(last.key("first").unwrap().revoked_at, Some(5));
        }
    }

    #[test]
    fn of_one_part_the_later_write_is_kept() {
        let mut history = History::default();
        history.take(written(4, None, Some(entry())));
        history.take(written(5, Some(4), Some(BusinessEntry { name: "First".into(), ..entry() })));
        history.take(written(6, Some(4), Some(BusinessEntry { name: "Second".into(), ..entry() })));
        assert_eq!((history.current().unwrap().unwrap().name.as_str(), history.base()), ("Second", Some(6)));
    }

    proptest! {
        #[test]
        fn a_token_is_sealed_anew_however_the_writers_interleave(schedule in prop::collection::vec(0_usize..5, 0..60)) {
            let value = BusinessEntry { channel: Some(channel("1")), keys: vec![NewKey::generate("first", 1).key], ..entry() };
            let mut log = vec![Message { base: None, value }];
            let mut writers = writers();
            // Nobody puts a channel.
            writers[1] = Writer::new(seal_anew);
            for turn in schedule.into_iter().chain((0..5).cycle().take(500)) {
                if !writers[turn].done {
                    writers[turn].step(&mut log);
                }
            }
            prop_assert!(writers.iter().all(|writer| writer.done));
            let last = &log.last().unwrap().value;
            prop_assert_eq!(last.channel.as_ref().map(|channel| &channel.access_token), Some(&sealed(2, 1)));
            prop_assert_eq!(&last.name, "Renamed");
        }
    }

    #[test]
    fn a_business_made_or_removed_meanwhile_is_taken_over() {
        let mut history = History::default();
        assert_eq!((history.current().unwrap(), history.base()), (None, None));
        history.take(written(0, None, Some(BusinessEntry { channel: Some(channel("1")), ..entry() })));
        history.take(written(1, None, Some(BusinessEntry { name: "Other".into(), ..entry() })));
        assert_eq!(history.current().unwrap().unwrap().name, "Other");
        history.take(written(2, None, None));
        assert_eq!((history.current().unwrap(), history.base()), (None, None));
    }

    fn user(offset: i64, base: Option<i64>, value: Option<User>) -> Written<User> {
        Written { id: "ada".parse().unwrap(), offset, base, value }
    }

    /// Somebody ended the sessions of a user whom another removed at the same time.
    #[test]
    fn nobody_who_was_removed_comes_back() {
        let (ada, mut history) = (merchant("ada"), History::default());
        history.take(user(3, None, Some(ada.clone())));
        history.take(user(4, Some(3), None));
        history.take(user(5, Some(3), Some(User { sessions_from: 9, ..ada.clone() })));
        assert_eq!((history.current().unwrap(), history.needs_repair(), history.base()), (None, true, None));
        history.take(user(6, None, None));
        assert!(!history.needs_repair());
        history.take(user(7, None, Some(ada.clone())));
        assert_eq!(history.current().unwrap(), Some(ada));
    }

    #[test]
    fn what_a_later_release_wrote_counts_until_it_is_removed() {
        let mut history = History::default();
        history.take(user(3, None, Some(merchant("ada"))));
        history.take_later([7; 8]);
        assert!(matches!(history.current(), Err(DecodeError::UnknownSchema(schema)) if schema == [7; 8]));
        history.take(user(5, Some(3), Some(merchant("ada"))));
        assert!(history.current().is_err(), "it is not known what is in the later one");
        history.take(user(6, None, None));
        assert_eq!(history.current().unwrap(), None);
    }

    /// Compaction has taken the removal, and what was before.
    #[test]
    fn who_was_made_anew_stands_whatever_was_compacted() {
        let (ada, mut history) = (merchant("ada"), History::default());
        history.take(user(5, Some(3), Some(ada.clone())));
        assert_eq!(history.current().unwrap(), Some(ada));
    }
}
