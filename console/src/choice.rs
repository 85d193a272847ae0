//! A list to choose from.

/// One of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Choice {
    pub(crate) value: String,
    pub(crate) is_chosen: bool,
}

impl Choice {
    /// All of them, with the one that was chosen.
    pub(crate) fn among<'v>(values: impl IntoIterator<Item = &'v str>, chosen: Option<&str>) -> Vec<Self> {
        let choice = |value: &str| Self { value: value.to_owned(), is_chosen: chosen == Some(value) };
        values.into_iter().map(choice).collect()
    }
}
