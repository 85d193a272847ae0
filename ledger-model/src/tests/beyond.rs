//! What the protocol's first exploration left out: partitions, batches, the frontier, the window, and a third forwarder.

use super::{holds, needs};
use crate::{
    properties::Property::{FinalRow, Marked, OneCredit, Progress},
    rules::Rule,
    setup::{
        Fault::{Crash, Move, Partly, Reject, Stop, Throttle, Unknown},
        Setup, Shape,
    },
};

#[test]
fn rule_1_a_retry_copy_stays_in_its_orders_partition() {
    needs(Rule::Partition, OneCredit, Setup::new(Shape::Partitions, &[Throttle]));
}

#[test]
fn the_frontier_skips_no_gap() {
    needs(Rule::Contiguous, FinalRow, Setup::new(Shape::Batch, &[Crash]));
}

#[test]
fn a_lost_answer_is_unknown_for_the_whole_batch() {
    needs(Rule::LostForAll, Marked, Setup::new(Shape::Batch, &[Unknown]));
}

#[test]
fn of_a_batch_counted_in_part_every_event_is_accepted() {
    needs(Rule::PartlyForAll, Marked, Setup::new(Shape::Batch, &[Partly]));
}

#[test]
fn a_refused_batch_is_split_under_its_intents() {
    holds(Setup::new(Shape::Batch, &[Reject, Unknown]));
}

#[test]
fn a_batch_that_moves() {
    holds(Setup::new(Shape::Batch, &[Move]));
}

#[test]
fn after_the_window_an_order_may_be_credited_again() {
    needs(Rule::Expiry, OneCredit, Setup::new(Shape::Window, &[Crash]));
}

#[test]
fn an_expired_acceptance_is_overridden_by_its_offset() {
    needs(Rule::ExpiredByOffset, Progress, Setup::new(Shape::Window, &[Crash]));
}

#[test]
fn a_repair_takes_back_no_result() {
    needs(Rule::After, OneCredit, Setup::new(Shape::OneOrder, &[Stop, Crash]));
}

/// The same where the void record is a third forwarder's to repair, and nobody crashes.
#[test]
fn a_repair_takes_back_no_result_of_a_third_forwarder() {
    needs(Rule::After, OneCredit, Setup::new(Shape::OneOrder, &[Stop, Move]).with_forwarders(3));
}

#[test]
#[ignore = "long: millions of states"]
fn batches_under_every_answer() {
    for faults in [[Unknown, Throttle, Partly], [Unknown, Reject, Throttle], [Reject, Partly, Unknown]] {
        holds(Setup::new(Shape::Batch, &faults));
    }
}

#[test]
#[ignore = "long: millions of states"]
fn windows_under_two_faults() {
    for faults in [[Crash, Unknown], [Stop, Throttle], [Move, Unknown]] {
        holds(Setup::new(Shape::Window, &faults));
    }
}
