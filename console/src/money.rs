//! Amounts and counts, as pages show them.

use std::{borrow::Borrow, fmt};

use serde::{Deserialize, Deserializer};

/// An exact decimal as ClickHouse writes it; empty where there is none. It is never a float.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Amount(String);

impl Amount {
    pub(crate) fn is_none(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<String> for Amount {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self)
    }
}

/// With its thousands apart, and two digits behind the point or as many as there are.
impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return Ok(());
        }
        let (whole, behind) = self.0.split_once('.').unwrap_or((&self.0, ""));
        let behind = behind.trim_end_matches('0');
        f.write_str(&grouped(whole))?;
        write!(f, ".{behind:0<2}")
    }
}

/// A whole number with its thousands apart.
pub(crate) fn grouped(digits: &str) -> String {
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |digits| ("-", digits));
    let mut grouped = String::from(sign);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A count with its thousands apart.
pub(crate) fn count(number: impl Borrow<u64>) -> String {
    grouped(&number.borrow().to_string())
}

/// A rate in per cent: with a digit behind the point where it is small, so that little is not shown as nothing.
pub(crate) fn percent(part: impl Borrow<u64>, of: impl Borrow<u64>) -> String {
    let (part, of) = (*part.borrow(), *of.borrow());
    if of == 0 {
        return "–".to_owned();
    }
    let per_mille = (u128::from(part) * 1000 + u128::from(of) / 2) / u128::from(of);
    match per_mille {
        0 if part > 0 => "< 0.1 %".to_owned(),
        1000 if part < of => "> 99.9 %".to_owned(),
        _ if per_mille.is_multiple_of(10) => format!("{} %", per_mille / 10),
        1..100 | 901.. => format!("{}.{} %", per_mille / 10, per_mille % 10),
        _ => format!("{} %", (per_mille + 5) / 10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        Amount(text.to_owned()).to_string()
    }

    #[test]
    fn amounts_keep_every_digit() {
        assert_eq!(shown("99.97"), "99.97");
        assert_eq!(shown("1234567.5"), "1,234,567.50");
        assert_eq!(shown("0.000001"), "0.000001");
        assert_eq!(shown("999999999999.123400"), "999,999,999,999.1234");
        assert_eq!(shown("-1000"), "-1,000.00");
        assert_eq!(shown(""), "");
    }

    #[test]
    fn little_is_not_nothing_and_almost_all_is_not_all() {
        for (part, of, shown) in [
            (0, 0, "–"),
            (0, 10, "0 %"),
            (1, 100_000, "< 0.1 %"),
            (3, 100, "3 %"),
            (33, 1000, "3.3 %"),
            (1, 3, "33 %"),
            (99_999, 100_000, "> 99.9 %"),
            (995, 1000, "99.5 %"),
            (10, 10, "100 %"),
        ] {
            assert_eq!(percent(part, of), shown, "{part} of {of}");
        }
    }

    #[test]
    fn counts_are_grouped() {
        assert_eq!(
            (count(0), count(999), count(1000), count(20_000_000)),
            ("0".into(), "999".into(), "1,000".into(), "20,000,000".into())
        );
    }
}
