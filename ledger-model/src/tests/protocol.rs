//! All rules: no interleaving of these faults violates anything.

use super::holds;
use crate::setup::{
    Fault::{self, Crash, Move, Reject, Replay, Stop, Throttle, Unknown},
    Setup, Shape,
};

fn one_order(faults: &[Fault]) {
    holds(Setup::new(Shape::OneOrder, faults));
}

#[test]
fn without_faults() {
    one_order(&[]);
}

#[test]
fn a_crash_and_a_lost_answer() {
    one_order(&[Crash, Unknown]);
}

#[test]
fn a_move_and_a_throttle() {
    one_order(&[Move, Throttle]);
}

#[test]
fn a_rejection_and_its_replay() {
    one_order(&[Reject, Replay, Throttle]);
}

#[test]
fn a_zombie() {
    one_order(&[Stop]);
}

macro_rules! long {
    ($($name:ident: $faults:expr;)*) => {
        $(
            #[test]
            #[ignore = "long: millions of states"]
            fn $name() {
                one_order(&$faults);
            }
        )*
    };
}

long! {
    two_crashes_and_a_zombie: [Crash, Crash, Stop];
    a_crash_a_zombie_and_a_lost_answer: [Crash, Stop, Unknown];
    a_zombie_a_move_and_a_lost_answer: [Stop, Move, Unknown];
    two_crashes_a_lost_answer_and_a_rejection: [Crash, Crash, Unknown, Reject];
    a_zombie_and_two_lost_answers: [Stop, Unknown, Unknown];
    a_zombie_a_rejection_a_throttle_and_a_replay: [Stop, Reject, Throttle, Replay];
    a_zombie_a_move_and_a_rejection: [Stop, Move, Reject];
    a_crash_a_move_and_a_lost_answer: [Crash, Move, Unknown];
    a_crash_a_move_a_throttle_and_a_rejection: [Crash, Move, Throttle, Reject];
    a_crash_a_rejection_a_throttle_and_a_replay: [Crash, Reject, Throttle, Replay];
    a_crash_a_zombie_and_a_rejection: [Crash, Stop, Reject];
    two_moves: [Move, Move];
    a_move_a_lost_answer_a_throttle_and_a_rejection: [Move, Unknown, Throttle, Reject];
    deep_a_crash_a_zombie_and_a_move: [Crash, Stop, Move];
    deep_two_crashes_two_lost_answers_and_a_rejection: [Crash, Crash, Unknown, Unknown, Reject];
    deep_a_crash_a_move_a_lost_answer_and_a_throttle: [Crash, Move, Unknown, Throttle];
}
