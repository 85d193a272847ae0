//! What a change leaves of the changes of others.
//!
//! The topic has no compare-and-set: two commands that change one business at once both read the same value, and the one
//! that writes last would undo the other. So a message names the one it was made from, its base, and stands for the
//! difference between the two: who reads the topic, a command or a worker, adds that difference to what stands. A command
//! reads on to its own write, and where that was made from less than what stands, it writes the whole again. Who wrote
//! first may have returned by then: it is the later writer that repairs.
//!
//! The parts of a business (its details, its channel, each key) change apart from each other, and of one part the later
//! write is kept. The key that a token is sealed with is a part of its own, which follows the token: so that a rotation
//! of keys never undoes a channel that was put meanwhile. A revocation is never taken back, whatever is written after it.
//!
//! A command that is killed between its write and its repair so undoes nothing, to all who read both messages
//! (`no_killed_command_undoes_a_change`). Compaction keeps the last value of a business alone, which then has to be the
//! whole: no value is compacted within seven days, and within these the next command that changes the business makes it
//! whole, such as the one that was killed, done again. Known limit: where none comes in that time, who starts to read
//! afterwards knows the last value only, a lost revocation included. In a copy of the topic with other offsets, copied
//! whole, bases name other messages.

use std::{collections::BTreeMap, num::NonZeroU32};

use rdkafka::message::{Headers as _, Message};
use schemas::ApiKey;

use crate::{
    business::{BusinessEntry, ChannelEntry},
    id::BusinessId,
    token,
};

/// Header of a message in the directory's topic: the offset of the value that it was made from. Absent on the first.
pub(crate) const BASE_HEADER: &str = "base-offset";
/// How many values are remembered as they were written. A command writes within seconds of reading, so that a base which
/// is older than these is the value before.
const REMEMBERED: usize = 4096;

/// One value of the topic, with its place. `None` where the business was removed.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) id: BusinessId,
    pub(crate) offset: i64,
    /// The offset of the value that it was made from.
    pub(crate) base: Option<i64>,
    pub(crate) value: Option<BusinessEntry>,
}

/// The latest values, as they were written.
#[derive(Debug, Default)]
pub(crate) struct Recent(BTreeMap<i64, (BusinessId, Option<BusinessEntry>)>);

impl Recent {
    /// What stands of a business once `written` has come, where `current` stood before.
    pub(crate) fn take(&mut self, written: Written, current: Option<&BusinessEntry>) -> Option<BusinessEntry> {
        let stands = written.value.as_ref().map(|theirs| self.stands(&written, theirs, current));
        self.0.insert(written.offset, (written.id, written.value));
        if self.0.len() > REMEMBERED {
            self.0.pop_first();
        }
        stands
    }

    fn stands(&self, written: &Written, theirs: &BusinessEntry, current: Option<&BusinessEntry>) -> BusinessEntry {
        let Some(current) = current else { return theirs.clone() };
        // Two that made one business at once name no base: all of it is their change.
        let Some(base) = written.base else { return merge(None, theirs, current) };
        match self.0.get(&base) {
            Some((id, base)) if *id == written.id => merge(base.as_ref(), theirs, current),
            _ => replace(theirs, current),
        }
    }

    fn last(&self) -> Option<(i64, Option<&BusinessEntry>)> {
        self.0.last_key_value().map(|(offset, (_, value))| (*offset, value.as_ref()))
    }
}

/// What one writer knows of one business.
#[derive(Debug, Default)]
pub(crate) struct History {
    recent: Recent,
    current: Option<BusinessEntry>,
}

impl History {
    /// A value that stands in the topic, or was written since, by this writer or another.
    pub(crate) fn take(&mut self, written: Written) {
        self.current = self.recent.take(written, self.current.as_ref());
    }

    /// What the next change is applied to.
    pub(crate) fn current(&self) -> Option<BusinessEntry> {
        self.current.clone()
    }

    /// The offset that the next write names as its base.
    pub(crate) fn base(&self) -> Option<i64> {
        self.recent.last().map(|(offset, _)| offset)
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

fn merge(base: Option<&BusinessEntry>, theirs: &BusinessEntry, current: &BusinessEntry) -> BusinessEntry {
    let mut merged = current.clone();
    for key in theirs.keys.iter().filter(|key| base.and_then(|base| base.key(&key.key_id)) != Some(key)) {
        put_key(&mut merged.keys, key.clone());
    }
    if base.map(details) != Some(details(theirs)) {
        (merged.enabled, merged.rate_limit) = (theirs.enabled, theirs.rate_limit);
        merged.name.clone_from(&theirs.name);
    }
    merge_channel(base.and_then(|base| base.channel.as_ref()), theirs.channel.clone(), &mut merged.channel);
    merged
}

/// Their value as it is, but for keys that have been revoked.
fn replace(theirs: &BusinessEntry, current: &BusinessEntry) -> BusinessEntry {
    let mut replaced = theirs.clone();
    for key in &mut replaced.keys {
        key.revoked_at = revoked(key, current.key(&key.key_id));
    }
    replaced
}

fn revoked(key: &ApiKey, known: Option<&ApiKey>) -> Option<i64> {
    [key.revoked_at, known.and_then(|known| known.revoked_at)].into_iter().flatten().min()
}

fn merge_channel(base: Option<&ChannelEntry>, theirs: Option<ChannelEntry>, merged: &mut Option<ChannelEntry>) {
    if base.map(put) != theirs.as_ref().map(put) {
        *merged = theirs;
    } else if let (Some(base), Some(theirs), Some(merged)) = (base, theirs, merged)
        && base.access_token != theirs.access_token
        && token::identity(&merged.access_token) == token::identity(&theirs.access_token)
    {
        merged.access_token = theirs.access_token;
    }
}

/// A channel as it was put, whatever key its token is sealed with by now.
fn put(channel: &ChannelEntry) -> ChannelEntry {
    ChannelEntry { access_token: token::identity(&channel.access_token).to_vec(), ..channel.clone() }
}

/// Adds a key, or replaces the one with its id in its place. What is revoked stays so.
pub(crate) fn put_key(keys: &mut Vec<ApiKey>, key: ApiKey) {
    match keys.iter_mut().find(|known| known.key_id == key.key_id) {
        Some(known) => *known = ApiKey { revoked_at: revoked(&key, Some(known)), ..key },
        None => keys.push(key),
    }
}

fn details(entry: &BusinessEntry) -> (&str, bool, Option<NonZeroU32>) {
    (&entry.name, entry.enabled, entry.rate_limit)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::keys::NewKey;

    fn id() -> BusinessId {
        Uuid::from_u128(1).into()
    }

    fn written(offset: i64, base: Option<i64>, value: Option<BusinessEntry>) -> Written {
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
        fn at(&self, offset: usize) -> Written {
            written(i64::try_from(offset).unwrap(), self.base, Some(self.value.clone()))
        }
    }

    /// A writer of the model: what the store does, one step at a time.
    struct Writer {
        change: Change,
        history: History,
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
            let mut entry = self.history.current().unwrap();
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
        assert_eq!((history.current(), history.needs_repair()), (Some(stands.clone()), true));
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
        assert_eq!((history.current().unwrap().name.as_str(), history.base()), ("Second", Some(6)));
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
        assert_eq!((history.current(), history.base()), (None, None));
        history.take(written(0, None, Some(BusinessEntry { channel: Some(channel("1")), ..entry() })));
        history.take(written(1, None, Some(BusinessEntry { name: "Other".into(), ..entry() })));
        assert_eq!(history.current().unwrap().name, "Other");
        history.take(written(2, None, None));
        assert_eq!(history.current(), None);
    }
}
