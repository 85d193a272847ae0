//! The last requests, for a person who wonders what was sent.

use serde::{Deserialize, Serialize};

/// One request.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Seen {
    /// Counted from 1, across resets.
    pub number: u64,
    /// When it was read, RFC 3339.
    pub at: String,
    /// The Graph version in the path.
    pub version: String,
    /// The dataset in the path.
    pub dataset: String,
    /// Names of the headers; their values stay out, one of them is the token.
    pub headers: Vec<String>,
    /// Length of the body.
    pub bytes: usize,
    /// Events in it; 0 where it could not be read.
    pub events: usize,
    /// Events of it that were counted.
    pub credited: usize,
    /// Name of the behaviour that answered.
    pub outcome: String,
    /// The HTTP status; none where no answer was given.
    pub status: Option<u16>,
    /// How long the answer was held back, in milliseconds.
    pub delay_ms: u64,
}
