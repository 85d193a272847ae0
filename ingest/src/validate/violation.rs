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

macro_rules! field_reasons {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// The kinds of faults, as the contract names them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum FieldReason {
            $($(#[$doc])* $name,)*
        }

        impl FieldReason {
            /// Every kind.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The name in error bodies.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

field_reasons! {
    /// Absent, `null` or blank.
    FieldRequired = "FIELD_REQUIRED",
    /// Too many bytes.
    FieldTooLong = "FIELD_TOO_LONG",
    /// Of another JSON type.
    FieldType = "FIELD_TYPE",
    /// Out of range, or with control characters.
    FieldValue = "FIELD_VALUE",
    /// Too many elements.
    TooManyItems = "TOO_MANY_ITEMS",
    /// Neither `Purchase` nor `ViewContent`.
    UnsupportedEventName = "UNSUPPORTED_EVENT_NAME",
    /// No active ISO 4217 code.
    InvalidCurrency = "INVALID_CURRENCY",
    /// More than a minute after the call.
    EventInFuture = "EVENT_IN_FUTURE",
}
