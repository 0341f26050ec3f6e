//! Pieces of a file: cut at record borders, decoded on their own.

use crate::kind::Kind;
use crate::limits::{CHUNK_BYTES, LETTER_BYTES, UNFRAMED_BYTES};
use crate::plan::{Form, Source};
use bytes::Bytes;
use gridtrail_access::AccessRecord;
use gridtrail_codec::{Encoding, Frame, capture, decode, decode_access, limits, next_frame};
use gridtrail_model::Event;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

/// Some whole records of a file.
#[derive(Debug)]
pub(crate) struct Chunk {
    /// Where the piece starts in the file, in bytes.
    pub(crate) start: u64,
    /// Where the next piece starts: behind `bytes`, or at the end of a file whose rest cannot be framed.
    pub(crate) end: u64,
    pub(crate) bytes: Bytes,
    /// Whether the file ends with it.
    pub(crate) last: bool,
}

/// What a piece held, in order.
#[derive(Debug, Default)]
pub(crate) struct Decoded {
    pub(crate) events: Vec<(i64, Event)>,
    pub(crate) access: Vec<(i64, AccessRecord)>,
    pub(crate) letters: Vec<Unread>,
}

/// A record that could not be read.
#[derive(Debug)]
pub(crate) struct Unread {
    pub(crate) position: i64,
    pub(crate) reason: String,
    pub(crate) raw: Bytes,
}

/// Reads a file in pieces. XML comes whole, for its messages are found by scanning.
pub(crate) struct Chunks {
    file: File,
    form: Form,
    at: u64,
    size: u64,
}

impl Chunks {
    pub(crate) fn open(source: &Source) -> io::Result<Self> {
        let mut file = File::open(&source.path)?;
        let at = if matches!(source.form, Form::Frames | Form::Lines) { source.from } else { 0 };
        file.seek(SeekFrom::Start(at))?;
        Ok(Self { file, form: source.form.clone(), at, size: source.size })
    }

    /// The next piece; `None` after the last.
    ///
    /// The file is held to the size that its hash was taken over: what is appended meanwhile belongs to another
    /// source.
    pub(crate) fn next(&mut self) -> io::Result<Option<Chunk>> {
        if self.at >= self.size {
            return Ok(None);
        }
        let left = self.size - self.at;
        let whole = matches!(self.form, Form::Capture | Form::Single(_));
        let mut wanted = if whole { left } else { left.min(CHUNK_BYTES as u64) };
        loop {
            let mut buffer = vec![0; usize::try_from(wanted).unwrap_or(usize::MAX)];
            self.file.seek(SeekFrom::Start(self.at))?;
            self.file.read_exact(&mut buffer)?;
            let border = if whole { Border::At(buffer.len()) } else { self.border(&buffer, wanted == left) };
            let end = match border {
                Border::At(cut) => {
                    buffer.truncate(cut);
                    self.at + cut as u64
                }
                Border::Lost => {
                    buffer.truncate(LETTER_BYTES);
                    self.size
                }
                Border::Beyond => {
                    wanted = (wanted * 2).min(left);
                    continue;
                }
            };
            let start = std::mem::replace(&mut self.at, end);
            return Ok(Some(Chunk { start, end, bytes: buffer.into(), last: end == self.size }));
        }
    }

    /// Where the last whole record of a piece ends.
    fn border(&self, buffer: &[u8], last: bool) -> Border {
        let end = match self.form {
            Form::Lines => buffer.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1),
            _ => match frames_end(buffer) {
                Some(end) => end,
                None => return Border::Lost,
            },
        };
        match end {
            _ if last => Border::At(buffer.len()),
            0 if buffer.len() >= UNFRAMED_BYTES => Border::Lost,
            0 => Border::Beyond,
            end => Border::At(end),
        }
    }
}

/// Where a piece can be cut.
enum Border {
    /// Behind so many bytes.
    At(usize),
    /// Behind more bytes than were read.
    Beyond,
    /// Nowhere: no record can be found from here on.
    Lost,
}

/// Where the last whole record ends; `None` when what stands at the very front is no record.
fn frames_end(buffer: &[u8]) -> Option<usize> {
    let mut end = 0;
    loop {
        match next_frame(&buffer[end..]) {
            Frame::Complete { consumed, .. } => end += consumed,
            Frame::Incomplete => return Some(end),
            Frame::TooLarge { length, header } => {
                let consumed = usize::try_from(length).unwrap_or(usize::MAX).saturating_add(header);
                if consumed > buffer.len() - end {
                    return (end > 0 || consumed < UNFRAMED_BYTES).then_some(end);
                }
                end += consumed;
            }
            Frame::Bad => return (end > 0).then_some(end),
        }
    }
}

