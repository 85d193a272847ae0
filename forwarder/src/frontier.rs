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
    }

    proptest! {
        /// Events are received and done in any interleaving, some are done twice, and some offsets never were there.
        #[test]
        fn the_frontier_agrees_with_a_simple_model(
            steps in prop::collection::vec((1_i64..4, any::<prop::sample::Index>(), any::<bool>()), 1..80),
        ) {
            let mut frontier = Frontier::default();
            let mut received: Vec<(i64, bool)> = vec![];
            for (gap, index, receive) in steps {
                if receive || received.is_empty() {
                    let offset = received.last().map_or(gap, |last| last.0 + gap);
                    frontier.receive(offset);
                    received.push((offset, false));
                } else {
                    let offset = *index.get(&(0..received[received.len() - 1].0 + 2).collect::<Vec<_>>());
                    frontier.done(offset);
                    received.iter_mut().filter(|event| event.0 == offset).for_each(|event| event.1 = true);
                }
                let passed = received.iter().take_while(|event| event.1).count();
                prop_assert_eq!(frontier.committable(), received[..passed].last().map(|event| event.0 + 1));
            }
        }
    }
}
