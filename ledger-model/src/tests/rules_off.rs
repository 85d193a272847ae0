//! Each of the 17 rules of the protocol is needed: off, and faults that show it. The property is the gravest that the
//! rule keeps.

use super::needs;
use crate::{
    properties::Property::{self, Cause, FinalRow, Marked, OneCredit, Progress},
    rules::Rule,
    setup::{
        Fault::{self, Crash, Move, Reject, Stop, Throttle, TimeOut, Unknown},
        Setup, Shape,
    },
};

macro_rules! needed {
    ($($name:ident: $rule:ident, $property:expr, $faults:expr;)*) => {
        $(
            #[test]
            fn $name() {
                needed(Rule::$rule, $property, &$faults);
            }
        )*
    };
}

fn needed(rule: Rule, property: Property, faults: &[Fault]) {
    needs(rule, property, Setup::new(Shape::OneOrder, faults));
}

needed! {
    readback: Readback, Marked, [Stop];
    claim: Claim, Marked, [Stop, Reject];
    confirm: Confirm, Marked, [Stop, Reject];
    over: Over, Cause, [Move];
    wait: Wait, Cause, [Move];
    late: Late, Cause, [Move];
    list: List, Marked, [Stop];
    keep: Keep, Marked, [Unknown, Reject];
    close: Close, Cause, [Throttle, Move];
    version: Version, Marked, [Throttle, Move];
    final_rows: Final, FinalRow, [Stop, Unknown];
    rows: Rows, OneCredit, [Stop];
    reemit: Reemit, Progress, [Crash];
    reclaim: Reclaim, Progress, [Crash];
    repair: Repair, OneCredit, [Crash, Crash];
    patience: Patience, Cause, [TimeOut];
    lag: Lag, OneCredit, [Crash, Crash];
}
