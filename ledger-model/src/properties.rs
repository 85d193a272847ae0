//! What may never be, and what may not be once nothing is left to do. They are told from the outside: by rows, by what
//! Meta counted, by what waits, and only where nothing else tells it by the ledger.

use crate::{
    rules::Rule,
    setup::{Setup, Shape},
    world::{Row, Status, World},
};

/// A property. Every counterexample names the one that it violates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Property {
    /// P1: every call has a final row at the end.
    FinalRow,
    /// P2: what Meta may have counted twice, or counted without a row that says so, is marked.
    Marked,
    /// P3: no mark without cause.
    Cause,
    /// P4: one credited call an order, and Meta has what a row says that it has.
    OneCredit,
    /// P5: nothing waits for ever.
    Progress,
    /// What compaction leaves restores the ledger.
    Restored,
}

use Property::{Cause, FinalRow, Marked, OneCredit, Progress, Restored};

/// A violated property, and how.
pub(crate) type Violation = (Property, &'static str);

/// What may never be.
pub(crate) fn never(world: &World, setup: &Setup) -> Option<Violation> {
    let [a, b] = world.rows;
    let both = a.status == Status::Forwarded && b.status == Status::Forwarded;
    if both && setup.order(0) == setup.order(1) {
        return Some((OneCredit, "two calls of one order are forwarded"));
    }
    if (0..2).any(|call| world.rows[usize::from(call)].marked && !has_cause(world, setup, call)) {
        return Some((Cause, "a mark without cause"));
    }
    if (0..2).any(|call| is_false_credit(world, setup, call)) {
        return Some((OneCredit, "forwarded, yet Meta has nothing"));
    }
    if setup.shape == Shape::Window && b.status == Status::Duplicate && credited_in_its_window(world) {
        return Some((OneCredit, "a duplicate of a call whose window is over"));
    }
    if world.torn && setup.rules.off.is_none() {
        return Some((Restored, "the last record of a key tells less than the ledger"));
    }
    None
}

fn has_cause(world: &World, setup: &Setup, call: u8) -> bool {
    let slots = if setup.shape == Shape::Partitions { 0b11 } else { 1 << setup.slot(call, false) };
    world.cause & slots != 0
}

fn is_false_credit(world: &World, setup: &Setup, call: u8) -> bool {
    let forwarded = world.rows[usize::from(call)].status == Status::Forwarded;
    forwarded && world.counted[setup.order(call)] == 0 && !world.partly.has(call)
}

fn credited_in_its_window(world: &World) -> bool {
    let credit = world.log.known[0].and_then(|known| known.accepted);
    credit.is_some_and(|credit| credit.call == 0 && !credit.late)
}

/// What may not be where nothing but a fault could still happen.
pub(crate) fn at_end(world: &World, setup: &Setup) -> Option<Violation> {
    if !setup.uncommitted(world).is_empty() || world.tier != [0, 0] {
        return Some((Progress, "a call waits for ever"));
    }
    if world.rows.iter().any(|row| matches!(row.status, Status::None | Status::Pending)) {
        return Some((FinalRow, "a call without a final row"));
    }
    if let Some(violation) = (0..2).find_map(|order| order_at_end(world, setup, order)) {
        return Some(violation);
    }
    if world.log.void.iter().any(Option::is_some) && setup.keep(Rule::Repair) {
        return Some((Restored, "the last record of a key is not the order's state"));
    }
    None
}

fn order_at_end(world: &World, setup: &Setup, order: usize) -> Option<Violation> {
    let calls = setup.calls_of(order);
    let rows = || calls.iter().map(|call| &world.rows[usize::from(call)]);
    let marked = rows().any(|row| row.marked);
    let forwarded = rows().any(|row| row.status == Status::Forwarded);
    if world.counted[order] > 1 && !marked {
        return Some((Marked, "Meta counted twice, and no mark says so"));
    }
    if calls.iter().any(|call| world.second.has(call) && !world.rows[usize::from(call)].marked) {
        return Some((Marked, "a second request left, and its record has no mark"));
    }
    if world.counted[order] > 0 && !forwarded && !marked {
        return Some((Marked, "Meta counted, no row says so and none is marked"));
    }
    let credited = |status| world.rows.iter().any(|row| row.status == status);
    if rows().any(|row| row.status == Status::Duplicate) && !credited(Status::Forwarded) {
        return Some((OneCredit, "a duplicate of a call that is not credited"));
    }
    None
}

/// Whether a run ended with a mark, for the figures.
pub(crate) fn is_marked(world: &World) -> bool {
    world.rows.iter().any(|row: &Row| row.marked)
}
