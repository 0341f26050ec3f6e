//! Why bytes are not an event.

use gridtrail_model::ParseError;

/// Why bytes are not an event. The message names the field, the rule and a short piece of what was found, and
/// stands as the reason in the dead letters.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The input is longer than its limit.
    #[error("{what} of {bytes} bytes is longer than the limit of {limit} bytes")]
    TooLarge {
        /// What was being read.
        what: &'static str,
        /// Its length, in bytes.
        bytes: u64,
        /// The limit, in bytes.
        limit: usize,
    },
    /// The bytes are not a protobuf `ServiceEvent`.
    #[error("not a protobuf ServiceEvent: {0}")]
    Protobuf(#[from] prost::DecodeError),
    /// The bytes are not a protobuf `AccessEvent`.
    #[error("not a protobuf AccessEvent: {0}")]
    ProtobufAccess(#[source] prost::DecodeError),
    /// The bytes are not a protobuf `InventoryEvent`.
    #[error("not a protobuf InventoryEvent: {0}")]
    ProtobufInventory(#[source] prost::DecodeError),
    /// The bytes are not a protobuf `AnomalyEvent`.
    #[error("not a protobuf AnomalyEvent: {0}")]
    ProtobufAnomaly(#[source] prost::DecodeError),
    /// What DUIS messages say of quarantine is no anomaly event.
    #[error("an anomaly event is protobuf or JSON")]
    NoAnomalyEventInDuis,
    /// What DUIS messages say of the inventory is no inventory event.
    #[error("an inventory event is protobuf or JSON")]
    NoInventoryEventInDuis,
    /// DUIS messages say nothing of access.
    #[error("an event of access is protobuf or JSON")]
    NoAccessInDuis,
    /// The bytes are not the JSON that was expected.
    #[error("not {what} in JSON: {reason}")]
    Json {
        /// What was expected.
        what: &'static str,
        /// Why it is not, with its line and column.
        reason: String,
    },
    /// The bytes are not well-formed XML, or more than this reader accepts.
    #[error("XML at byte {position}: {reason}")]
    Xml {
        /// Where, counted in bytes from the start of the document.
        position: u64,
        /// What is wrong.
        reason: String,
    },
    /// The XML holds what could reach outside of it or blow it up. Never followed, always refused.
    #[error("XML at byte {position}: {what} is refused")]
    Forbidden {
        /// Where, counted in bytes from the start of the document.
        position: u64,
        /// What was found.
        what: &'static str,
    },
    /// A mandatory field is absent.
    #[error("{field} is missing: {rule}")]
    Missing {
        /// The field.
        field: &'static str,
        /// Why it must be there.
        rule: &'static str,
    },
    /// A field holds what it may not hold.
    #[error("{field}: {source}")]
    Invalid {
        /// The field.
        field: &'static str,
        /// The rule that it breaks.
        source: ParseError,
    },
    /// A DUIS message without a receipt: it carries no time of its own.
    #[error("no receipt time: a DUIS message needs a capture envelope or a .receipt.json beside it")]
    NoReceipt,
}

impl DecodeError {
    pub(crate) fn invalid(
        field: &'static str,
        what: &'static str,
        rule: &'static str,
        found: impl ToString,
    ) -> Self {
        let found = short(&found.to_string(), 64);
        Self::Invalid { field, source: ParseError { what, rule, found } }
    }

    pub(crate) fn xml(position: u64, reason: impl ToString) -> Self {
        Self::Xml { position, reason: short(&reason.to_string(), 200) }
    }

    pub(crate) fn json(what: &'static str, error: &serde_json::Error) -> Self {
        // The library repeats unknown names at any length; a reason stays readable.
        let text = error.to_string();
        let place = format!(" (line {}, column {})", error.line(), error.column());
        let reason = if text.chars().count() > 200 { short(&text, 200) + &place } else { text };
        Self::Json { what, reason }
    }

    /// As [`DecodeError::json`], without the library's words, which repeat values. A field that the contract does not have is named.
    pub(crate) fn json_unquoted(what: &'static str, error: &serde_json::Error) -> Self {
        let text = error.to_string();
        let why = match (unknown_field(&text), error.classify()) {
            (Some(name), _) => format!("the contract has no field `{name}`"),
            (None, serde_json::error::Category::Data) => {
                "a field is not one of the contract, or of another type".to_owned()
            }
            _ => "it is no whole JSON object".to_owned(),
        };
        Self::Json { what, reason: format!("{why} (line {}, column {})", error.line(), error.column()) }
    }

    /// The same error, found in a part that starts `offset` bytes into a greater whole.
    pub(crate) fn moved_by(mut self, offset: u64) -> Self {
        if let Self::Xml { position, .. } | Self::Forbidden { position, .. } = &mut self {
            *position += offset;
        }
        self
    }
}

/// Names the field that a text was read for.
pub(crate) trait InField<T> {
    fn in_field(self, field: &'static str) -> Result<T, DecodeError>;
}

impl<T> InField<T> for Result<T, ParseError> {
    fn in_field(self, field: &'static str) -> Result<T, DecodeError> {
        self.map_err(|source| DecodeError::Invalid { field, source })
    }
}

/// The name of the field that the library does not know, by its words. What does not read like a name of a field may be data.
fn unknown_field(text: &str) -> Option<&str> {
    const NAME_MAX: usize = 64;
    let (name, _) = text.strip_prefix("unknown field `")?.split_once('`')?;
    let is_name = (1..=NAME_MAX).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    is_name.then_some(name)
}

/// The first so many characters.
fn short(text: &str, chars: usize) -> String {
    text.chars().take(chars).collect()
}
