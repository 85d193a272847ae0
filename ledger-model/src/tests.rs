//! What the model shows.

mod beyond;
mod protocol;
mod rules_off;

use crate::{
    explore::{explore, explore_for},
    properties::Property,
    rules::Rule,
    setup::Setup,
};

/// No interleaving violates anything, and there are ends to judge by.
fn holds(setup: Setup) {
    let began = std::time::Instant::now();
    let report = explore(&setup);
    println!(
        "{setup:?}: {} states, {} ends ({} marked, {} doubled), {:?}",
        report.states,
        report.ends,
        report.marked,
        report.doubled,
        began.elapsed()
    );
    assert!(report.counterexample.is_none(), "{:?}", report.counterexample);
    assert!(report.ends > 0, "{report:?}");
}

/// Without the rule there is a counterexample, and under the same budget with it there is none.
fn needs(rule: Rule, property: Property, setup: Setup) {
    let found = explore_for(property, &setup.without(rule)).counterexample;
    let found = found.unwrap_or_else(|| panic!("without {rule:?} nothing is found under {setup:?}"));
    println!("without {rule:?}: {found:?}");
    assert_eq!(found.violation.0, property);
    // With a time-out in the budget, only a producer without patience uses it.
    holds(setup);
}