/// A place in a file, as the lake's positions have it.
pub(crate) fn to_position(bytes: u64) -> i64 {
    // Files are far smaller than 2^63 bytes.
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// Decodes a piece. CPU-bound.
pub(crate) fn decode_chunk(chunk: &Chunk, (kind, form): (Kind, &Form), from: u64) -> Decoded {
    let mut decoded = Decoded::default();
    match form {
        Form::Frames => decode_frames(chunk, kind, &mut decoded),
        Form::Lines => decode_lines(chunk, kind, &mut decoded),
        Form::Capture => decode_capture(chunk, from, &mut decoded),
        Form::Single(receipt) => {
            let event = decode(Encoding::DuisXml, &chunk.bytes, receipt.as_ref());
            decoded.take(to_position(chunk.start), event, || chunk.bytes.clone());
        }
    }
    decoded
}

impl Decoded {
    /// How many records could be read.
    pub(crate) fn read(&self) -> u64 {
        (self.events.len() + self.access.len()) as u64
    }

    /// Takes in the record that some bytes are.
    pub(crate) fn record(
        &mut self,
        position: i64,
        (kind, encoding): (Kind, Encoding),
        bytes: &[u8],
        raw: impl Fn() -> Bytes,
    ) {
        match kind {
            Kind::Service => self.take(position, decode(encoding, bytes, None), raw),
            Kind::Access => match decode_access(encoding, bytes) {
                Ok(record) => self.access.push((position, record)),
                Err(error) => self.unread(position, error.to_string(), raw()),
            },
        }
    }

    pub(crate) fn take<E: std::fmt::Display>(
        &mut self,
        position: i64,
        event: Result<Event, E>,
        raw: impl Fn() -> Bytes,
    ) {
        match event {
            Ok(event) => self.events.push((position, event)),
            Err(error) => self.unread(position, error.to_string(), raw()),
        }
    }

    pub(crate) fn unread(&mut self, position: i64, reason: String, raw: Bytes) {
        let kept = raw.len().min(limits::RECORD_BYTES_MAX.max(LETTER_BYTES));
        self.letters.push(Unread { position, reason, raw: raw.slice(..kept) });
    }
}

fn decode_frames(chunk: &Chunk, kind: Kind, decoded: &mut Decoded) {
    let mut at = 0;
    while at < chunk.bytes.len() {
        let position = to_position(chunk.start + at as u64);
        let rest = chunk.bytes.slice(at..);
        let (consumed, why) = match next_frame(&rest) {
            Frame::Complete { record, consumed } => {
                let raw = || chunk.bytes.slice_ref(record);
                decoded.record(position, (kind, Encoding::Protobuf), record, raw);
                at += consumed;
                continue;
            }
            Frame::TooLarge { length, header } => {
                let end =
                    usize::try_from(length).unwrap_or(usize::MAX).saturating_add(header).min(rest.len());
                (
                    end,
                    format!(
                        "the record claims {length} bytes; a record has at most {}",
                        limits::RECORD_BYTES_MAX
                    ),
                )
            }
            Frame::Incomplete => (rest.len(), "the file ends within this record".to_owned()),
            Frame::Bad => {
                (rest.len(), "no record length stands here; nothing after it can be found".to_owned())
            }
        };
        decoded.unread(position, why, rest.slice(..consumed.min(LETTER_BYTES)));
        at += consumed;
    }
}

fn decode_lines(chunk: &Chunk, kind: Kind, decoded: &mut Decoded) {
    let mut at = 0;
    for line in chunk.bytes.split_inclusive(|byte| *byte == b'\n') {
        let position = to_position(chunk.start + at as u64);
        at += line.len();
        let record = line.trim_ascii();
        if record.is_empty() {
            continue;
        }
        let raw = || chunk.bytes.slice_ref(record);
        if record.len() > limits::RECORD_BYTES_MAX {
            let why = format!(
                "the line has {} bytes; a record has at most {}",
                record.len(),
                limits::RECORD_BYTES_MAX
            );
            decoded.unread(position, why, raw().slice(..LETTER_BYTES));
        } else {
            decoded.record(position, (kind, Encoding::Json), record, raw);
        }
    }
}

fn decode_capture(chunk: &Chunk, from: u64, decoded: &mut Decoded) {
    let messages = match capture::Messages::new(&chunk.bytes) {
        Ok(messages) => messages,
        Err(error) => {
            return decoded.unread(to_position(chunk.start), error.to_string(), chunk.bytes.clone());
        }
    };
    for message in messages {
        let range = match &message {
            Ok(message) => message.range.clone(),
            Err(bad) => bad.range.clone(),
        };
        let position = to_position(range.start as u64);
        // What an earlier batch took in is passed over.
        if (range.start as u64) < from {
            continue;
        }
        let event =
            message.map_err(|bad| bad.to_string()).and_then(|m| m.decode().map_err(|e| e.to_string()));
        decoded.take(position, event, || chunk.bytes.slice(range.clone()));
    }
}
