//! The last requests, for a person who wonders what was sent, and for a test that wants to know what became of an order.

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
    /// What it carried, as far as that can be read, whatever became of it.
    pub carried: Vec<Carried>,
    /// Events of it that were counted.
    pub credited: usize,
    /// Name of the behaviour that answered.
    pub outcome: String,
    /// The HTTP status; none where no answer was given.
    pub status: Option<u16>,
    /// Whether an answer has left. None does while it is held back, nor ever where the client did not wait for it.
    pub answered: bool,
    /// How long the answer was held back, in milliseconds.
    pub delay_ms: u64,
}

/// One event of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Carried {
    /// As sent.
    pub event_name: String,
    /// As sent; empty where none was.
    #[serde(default)]
    pub event_id: String,
}
