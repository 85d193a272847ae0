//! What a click id asks for: `sandbox-<behaviour>[-<number>][-counted][-<times>][-<anything>]`.

use std::time::Duration;

use super::{Behaviour, Reply, catalogue};

/// The rules of the click ids, for `--help` and `GET /sandbox/behaviours`.
pub const GRAMMAR: &str = "\
A click id chooses what happens to the request that carries it:

  sandbox-<behaviour>[-<number>][-counted][-<times>][-<anything>]

  <number>     milliseconds for slow (slow-2500), minutes to wait for throttle (throttle-5; 1 without)
  -counted     for the class UnknownOutcome: the events are counted all the same (silence-counted)
  <times>      once, twice, thrice or x<N>: that many requests, then the usual answer (throttle-once, code2-x5)
  <anything>   makes the click id unique (invalid-clid-order-17)

Every other click id is counted. In a batch the first such event decides for all (drop and ok only for themselves).
A name that is not in this list is refused as unknown-behaviour.

";

/// How a click id, or the control API, starts asking.
const PREFIX: &str = "sandbox-";

/// A behaviour with its particulars.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// What to do.
    pub behaviour: &'static Behaviour,
    /// Whether the events are counted although the answer does not say so.
    pub counted: bool,
    /// The number in the name: milliseconds or minutes.
    pub number: Option<u64>,
}

/// What one click id asks for.
#[derive(Debug, Clone, Copy)]
pub struct Wish {
    /// What to do.
    pub plan: Plan,
    /// For how many requests; none means always.
    pub times: Option<u32>,
}

impl Plan {
    /// The plain form of a behaviour.
    pub fn of(behaviour: &'static Behaviour) -> Self {
        Self { behaviour, counted: false, number: None }
    }

    /// Reads a whole name such as `silence-counted` or `slow-2500`.
    pub fn named(text: &str) -> Option<Self> {
        let (plan, rest) = read_plan(text)?;
        rest.is_empty().then_some(plan)
    }

    /// How much later than usual the answer leaves.
    pub fn delay(&self) -> Duration {
        match self.behaviour.reply {
            Reply::Slow => Duration::from_millis(self.number.unwrap_or(DEFAULT_SLOW_MS)),
            _ => Duration::ZERO,
        }
    }

    /// Whether the request has to be read and judged before this can be done to it.
    pub fn needs_events(&self) -> bool {
        self.counted || matches!(self.behaviour.reply, Reply::Slow | Reply::DropEvent | Reply::DropAll)
    }
}

impl std::fmt::Display for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.behaviour.name)?;
        if let Some(number) = self.number {
            write!(f, "-{number}")?;
        }
        f.write_str(if self.counted { "-counted" } else { "" })
    }
}

const DEFAULT_SLOW_MS: u64 = 1000;

/// What this click id asks for; nothing for a click id of the usual kind.
pub fn wish(click_id: &str) -> Option<Wish> {
    let text = click_id.strip_prefix(PREFIX)?;
    let unknown = Wish { plan: Plan::of(&catalogue::UNKNOWN_BEHAVIOUR), times: None };
    let Some((plan, rest)) = read_plan(text) else { return Some(unknown) };
    Some(Wish { plan, times: rest.strip_prefix('-').and_then(|rest| read_times(first_word(rest))) })
}

/// Reads the longest name that `text` starts with, its number and its `-counted`; returns what is left.
fn read_plan(text: &str) -> Option<(Plan, &str)> {
    let behaviour = Behaviour::all()
        .filter(|behaviour| ends_a_word(text, behaviour.name))
        .max_by_key(|behaviour| behaviour.name.len())?;
    let mut rest = &text[behaviour.name.len()..];
    let mut plan = Plan::of(behaviour);
    if behaviour.takes_number()
        && let Some(after) = rest.strip_prefix('-')
        && let Ok(number) = first_word(after).parse()
    {
        plan.number = Some(number);
        rest = &after[first_word(after).len()..];
    }
    if behaviour.may_count() && ends_a_word(rest, "-counted") {
        plan.counted = true;
        rest = &rest["-counted".len()..];
    }
    Some((plan, rest))
}

impl Behaviour {
    fn takes_number(&self) -> bool {
        match &self.reply {
            Reply::Slow => true,
            Reply::Refused(refusal) => refusal.says_when_to_return(),
            _ => false,
        }
    }
}

fn ends_a_word(text: &str, word: &str) -> bool {
    text.strip_prefix(word).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

fn first_word(text: &str) -> &str {
    text.split('-').next().unwrap_or(text)
}

fn read_times(word: &str) -> Option<u32> {
    match word {
        "once" => Some(1),
        "twice" => Some(2),
        "thrice" => Some(3),
        _ => word.strip_prefix('x')?.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(click_id: &str) -> (String, Option<u32>) {
        let wish = wish(click_id).expect("a wish");
        (wish.plan.to_string(), wish.times)
    }

    #[test]
    fn a_usual_click_id_asks_for_nothing() {
        assert!(
            wish("ARAkLkA8rmlFeiCktEJQ-QTwRiyYHAFDLMNDBH0CD3qpjd0HR4irJ6LEkR7JwFF4XvnO2E4Nx0-eM-GABDLOPaOdRMv")
                .is_none()
        );
    }

    #[test]
    fn the_longest_name_wins() {
        assert_eq!(read("sandbox-throttle-429-order-7"), ("throttle-429".into(), None));
        assert_eq!(read("sandbox-throttle-5-once-order-7"), ("throttle-5".into(), Some(1)));
        assert_eq!(read("sandbox-throttle-once"), ("throttle".into(), Some(1)));
        assert_eq!(read("sandbox-invalid-clid-fr-9"), ("invalid-clid-fr".into(), None));
        assert_eq!(read("sandbox-invalid-clid-france"), ("invalid-clid".into(), None));
    }

    #[test]
    fn counting_times_and_numbers_are_read() {
        assert_eq!(read("sandbox-reset-counted-once"), ("reset-counted".into(), Some(1)));
        assert_eq!(read("sandbox-code2-twice-abc"), ("code2".into(), Some(2)));
        assert_eq!(read("sandbox-code2-x17"), ("code2".into(), Some(17)));
        assert_eq!(read("sandbox-slow-2500-thrice"), ("slow-2500".into(), Some(3)));
        assert_eq!(wish("sandbox-slow-2500").map(|wish| wish.plan.delay()), Some(Duration::from_millis(2500)));
    }

    #[test]
    fn a_refusal_cannot_be_counted() {
        assert_eq!(read("sandbox-code2-counted-once"), ("code2".into(), None));
    }

    #[test]
    fn a_misspelt_name_does_not_pass_for_success() {
        assert_eq!(read("sandbox-thrott").0, "unknown-behaviour");
        assert!(Plan::named("silence-counted").is_some());
        assert!(Plan::named("silence-counted-once").is_none());
    }

    #[test]
    fn every_name_reads_back_as_itself() {
        for behaviour in Behaviour::all() {
            assert_eq!(read(&format!("{PREFIX}{}-tag", behaviour.name)).0, behaviour.name);
        }
    }
}
