//! What a failure means and what to do about it, in plain words. Each reason and each class of Meta's answers has its
//! text: a new one does not compile without.

use forwarder::meta::classify::{Class, Reply, classify};
use schemas::{FailureStage, Reason};

/// A failure in plain words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Meaning {
    /// What happened.
    pub(super) means: &'static str,
    /// What to do.
    pub(super) act: &'static str,
    /// Whose turn it is.
    pub(super) whose: Whose,
}

/// Whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// Whoever sends the calls.
    Developer,
    /// Whoever keeps the channel: token, dataset, WhatsApp account.
    Channel,
    /// Whoever runs this deployment.
    Operator,
    /// Nobody's: it ends by itself, or nothing can be done.
    Nobody,
}

impl Whose {
    pub(super) fn shown(self) -> &'static str {
        match self {
            Self::Developer => "for whoever sends the calls",
            Self::Channel => "for whoever keeps the WhatsApp channel",
            Self::Operator => "for whoever runs this service",
            Self::Nobody => "nothing to do",
        }
    }
}

fn of(means: &'static str, act: &'static str, whose: Whose) -> Meaning {
    Meaning { means, act, whose }
}

/// What a final failure means.
pub(super) fn of_reason(reason: Reason, stage: Option<FailureStage>, class: Option<Class>) -> Meaning {
    match reason {
        Reason::ApiKeyMissing => of(
            "The call came without an API key, or with an empty one.",
            "Send the key in the header X-API-KEY with every call. If the header is set in your code, look whether a proxy \
             takes it out, and whether the variable that holds the key is empty where the program runs.",
            Whose::Developer,
        ),
        Reason::ApiKeyInvalid => of(
            "The API key is unknown here: mistyped, cut off, of another environment, or sent twice in one call.",
            "Compare what is sent with the key you stored: it begins with capi_ and has two underscores. If the plaintext is \
             lost, create a new key under Settings; it cannot be shown again.",
            Whose::Developer,
        ),
        Reason::ApiKeyExpired => of(
            "The API key was right, and its expiry has passed.",
            "Create a new key under Settings, give it to the program that calls, and send the calls of the meantime again: \
             with an order id that is safe.",
            Whose::Developer,
        ),
        Reason::ApiKeyRevoked => of(
            "The API key was right once and has been revoked.",
            "If it was revoked on purpose, find the program that still uses it. Otherwise create a new key under Settings \
             and send the calls again.",
            Whose::Developer,
        ),
        Reason::ApiKeyScoped => of(
            "The API key is restricted to scopes. This endpoint takes only keys with full access.",
            "Create a key under Settings with no scope at all, and use that.",
            Whose::Developer,
        ),
        Reason::BusinessNotFound => of(
            "The business id in the address of the call is not the business of its key, or the business is disabled.",
            "Compare the id in the address with the one on the Integration page. If it is right, ask whoever runs this \
             service whether the business is enabled.",
            Whose::Developer,
        ),
        Reason::WhatsappChannelNotConfigured => no_channel(stage),
        Reason::MalformedJson => of(
            "The body could not be read as one JSON object: not JSON, not UTF-8, compressed, nested too deeply, a field \
             given twice, or it stopped coming.",
            "Look at the body below as it arrived. Let a library write the JSON, send it as it is, in UTF-8, and all of it \
             within 30 seconds.",
            Whose::Developer,
        ),
        Reason::BodyTooLarge => of(
            "The body has more than 256 KiB.",
            "Send one order per call, and no fields beside the documented ones.",
            Whose::Developer,
        ),
        Reason::InvalidFields => of(
            "One or more fields break their rules. The message names each of them, and what was expected.",
            "Correct the fields that the message names and send the call again, under the same order id.",
            Whose::Developer,
        ),
        Reason::EventTooOld => too_old(class),
        Reason::MetaRejected => class.map_or_else(rejected_otherwise, of_class),
        Reason::MetaDropped => of(
            "Meta answered with success and did not count the event. It gives no reason.",
            "The call may be sent again by a replay. If it happens more than once, take the trace id to Meta's support: \
             only Meta can find out.",
            Whose::Operator,
        ),
    }
}

