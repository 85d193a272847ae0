//! Breadth first over everything that may happen.

use std::fmt;

use foldhash::fast::FixedState;
use indexmap::IndexSet;

use crate::{
    canonical::canonical,
    properties::{self, Property, Violation},
    setup::Setup,
    steps::steps,
    world::World,
};

/// What a run found.
#[derive(Debug)]
pub(crate) struct Report {
    /// The first violation, with a shortest way to it.
    pub(crate) counterexample: Option<Counterexample>,
    pub(crate) states: usize,
    /// Ends, and how many of them show a mark, or an order that Meta counted twice.
    pub(crate) ends: usize,
    pub(crate) marked: usize,
    pub(crate) doubled: usize,
}

/// A violation, and how it comes about.
pub(crate) struct Counterexample {
    pub(crate) violation: Violation,
    pub(crate) trace: Vec<String>,
}

impl fmt::Debug for Counterexample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (property, what) = self.violation;
        write!(f, "{property:?}: {what}, after {} steps:\n  {}", self.trace.len(), self.trace.join("\n  "))
    }
}

/// Explores all of it, or up to the first violation of any property.
pub(crate) fn explore(setup: &Setup) -> Report {
    Explorer::new(setup, None).run()
}

/// Explores up to the first violation of one property.
pub(crate) fn explore_for(property: Property, setup: &Setup) -> Report {
    Explorer::new(setup, Some(property)).run()
}

struct Explorer<'s> {
    setup: &'s Setup,
    wanted: Option<Property>,
    states: IndexSet<World, FixedState>,
    /// The state that each was found from.
    parents: Vec<u32>,
    /// Steps that are no faults, as (to, from).
    progress: Vec<(u32, u32)>,
    ends: Vec<u32>,
    report: Report,
}

impl<'s> Explorer<'s> {
    fn new(setup: &'s Setup, wanted: Option<Property>) -> Self {
        let report = Report { counterexample: None, states: 0, ends: 0, marked: 0, doubled: 0 };
        let (states, parents) = (IndexSet::default(), vec![0]);
        let mut explorer = Self { setup, wanted, states, parents, progress: Vec::new(), ends: Vec::new(), report };
        explorer.states.insert(canonical(setup.start(), setup));
        explorer
    }

    fn run(mut self) -> Report {
        let mut violation = None;
        let mut at = 0;
        while at < self.states.len() && violation.is_none() {
            violation = self.expand(at);
            at += 1;
        }
        let violation = violation.or_else(|| self.without_an_end());
        self.report.counterexample =
            violation.map(|(violation, at)| Counterexample { violation, trace: self.way_to(at) });
        self.report.states = self.states.len();
        self.report.ends = self.ends.len();
        self.report
    }

    /// Finds what follows from a state. A violation, where there is one, and the state that shows it.
    fn expand(&mut self, at: usize) -> Option<(Violation, usize)> {
        let from = self.states[at];
        let mut goes_on = false;
        for step in steps(&from, self.setup) {
            let to = canonical(step.to, self.setup);
            let (found, is_new) = self.states.insert_full(to);
            if is_new {
                self.parents.push(number(at));
                if let Some(violation) = properties::never(&to, self.setup).filter(|found| self.wants(*found)) {
                    return Some((violation, found));
                }
            }
            if !step.is_fault {
                goes_on = true;
                self.progress.push((number(found), number(at)));
            }
        }
        if goes_on {
            return None;
        }
        self.note_end(&from, at);
        properties::at_end(&from, self.setup).filter(|found| self.wants(*found)).map(|violation| (violation, at))
    }

    fn wants(&self, found: Violation) -> bool {
        self.wanted.is_none_or(|wanted| wanted == found.0)
    }

    fn note_end(&mut self, end: &World, at: usize) {
        self.ends.push(number(at));
        self.report.marked += usize::from(properties::is_marked(end));
        self.report.doubled += usize::from(end.counted.iter().any(|counted| *counted > 1));
    }

    /// A state from which no end is within reach, be it by going round for ever.
    fn without_an_end(&mut self) -> Option<(Violation, usize)> {
        let violation = (Property::Progress, "from here no end can be reached");
        if !self.wants(violation) {
            return None;
        }
        self.progress.sort_unstable();
        let mut reaches = vec![false; self.states.len()];
        let mut due = self.ends.clone();
        for end in &due {
            reaches[*end as usize] = true;
        }
        while let Some(to) = due.pop() {
            let first = self.progress.partition_point(|edge| edge.0 < to);
            for (_, from) in self.progress[first..].iter().take_while(|edge| edge.0 == to) {
                if !std::mem::replace(&mut reaches[*from as usize], true) {
                    due.push(*from);
                }
            }
        }
        let stuck = reaches.iter().position(|reaches| !reaches)?;
        Some((violation, stuck))
    }

    /// The way to a state, told by one world that really takes it: which of two that are alike is meant is found by
    /// taking the steps again.
    fn way_to(&self, at: usize) -> Vec<String> {
        let mut path = vec![at];
        while let Some(last) = path.last().copied().filter(|last| *last > 0) {
            path.push(self.parents[last] as usize);
        }
        let mut world = self.setup.start();
        let mut trace = Vec::new();
        for next in path.iter().rev().skip(1) {
            let wanted = self.states[*next];
            let taken = steps(&world, self.setup).into_iter().find(|step| canonical(step.to, self.setup) == wanted);
            let Some(step) = taken else { break };
            trace.push(step.label.to_string());
            world = step.to;
        }
        trace
    }
}

/// There are fewer than 2^32 states: memory ends before.
fn number(at: usize) -> u32 {
    u32::try_from(at).unwrap()
}
