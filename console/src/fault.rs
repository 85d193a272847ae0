//! Why a page is not shown, and the page that says so.

use std::time::Duration;

use askama::Template;
use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use directory::StoreError;

use crate::{frame::Frame, page};

/// Why a page is not shown: each is something else to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// There is no such page, or not for this user: the same answer, so that nobody finds out what there is.
    #[error("There is no such page, or you may not see it.")]
    NotFound,
    /// A form that did not come from a page of ours, or from one that is too old.
    #[error("This form was not sent from a page of this session. Open the page again and send it once more.")]
    Forged,
    /// What was sent cannot be meant.
    #[error("{0}")]
    Input(String),
    /// A body that no form of ours has.
    #[error("What was sent is larger than any form here.")]
    TooLarge,
    /// Too many attempts.
    #[error("There were too many attempts. Try again in {}.", minutes(.0))]
    TooOften(Duration),
    /// More is asked of ClickHouse than it is let do at once.
    #[error("Many pages are being asked for just now. Try again in a moment.")]
    Busy,
    /// ClickHouse does not answer.
    #[error("The warehouse does not answer just now. Calls are taken and forwarded as always; only these pages wait.")]
    RecordsAway,
    /// ClickHouse refuses: an operator must act.
    #[error("The warehouse refuses the question. An operator finds the reason in the console's log.")]
    RecordsRefused,
    /// The question takes longer than a page may.
    #[error("This takes longer than a page may take. Choose a shorter range.")]
    TooMuch,
    /// Kafka does not answer, or not all of the directory has been read yet.
    #[error("The directory does not answer just now: nothing was changed, or it is not known. Look again in a moment.")]
    DirectoryAway,
    /// The method is not one of the page's.
    #[error("This page is not asked for in this way.")]
    Method,
}

impl Fault {
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Forged => StatusCode::FORBIDDEN,
            Self::Input(_) | Self::TooMuch => StatusCode::BAD_REQUEST,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooOften(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Busy | Self::RecordsAway | Self::DirectoryAway => StatusCode::SERVICE_UNAVAILABLE,
            Self::RecordsRefused => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
        }
    }

    fn title(&self) -> &'static str {
        match self {
            Self::NotFound => "Not found",
            Self::Forged => "Not from here",
            Self::Input(_) | Self::TooLarge | Self::Method => "That did not work",
            Self::TooOften(_) | Self::Busy => "Too many at once",
            Self::RecordsAway | Self::DirectoryAway => "Not available",
            Self::RecordsRefused => "Something is wrong here",
            Self::TooMuch => "Too much to ask",
        }
    }

    /// When it is worth another try, in seconds.
    fn retry_after(&self) -> Option<u64> {
        match self {
            Self::TooOften(wait) => Some(wait.as_secs() + 1),
            Self::Busy | Self::RecordsAway | Self::DirectoryAway => Some(5),
            _ => None,
        }
    }

    /// The page that tells it, in the frame that it belongs to.
    pub(crate) fn page(&self, frame: Frame) -> Response {
        let page = FaultPage { title: self.title(), sentence: self.to_string(), status: self.status().as_u16(), frame };
        let mut answer = page::shown(self.status(), &page);
        if let Some(seconds) = self.retry_after() {
            answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        answer
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        self.page(Frame::default())
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::UnknownBusiness(_) => Self::NotFound,
            StoreError::Unavailable(_) | StoreError::NotSetUp(_) => {
                tracing::warn!(%error, "the directory cannot be changed");
                Self::DirectoryAway
            }
            told => Self::Input(sentence(&told.to_string())),
        }
    }
}

/// A message as a sentence of a page.
pub(crate) fn sentence(message: &str) -> String {
    let mut letters = message.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    let end = if message.ends_with('.') { "" } else { "." };
    [&first, letters.as_str(), end].concat()
}

fn minutes(wait: &Duration) -> String {
    match wait.as_secs() {
        0..=90 => "a minute".to_owned(),
        seconds => format!("{} minutes", seconds.div_ceil(60)),
    }
}

#[derive(Template)]
#[template(path = "fault.html")]
struct FaultPage {
    frame: Frame,
    title: &'static str,
    sentence: String,
    status: u16,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_becomes_a_sentence() {
        assert_eq!(sentence("a name has 1 to 256 bytes"), "A name has 1 to 256 bytes.");
        assert_eq!(sentence(""), ".");
    }

    #[test]
    fn a_wait_is_told_in_minutes_and_to_programs_in_seconds() {
        let fault = Fault::TooOften(Duration::from_mins(10));
        assert_eq!(fault.to_string(), "There were too many attempts. Try again in 10 minutes.");
        assert_eq!(fault.into_response().headers()[header::RETRY_AFTER], "601");
        assert!(Fault::NotFound.into_response().headers().get(header::RETRY_AFTER).is_none());
    }
}
