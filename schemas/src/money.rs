//! Exact decimals: an amount is an integer count of millionths, never binary floating point.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Decimal places kept; what is given beyond them is rounded half to even.
pub const SCALE: u32 = 6;

/// An amount in millionths of a currency's unit, from 0 to 10¹² units (10¹⁸ millionths, which an `i64` holds).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Micros(i64);

/// Why a number is no amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// Not a JSON number.
    #[error("must be a number")]
    NotANumber,
    /// Below zero.
    #[error("must be 0 or more")]
    Negative,
    /// Above [`Micros::MAX`].
    #[error("must be at most 1000000000000")]
    TooLarge,
}

impl Micros {
    /// The greatest amount: 10¹² units.
    pub const MAX: Self = Self(1_000_000_000_000_000_000);

    /// From a count of millionths; `None` outside 0 to [`Micros::MAX`].
    #[must_use]
    pub fn new(millionths: i64) -> Option<Self> {
        (0..=Self::MAX.0).contains(&millionths).then_some(Self(millionths))
    }

    /// The count of millionths.
    pub fn millionths(self) -> i64 {
        self.0
    }

    /// Reads a JSON number (RFC 8259) exactly, in any notation, and rounds half to even at [`SCALE`] places.
    ///
    /// # Errors
    /// Where the text is not a JSON number, or the number is out of range (before rounding, so `-1e-9` is negative).
    pub fn from_json_number(text: &str) -> Result<Self, AmountError> {
        let number = Number::parse(text).ok_or(AmountError::NotANumber)?;
        if number.is_zero() {
            return Ok(Self(0));
        }
        if number.negative {
            return Err(AmountError::Negative);
        }
        number.rounded()
    }
}

/// `0.99` for 990000 millionths: the shortest exact decimal, which is also a JSON number.
impl fmt::Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (units, fraction) = (self.0 / 1_000_000, self.0 % 1_000_000);
        if fraction == 0 {
            return write!(f, "{units}");
        }
        let digits = format!("{fraction:06}");
        write!(f, "{units}.{}", digits.trim_end_matches('0'))
    }
}

/// A JSON number, split: its value is the digits of `integer` and `fraction` with the point between them, times 10^exponent.
struct Number<'t> {
    negative: bool,
    integer: &'t str,
    fraction: &'t str,
    exponent: i64,
}

impl<'t> Number<'t> {
    fn parse(text: &'t str) -> Option<Self> {
        let (negative, rest) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (mantissa, exponent) = match rest.find(['e', 'E']) {
            Some(at) => (&rest[..at], Self::exponent(&rest[at + 1..])?),
            None => (rest, 0),
        };
        let (integer, fraction) = match mantissa.split_once('.') {
            Some((_, "")) => return None,
            Some(parts) => parts,
            None => (mantissa, ""),
        };
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let leading_zero = integer.len() > 1 && integer.starts_with('0');
        (!integer.is_empty() && !leading_zero && digits(integer) && digits(fraction)).then_some(Self {
            negative,
            integer,
            fraction,
            exponent,
        })
    }

    /// An exponent too large for an `i64` is held at its limits: the digits of a bounded body cannot make up for it.
    fn exponent(text: &str) -> Option<i64> {
        let (negative, digits) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let size = digits.parse::<i64>().unwrap_or(i64::MAX / 4).min(i64::MAX / 4);
        Some(if negative { -size } else { size })
    }

    fn is_zero(&self) -> bool {
        self.digits().all(|digit| digit == 0)
    }

    fn digits(&self) -> impl Iterator<Item = u8> + '_ {
        self.integer.bytes().chain(self.fraction.bytes()).map(|byte| byte - b'0')
    }

    /// The value in millionths. One pass: digits left of the sixth place are collected, the next decides the
    /// rounding, and whether anything but zero follows decides a tie.
    fn rounded(&self) -> Result<Micros, AmountError> {
        let mut places_left =
            i64::try_from(self.integer.len()).unwrap_or(i64::MAX / 4) + self.exponent + i64::from(SCALE);
        let (mut kept, mut next, mut rest) = (0_i128, 0_u8, false);
        for digit in self.digits() {
            match places_left {
                1.. => {
                    kept = kept * 10 + i128::from(digit);
                    if kept > i128::from(Micros::MAX.0) {
                        return Err(AmountError::TooLarge);
                    }
                }
                0 => next = digit,
                _ => rest |= digit != 0,
            }
            places_left -= 1;
        }
        while places_left > 0 {
            kept *= 10;
            if kept > i128::from(Micros::MAX.0) {
                return Err(AmountError::TooLarge);
            }
            places_left -= 1;
        }
        if kept == i128::from(Micros::MAX.0) && (next > 0 || rest) {
            return Err(AmountError::TooLarge);
        }
        let up = next > 5 || (next == 5 && (rest || kept % 2 == 1));
        i64::try_from(kept + i128::from(up)).map(Micros).map_err(|_| AmountError::TooLarge)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn micros(text: &str) -> Result<i64, AmountError> {
        Micros::from_json_number(text).map(Micros::millionths)
    }

    #[test]
    fn numbers_are_read_exactly() {
        assert_eq!(micros("99.97"), Ok(99_970_000));
        assert_eq!(micros("0"), Ok(0));
        assert_eq!(micros("-0.0"), Ok(0));
        assert_eq!(micros("0.1e1"), Ok(1_000_000));
        assert_eq!(micros("1E-6"), Ok(1));
        assert_eq!(micros("1e+2"), Ok(100_000_000));
        assert_eq!(micros("1e12"), Ok(Micros::MAX.0));
    }

    #[test]
    fn ties_go_to_the_even_neighbour() {
        assert_eq!(micros("0.0000005"), Ok(0));
        assert_eq!(micros("0.0000015"), Ok(2));
        assert_eq!(micros("0.0000025"), Ok(2));
        assert_eq!(micros("0.00000250000000000000000000001"), Ok(3));
        assert_eq!(micros("5e-7"), Ok(0));
        assert_eq!(micros("0.05e-5"), Ok(0));
        assert_eq!(micros("6e-7"), Ok(1));
    }

    #[test]
    fn what_is_out_of_range_is_refused() {
        assert_eq!(micros("-1e-9"), Err(AmountError::Negative));
        assert_eq!(micros("1000000000000.0000001"), Err(AmountError::TooLarge));
        assert_eq!(micros("1e999999999999999999999999"), Err(AmountError::TooLarge));
        assert_eq!(micros("1e-999999999999999999999999"), Ok(0));
        assert_eq!(micros("0e999999999999999999999999"), Ok(0));
    }

    #[test]
    fn what_is_no_json_number_is_refused() {
        for text in ["", "-", "01", "1.", ".5", "1e", "1e+", "+1", "0x1", "NaN", "\"1\"", "1 ", "1.2.3"] {
            assert_eq!(micros(text), Err(AmountError::NotANumber), "{text}");
        }
    }

    #[test]
    fn amounts_are_shown_as_short_decimals() {
        for text in ["99.97", "0", "1", "0.000001", "1000000000000", "10.5"] {
            assert_eq!(Micros::from_json_number(text).map(|amount| amount.to_string()).as_deref(), Ok(text));
        }
    }
}
