//! What an answer means: the table of Meta's answers as one pure function. Numbers decide, never text, for Meta's texts
//! are localised and change. Those that a replay goes by as well stand in [`schemas::meta`].

use schemas::meta;

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Meta counted every event of the request.
    Accepted,
    /// A 2xx that counted fewer events than were sent.
    Dropped,
    /// Nothing of the request left: DNS, connect or TLS failed.
    NotSent,
    /// Too many calls; nothing was counted.
    Throttled,
    /// Meta's trouble, by its own word; nothing was counted.
    Transient,
    /// Nothing can tell whether the events were counted.
    Unknown,
    /// Code 368: blocked for a while for misuse.
    Blocked,
    /// The access token is invalid, expired or revoked.
    Token,
    /// The token may not do this.
    Permission,
    /// Dataset and WABA do not belong together.
    Wiring,
    /// The click id is unknown to Meta, or missing.
    BadClick,
    /// A field of the event, or its time.
    BadEvent,
    /// Something that we put around every event: our bug.
    Envelope,
    /// The Graph version is no longer served.
    OldVersion,
    /// A code that is in no row of the table. Final, so that nothing loops.
    Other,
}

/// Whose fault a definite rejection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Of one or more events: the rest of the batch may be good.
    Event,
    /// By its words of what all events of the request share, such as the token. It is believed of a whole batch once
    /// lone events have drawn it too: the endpoint's page shows "Mismatching WhatsApp Business Account ID" as what is said
    /// of one event, and no event is to lose its credit for another's fault.
    Request,
}

impl Class {
    /// Whether Meta said no for good: the answer is the verdict of the events it is about.
    pub fn is_definite_rejection(self) -> bool {
        self.fault().is_some()
    }

    /// Whose fault a definite rejection is; `None` for every other class.
    pub fn fault(self) -> Option<Fault> {
        match self {
            Self::BadClick | Self::BadEvent => Some(Fault::Event),
            Self::Token | Self::Permission | Self::Wiring | Self::Envelope | Self::OldVersion | Self::Other => {
                Some(Fault::Request)
            }
            _ => None,
        }
    }

    /// Whether the events are to be sent again of our own accord.
    pub fn is_retryable(self) -> bool {
        matches!(self, Self::NotSent | Self::Throttled | Self::Transient | Self::Unknown | Self::Blocked)
    }

    /// Whether Meta may have counted an event of the request.
    pub fn may_have_counted(self) -> bool {
        matches!(self, Self::Accepted | Self::Dropped | Self::Unknown)
    }

    /// The name in metrics and spans.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Dropped => "dropped",
            Self::NotSent => "not_sent",
            Self::Throttled => "throttled",
            Self::Transient => "transient",
            Self::Unknown => "unknown",
            Self::Blocked => "blocked",
            Self::Token => "token",
            Self::Permission => "permission",
            Self::Wiring => "wiring",
            Self::BadClick => "bad_click",
            Self::BadEvent => "bad_event",
            Self::Envelope => "envelope",
            Self::OldVersion => "old_version",
            Self::Other => "other",
        }
    }
}

/// The body of an answer, as far as it decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Graph JSON that says how many events were counted.
    Received(u64),
    /// Graph JSON with an error.
    Refusal {
        /// `error.code`.
        code: Option<i64>,
        /// `error.error_subcode`.
        subcode: Option<i64>,
        /// `error.is_transient`.
        is_transient: bool,
    },
    /// Anything else: HTML of a proxy, JSON of another make, or a body that broke off.
    Foreign,
}

/// What an answer with this HTTP status and body means for a request of `sent` events.
pub fn classify(http_status: u16, reply: Reply, sent: usize) -> Class {
    let success = (200..300).contains(&http_status);
    match reply {
        Reply::Received(count) if success => {
            let all = usize::try_from(count).is_ok_and(|count| count < sent);
            if all { Class::Dropped } else { Class::Accepted }
        }
        Reply::Refusal { code, subcode, is_transient } => {
            by_number(code, subcode).unwrap_or_else(|| unnumbered(http_status, is_transient))
        }
        // Something was counted, says a failure: it contradicts itself, and may have been counted.
        Reply::Received(_) => Class::Unknown,
        Reply::Foreign => foreign(http_status),
    }
}

/// The rows that a number decides. A subcode with a row of its own is more telling than its code.
fn by_number(code: Option<i64>, subcode: Option<i64>) -> Option<Class> {
    if let Some(class) = by_subcode(code, subcode) {
        return Some(class);
    }
    let class = match code? {
        4 | 17 | 32 | 341 | 613 | 80_000..=80_014 => Class::Throttled,
        1 | 2 => Class::Transient,
        368 => Class::Blocked,
        meta::OLD_VERSION => Class::OldVersion,
        code if meta::TOKEN.contains(&code) => Class::Token,
        code if meta::lacks_permission(code, subcode) => Class::Permission,
        _ => return None,
    };
    Some(class)
}

fn by_subcode(code: Option<i64>, subcode: Option<i64>) -> Option<Class> {
    let class = match (code, subcode?) {
        (_, 2_446_079) | (Some(200), 4_841_013) => Class::Throttled,
        // A rejection by its subcode is final: under a code that is to be retried, the code is the safer word.
        (Some(1 | 2 | 4 | 17 | 32 | 341 | 368 | 613 | 80_000..=80_014), _) => return None,
        (_, subcode) if meta::WIRING.contains(&subcode) => Class::Wiring,
        (_, subcode) if meta::ENVELOPE.contains(&subcode) => Class::Envelope,
        (_, 2_804_071 | 2_804_087) => Class::BadClick,
        (_, 2_804_003 | 2_804_004 | 2_804_008..=2_804_011 | 2_804_019 | 2_804_023 | 2_804_066 | 2_804_081) => {
            Class::BadEvent
        }
        _ => return None,
    };
    Some(class)
}

