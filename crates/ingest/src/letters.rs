//! Dead letters, read again: after a version that reads them, or with what is wrong in them mended.
//!
//! A replay goes the way of every record: decoded, folded, placed or parked, committed with evidence. It moves no
//! position of its source, and a letter that is replayed twice changes nothing the second time, as no event does.

use crate::batch::{Filling, Outcome, Told};
use crate::error::IngestError;
use crate::kind::Kind;
use crate::limits::BATCH_ROWS;
use crate::record::{CONTENT_TYPE, event_bytes};
use gridtrail_codec::{Encoding, Receipt, capture, decode, decode_access};
use gridtrail_lake::{Batch, CommitKind, DeadLetter, Lake, SourceEvidence, Writer};
use gridtrail_model::{Event, Timestamp};

/// What a person adds to letters that lack something.
#[derive(Debug, Clone, Default)]
pub struct Mended {
    /// Bytes that stand in for those of every letter.
    pub value: Option<bytes::Bytes>,
    /// The receipt time of DUIS messages that came without one.
    pub recorded_at: Option<Timestamp>,
}

/// A letter that still cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// Its source.
    pub source: String,
    /// Its position there.
    pub position: i64,
    /// Why.
    pub reason: String,
}

/// What a replay came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Replayed {
    /// What became of the letters that could be read.
    pub outcome: Outcome,
    /// Those that could not: they stay open.
    pub unreadable: Vec<Unreadable>,
}

/// Reads dead letters again, and commits what they hold. `dry` commits nothing.
///
/// Errors: `Lake`; what was committed before stays, and doing it again changes nothing.
pub async fn replay_letters(
    lake: &Lake,
    letters: &[DeadLetter],
    mended: &Mended,
    dry: bool,
) -> Result<Replayed, IngestError> {
    let mut replayed = Replayed::default();
    let mut writer = lake.writer().await?;
    let mut filling = Filling::of_letters();
    for letter in letters {
        let value = mended.value.as_ref().unwrap_or(&letter.raw);
        let now = lake.clock().now();
        let read = told_by(letter, value, mended.recorded_at)
            .and_then(|told| filling.replay(letter, value, told, now).map_err(|e| e.to_string()));
        if let Err(reason) = read {
            let (source, position) = (letter.source.clone(), letter.position);
            replayed.unreadable.push(Unreadable { source, position, reason });
        }
        if filling.rows() >= BATCH_ROWS {
            let full = std::mem::replace(&mut filling, Filling::of_letters());
            replayed.outcome.add(commit(full, mended, dry, &mut writer).await?);
        }
    }
    replayed.outcome.add(commit(filling, mended, dry, &mut writer).await?);
    Ok(replayed)
}

async fn commit(
    mut filling: Filling,
    mended: &Mended,
    dry: bool,
    writer: &mut Writer,
) -> Result<Outcome, IngestError> {
    if dry || filling.is_empty() {
        let stored = filling.sources_mut().iter().map(|source| source.stored).sum();
        return Ok(Outcome { stored, ..Outcome::default() });
    }
    if mended.value.is_some() {
        for evidence in filling.sources_mut() {
            evidence.event = Some("a dead letter was replayed with other bytes than it came with".to_owned());
        }
    }
    filling.commit(Vec::new(), writer).await
}

/// Declares dead letters to be no events, for a reason that stays in the evidence. The letters themselves stay where they
/// are. Errors: `Lake`.
pub async fn dismiss_letters(lake: &Lake, letters: &[DeadLetter], reason: &str) -> Result<(), IngestError> {
    let mut sources: Vec<SourceEvidence> = Vec::new();
    for letter in letters {
        let about = SourceEvidence::of_letters(&letter.source, &letter.source_name);
        let at = sources.iter().position(|source| source.source == about.source);
        let at = at.unwrap_or_else(|| {
            sources.push(SourceEvidence { event: Some(reason.to_owned()), ..about });
            sources.len() - 1
        });
        sources[at].dismissed_at.insert(letter.position);
    }
    if !sources.is_empty() {
        let batch = Batch { sources, kind: CommitKind::Dismissal, ..Batch::default() };
        lake.writer().await?.commit(batch).await?;
    }
    Ok(())
}

/// What a letter tells.
pub(crate) fn told_by(
    letter: &DeadLetter,
    value: &[u8],
    recorded_at: Option<Timestamp>,
) -> Result<Told, String> {
    if Kind::of_letter(letter) == Kind::Service {
        return event_of(letter, value, recorded_at).map(Told::Event);
    }
    let (encoding, bytes) = if letter.source.starts_with("kafka:") {
        event_bytes(content_type(letter), value)?
    } else if letter.source_name.to_ascii_lowercase().ends_with(".jsonl") {
        (Encoding::Json, value)
    } else {
        (Encoding::Protobuf, value)
    };
    decode_access(encoding, bytes).map(Told::Access).map_err(|error| error.to_string())
}

fn content_type(letter: &DeadLetter) -> Option<&str> {
    let header = letter.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(CONTENT_TYPE));
    header.and_then(|(_, value)| std::str::from_utf8(value).ok())
}

/// The event that a letter holds.
fn event_of(letter: &DeadLetter, value: &[u8], recorded_at: Option<Timestamp>) -> Result<Event, String> {
    let receipt = recorded_at.map(|recorded_at| Receipt { recorded_at, event_id: None });
    if letter.source.starts_with("kafka:") {
        let (encoding, bytes) = event_bytes(content_type(letter), value)?;
        return decode(encoding, bytes, None).map_err(|error| error.to_string());
    }
    let lines = letter.source_name.to_ascii_lowercase().ends_with(".jsonl");
    let read = match value.trim_ascii_start().first() {
        Some(b'<') => match in_capture(value) {
            Some(capture) => return only_message(&capture),
            None => decode(Encoding::DuisXml, value, receipt.as_ref()),
        },
        Some(b'{') => decode(Encoding::Json, value, None),
        _ if lines => decode(Encoding::Json, value, None),
        _ => decode(Encoding::Protobuf, value, None),
    };
    read.map_err(|error| error.to_string())
}

/// The capture around a message that was cut out of one; `None` when it was not.
fn in_capture(message: &[u8]) -> Option<Vec<u8>> {
    let name = message.trim_ascii_start().strip_prefix(b"<")?;
    let end = name.iter().position(|byte| byte.is_ascii_whitespace() || *byte == b'>')?;
    let prefix = std::str::from_utf8(&name[..end]).ok()?.strip_suffix("Message")?;
    let declared = match prefix.strip_suffix(':') {
        None if prefix.is_empty() => format!("xmlns=\"{}\"", capture::NAMESPACE),
        Some(name) => format!("xmlns:{name}=\"{}\"", capture::NAMESPACE),
        None => return None,
    };
    let (open, close) = (format!("<{prefix}Capture {declared}>"), format!("</{prefix}Capture>"));
    Some([open.as_bytes(), message, close.as_bytes()].concat())
}

fn only_message(document: &[u8]) -> Result<Event, String> {
    let mut messages = capture::Messages::new(document).map_err(|error| error.to_string())?;
    let first = messages.next().ok_or("it holds no message")?;
    first.map_err(|bad| bad.reason.to_string())?.decode().map_err(|error| error.to_string())
}
