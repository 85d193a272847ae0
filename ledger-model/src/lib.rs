//! A model of the order ledger: every interleaving of two or three forwarders, Meta, Kafka and the faults that a budget
//! allows, breadth first, so that every counterexample is a shortest one. What counts, what may be done and what may be
//! committed is asked of the forwarder's own code: `Ledger::apply`, `decide` and `Frontier`, and a row's version of
//! `CallRecord::version`. A rule is switched off around that code ([`production`]), never in it.
//!
//! | module | room |
//! |---|---|
//! | [`world`], [`canonical`] | the states, and which of them are alike |
//! | [`setup`], [`rules`] | which calls there are, the budgets, the rule that is off |
//! | [`production`] | the forwarder's code, asked |
//! | [`steps`] | everything that may happen next: [`steps::group`], [`steps::faults`], [`steps::log`], [`steps::meta`], [`steps::work`] |
//! | [`properties`] | what may never be, and what may not be at an end |
//! | [`explore`] | breadth first, and the way to a counterexample |
//!
//! Abstracted: a reader reads to the log's end in one step (a partial read is a full one made earlier); Meta decides at
//! one instant between send and answer; a row lands in one step (a late row is a late step); a forwarder handles the
//! calls of one order one after the other; the hold is over when no process that was never stopped can still resolve
//! what is open.
//!
//! The explorer is our own, because the properties are of a kind that a checker of invariants does not have: from every
//! state an end must be within reach, where an end is a state in which only a fault could still happen.
//!
//! `cargo test -p capi-ledger-model` is the quick form; the long one, with every budget of two and three faults, is
//! `cargo test -p capi-ledger-model --release -- --ignored`.

#[cfg(test)]
mod canonical;
#[cfg(test)]
mod explore;
#[cfg(test)]
mod production;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod rules;
#[cfg(test)]
mod setup;
#[cfg(test)]
mod steps;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod world;
