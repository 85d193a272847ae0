//! What Meta says by numbers, as far as more than one program goes by it: a rejection that the forwarder takes for an
//! operator's to repair is one that a replay sends again.

use std::{ops::RangeInclusive, time::Duration};

/// Meta takes no event that is older than this when it arrives (`meta-capi.md`, "Time").
pub const OLDEST: Duration = Duration::from_hours(7 * 24);

/// Codes: the access token is invalid, expired or revoked.
pub const TOKEN: [i64; 2] = [102, 190];
/// The code of a Graph version that is no longer served.
pub const OLD_VERSION: i64 = 2635;
/// Subcodes: dataset and WABA do not belong together.
pub const WIRING: [i64; 5] = [2_804_065, 2_804_116, 2_804_118, 2_804_131, 2_804_132];
/// Subcodes: what we write around an event.
pub const ENVELOPE: [i64; 2] = [2_804_063, 2_804_064];

const UNSUPPORTED: [i64; 2] = [3, 10];
const FORBIDDEN: RangeInclusive<i64> = 200..=299;
const INVALID_PARAMETER: i64 = 100;
const UNSEEN_OBJECT: i64 = 33;

/// Whether the token may not do this. Under code 100 that is an object that the token cannot see; or, since every fault
/// of an event has a subcode of its own, the missing `appsecret_proof` that Graph names without one.
pub fn lacks_permission(code: i64, subcode: Option<i64>) -> bool {
    let request = code == INVALID_PARAMETER && matches!(subcode, None | Some(UNSEEN_OBJECT));
    request || UNSUPPORTED.contains(&code) || FORBIDDEN.contains(&code)
}
