//! Dead letters, read again: after a version that reads them, or with what is wrong in them mended.
//!
//! A replay goes the way of every record: decoded, folded, placed or parked, committed with evidence. It moves no
//! position of its source, and a letter that is replayed twice changes nothing the second time, as no event does.

use crate::batch::{Filling, LetterPlace, Outcome, RecordContent, dismissal};
use crate::error::IngestError;
use crate::kinds::{Reads, RecordKind};
use crate::limits::BATCH_ROWS;
use crate::name::{Content, FileName};
use crate::plan::UNPACKABLE;
use crate::record::event_bytes;
use crate::said::{self, Alone};
use crate::sidecar::{SidecarFault, receipt_of};
use crate::unpack;
use gridtrail_codec::{Encoding, Receipt, capture, decode, without_mark};
use gridtrail_lake::{DeadLetter, Extent, Lake, SourceEvidence, Writer};
use gridtrail_model::Timestamp;
use std::io::Read;
use std::path::Path;

/// What a person adds to letters that lack something.
#[derive(Debug, Clone, Default)]
pub struct Mended {
    /// Bytes that stand in for those of every letter.
    pub value: Option<bytes::Bytes>,
    /// The receipt time of DUIS messages that came without one.
    pub recorded_at: Option<Timestamp>,
    /// Whether each letter was named, and not one of many. A message whose sidecar could not be read, and is gone since, takes
    /// `recorded_at` only then.
    pub named: bool,
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
        let place =
            LetterPlace { source: &letter.source, name: &letter.source_name, position: letter.position };
        let read = told_by(letter, value, mended)
            .and_then(|told| filling.replay(place, value, told, now).map_err(|e| e.to_string()));
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
        let now = lake.clock().now();
        let batch = dismissal(sources, now);
        lake.writer().await?.commit(batch).await?;
    }
    Ok(())
}

/// What a letter tells. Errors: why it tells nothing yet.
pub(crate) fn told_by(letter: &DeadLetter, value: &[u8], mended: &Mended) -> Result<RecordContent, String> {
    if let (Extent::Cut { bytes, sha256 }, None) = (&letter.extent, &mended.value) {
        let kept = letter.raw.len();
        return Err(format!(
            "the letter holds the first {kept} of {bytes} bytes, which is longer than a message may be (SHA-256 of all: \
             {sha256}); it cannot be replayed but with other bytes"
        ));
    }
    let told = read(letter, value, mended);
    match letter.extent {
        Extent::Unsaid if mended.value.is_none() => told.map_err(|reason| {
            format!("{reason} (an earlier version may have cut it at its {} bytes)", letter.raw.len())
        }),
        _ => told,
    }
}

fn read(letter: &DeadLetter, value: &[u8], mended: &Mended) -> Result<RecordContent, String> {
    if letter.reason.starts_with(UNPACKABLE) && mended.value.is_none() {
        return Err(letter.reason.clone());
    }
    let name = FileName::of(Path::new(&letter.source_name));
    let content = name.map(|name| name.content);
    let (encoding, bytes) = if letter.source.starts_with("kafka:") {
        event_bytes(letter.headers.iter().map(|(name, value)| (name.as_str(), value.as_ref())), value)?
    } else {
        (encoding_of(content, value), value)
    };
    if let Reads::Plain(read) = RecordKind::of_source(&letter.source, &letter.source_name).reads {
        let encoding = match content {
            Some(Content::Lines) => Encoding::Json,
            Some(_) => Encoding::Protobuf,
            None => encoding,
        };
        return read(encoding, bytes).map(RecordContent::Plain);
    }
    let event = match (encoding, in_capture(value)) {
        (Encoding::DuisXml, Some(capture)) => {
            return only_message(&capture);
        }
        (Encoding::DuisXml, None) => {
            let receipt = receipt(letter, mended)?;
            let event = decode(encoding, bytes, receipt.as_ref()).map_err(|error| error.to_string())?;
            let said = receipt.map(|receipt| said::said(&event, &Alone { xml: bytes, receipt: &receipt }));
            return Ok(RecordContent::Event(Box::new(event), Box::new(said.unwrap_or_default())));
        }
        _ => decode(encoding, bytes, None),
    };
    event
        .map(|event| RecordContent::Event(Box::new(event), Box::default()))
        .map_err(|error| error.to_string())
}

/// The encoding of what a file held: what it looks like, since mended bytes need not be what the file was.
fn encoding_of(content: Option<Content>, value: &[u8]) -> Encoding {
    match (without_mark(value).trim_ascii_start().first(), content) {
        (Some(b'<'), _) | (_, Some(Content::Xml)) => Encoding::DuisXml,
        (Some(b'{'), _) | (_, Some(Content::Lines)) => Encoding::Json,
        _ => Encoding::Protobuf,
    }
}

/// The receipt of a plain message: what its sidecar says by now, or else what was given for those that have none. Errors: the
/// sidecar still cannot be read, or was there and is gone.
fn receipt(letter: &DeadLetter, mended: &Mended) -> Result<Option<Receipt>, String> {
    let message = Path::new(&letter.source_name);
    if !is_another(message, &letter.raw) {
        match receipt_of(message) {
            Ok(Some(receipt)) => return Ok(Some(receipt)),
            Ok(None) => {}
            Err(fault) => return Err(fault.to_string()),
        }
    }
    if letter.reason.starts_with(SidecarFault::BEGINNING) && mended.recorded_at.is_some() && !mended.named {
        let reason =
            "its receipt sidecar could not be read, and is not there now; name the letter to give it a time";
        return Err(reason.to_owned());
    }
    Ok(mended.recorded_at.map(|recorded_at| Receipt { recorded_at, event_id: None }))
}

/// Whether a file holds another message than this: a sidecar beside it says nothing of this one.
fn is_another(path: &Path, message: &[u8]) -> bool {
    let packing = FileName::of(path).and_then(|name| name.packing);
    let Ok(file) = unpack::open(path, packing, 0) else { return false };
    let mut found = Vec::new();
    // One byte more than the message has tells as much as all of them.
    file.take(message.len() as u64 + 1).read_to_end(&mut found).is_ok_and(|_| found != message)
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

fn only_message(document: &[u8]) -> Result<RecordContent, String> {
    let mut messages = capture::Messages::new(document).map_err(|error| error.to_string())?;
    let first = messages.next().ok_or("it holds no message")?;
    let message = first.map_err(|bad| bad.reason.to_string())?;
    let event = message.decode().map_err(|error| error.to_string())?;
    let said = said::said(&event, &message);
    Ok(RecordContent::Event(Box::new(event), Box::new(said)))
}
