//! What a change leaves of the changes of others.
//!
//! The topic has no compare-and-set: two commands that change one business at once both read the same value, and the one
//! that writes last would undo the other. So a message names the one it was made from, and stands for the difference
//! between the two. A writer reads on to its own write, adds the differences that others wrote in between, and writes
//! again where that changes anything. Who wrote first may have returned by then: it is the later writer that repairs.
//!
//! The parts of a business (its details, its channel, each key) change apart from each other, and of one part the later
//! write is kept. The key that a token is sealed with is a part of its own, which follows the token: so that a rotation of
//! keys never undoes a channel that was put meanwhile. Known limits: for some milliseconds, between a write and its repair, readers see the one without the
//! other; a command that is killed in between leaves it so.

use std::{collections::BTreeMap, num::NonZeroU32};

use schemas::ApiKey;

use crate::{
    business::{BusinessEntry, ChannelEntry},
    token,
};

/// Header of a message in the directory's topic: the offset of the value that it was made from. Absent on the first.
pub(crate) const BASE_HEADER: &str = "base-offset";

/// What one writer knows of one business. A value is `None` where the business was removed.
#[derive(Debug, Default)]
pub(crate) struct History {
    values: BTreeMap<i64, Option<BusinessEntry>>,
    current: Option<BusinessEntry>,
}

impl History {
    /// A value that stands in the topic already: the last one is what the writer begins with.
    pub(crate) fn read(&mut self, offset: i64, value: Option<BusinessEntry>) {
        self.current.clone_from(&value);
        self.values.insert(offset, value);
    }

    /// A value that was written since, by this writer or another, from the one at `base`.
    pub(crate) fn merge(&mut self, offset: i64, base: Option<i64>, value: Option<BusinessEntry>) {
        let base = base.and_then(|base| self.values.get(&base)).and_then(Option::as_ref);
        self.current = match (value.clone(), self.current.take()) {
            (None, _) => None,
            (Some(theirs), None) => Some(theirs),
            (Some(theirs), Some(current)) => Some(merge(base, theirs, current)),
        };
        self.values.insert(offset, value);
    }

    /// What the next change is applied to.
    pub(crate) fn current(&self) -> Option<BusinessEntry> {
        self.current.clone()
    }

    /// The offset that the next write names as its base.
    pub(crate) fn base(&self) -> Option<i64> {
        self.values.last_key_value().map(|(offset, _)| *offset)
    }
}

fn merge(base: Option<&BusinessEntry>, theirs: BusinessEntry, mut merged: BusinessEntry) -> BusinessEntry {
    for key in theirs.keys.iter().filter(|key| base.and_then(|base| base.key(&key.key_id)) != Some(key)) {
        put_key(&mut merged.keys, key.clone());
    }
    if base.map(details) != Some(details(&theirs)) {
        (merged.enabled, merged.rate_limit) = (theirs.enabled, theirs.rate_limit);
        merged.name.clone_from(&theirs.name);
    }
    merge_channel(base.and_then(|base| base.channel.as_ref()), theirs.channel, &mut merged.channel);
    merged
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

/// Adds a key, or replaces the one with its id in its place.
pub(crate) fn put_key(keys: &mut Vec<ApiKey>, key: ApiKey) {
    match keys.iter_mut().find(|known| known.key_id == key.key_id) {
        Some(known) => *known = key,
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

    fn entry() -> BusinessEntry {
        BusinessEntry::new(Uuid::from_u128(1).into(), "Shop")
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

    /// A writer of the model: what the store does, one step at a time.
    struct Writer {
        change: Change,
        history: History,
        /// How many messages it has read.
        read: usize,
        started: bool,
        wrote: Option<(usize, BusinessEntry)>,
        done: bool,
    }

    impl Writer {
        fn new(change: impl Fn(&mut BusinessEntry) + 'static) -> Self {
            let history = History::default();
            Self { change: Box::new(change), history, read: 0, started: false, wrote: None, done: false }
        }

        /// Reads to the end, or writes, or reads back.
        fn step(&mut self, log: &mut Vec<Message>) {
            if !self.started {
                self.take(log, log.len(), |history, offset, message| history.read(offset, Some(message.value.clone())));
                self.started = true;
                return;
            }
            let Some((offset, written)) = self.wrote.take() else {
                let value = self.changed();
                self.wrote = Some((log.len(), value.clone()));
                log.push(Message { base: self.history.base(), value });
                return;
            };
            self.take(log, offset + 1, |history, offset, message| {
                history.merge(offset, message.base, Some(message.value.clone()));
            });
            self.done = self.changed() == written;
        }

        fn take(&mut self, log: &[Message], up_to: usize, take: impl Fn(&mut History, i64, &Message)) {
            for (offset, message) in log.iter().enumerate().take(up_to).skip(self.read) {
                take(&mut self.history, i64::try_from(offset).unwrap(), message);
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

    proptest! {
        #[test]
        fn no_change_is_lost_however_the_writers_interleave(schedule in prop::collection::vec(0_usize..5, 0..60)) {
            let mut start = BusinessEntry { channel: Some(channel("1")), ..entry() };
            start.keys.push(ApiKey { key_id: "first".into(), ..NewKey::generate("first", 1).key });
            let before = BusinessEntry { name: "Once".into(), channel: Some(channel("1")), ..entry() };
            let mut log = vec![Message { base: None, value: before }, Message { base: Some(0), value: start }];
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
        history.read(4, Some(entry()));
        history.merge(5, Some(4), Some(BusinessEntry { name: "First".into(), ..entry() }));
        history.merge(6, Some(4), Some(BusinessEntry { name: "Second".into(), ..entry() }));
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
        history.merge(0, None, Some(BusinessEntry { channel: Some(channel("1")), ..entry() }));
        history.merge(1, None, Some(BusinessEntry { name: "Other".into(), ..entry() }));
        assert_eq!(history.current().unwrap().name, "Other");
        history.merge(2, None, None);
        assert_eq!(history.current(), None);
    }
}
