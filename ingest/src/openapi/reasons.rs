//! What each name in an answer means.

use schemas::{ConversionStatus, FailureStage, Reason};

use crate::validate::FieldReason;

/// A name with its meaning.
pub(super) type Named = (&'static str, &'static str);

pub(super) fn of_status(status: ConversionStatus) -> Named {
    let meaning = match status {
        ConversionStatus::Forwarded => "Meta has it.",
        ConversionStatus::Duplicate => "Meta had the order already, from an earlier call: it was not sent again.",
        ConversionStatus::Pending => "Recorded and durable; on its way to Meta.",
        ConversionStatus::Rejected => "It ended at Meta, or on the way there.",
        ConversionStatus::Refused => "The call was refused before Meta.",
    };
    (status.as_str(), meaning)
}

pub(super) fn of_stage(stage: FailureStage) -> Named {
    let meaning = match stage {
        FailureStage::Authentication => "The API key.",
        FailureStage::BusinessLookup => "Your business id is unknown or unavailable.",
        FailureStage::ChannelLookup => "Your business has no WhatsApp Cloud channel.",
        FailureStage::PayloadMapping => "The body was refused by validation.",
        FailureStage::MetaForward => "Meta rejected the event, or would have.",
    };
    (stage.as_str(), meaning)
}

/// What is wrong, and what to do about it.
pub(super) fn of_reason(reason: Reason) -> Named {
    let meaning = match reason {
        Reason::ApiKeyMissing => "No key, or an empty one. Send it in `X-API-KEY`.",
        Reason::ApiKeyInvalid => "The key is unknown, malformed, or was sent twice.",
        Reason::ApiKeyExpired => "The key has expired. Create a new one.",
        Reason::ApiKeyRevoked => "The key was revoked. Create a new one.",
        Reason::ApiKeyScoped => "The key is restricted to scopes. Create one with full access.",
        Reason::BusinessNotFound => "The business is unknown, disabled, or not the key's own.",
        Reason::WhatsappChannelNotConfigured => "The business has no WhatsApp Cloud channel: have one configured.",
        Reason::MalformedJson => {
            "The body is no JSON object in UTF-8: cut, empty, compressed, nested over 128 levels, or with a known \
                key twice."
        }
        Reason::BodyTooLarge => "The body is over 256 KiB.",
        Reason::InvalidFields => "Fields break their rules. All of them are listed.",
        Reason::EventTooOld => "The event is over 7 days old, which Meta does not take. It counts in your analytics.",
        Reason::MetaRejected => {
            "Meta rejected the event; `meta_error` is verbatim. Corrected, the order may be sent again."
        }
        Reason::MetaDropped => "Meta answered well and did not count the event.",
    };
    (reason.as_str(), meaning)
}

pub(super) fn of_field(reason: FieldReason) -> Named {
    let meaning = match reason {
        FieldReason::FieldRequired => "Absent, `null` or blank.",
        FieldReason::FieldTooLong => "Over its limit, in bytes of UTF-8.",
        FieldReason::FieldType => "Of another JSON type: `\"99.97\"` is no number, and `2.0` no integer.",
        FieldReason::FieldValue => "Out of range, or with control characters.",
        FieldReason::TooManyItems => "More elements than are taken, or a question asked more than once.",
        FieldReason::UnsupportedEventName => "Neither `Purchase` nor `ViewContent`.",
        FieldReason::InvalidCurrency => "No active code of ISO 4217.",
        FieldReason::EventInFuture => "More than a minute after the call; a time in milliseconds is.",
    };
    (reason.as_str(), meaning)
}
