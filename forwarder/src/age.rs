//! Meta takes no event older than 7 days, and one such event refuses the whole request: the age is judged when an event
//! is decided about, and again before each request (rules 7 and 8 of the ledger).

use schemas::meta;

/// How old an event may be when it reaches Meta, in milliseconds.
const OLDEST: i64 = meta::OLDEST.as_secs().cast_signed() * 1000;

/// What a request takes to get there, by a generous reckoning, in milliseconds.
const ON_THE_WAY: i64 = 2000;

/// Whether Meta would refuse the event as too old if it were sent now. `event_time` is in Unix seconds, `now_ms` in Unix
/// milliseconds.
pub fn is_too_old(event_time: i64, now_ms: i64) -> bool {
    now_ms > last_moment(event_time)
}

/// The last moment at which the event may be sent, in Unix milliseconds.
pub fn last_moment(event_time: i64) -> i64 {
    event_time.saturating_mul(1000).saturating_add(OLDEST).saturating_sub(ON_THE_WAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_too_old_shortly_before_it_has_seven_days() {
        let limit = 1_746_480_000 * 1000 + OLDEST;
        assert!(!is_too_old(1_746_480_000, limit - ON_THE_WAY));
        assert!(is_too_old(1_746_480_000, limit - ON_THE_WAY + 1));
        assert!(is_too_old(i64::MIN, 0));
        assert!(!is_too_old(i64::MAX, i64::MAX - ON_THE_WAY));
    }
}
