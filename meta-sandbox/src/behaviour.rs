//! What the sandbox can be asked to do: one [`Behaviour`] for each row of the answer table, listed in [`catalogue`].

pub(crate) mod catalogue;
pub mod click_id;
pub(crate) mod refusal;

use std::fmt::Write;

use serde::Serialize;

use self::refusal::Refusal;

/// One thing that the sandbox does to a request.
#[derive(Debug)]
pub struct Behaviour {
    /// Its name in click ids, in the control API and in the statistics.
    pub name: &'static str,
    /// How a sender is expected to understand it.
    pub class: Class,
    pub(crate) reply: Reply,
}

/// The classes of the answer table: what a sender makes of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Counted, and said so.
    Accepted,
    /// A 2xx that counts fewer events than were sent.
    Dropped,
    /// Too many calls: later.
    Throttled,
    /// Meta's own trouble: later.
    Transient,
    /// Nobody can tell whether the events were counted.
    UnknownOutcome,
    /// A temporary block for policy reasons.
    Blocked,
    /// The access token is no good.
    Token,
    /// The token may not do this.
    Permission,
    /// Dataset and WhatsApp business account do not belong together.
    Wiring,
    /// The click id is no good.
    BadClick,
    /// The event is no good.
    BadEvent,
    /// The sender built the request wrongly.
    OurEnvelope,
    /// The Graph version has ended.
    OldVersion,
    /// A code that nobody has a rule for.
    OtherCode,
}

/// What goes back on the wire.
#[derive(Debug)]
pub(crate) enum Reply {
    /// The usual answer; `Slow` gives it late.
    Received,
    /// The usual answer after the milliseconds in the name. Counted on arrival.
    Slow,
    /// The usual answer, but the event was not counted, and `events_received` says so.
    DropEvent,
    /// The same for every event of the request.
    DropAll,
    /// A Graph error.
    Refused(Refusal),
    /// An answer whose body is not what the Graph API would write.
    Page { status: u16, content_type: &'static str, body: &'static str },
    /// An answer much longer than anyone should read.
    Huge { status: u16 },
    /// An answer that announces more bytes than come.
    CutShort,
    /// The connection is reset in place of an answer.
    Reset,
    /// No answer, for as long as the client cares to wait.
    Silence,
}

impl Behaviour {
    /// Finds a behaviour by its exact name.
    pub fn named(name: &str) -> Option<&'static Self> {
        catalogue::ALL.iter().copied().find(|behaviour| behaviour.name == name)
    }

    /// Every behaviour, in the order of the answer table.
    pub fn all() -> impl Iterator<Item = &'static Self> {
        catalogue::ALL.iter().copied()
    }

    /// One line for people.
    pub fn about(&self) -> String {
        match &self.reply {
            Reply::Received => "the usual answer".into(),
            Reply::Slow => "the usual answer after N milliseconds: slow-2500; counted on arrival".into(),
            Reply::DropEvent => "200, but this event is not counted; the others of its request are".into(),
            Reply::DropAll => "200, but no event of the request is counted".into(),
            Reply::Refused(refusal) => refusal.to_string(),
            Reply::Page { status, content_type, body } => {
                let start: String = body.chars().take(48).collect();
                format!("HTTP {status}, {content_type}: {start:?}…")
            }
            Reply::Huge { status } => format!("HTTP {status} with a body of {} MiB", refusal::HUGE_MIB),
            Reply::CutShort => "200 whose body ends before its Content-Length, then the connection closes".into(),
            Reply::Reset => "the connection is reset (TCP RST) after the request was read".into(),
            Reply::Silence => "no answer until the client gives up".into(),
        }
    }

    /// Whether `-counted` may follow the name: the events count, though the answer does not say so.
    pub fn may_count(&self) -> bool {
        self.class == Class::UnknownOutcome
    }
}

/// One row of `GET /sandbox/behaviours.json`.
#[derive(Debug, Serialize)]
pub struct Row {
    /// The name to use.
    pub name: &'static str,
    /// What a sender makes of it.
    pub class: Class,
    /// What happens.
    pub about: String,
    /// Whether `-counted` may follow the name.
    pub may_count: bool,
}

/// The list for programs.
pub fn as_rows() -> Vec<Row> {
    Behaviour::all()
        .map(|behaviour| Row {
            name: behaviour.name,
            class: behaviour.class,
            about: behaviour.about(),
            may_count: behaviour.may_count(),
        })
        .collect()
}

/// The list for people.
pub fn as_text() -> String {
    let mut text = String::from(click_id::GRAMMAR);
    for behaviour in Behaviour::all() {
        let class = format!("{:?}", behaviour.class);
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {:<18} {class:<15} {}", behaviour.name, behaviour.about());
    }
    text
}
