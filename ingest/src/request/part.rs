//! Objects and arrays inside a body, which may turn out to be something else: that is a violation, not a syntax error.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{Error, IgnoredAny, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

/// An object that we know.
#[derive(Debug, Default)]
pub enum Part<T> {
    /// Absent or `null`.
    #[default]
    Absent,
    /// Not an object.
    Other,
    /// The object's known keys.
    Object(T),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Part<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <&RawValue>::deserialize(deserializer)?.get();
        match text.as_bytes().first() {
            Some(b'{') => inner(text).map(Self::Object),
            Some(b'n') => Ok(Self::Absent),
            _ => Ok(Self::Other),
        }
    }
}

/// An array that we know. At most [`MAX_ITEMS`] of its elements are looked at, so that a body of nothing but brackets
/// costs no more memory than itself and draws no endless list of violations.
#[derive(Debug, Default)]
pub enum List<T> {
    /// Absent or `null`.
    #[default]
    Absent,
    /// Not an array.
    Other,
    /// The array.
    Items {
        /// The first [`MAX_ITEMS`].
        kept: Vec<T>,
        /// How many there are.
        count: usize,
    },
}

/// Elements that an array of the request may have.
pub const MAX_ITEMS: usize = 100;

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <&RawValue>::deserialize(deserializer)?.get();
        match text.as_bytes().first() {
            Some(b'[') => inner(text).map(|Elements { kept, count }| Self::Items { kept, count }),
            Some(b'n') => Ok(Self::Absent),
            _ => Ok(Self::Other),
        }
    }
}

struct Elements<T> {
    kept: Vec<T>,
    count: usize,
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Elements<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ElementsVisitor(PhantomData))
    }
}

struct ElementsVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ElementsVisitor<T> {
    type Value = Elements<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
        let mut kept = Vec::new();
        while kept.len() < MAX_ITEMS {
            let Some(element) = elements.next_element()? else { break };
            kept.push(element);
        }
        let mut count = kept.len();
        if count == MAX_ITEMS {
            while elements.next_element::<IgnoredAny>()?.is_some() {
                count += 1;
            }
        }
        Ok(Elements { kept, count })
    }
}

/// Reads the text of a value. A fault in it is told without its position, which would count from the value's own start.
fn inner<'de, T: Deserialize<'de>, E: Error>(text: &'de str) -> Result<T, E> {
    serde_json::from_str(text).map_err(|fault| {
        let text = fault.to_string();
        E::custom(text.split(" at line ").next().unwrap_or(&text))
    })
}
