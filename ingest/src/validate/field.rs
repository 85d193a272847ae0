//! Reading one leaf: its type, its size, its range.

use std::fmt::Display;

use schemas::{Micros, money::AmountError};
use serde_json::value::RawValue;

use super::{FieldReason, Violation};
use crate::request::Given;

/// The limit of a text, in UTF-8 bytes.
#[derive(Clone, Copy)]
pub(super) struct Text {
    most: usize,
}

impl Text {
    pub(super) const fn upto(most: usize) -> Self {
        Self { most }
    }
}

/// The violations found so far.
#[derive(Default)]
pub(super) struct Findings {
    pub(super) violations: Vec<Violation>,
}

impl Findings {
    pub(super) fn add(&mut self, field: impl Display, reason: FieldReason, description: impl Into<String>) {
        self.violations.push(Violation { field: field.to_string(), reason, description: description.into() });
    }

    pub(super) fn missing(&mut self, field: impl Display) {
        self.add(field, FieldReason::FieldRequired, "is required, and must not be blank");
    }

    pub(super) fn wrong_type(&mut self, field: impl Display, expected: &str) {
        self.add(field, FieldReason::FieldType, format!("must be {expected}"));
    }

    /// A text that must be there. What was read is returned even where it breaks a rule; empty where it is missing.
    pub(super) fn required(&mut self, field: impl Display, given: Given<'_>, rule: Text) -> String {
        let Some(text) = self.present(&field, given) else { return String::new() };
        self.bounded(field, &text, rule);
        text
    }

    /// A text that must be there, of whatever size; `None` where it is missing or something else.
    pub(super) fn present(&mut self, field: impl Display, given: Given<'_>) -> Option<String> {
        if given.is_none() {
            self.missing(field);
            return None;
        }
        let text = self.text(&field, given)?;
        if is_blank(&text) {
            self.missing(field);
            return None;
        }
        Some(text)
    }

    /// A text that may be absent; a blank one counts as absent.
    pub(super) fn optional(&mut self, field: impl Display, given: Given<'_>, rule: Text) -> String {
        let Some(text) = self.text(&field, given).filter(|text| !is_blank(text)) else { return String::new() };
        self.bounded(field, &text, rule);
        text
    }

    /// The text of a string; `None` where it is absent or something else.
    pub(super) fn text(&mut self, field: impl Display, given: Given<'_>) -> Option<String> {
        let raw = given?;
        if !raw.get().starts_with('"') {
            self.wrong_type(field, "a string");
            return None;
        }
        let text = serde_json::from_str(raw.get()).ok();
        if text.is_none() {
            // The grammar was checked with the body: only an escape can be left that stands for no character.
            self.add(field, FieldReason::FieldValue, "must not contain an unpaired surrogate escape");
        }
        text
    }

    fn bounded(&mut self, field: impl Display, text: &str, rule: Text) {
        if text.len() > rule.most {
            let description = format!("must be at most {} bytes of UTF-8, has {}", rule.most, text.len());
            self.add(&field, FieldReason::FieldTooLong, description);
        }
        if text.chars().any(char::is_control) {
            self.add(field, FieldReason::FieldValue, "must not contain control characters");
        }
    }

    /// A count from 0 to 2³¹−1.
    pub(super) fn count(&mut self, field: impl Display, given: Given<'_>) -> Option<i32> {
        let number = self.integer(&field, given, "an integer")?;
        let count = i32::try_from(number).ok().filter(|count| *count >= 0);
        if count.is_none() {
            self.add(field, FieldReason::FieldValue, "must be from 0 to 2147483647");
        }
        count
    }

    /// An integer in integer notation: `2.0` and `2e0` are refused, as JSON readers disagree on what they are. One that
    /// no 64 bits hold is returned as the nearest that they do, for the range check that every caller makes.
    pub(super) fn integer(&mut self, field: impl Display, given: Given<'_>, expected: &str) -> Option<i64> {
        let text = given?.get();
        let digits = text.strip_prefix('-').unwrap_or(text);
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            self.wrong_type(field, expected);
            return None;
        }
        let beyond = if text.starts_with('-') { i64::MIN } else { i64::MAX };
        Some(text.parse().unwrap_or(beyond))
    }

    /// An amount of money, read from its digits.
    pub(super) fn amount(&mut self, field: impl Display, given: Given<'_>) -> Option<Micros> {
        match Micros::from_json_number(given.map(RawValue::get)?) {
            Ok(amount) => return Some(amount),
            Err(AmountError::NotANumber) => self.wrong_type(field, "a number"),
            Err(fault @ (AmountError::Negative | AmountError::TooLarge)) => {
                self.add(field, FieldReason::FieldValue, fault.to_string());
            }
        }
        None
    }
}

/// Whether a text is nothing but blanks, which counts as missing.
pub(crate) fn is_blank(text: &str) -> bool {
    text.chars().all(char::is_whitespace)
}
