//! What is wrong with a field.

/// One thing that is wrong with one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Path of the field, such as `payload.contents[2].item_price`.
    pub field: String,
    /// What kind of fault it is.
    pub reason: FieldReason,
    /// What was expected.
    pub description: String,
}

/// The kinds of faults, as the contract names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldReason {
    /// Absent, `null` or blank.
    FieldRequired,
    /// Too many bytes.
    FieldTooLong,
    /// Of another JSON type.
    FieldType,
    /// Out of range, or with control characters.
    FieldValue,
    /// Too many elements.
    TooManyItems,
    /// Neither `Purchase` nor `ViewContent`.
    UnsupportedEventName,
    /// No active ISO 4217 code.
    InvalidCurrency,
    /// More than a minute after the call.
    EventInFuture,
}

impl FieldReason {
    /// The name in error bodies.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FieldRequired => "FIELD_REQUIRED",
            Self::FieldTooLong => "FIELD_TOO_LONG",
            Self::FieldType => "FIELD_TYPE",
            Self::FieldValue => "FIELD_VALUE",
            Self::TooManyItems => "TOO_MANY_ITEMS",
            Self::UnsupportedEventName => "UNSUPPORTED_EVENT_NAME",
            Self::InvalidCurrency => "INVALID_CURRENCY",
            Self::EventInFuture => "EVENT_IN_FUTURE",
        }
    }
}
