//! Which rejections may be repaired, and so are worth another try (the classes of `meta-capi.md`, by their numbers).

use crate::{Reason, meta};

/// Whether another try of a rejected call can have another end.
///
/// The operator repairs a token, a permission, the wiring of dataset and WABA, our envelope, an old Graph version, a
/// missing channel. A bad click or a bad event stays bad, and Meta counts such calls against the sender.
pub fn is_repairable(reason: &str, code: Option<i32>, subcode: Option<i32>) -> bool {
    if reason == Reason::MetaDropped.as_str() || reason == Reason::WhatsappChannelNotConfigured.as_str() {
        return true;
    }
    reason == Reason::MetaRejected.as_str() && is_repairable_at_meta(code.map(i64::from), subcode.map(i64::from))
}

fn is_repairable_at_meta(code: Option<i64>, subcode: Option<i64>) -> bool {
    let by_code = code.is_some_and(|code| {
        meta::TOKEN.contains(&code) || meta::lacks_permission(code, subcode) || code == meta::OLD_VERSION
    });
    by_code || subcode.is_some_and(|subcode| meta::WIRING.contains(&subcode) || meta::ENVELOPE.contains(&subcode))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rejected(code: i32, subcode: Option<i32>) -> bool {
        is_repairable("META_REJECTED", Some(code), subcode)
    }

    #[test]
    fn what_the_operator_repairs_may_be_replayed() {
        for code in [190, 102, 3, 10, 200, 273, 299, 2635] {
            assert!(rejected(code, None), "{code}");
        }
        assert!(rejected(190, Some(463)));
        for subcode in [33, 2_804_065, 2_804_116, 2_804_118, 2_804_131, 2_804_132, 2_804_063, 2_804_064] {
            assert!(rejected(100, Some(subcode)), "{subcode}");
        }
        assert!(rejected(100, None));
        assert!(is_repairable("META_DROPPED", None, None));
        assert!(is_repairable("WHATSAPP_CHANNEL_NOT_CONFIGURED", None, None));
    }

    #[test]
    fn a_bad_click_or_event_stays_bad() {
        for subcode in [2_804_087, 2_804_071, 2_804_066, 2_804_003, 2_804_004, 2_804_008, 2_804_011, 2_804_081, 1] {
            assert!(!rejected(100, Some(subcode)), "{subcode}");
        }
        for code in [1, 2, 4, 17, 300, 368, 999] {
            assert!(!rejected(code, None), "{code}");
        }
        assert!(!is_repairable("META_REJECTED", None, None));
        assert!(!is_repairable("EVENT_TOO_OLD", Some(190), None));
        assert!(!is_repairable("", Some(190), None));
    }
}
