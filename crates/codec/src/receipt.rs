//! When the DCC received or sent a DUIS message: the one thing that the message does not say itself.

use crate::error::InField;
use crate::wire::json_text;
use crate::{DecodeError, limits};
use gridtrail_model::{EventId, Timestamp};

/// The length of a date: no time of day is as short.
const DATE_CHARACTERS: usize = 10;

/// The receipt that comes beside a DUIS message, from a capture envelope or from a sidecar file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// When the DCC received, or sent, the message, in UTC.
    pub recorded_at: Timestamp,
    /// The source's identifier of the message. Absent: one is derived from the bytes of the message.
    pub event_id: Option<EventId>,
}

impl Receipt {
    /// Reads a sidecar: `{"recorded_at": "2026-03-01T09:30:00.000Z", "event_id": "optional"}`. A byte order mark is passed over.
    ///
    /// Errors: not JSON, UTF-16, another field, one that stands twice, an absent or malformed time, a date without a time, a
    /// time without a zone, more than 4 KiB.
    pub fn from_sidecar(bytes: &[u8]) -> Result<Self, DecodeError> {
        const WHAT: &str = "a receipt sidecar";
        if bytes.len() > limits::SIDECAR_BYTES_MAX {
            let limit = limits::SIDECAR_BYTES_MAX;
            return Err(DecodeError::TooLarge { what: WHAT, bytes: bytes.len() as u64, limit });
        }
        let sidecar: Sidecar = serde_json::from_slice(json_text(WHAT, bytes)?)
            .map_err(|error| DecodeError::json(WHAT, &error))?;
        Self::parse(&sidecar.recorded_at, sidecar.event_id.as_deref())
    }

    /// The sidecar that reads back as this receipt.
    pub fn to_sidecar(&self) -> String {
        // Both texts are free of quotes, backslashes and control characters but for those of an event id.
        let id = self.event_id.as_ref().map(|id| serde_json::Value::from(id.as_str()));
        let id = id.map(|id| format!(", \"event_id\": {id}")).unwrap_or_default();
        format!("{{\"recorded_at\": \"{}\"{id}}}\n", self.recorded_at)
    }

    pub(crate) fn parse(recorded_at: &str, event_id: Option<&str>) -> Result<Self, DecodeError> {
        // A date says on which day, and would be taken for its first instant.
        if recorded_at.len() <= DATE_CHARACTERS {
            let rule = "a receipt has a time of day and a zone, such as 2026-03-01T09:30:00.000Z";
            return Err(DecodeError::invalid("recorded_at", "time", rule, recorded_at));
        }
        Ok(Self {
            recorded_at: recorded_at.parse().in_field("recorded_at")?,
            event_id: event_id.map(str::parse).transpose().in_field("event_id")?,
        })
    }
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Sidecar {
    recorded_at: String,
    event_id: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sidecar_reads_back() {
        for event_id in [None, Some("cap-7\"\\x".parse().unwrap())] {
            let receipt = Receipt { recorded_at: "2026-03-01T09:30:00.5Z".parse().unwrap(), event_id };
            assert_eq!(Receipt::from_sidecar(receipt.to_sidecar().as_bytes()).unwrap(), receipt);
        }
    }

    #[test]
    fn bad_sidecars_are_refused_with_the_field_named() {
        for (text, reason) in [
            ("", "EOF"),
            ("{}", "recorded_at"),
            (r#"{"recorded_at": "yesterday"}"#, "recorded_at: time"),
            (r#"{"recorded_at": "2026-03-01T09:30:00Z", "event_id": ""}"#, "event_id"),
            (r#"{"recorded_at": "2026-03-01T09:30:00Z", "extra": 1}"#, "extra"),
            (r#"{"recordedAt": "2026-03-01T09:30:00Z"}"#, "recordedAt"),
            (r#"{"recorded_at": "2026-03-01T09:30:00"}"#, "recorded_at: time"),
            (r#"{"recorded_at": "2026-03-01"}"#, "time of day"),
            (r#"{"recorded_at": 1772357400}"#, "integer"),
            (r#"{"recorded_at": null}"#, "null"),
            (
                r#"{"recorded_at": "2026-03-01T09:30:00Z", "recorded_at": "2026-03-02T09:30:00Z"}"#,
                "duplicate field",
            ),
            (r#"{"recorded_at": "2026-03-01T09:30:00Z"} x"#, "trailing"),
            (r#"[{"recorded_at": "2026-03-01T09:30:00Z"}]"#, "a receipt sidecar"),
        ] {
            let error = Receipt::from_sidecar(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
        let text = r#"{"recorded_at": "2026-03-01T09:30:00Z"}"#;
        let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        for bytes in [[&b"\xff\xfe"[..], &utf16].concat(), utf16] {
            let error = Receipt::from_sidecar(&bytes).unwrap_err().to_string();
            assert!(error.contains("UTF-16"), "{error}");
        }
        assert!(Receipt::from_sidecar(format!("\u{feff}{text}").as_bytes()).is_ok());
        let long = vec![b' '; limits::SIDECAR_BYTES_MAX + 1];
        assert!(matches!(Receipt::from_sidecar(&long), Err(DecodeError::TooLarge { .. })));
    }
}