/// An error of Graph whose numbers are in no row.
fn unnumbered(http_status: u16, is_transient: bool) -> Class {
    match http_status {
        429 => Class::Throttled,
        _ if is_transient => Class::Transient,
        500.. => Class::Transient,
        _ => Class::Other,
    }
}

/// An answer that Graph did not write. A server's error or a success tells nothing about the events. A redirect or a
/// client's error is something on the way that refused the request: it is tried again, for no verdict of Meta's exists.
fn foreign(http_status: u16) -> Class {
    match http_status {
        429 => Class::Throttled,
        300..=499 => Class::Transient,
        _ => Class::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(http_status: u16, code: i64, subcode: i64, is_transient: bool) -> Class {
        let subcode = (subcode != 0).then_some(subcode);
        classify(http_status, Reply::Refusal { code: Some(code), subcode, is_transient }, 1)
    }

    #[test]
    fn counted_and_sent_are_compared() {
        assert_eq!(classify(200, Reply::Received(3), 3), Class::Accepted);
        assert_eq!(classify(201, Reply::Received(1), 1), Class::Accepted);
        assert_eq!(classify(200, Reply::Received(2), 3), Class::Dropped);
        assert_eq!(classify(200, Reply::Received(0), 1), Class::Dropped);
        assert_eq!(classify(500, Reply::Received(1), 1), Class::Unknown);
    }

    #[test]
    fn every_number_of_the_table_has_its_class() {
        let rows: &[(Class, &[(i64, i64)])] = &[
            (Class::Throttled, &[(4, 0), (17, 0), (32, 0), (341, 0), (613, 0), (80_000, 0), (80_004, 0), (80_014, 0)]),
            (Class::Throttled, &[(17, 2_446_079), (100, 2_446_079), (200, 4_841_013)]),
            (Class::Transient, &[(1, 0), (2, 0), (2, 99)]),
            (Class::Blocked, &[(368, 0), (368, 1_390_008)]),
            (Class::Token, &[(190, 0), (190, 463), (190, 467), (102, 0)]),
            (Class::Permission, &[(3, 0), (10, 0), (200, 0), (294, 0), (299, 0), (100, 33), (200, 1), (100, 0)]),
            (
                Class::Wiring,
                &[(100, 2_804_065), (100, 2_804_116), (100, 2_804_118), (100, 2_804_131), (100, 2_804_132)],
            ),
            (Class::BadClick, &[(100, 2_804_087), (100, 2_804_071)]),
            (
                Class::BadEvent,
                &[
                    (100, 2_804_066),
                    (100, 2_804_003),
                    (100, 2_804_004),
                    (100, 2_804_008),
                    (100, 2_804_009),
                    (100, 2_804_010),
                    (100, 2_804_011),
                    (100, 2_804_019),
                    (100, 2_804_023),
                    (100, 2_804_081),
                ],
            ),
            (Class::Envelope, &[(100, 2_804_063), (100, 2_804_064)]),
            (Class::OldVersion, &[(2635, 0)]),
            (Class::Other, &[(5, 0), (300, 0), (199, 0), (79_999, 0), (80_015, 0), (100, 2_804_012), (803, 33)]),
        ];
        for (class, numbers) in rows {
            for (code, subcode) in *numbers {
                assert_eq!(error(400, *code, *subcode, false), *class, "{code}/{subcode}");
            }
        }
    }

    #[test]
    fn a_number_outweighs_status_and_flag() {
        assert_eq!(error(400, 4, 0, true), Class::Throttled);
        assert_eq!(error(500, 190, 0, false), Class::Token);
        assert_eq!(error(401, 190, 0, false), Class::Token);
        assert_eq!(error(429, 190, 0, false), Class::Token);
        assert_eq!(error(403, 200, 4_841_013, false), Class::Throttled);
        assert_eq!(error(500, 100, 2_804_087, true), Class::BadClick);
        assert_eq!(error(400, 2, 2_804_087, true), Class::Transient);
    }

    #[test]
    fn status_and_flag_decide_where_no_number_does() {
        assert_eq!(error(400, 9999, 0, true), Class::Transient);
        assert_eq!(error(503, 9999, 0, false), Class::Transient);
        assert_eq!(error(429, 9999, 0, false), Class::Throttled);
        assert_eq!(error(400, 9999, 0, false), Class::Other);
        let nameless = Reply::Refusal { code: None, subcode: None, is_transient: false };
        assert_eq!(classify(500, nameless, 1), Class::Transient);
        assert_eq!(classify(400, nameless, 1), Class::Other);
    }

    #[test]
    fn an_answer_that_is_not_graph_s_settles_nothing() {
        for (status, class) in [
            (200, Class::Unknown),
            (204, Class::Unknown),
            (500, Class::Unknown),
            (502, Class::Unknown),
            (504, Class::Unknown),
            (429, Class::Throttled),
            (302, Class::Transient),
            (403, Class::Transient),
            (413, Class::Transient),
        ] {
            assert_eq!(classify(status, Reply::Foreign, 1), class, "{status}");
        }
    }

    #[test]
    fn each_class_is_either_settled_or_retried() {
        use Class::*;
        for class in [
            Accepted, Dropped, NotSent, Throttled, Transient, Unknown, Blocked, Token, Permission, Wiring, BadClick,
            BadEvent, Envelope, OldVersion, Other,
        ] {
            let settled = class.is_definite_rejection() || matches!(class, Accepted | Dropped);
            assert_ne!(settled, class.is_retryable(), "{class:?}");
            assert!(!(class.is_definite_rejection() && class.may_have_counted()), "{class:?}");
        }
    }
}
