//! Who calls, and for which business.

use directory::{BusinessEntry, BusinessId, KeyIdentity, KeyRefusal, Snapshot};
use http::{HeaderMap, HeaderName};

use crate::refusal::Refusal;

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
/// How much of an asked id that is no UUID a record keeps, in bytes.
const ASKED_KEPT: usize = 64;

/// Who calls, by the key in the headers. `now` is in Unix milliseconds.
///
/// # Errors
/// Where there is no live key with full access.
pub fn authenticate(headers: &HeaderMap, now: i64, directory: &Snapshot) -> Result<KeyIdentity, KeyRefusal> {
    directory::authenticate(headers.get_all(API_KEY).iter().map(http::HeaderValue::as_bytes), now, directory)
}

/// Whether the business that the path asks for is the key's own, and enabled. A key of another business gets the answer
/// of an unknown one, so that no one can find out which ids exist.
///
/// # Errors
/// Where it is not.
pub fn authorize(asked: &str, own: &BusinessEntry) -> Result<(), Refusal> {
    if own.enabled && BusinessId::parse(asked) == Some(own.id) {
        return Ok(());
    }
    Err(Refusal::business_not_found())
}

/// The id that a path asks for, as a record keeps it: in small letters where it is a UUID, else as it is, cut.
pub fn recorded_id(asked: &str) -> String {
    match BusinessId::parse(asked) {
        Some(id) => id.to_string(),
        None => asked[..asked.floor_char_boundary(ASKED_KEPT)].to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_asked_id_is_kept_in_one_spelling_and_bounded() {
        assert_eq!(recorded_id("0190A7C2-0000-7000-8000-00000000ABCD"), "0190a7c2-0000-7000-8000-00000000abcd");
        assert_eq!(recorded_id("Shop"), "Shop");
        assert_eq!(recorded_id(&"x".repeat(100)), "x".repeat(64));
        assert_eq!(recorded_id(&format!("{}é", "x".repeat(63))), "x".repeat(63));
    }

    #[test]
    fn only_the_own_enabled_business_is_found() {
        let id = "0190a7c2-0000-7000-8000-00000000abcd";
        let mut own = BusinessEntry::new(BusinessId::parse(id).unwrap(), "Shop");
        assert_eq!(authorize(id, &own), Ok(()));
        assert_eq!(authorize(&id.to_uppercase(), &own), Ok(()));
        for other in ["", "shop", "0190a7c2000070008000-00000000abcd", "0190a7c2-0000-7000-8000-00000000abce"] {
            assert_eq!(authorize(other, &own), Err(Refusal::business_not_found()), "{other}");
        }
        own.enabled = false;
        assert_eq!(authorize(id, &own), Err(Refusal::business_not_found()));
    }
}
