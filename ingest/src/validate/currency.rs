//! Currencies.

use iso_currency::Currency;

/// The code in capitals, where it is an active one of ISO 4217, in any case. `XXX` (no currency) and `XTS` (testing)
/// are on the list but stand for no money.
pub(super) fn canonical(text: &str) -> Option<String> {
    let code = text.to_ascii_uppercase();
    let currency = Currency::from_code(&code)?;
    let placeholder = matches!(currency, Currency::XXX | Currency::XTS);
    (!placeholder && !is_withdrawn(currency)).then_some(code)
}

/// The library keeps some withdrawn codes and names their successors. VES is no such code: Venezuela's VED stands beside
/// it on list one of ISO 4217, for the central bank's own use.
fn is_withdrawn(currency: Currency) -> bool {
    currency != Currency::VES && currency.is_superseded().is_some()
}

#[cfg(test)]
mod tests {
    use super::canonical;

    #[test]
    fn active_codes_are_taken_in_any_case() {
        for code in
            ["USD", "usd", "Usd", "BRL", "MXN", "MRU", "XAF", "XDR", "XAU", "CLF", "VES", "VED", "XCG", "ZWG", "SLE"]
        {
            assert_eq!(canonical(code), Some(code.to_ascii_uppercase()), "{code}");
        }
    }

    #[test]
    fn what_is_no_active_currency_is_refused() {
        for code in
            ["", "US", "USDT", " USD", "XXX", "xts", "DEM", "HRK", "BGN", "SLL", "ZWL", "CUC", "ANG", "ÙSD", "ſEK"]
        {
            assert_eq!(canonical(code), None, "{code}");
        }
    }
}
