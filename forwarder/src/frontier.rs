//! The offset frontier of one input: events finish in any order, offsets are committed in one.

use std::collections::VecDeque;

/// The events of one topic and partition that were received, in the order they came, and whether they are done.
/// Invariant 2: what is committed is contiguous; an offset passes only when all before it are done
/// (`the_frontier_agrees_with_a_simple_model`).
#[derive(Debug, Default)]
pub struct Frontier {
    in_hand: VecDeque<(i64, bool)>,
    next: Option<i64>,
}

impl Frontier {
    /// An event was received. Offsets rise, but need not be contiguous: a log may lack some.
    pub fn receive(&mut self, offset: i64) {
        self.in_hand.push_back((offset, false));
    }

    /// An event is done: what it rests on is durable. Offsets that were never received are ignored.
    pub fn done(&mut self, offset: i64) {
        if let Ok(at) = self.in_hand.binary_search_by_key(&offset, |(offset, _)| *offset) {
            self.in_hand[at].1 = true;
        }
        while let Some((offset, true)) = self.in_hand.front() {
            self.next = Some(offset + 1);
            self.in_hand.pop_front();
        }
    }

    /// The offset to commit: everything before it is done. `None` until the first event in line is.
    pub fn committable(&self) -> Option<i64> {
        self.next
    }

    /// How many events were received and stand behind the frontier.
    pub fn in_hand(&self) -> usize {
        self.in_hand.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_gap_holds_the_frontier() {
        let mut frontier = Frontier::default();
        for offset in [3, 4, 9] {
            frontier.receive(offset);
        }
        frontier.done(4);
        frontier.done(9);
        assert_eq!(frontier.committable(), None);
        frontier.done(3);
        assert_eq!(frontier.committable(), Some(10));
        assert_eq!(frontier.in_hand(), 0);
    }

    proptest! {
        #[test]
        fn the_frontier_agrees_with_a_simple_model(
            gaps in prop::collection::vec(1_i64..4, 1..40),
            order in prop::collection::vec(any::<prop::sample::Index>(), 0..80),
        ) {
            let offsets: Vec<i64> = gaps.iter().scan(-1, |at, gap| { *at += gap; Some(*at) }).collect();
            let mut frontier = Frontier::default();
            offsets.iter().for_each(|offset| frontier.receive(*offset));
            let mut done = std::collections::HashSet::new();
            for index in order {
                let offset = *index.get(&offsets);
                frontier.done(offset);
                done.insert(offset);
                let model = offsets.iter().take_while(|offset| done.contains(offset)).last().map(|offset| offset + 1);
                prop_assert_eq!(frontier.committable(), model);
            }
        }
    }
}
