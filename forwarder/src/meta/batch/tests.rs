//! The search against a simple model of Meta: a request goes through if none of its events is bad.

use std::{collections::VecDeque, time::Duration};

use proptest::prelude::*;
use schemas::MetaError;
use tokio::time::Instant;

use super::*;
use crate::meta::{classify::Class, refusals::Refusals, request::MAX_EVENTS};

/// What is wrong with an event of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Good,
    /// A bad click or a bad field: a fault of the event by its class.
    Bad(i32),
    /// The request's fault, by its class.
    Odd(i32),
}

impl Kind {
    fn answer(self) -> Option<Arc<Answer>> {
        let (class, subcode) = match self {
            Self::Good => return None,
            Self::Bad(subcode) => (Class::BadClick, subcode),
            Self::Odd(subcode) => (Class::Other, subcode),
        };
        Some(refusal(class, subcode))
    }
}

fn refusal(class: Class, subcode: i32) -> Arc<Answer> {
    let mut answer = Answer::none(class, String::new());
    answer.error = Some(MetaError {
        http_status: 400,
        code: Some(100),
        subcode: Some(subcode),
        message: String::new(),
        fbtrace_id: String::new(),
    });
    Arc::new(answer)
}

fn subcode(answer: &Answer) -> Option<i32> {
    answer.error.as_ref()?.subcode
}

/// What a run ended with.
#[derive(Debug, Default)]
struct Ran {
    accepted: Vec<usize>,
    rejected: Vec<(usize, Option<i32>)>,
    requests: usize,
}

/// Sends all events as the dataset's task does, one request at a time. `alone` are the requests that carried one event.
fn run(events: &[Kind], size: impl Fn(&mut Refusals) -> usize) -> Ran {
    let mut ran = Ran::default();
    let mut refusals = Refusals::default();
    let mut fresh: VecDeque<usize> = (0..events.len()).collect();
    let mut due: VecDeque<Batch<usize>> = VecDeque::new();
    while let Some(batch) = due.pop_front().or_else(|| {
        let take = size(&mut refusals).min(fresh.len());
        (take > 0).then(|| Batch::fresh(fresh.drain(..take).collect()))
    }) {
        ran.requests += 1;
        let refused = batch.events.iter().find_map(|event| events[*event].answer());
        let Some(answer) = refused else {
            refusals.accepted(batch.events.len());
            let (accepted, next) = batch.accepted(size(&mut refusals));
            ran.accepted.extend(accepted);
            due.extend(next);
            continue;
        };
        if batch.events.len() == 1 {
            refusals.rejected();
        }
        let fault = answer.class.fault().unwrap();
        let rejection = batch.rejected(&answer, fault, size(&mut refusals));
        ran.rejected.extend(rejection.verdicts.into_iter().map(|(event, answer)| (event, subcode(&answer))));
        due.extend(rejection.next);
        for event in rejection.released.into_iter().rev() {
            fresh.push_front(event);
        }
    }
    ran
}

fn adaptive(refusals: &mut Refusals) -> usize {
    refusals.batch_size(Instant::now())
}

proptest! {
    /// Every good event is accepted exactly once, every bad one is rejected exactly once with its own error, and the
    /// search costs at most a path through the halves for each bad event.
    #[test]
    fn every_event_gets_its_own_verdict(
        kinds in prop::collection::vec(
            prop_oneof![6 => Just(Kind::Good), 1 => (0..5).prop_map(Kind::Bad), 1 => (5..99).prop_map(Kind::Odd)],
            0..300,
        ),
        largest in 1_usize..200,
    ) {
        // Odd events with one number are taken for the request's fault by design: here each has its own.
        let mut kinds = kinds;
        for (at, kind) in kinds.iter_mut().enumerate() {
            if let Kind::Odd(number) = kind {
                *number = 1000 + i32::try_from(at).unwrap();
            }
        }
        let mut ran = run(&kinds, |_| largest);
        ran.accepted.sort_unstable();
        ran.rejected.sort_unstable();
        let good: Vec<_> = (0..kinds.len()).filter(|at| kinds[*at] == Kind::Good).collect();
        let bad: Vec<_> = (0..kinds.len())
            .filter_map(|at| kinds[at].answer().map(|answer| (at, subcode(&answer))))
            .collect();
        let depth = usize::try_from(largest.ilog2()).unwrap() + 4;
        prop_assert!(
            ran.requests <= kinds.len().div_ceil(largest) + bad.len() * (depth + 2 * depth),
            "{} requests for {} events, {} bad", ran.requests, kinds.len(), bad.len()
        );
        prop_assert_eq!(ran.accepted, good);
        prop_assert_eq!(ran.rejected, bad);
    }
}

