//! The delay tiers: where an event waits that cannot be sent now, without holding up its partition.

use std::time::Duration;

use schemas::{ConversionEvent, MetaError, Progress, topics};

use crate::age;

/// The delays of the tiers, shortest first (`CAPI_RETRY_DELAYS`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tiers {
    delays: [Duration; topics::TIERS],
}

/// Why an event goes to a tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delay {
    /// Meta could not take it: the next tier, or a longer one where Meta asks for that.
    Failed {
        /// How long Meta or the breaker asks to stay away.
        at_least: Duration,
    },
    /// The dataset's share is used up: the event itself has failed at nothing, so it climbs no tier.
    OverShare {
        /// When there may be room again.
        at_least: Duration,
    },
}

/// What an attempt adds to an event's progress.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// Requests to Meta that carried the event, tiers included.
    pub attempts: i32,
    /// Milliseconds spent on Meta, tiers included.
    pub millis: i64,
    /// Meta's last error.
    pub last_error: Option<MetaError>,
}

impl Spent {
    /// What an event brings along from the tiers.
    pub fn before(event: &ConversionEvent) -> Self {
        event.progress.as_ref().map_or_else(Self::default, |progress| Self {
            attempts: progress.forward_attempts,
            millis: progress.forward_ms,
            last_error: progress.last_error.clone(),
        })
    }
}

impl Tiers {
    /// From shortest to longest.
    #[must_use]
    pub fn new(delays: [Duration; topics::TIERS]) -> Self {
        Self { delays }
    }

    /// The tier that an event goes to, and when it may be tried again. It comes back no later than its seventh day
    /// ends, so that it then ends instead of waiting on.
    pub fn place(&self, event: &ConversionEvent, delay: Delay, spent: Spent, now_ms: i64) -> Progress {
        let stands_in = event.progress.as_ref().map_or(0, |progress| usize::try_from(progress.tier).unwrap_or(0));
        let (lowest, at_least) = match delay {
            Delay::Failed { at_least } => (stands_in + 1, at_least),
            Delay::OverShare { at_least } => (stands_in.max(1), at_least),
        };
        let lowest = lowest.clamp(1, self.delays.len());
        let long_enough =
            self.delays.iter().position(|delay| *delay >= at_least).map_or(self.delays.len(), |at| at + 1);
        let tier = lowest.max(long_enough);
        let delay_ms = i64::try_from(self.delays[tier - 1].as_millis()).unwrap_or(i64::MAX / 2);
        let too_old_at = event.call.event_time.map_or(i64::MAX, |time| age::last_moment(time).saturating_add(1));
        Progress {
            tier: i32::try_from(tier).unwrap_or(1),
            not_before: (now_ms + delay_ms).min(too_old_at.max(now_ms)),
            forward_attempts: spent.attempts,
            forward_ms: spent.millis,
            last_error: spent.last_error,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use schemas::{Call, CallId, Lane};

    use super::*;

    const NOW: i64 = 1_800_000_000_000;
    const NONE: Duration = Duration::ZERO;

    fn tiers() -> Tiers {
        Tiers::new([Duration::from_mins(1), Duration::from_mins(10), Duration::from_hours(1)])
    }

    fn event(tier: Option<i32>, event_time: i64) -> ConversionEvent {
        let progress =
            tier.map(|tier| Progress { tier, not_before: 0, forward_attempts: 2, forward_ms: 9, last_error: None });
        let call = Call { event_time: Some(event_time), ..Call::blank(CallId::now(), NOW) };
        ConversionEvent { call, lane: Lane::Live, progress }
    }

    fn placed(tier: Option<i32>, delay: Delay) -> (i32, i64) {
        let event = event(tier, NOW / 1000);
        let progress = tiers().place(&event, delay, Spent::before(&event), NOW);
        (progress.tier, (progress.not_before - NOW) / 1000)
    }

    #[test]
    fn a_failure_climbs_and_the_last_tier_repeats() {
        assert_eq!(placed(None, Delay::Failed { at_least: NONE }), (1, 60));
        assert_eq!(placed(Some(1), Delay::Failed { at_least: NONE }), (2, 600));
        assert_eq!(placed(Some(2), Delay::Failed { at_least: NONE }), (3, 3600));
        assert_eq!(placed(Some(3), Delay::Failed { at_least: NONE }), (3, 3600));
    }

    #[test]
    fn being_over_the_share_climbs_nothing() {
        assert_eq!(placed(None, Delay::OverShare { at_least: NONE }), (1, 60));
        assert_eq!(placed(Some(1), Delay::OverShare { at_least: NONE }), (1, 60));
        assert_eq!(placed(Some(3), Delay::OverShare { at_least: NONE }), (3, 3600));
    }

    #[test]
    fn a_longer_absence_that_meta_asks_for_is_kept() {
        assert_eq!(placed(None, Delay::Failed { at_least: Duration::from_mins(5) }), (2, 600));
        assert_eq!(placed(None, Delay::OverShare { at_least: Duration::from_hours(9) }), (3, 3600));
    }

    #[test]
    fn an_event_comes_back_when_its_seventh_day_ends() {
        let event = event(Some(3), NOW / 1000 - 7 * 24 * 3600 + 102);
        let progress = tiers().place(&event, Delay::Failed { at_least: NONE }, Spent::before(&event), NOW);
        assert_eq!(progress.not_before, NOW + 100_001);
        assert_eq!((progress.forward_attempts, progress.forward_ms), (2, 9));
    }

    fn any_delay() -> impl Strategy<Value = Delay> {
        let at_least = (0_u64..8000).prop_map(Duration::from_secs);
        prop_oneof![
            at_least.clone().prop_map(|at_least| Delay::Failed { at_least }),
            at_least.prop_map(|at_least| Delay::OverShare { at_least }),
        ]
    }

    proptest! {
        /// The model tries the tiers one by one: the first that is neither behind the event nor too short.
        #[test]
        fn a_place_agrees_with_a_simple_model(
            stands_in in prop::option::of(0..5_i32),
            delay in any_delay(),
            age_s in 0..8 * 24 * 3600_i64,
        ) {
            let event = event(stands_in, NOW / 1000 - age_s);
            let progress = tiers().place(&event, delay, Spent::before(&event), NOW);
            let (climbs, at_least) = match delay {
                Delay::Failed { at_least } => (1, at_least),
                Delay::OverShare { at_least } => (0, at_least),
            };
            let at_least_s = i64::try_from(at_least.as_secs()).unwrap();
            let (tier, seconds) = [(1, 60), (2, 600), (3, 3600)]
                .into_iter()
                .find(|(tier, seconds)| *tier >= stands_in.unwrap_or(0) + climbs && at_least_s <= *seconds)
                .unwrap_or((3, 3600));
            prop_assert_eq!(progress.tier, tier);
            let ends_in_ms = (7 * 24 * 3600 - age_s) * 1000 - 2000 + 1;
            prop_assert_eq!(progress.not_before - NOW, (seconds * 1000).min(ends_in_ms.max(0)));
        }
    }
}
