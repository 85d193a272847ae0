//! How it went, in one sentence.

use super::figures::Figures;
use crate::{
    money::{count, percent},
    range::Range,
};

/// How it went.
pub(super) fn of(figures: &Figures, range: &Range) -> String {
    let (now, whose) = (&figures.now, range.possessive());
    if now.calls == 0 {
        return format!("No call with a valid key came in {}.", span(range));
    }
    let rejected = now.at("meta_forward");
    let told = if rejected > 0 {
        let (rate, of_all) = (percent(rejected, now.calls), of_all(rejected, now.calls));
        format!("Meta rejected {rate} of {whose} calls: {of_all}{}", why(figures, "meta_forward", rejected))
    } else if now.failures() > 0 {
        let failures = now.failures();
        let (rate, of_all) = (percent(failures, now.calls), of_all(failures, now.calls));
        format!("{rate} of {whose} calls failed before Meta: {of_all}{}", why(figures, "", failures))
    } else {
        format!("None of {whose} {} failed", calls(now.calls))
    };
    format!("{told}{}{}.", pending(figures), before(figures))
}

fn span(range: &Range) -> String {
    match range.days() {
        1 => format!("on {}", range.shown()),
        _ => format!("from {}", range.shown()),
    }
}

fn of_all(failures: u64, calls: u64) -> String {
    format!("{} of {}", count(failures), count(calls))
}

fn calls(number: u64) -> String {
    if number == 1 { "one call".to_owned() } else { format!("{} calls", count(number)) }
}

/// The commonest failure at a stage, or at any.
fn why(figures: &Figures, stage: &str, failures: u64) -> String {
    let commonest = figures.errors.iter().find(|failure| stage.is_empty() || failure.stage == stage);
    let Some(commonest) = commonest else { return String::new() };
    let of_them =
        if commonest.calls == failures { String::new() } else { format!("{} of them ", count(commonest.calls)) };
    format!(", {of_them}for “{}”", commonest.error)
}

fn pending(figures: &Figures) -> String {
    match figures.now.pending {
        0 => String::new(),
        1 => "; one is still under way".to_owned(),
        many => format!("; {} are still under way", count(many)),
    }
}

/// The rate of as many days before, where there were calls.
fn before(figures: &Figures) -> String {
    if figures.before.calls == 0 {
        return String::new();
    }
    let rate = percent(figures.before.failures(), figures.before.calls);
    format!(" (all failures before: {rate})")
}

#[cfg(test)]
mod tests {
    use super::{
        super::figures::{Counts, Failure, tests::counts},
        *,
    };
    use crate::{fields::Fields, range::Named};

    fn told(now: Counts, before: Counts, errors: &[(&str, &str, u64)]) -> String {
        let failure = |(stage, error, calls): &(&str, &str, u64)| Failure {
            stage: (*stage).into(),
            error: (*error).into(),
            calls: *calls,
        };
        let figures = Figures { now, before, errors: errors.iter().map(failure).collect(), ..Figures::default() };
        of(&figures, &Range::read(&mut Fields::parse(b"range=yesterday"), Named::Week))
    }

    #[test]
    fn a_rejection_by_meta_comes_first() {
        let now = counts(1000, &[("meta_forward", 30), ("payload_mapping", 50)]);
        let errors = [("payload_mapping", "x", 50), ("meta_forward", "Invalid Ctwa Clid", 21)];
        assert_eq!(
            told(now, counts(1000, &[("meta_forward", 21)]), &errors),
            "Meta rejected 3 % of yesterday’s calls: 30 of 1,000, 21 of them for “Invalid Ctwa Clid” (all failures before: 2.1 %)."
        );
    }

    #[test]
    fn then_other_failures_then_what_is_under_way() {
        let now = counts(100, &[("payload_mapping", 2)]);
        assert_eq!(
            told(now, Counts::default(), &[("payload_mapping", "bad", 2)]),
            "2 % of yesterday’s calls failed before Meta: 2 of 100, for “bad”."
        );
        let now = Counts { pending: 3, ..counts(100, &[]) };
        assert_eq!(told(now, Counts::default(), &[]), "None of yesterday’s 100 calls failed; 3 are still under way.");
    }

    #[test]
    fn nothing_is_told_as_nothing() {
        assert!(told(Counts::default(), Counts::default(), &[]).starts_with("No call with a valid key came in on "));
    }
}
