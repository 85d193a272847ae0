//! How far each partition is recorded: what may be committed.

use std::collections::{BTreeMap, HashMap};

use rdkafka::{Message as _, Offset, TopicPartitionList, error::KafkaResult};

use crate::consume::Taken;

/// The next offset of each partition, within one tenure. An offset that was read in an earlier tenure is not committed:
/// the partition may be another member's by now, and would be thrown back.
#[derive(Debug, Default)]
pub(crate) struct Offsets {
    tenure: u64,
    next: HashMap<String, BTreeMap<i32, i64>>,
}

impl Offsets {
    /// All of these messages are acknowledged. `tenure` is the current one.
    pub(crate) fn advance(&mut self, taken: &[Taken], tenure: u64) {
        if self.tenure != tenure {
            *self = Self { tenure, next: HashMap::new() };
        }
        // Messages come in runs of one partition, of which the last one counts.
        let runs = taken.chunk_by(Taken::is_beside).filter_map(<[Taken]>::last);
        for Taken { message, .. } in runs.filter(|taken| taken.tenure == tenure) {
            let (partition, next) = (message.partition(), message.offset() + 1);
            if let Some(topic) = self.next.get_mut(message.topic()) {
                topic.insert(partition, next);
            } else {
                self.next.insert(message.topic().to_owned(), BTreeMap::from([(partition, next)]));
            }
        }
    }

    /// What to commit while `tenure` is the current one: all of it each time, so that a commit that failed is made up for.
    ///
    /// # Errors
    /// Where librdkafka refuses an offset.
    pub(crate) fn to_commit(&self, tenure: u64) -> KafkaResult<TopicPartitionList> {
        let mut list = TopicPartitionList::new();
        for (topic, partitions) in self.next.iter().filter(|_| self.tenure == tenure) {
            for (partition, next) in partitions {
                list.add_partition_offset(topic, *partition, Offset::Offset(*next))?;
            }
        }
        Ok(list)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consume::taken_for_test;

    fn next(list: &TopicPartitionList, partition: i32) -> Option<Offset> {
        list.find_partition("t", partition).map(|found| found.offset())
    }

    #[test]
    fn only_offsets_of_this_tenure_are_committed_and_of_each_partition_the_last() {
        let mut offsets = Offsets::default();
        let taken =
            [(0, 90, 1), (1, 5, 2), (0, 7, 2), (0, 8, 2)].map(|(p, o, tenure)| taken_for_test(p, o, tenure, vec![]));
        offsets.advance(&taken, 2);
        let list = offsets.to_commit(2).unwrap();
        assert_eq!([next(&list, 0), next(&list, 1)], [Some(Offset::Offset(9)), Some(Offset::Offset(6))]);
        assert_eq!(offsets.to_commit(3).unwrap().count(), 0);
    }

    #[test]
    fn a_commit_holds_all_partitions_of_the_tenure() {
        let mut offsets = Offsets::default();
        offsets.advance(&[taken_for_test(0, 7, 1, vec![])], 1);
        offsets.advance(&[taken_for_test(1, 3, 1, vec![])], 1);
        assert_eq!(offsets.to_commit(1).unwrap().count(), 2);
        offsets.advance(&[], 2);
        assert_eq!(offsets.to_commit(2).unwrap().count(), 0);
    }
}
