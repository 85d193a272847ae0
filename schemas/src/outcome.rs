//! What became of a call.

use serde::{Deserialize, Serialize};

use crate::CallId;

/// Where a call stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ConversionStatus {
    /// Meta has the event.
    Forwarded,
    /// Meta has the order, from another call.
    Duplicate,
    /// Durable, and being forwarded: neither a success nor a failure.
    Pending,
    /// A final failure at Meta.
    Rejected,
    /// A failure before that.
    Refused,
}

impl ConversionStatus {
    /// All of them, the best first.
    pub const ALL: [Self; 5] = [Self::Forwarded, Self::Duplicate, Self::Pending, Self::Rejected, Self::Refused];

    /// The name in columns, headers, metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Forwarded => "forwarded",
            Self::Duplicate => "duplicate",
            Self::Pending => "pending",
            Self::Rejected => "rejected",
            Self::Refused => "refused",
        }
    }

    /// Whether nothing more will happen to the call of its own accord.
    pub fn is_final(self) -> bool {
        self != Self::Pending
    }

    /// Whether Meta has the order.
    pub fn is_success(self) -> bool {
        matches!(self, Self::Forwarded | Self::Duplicate)
    }
}

/// Where a call failed. The endpoint page names four of them; `authentication` is ours, for a 401 fits none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureStage {
    /// The API key.
    Authentication,
    /// The business is unknown or unavailable.
    BusinessLookup,
    /// The business has no WhatsApp Cloud channel.
    ChannelLookup,
    /// The body or a field of it.
    PayloadMapping,
    /// Meta said no, or was not asked because it would.
    MetaForward,
}

impl FailureStage {
    /// All of them, in the order of a call's way.
    pub const ALL: [Self; 5] =
        [Self::Authentication, Self::BusinessLookup, Self::ChannelLookup, Self::PayloadMapping, Self::MetaForward];

    /// The name in columns, error bodies, metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Authentication => "authentication",
            Self::BusinessLookup => "business_lookup",
            Self::ChannelLookup => "channel_lookup",
            Self::PayloadMapping => "payload_mapping",
            Self::MetaForward => "meta_forward",
        }
    }
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// Why a call that leaves a record failed. The reasons of answers without a record belong to ingest.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum Reason {
            $($(#[$doc])* #[serde(rename = $text)] $name,)*
        }

        impl Reason {
            /// Every reason.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The name in columns, error bodies, metrics and logs.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

reasons! {
    /// No key, or an empty one.
    ApiKeyMissing = "API_KEY_MISSING",
    /// Unknown, malformed or sent twice.
    ApiKeyInvalid = "API_KEY_INVALID",
    /// Past its expiry.
    ApiKeyExpired = "API_KEY_EXPIRED",
    /// Revoked by its owner.
    ApiKeyRevoked = "API_KEY_REVOKED",
    /// Restricted to scopes; this endpoint takes full access only.
    ApiKeyScoped = "API_KEY_SCOPED",
    /// Unknown, disabled, or another's.
    BusinessNotFound = "BUSINESS_NOT_FOUND",
    /// No WhatsApp Cloud channel.
    WhatsappChannelNotConfigured = "WHATSAPP_CHANNEL_NOT_CONFIGURED",
    /// Not a JSON object that can be read.
    MalformedJson = "MALFORMED_JSON",
    /// Over 256 KiB.
    BodyTooLarge = "BODY_TOO_LARGE",
    /// One or more fields break their rules.
    InvalidFields = "INVALID_FIELDS",
    /// Over 7 days old: Meta would refuse it.
    EventTooOld = "EVENT_TOO_OLD",
    /// Meta rejected the event.
    MetaRejected = "META_REJECTED",
    /// Meta answered 200 and did not count the event.
    MetaDropped = "META_DROPPED",
}

/// What Meta said against an event, redacted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetaError {
    /// HTTP status of Meta's answer.
    pub http_status: i32,
    /// `error.code`.
    pub code: Option<i32>,
    /// `error.error_subcode`.
    pub subcode: Option<i32>,
    /// `error_user_title`, else `error_user_msg`, else `message`: verbatim, in Meta's language.
    pub message: String,
    /// Meta's trace id; empty where there was none.
    pub fbtrace_id: String,
}

/// What became of a call: every column of its row that is not what the merchant reported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// The HTTP status that this outcome has in the contract.
    pub http_status: i32,
    /// Where the call stands.
    pub conversion_status: ConversionStatus,
    /// Where it failed; `None` unless it did.
    pub failure_stage: Option<FailureStage>,
    /// Why; `None` where there is nothing to explain.
    pub reason: Option<Reason>,
    /// At `meta_forward` Meta's own words where there are any, else the message of the answer; empty where nothing failed.
    pub error: String,
    /// 1 where Meta counted the event, 0 for a duplicate, else `None`.
    pub events_received: Option<i32>,
    /// Meta's trace id, which the row calls `forward_reference_id`; empty where there was none.
    pub fbtrace_id: String,
    /// HTTP status of Meta's last answer.
    pub meta_http_status: Option<i32>,
    /// `error.code` of Meta's last answer.
    pub meta_code: Option<i32>,
    /// `error.error_subcode` of Meta's last answer.
    pub meta_error_subcode: Option<i32>,
    /// Meta's last error, verbatim and redacted.
    pub meta_error: String,
    /// The call that was credited, for a duplicate.
    pub duplicate_of: Option<CallId>,
    /// Requests to Meta that carried this call.
    pub forward_attempts: i32,
    /// Whether the call is on its order's list of calls that took part in an unknown outcome.
    pub possibly_duplicate: bool,
    /// Milliseconds spent on Meta; `None` where Meta was not called.
    pub forward_ms: Option<i64>,
    /// Milliseconds from receipt to outcome.
    pub total_ms: i64,
}

impl Outcome {
    /// An outcome of which nothing is known yet but its status: where each of the others starts from.
    #[must_use]
    pub fn new(http_status: i32, conversion_status: ConversionStatus) -> Self {
        Self {
            http_status,
            conversion_status,
            failure_stage: None,
            reason: None,
            error: String::new(),
            events_received: None,
            fbtrace_id: String::new(),
            meta_http_status: None,
            meta_code: None,
            meta_error_subcode: None,
            meta_error: String::new(),
            duplicate_of: None,
            forward_attempts: 0,
            possibly_duplicate: false,
            forward_ms: None,
            total_ms: 0,
        }
    }
}

/// The outcome of a call, for the ingest instance that holds the caller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The call.
    pub call_id: CallId,
    /// What became of it.
    pub outcome: Outcome,
}
