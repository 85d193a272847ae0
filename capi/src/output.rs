//! What a command prints: JSON for machines, text for people.

use std::{
    fmt::Display,
    io::{Write as _, stdout},
};

use serde::Serialize;

use crate::failure::Failure;

/// Where a command prints.
pub(crate) struct Output {
    json: bool,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        Self { json }
    }

    /// Prints one thing: an answer, or one of a list.
    pub(crate) fn print(&self, thing: &(impl Serialize + Display)) -> Result<(), Failure> {
        let line = if self.json {
            serde_json::to_string(thing).map_err(|error| Failure::Other(error.to_string()))?
        } else {
            thing.to_string()
        };
        Ok(writeln!(stdout().lock(), "{line}")?)
    }
}