fn no_channel(stage: Option<FailureStage>) -> Meaning {
    if stage == Some(FailureStage::MetaForward) {
        return of(
            "The WhatsApp channel was taken away while the call was on its way to Meta.",
            "Put the channel back under Settings. Then the call can be sent again by a replay: it is kept.",
            Whose::Channel,
        );
    }
    of(
        "The business has no WhatsApp Cloud channel, so that there is no dataset to report to.",
        "Configure the channel under Settings: the WhatsApp Business Account, the dataset and an access token. Then send \
         the calls again.",
        Whose::Channel,
    )
}

fn too_old(class: Option<Class>) -> Meaning {
    match class {
        None => of(
            "The order is over seven days old, and Meta takes nothing older. It counts in the reports here, not at Meta.",
            "Nothing for this order. Report orders within seven days, and give event_time in seconds, not milliseconds.",
            Whose::Nobody,
        ),
        Some(_) => of(
            "Meta could not be reached, or asked to wait, until the order was over seven days old. Then Meta takes it no \
             more. It counts in the reports here.",
            "Nothing for this order. The last answer of Meta below says what stood in the way; whoever runs this service \
             will want to know.",
            Whose::Operator,
        ),
    }
}

/// What an answer of Meta's means, of whatever class.
pub(super) fn of_class(class: Class) -> Meaning {
    match class {
        Class::Accepted => of("Meta has the event.", "Nothing.", Whose::Nobody),
        Class::Dropped => of(
            "Meta answered with success and counted fewer events than were sent.",
            "If it happens more than once, take the trace id to Meta's support.",
            Whose::Operator,
        ),
        Class::NotSent => of(
            "Meta could not be reached: nothing left.",
            "Nothing: it is tried again by itself, for up to seven days.",
            Whose::Nobody,
        ),
        Class::Throttled => of(
            "Meta takes only so many events at once and asked to wait.",
            "Nothing: it is sent again by itself when Meta allows, for up to seven days.",
            Whose::Nobody,
        ),
        Class::Transient => of(
            "Meta has trouble of its own, by its own word.",
            "Nothing: it is sent again by itself. Where this dataset alone has it for hours, the token most often cannot \
             see the WhatsApp account: check the connection under Settings.",
            Whose::Nobody,
        ),
        Class::Unknown => of(
            "The request left, and its answer never came. Meta may have counted it or not, and nobody can tell.",
            "Nothing: it is sent again by itself, and the call is marked as possibly counted twice.",
            Whose::Nobody,
        ),
        Class::Blocked => of(
            "Meta has blocked the sender for a while, for what it takes for misuse.",
            "It is tried again by itself, slowly. Open Meta's Business Support and read what the block is about.",
            Whose::Channel,
        ),
        Class::Token => of(
            "The access token is no longer valid: expired, revoked, or of a user who changed the password.",
            "Make a new token of a system user in Meta's Business Settings and enter it under Settings. Then the calls that \
             were rejected meanwhile can be sent again by a replay, up to seven days back.",
            Whose::Channel,
        ),
        Class::Permission => of(
            "The access token is valid, and may not do this: the dataset is not shared with it, or a permission is missing.",
            "In Meta's Business Settings give the token's system user access to the dataset and to the WhatsApp account, \
             with the permission to manage events. Then check the connection under Settings, and have the calls replayed.",
            Whose::Channel,
        ),
        Class::Wiring => of(
            "The dataset and the WhatsApp Business Account do not belong together.",
            "Compare both ids under Settings with Meta's Events Manager: the dataset must be the one that is linked to this \
             WhatsApp account. Correct them, check the connection, and have the calls replayed.",
            Whose::Channel,
        ),
        Class::BadClick => of(
            "Meta does not know this click id: changed on its way, of another WhatsApp account, or too long ago.",
            "Store ctwa_clid byte for byte as it stands in the landing URL: not trimmed, not in small letters, not cut off \
             by a column that is too short. Correct it and send the order again, under the same order id.",
            Whose::Developer,
        ),
        Class::BadEvent => of(
            "Meta does not take the event as it is: its type, its time, its currency, its value or its contents.",
            "Read Meta's words above: they name the field. Meta takes fewer currencies than there are. Correct it and send \
             the order again, under the same order id.",
            Whose::Developer,
        ),
        Class::Envelope => of(
            "Meta does not take what this service puts around every event. That is a fault of ours.",
            "Tell whoever runs this service. Once it is mended, the calls can be sent again by a replay.",
            Whose::Operator,
        ),
        Class::OldVersion => of(
            "The version of Meta's interface that is asked for is no longer served.",
            "Set a current version, for this channel under Settings or for all, and have the calls replayed.",
            Whose::Operator,
        ),
        Class::Other => rejected_otherwise(),
    }
}