proptest! {
    /// The dataset's task takes batches apart at any time, to send fewer: no event is lost, sent on after its verdict,
    /// or judged twice, and a good one is never rejected.
    #[test]
    fn a_search_that_is_taken_apart_loses_no_event(
        bad in prop::collection::vec(prop::bool::weighted(0.1), 1..120),
        dissolves in prop::collection::vec(any::<bool>(), 1..60),
        largest in 1_usize..100,
    ) {
        let mut fresh: VecDeque<usize> = (0..bad.len()).collect();
        let mut due: VecDeque<Batch<usize>> = VecDeque::new();
        let mut ends = vec![None; bad.len()];
        let mut dissolves = dissolves.into_iter();
        while let Some(mut batch) = due.pop_front().or_else(|| {
            let take = largest.min(fresh.len());
            (take > 0).then(|| Batch::fresh(fresh.drain(..take).collect()))
        }) {
            if dissolves.next().unwrap_or(false) {
                fresh.extend(batch.dissolve());
            }
            let (accepted, rejected, next) = if batch.events.iter().any(|event| bad[*event]) {
                let rejection = batch.rejected(&refusal(Class::BadClick, 1), Fault::Event, largest);
                fresh.extend(rejection.released);
                (vec![], rejection.verdicts.into_iter().map(|(event, _)| event).collect(), rejection.next)
            } else {
                let (accepted, next) = batch.accepted(largest);
                (accepted, vec![], next)
            };
            let verdicts = accepted.into_iter().map(|event| (event, false));
            for (event, is_rejected) in verdicts.chain(rejected.into_iter().map(|event: usize| (event, true))) {
                prop_assert_eq!(ends[event].replace(is_rejected), None, "event {} was judged twice", event);
            }
            due.extend(next);
        }
        prop_assert_eq!(ends, bad.into_iter().map(Some).collect::<Vec<_>>());
    }

    /// Shared faults of the request: an event that Meta would take is rejected by inference only where two lone events
    /// drew the very error of its batch, and every event gets one verdict.
    #[test]
    fn only_two_witnesses_convict_others(kinds in prop::collection::vec(
        prop_oneof![6 => Just(Kind::Good), 1 => (5..8).prop_map(Kind::Odd), 1 => Just(Kind::Bad(1))], 0..200,
    )) {
        let mut ran = run(&kinds, |_| 50);
        let of = |number| kinds.iter().filter(|kind| **kind == Kind::Odd(number)).count();
        for (event, number) in &ran.rejected {
            let own = kinds[*event].answer().as_deref().and_then(subcode);
            prop_assert!(own == *number || number.is_some_and(|number| of(number) >= 2), "event {}", event);
        }
        ran.accepted.extend(ran.rejected.iter().map(|(event, _)| event));
        ran.accepted.sort_unstable();
        prop_assert_eq!(ran.accepted, (0..kinds.len()).collect::<Vec<_>>());
    }
}

/// A generator of its own, so that the figure is the same in every run.
fn one_in(n: u64, seed: &mut u64) -> bool {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*seed >> 33).is_multiple_of(n)
}

/// The bound of group testing at 1 % is 0.081 requests an event; the goal is 0.10.
#[test]
fn one_bad_event_in_a_hundred_costs_at_most_a_tenth_of_a_request_an_event() {
    let mut seed = 7;
    let kinds: Vec<_> = (0..100_000).map(|_| if one_in(100, &mut seed) { Kind::Bad(1) } else { Kind::Good }).collect();
    let ran = run(&kinds, adaptive);
    assert_eq!(ran.accepted.len() + ran.rejected.len(), kinds.len());
    assert!(ran.requests <= 10_000, "{} requests for 100,000 events", ran.requests);
}

#[test]
fn good_events_cost_one_request_a_thousand_and_bad_ones_little_more_than_one_each() {
    assert_eq!(run(&vec![Kind::Good; 10_000], adaptive).requests, 10_000 / MAX_EVENTS);
    let ran = run(&vec![Kind::Bad(1); 10_000], adaptive);
    assert!(ran.requests < 10_200, "{} requests for 10,000 bad events", ran.requests);
}

#[test]
fn two_witnesses_convict_a_whole_batch() {
    let ran = run(&[Kind::Odd(3); 500], |_| 500);
    assert_eq!(ran.requests, 3);
    assert_eq!(ran.rejected.len(), 500);
    assert!(ran.rejected.iter().all(|(_, number)| *number == Some(3)));
}

#[test]
fn one_event_with_a_mismatch_does_not_convict_the_others() {
    let mut kinds = [Kind::Good; 500];
    kinds[0] = Kind::Odd(3);
    let ran = run(&kinds, |_| 500);
    assert_eq!(ran.rejected, [(0, Some(3))]);
    assert_eq!(ran.accepted.len(), 499);
}

#[test]
fn a_pair_is_judged_one_by_one() {
    let ran = run(&[Kind::Odd(3), Kind::Good], |_| 2);
    assert_eq!((ran.rejected, ran.accepted), (vec![(0, Some(3))], vec![1]));
}

#[test]
fn nothing_follows_for_what_hung_on_a_dissolved_batch() {
    let answer = refusal(Class::BadClick, 1);
    let mut half = Batch::fresh(vec![1, 2, 3, 4]).rejected(&answer, Fault::Event, 1000).next.unwrap();
    assert_eq!(half.dissolve(), [3, 4]);
    assert!(half.accepted(1000).1.is_none());
}

/// The wait for a quick retry is the only thing here that takes time; the search itself has no clock.
#[test]
fn each_step_has_quick_retries_of_its_own() {
    let mut batch = Batch::fresh(vec![1, 2]);
    assert!(batch.retries.next().is_some_and(|wait| wait > Duration::ZERO));
    let next = batch.rejected(&refusal(Class::BadClick, 1), Fault::Event, 1000).next.unwrap();
    assert!(next.retries.is_fresh());
}