fn rejected_otherwise() -> Meaning {
    of(
        "Meta rejected the event with a number that this service has no further word for.",
        "Read Meta's words above, and look its code up in Meta's documentation. The trace id is what Meta's support asks \
         for.",
        Whose::Developer,
    )
}

/// The class of Meta's last answer, by the numbers of a row; `None` where Meta said nothing.
pub(super) fn class(http_status: Option<i32>, code: Option<i32>, subcode: Option<i32>) -> Option<Class> {
    let http_status = http_status.and_then(|status| u16::try_from(status).ok())?;
    let (code, subcode) = (code.map(i64::from), subcode.map(i64::from));
    let reply = match code {
        Some(_) => Reply::Refusal { code, subcode, is_transient: false },
        None => Reply::Foreign,
    };
    Some(classify(http_status, reply, 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLASSES: [Class; 15] = [
        Class::Accepted,
        Class::Dropped,
        Class::NotSent,
        Class::Throttled,
        Class::Transient,
        Class::Unknown,
        Class::Blocked,
        Class::Token,
        Class::Permission,
        Class::Wiring,
        Class::BadClick,
        Class::BadEvent,
        Class::Envelope,
        Class::OldVersion,
        Class::Other,
    ];

    fn is_plain(meaning: Meaning) -> bool {
        [meaning.means, meaning.act].iter().all(|text| text.ends_with('.') && !text.contains("  "))
    }

    #[test]
    fn every_failure_is_told_in_whole_sentences() {
        for class in CLASSES {
            assert!(is_plain(of_class(class)), "{class:?}");
        }
        for reason in Reason::ALL {
            for stage in [FailureStage::ChannelLookup, FailureStage::MetaForward] {
                assert!(is_plain(of_reason(*reason, Some(stage), None)), "{reason:?}");
            }
        }
    }

    #[test]
    fn what_meta_said_decides_what_a_rejection_means() {
        let told = |code, subcode| {
            of_reason(Reason::MetaRejected, Some(FailureStage::MetaForward), class(Some(400), Some(code), subcode))
        };
        assert_eq!(told(190, None), of_class(Class::Token));
        assert_eq!(told(100, Some(33)), of_class(Class::Permission));
        assert_eq!(told(100, Some(2_804_132)), of_class(Class::Wiring));
        assert_eq!(told(100, Some(2_804_087)), of_class(Class::BadClick));
        assert_eq!(told(12_345, None), rejected_otherwise());
        assert_eq!(class(None, None, None), None);
        assert_eq!(class(Some(502), None, None), Some(Class::Unknown));
    }

    #[test]
    fn an_order_that_came_too_late_is_told_from_one_that_could_not_be_sent() {
        let told = |class| of_reason(Reason::EventTooOld, Some(FailureStage::MetaForward), class);
        assert_eq!(told(None).whose, Whose::Nobody);
        assert_eq!(told(Some(Class::Throttled)).whose, Whose::Operator);
    }
}
