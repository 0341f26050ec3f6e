//! Pieces of a file: cut at record borders, decoded on their own.
//!
//! Every byte of a file is in one piece. A record that is longer than any may be comes in several: it is passed over, hashed, and
//! told of in a dead letter that holds its beginning.

use crate::kinds::{PlainRecord, Reads, RecordKind};
use crate::letter_content::{LetterContent, Long, letter_content};
use crate::limits::{CHUNK_BYTES, WINDOW_BYTES};
use crate::plan::{Form, Receipted, Source};
use crate::said::{self, Alone, Said};
use crate::unpack;
use bytes::Bytes;
use gridtrail_codec::capture::Envelope;
use gridtrail_codec::{Encoding, Frame, Receipt, decode, limits, next_frame, without_mark};
use gridtrail_lake::Skip;
use gridtrail_model::Event;
use std::io::{self, Read};

/// A piece of a file.
#[derive(Debug)]
pub(crate) struct Chunk {
    /// Where the piece starts in the file, in bytes.
    pub(crate) start: u64,
    /// Where the next piece starts.
    pub(crate) end: u64,
    pub(crate) bytes: Bytes,
    /// Whether the file ends with it.
    pub(crate) last: bool,
    pub(crate) holds: Holds,
}

/// What a piece holds.
#[derive(Debug)]
pub(crate) enum Holds {
    /// Whole records.
    Records,
    /// Part of a record that is too long, and goes on in the next piece: nothing may be committed in between.
    Part,
    /// The rest of such a record, and what is kept of it.
    Rest(Unread),
}

/// What a piece held, in order.
#[derive(Debug, Default)]
pub(crate) struct Decoded {
    pub(crate) events: Vec<(i64, Event)>,
    /// Records that are rows of the table of their kind as they came.
    pub(crate) plain: Vec<Box<dyn PlainRecord>>,
    /// What messages say beside their events, each with the position of its message.
    pub(crate) said: Vec<(i64, Said)>,
    pub(crate) letters: Vec<Unread>,
    /// Records that are none, each position in order.
    pub(crate) skipped: Vec<Skip>,
}

/// A record that could not be read.
#[derive(Debug, Clone)]
pub(crate) struct Unread {
    pub(crate) position: i64,
    pub(crate) reason: String,
    pub(crate) raw: LetterContent,
}

/// How much is read at once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    /// Bytes of a piece.
    pub(crate) chunk: usize,
    /// Bytes in which a record must end.
    pub(crate) window: usize,
}

impl Default for Sizes {
    fn default() -> Self {
        Self { chunk: CHUNK_BYTES, window: WINDOW_BYTES }
    }
}

/// Reads a file in pieces.
pub(crate) struct Chunks {
    input: Box<dyn Read + Send>,
    form: Form,
    /// Where `buffer` starts in the file.
    at: u64,
    size: u64,
    /// What was read and not handed on.
    buffer: Vec<u8>,
    sizes: Sizes,
    /// The record that is being passed over.
    long: Option<Long>,
}

/// Where a piece can be cut.
enum Border {
    /// Behind so many bytes.
    At(usize),
    /// Nowhere in what was read: the record goes on.
    Beyond,
    /// Nowhere: the record in front is passed over.
    Long(Until, String),
}

/// Where a record that is too long ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Until {
    /// At the end of the file.
    End,
    /// At a byte of the file.
    At(u64),
    /// Behind the next line break.
    LineBreak,
    /// Before the next message of a capture, or its end.
    Landmark,
}

impl Chunks {
    pub(crate) fn open(source: &Source, sizes: Sizes) -> io::Result<Self> {
        let input = unpack::open(&source.path, source.packing, source.from)?;
        let (form, at, size) = (source.form.clone(), source.from, source.size);
        Ok(Self { input, form, at, size, buffer: Vec::new(), sizes, long: None })
    }

    /// The next piece; `None` after the last.
    ///
    /// The file is held to the size that its hash was taken over: what is appended meanwhile belongs to another
    /// source.
    pub(crate) fn next(&mut self) -> io::Result<Option<Chunk>> {
        if self.at >= self.size {
            return Ok(None);
        }
        if let Some(long) = self.long.take() {
            return self.go_on(long).map(Some);
        }
        let whole = matches!(self.form, Form::Single(_) | Form::Unreadable(_));
        let mut wanted = if whole { self.sizes.window } else { self.sizes.chunk };
        loop {
            self.fill(wanted)?;
            match self.border() {
                Border::At(cut) => return Ok(Some(self.cut(cut, Holds::Records))),
                Border::Beyond if wanted < self.sizes.window => wanted = (wanted * 2).min(self.sizes.window),
                Border::Beyond => return self.go_on(self.too_long()).map(Some),
                Border::Long(until, reason) => {
                    return self.go_on(Long::new(self.at, until, reason)).map(Some);
                }
            }
        }
    }

    /// Reads until so many bytes are there, or the file ends.
    fn fill(&mut self, wanted: usize) -> io::Result<()> {
        let left = usize::try_from(self.size - self.at).unwrap_or(usize::MAX);
        let (held, wanted) = (self.buffer.len(), wanted.min(left));
        if held < wanted {
            self.buffer.resize(wanted, 0);
            self.input.read_exact(&mut self.buffer[held..])?;
        }
        Ok(())
    }

    fn is_at_the_end(&self) -> bool {
        self.at + self.buffer.len() as u64 == self.size
    }

    /// Where the last whole record of what was read ends.
    fn border(&self) -> Border {
        if self.is_at_the_end() {
            return Border::At(self.buffer.len());
        }
        let end = match &self.form {
            Form::Lines => self.buffer.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1),
            Form::Frames => match frames_end(&self.buffer) {
                Ok(end) => end,
                Err(TooLong { bytes: Some(bytes), reason }) => {
                    let end = self.at.saturating_add(bytes).min(self.size);
                    return Border::Long(Until::At(end), reason);
                }
                Err(TooLong { bytes: None, reason }) => return Border::Long(Until::End, reason),
            },
            Form::Capture(envelope) => {
                let mut messages = envelope.messages(&self.buffer, self.base(), false);
                messages.by_ref().for_each(drop);
                messages.position()
            }
            Form::Single(_) | Form::Unreadable(_) => 0,
        };
        if end == 0 { Border::Beyond } else { Border::At(end) }
    }

    fn base(&self) -> usize {
        usize::try_from(self.at).unwrap_or(usize::MAX)
    }

    /// The record in front, no end of which is in the window.
    fn too_long(&self) -> Long {
        let limit = limits::MESSAGE_BYTES_MAX;
        let longer = |what: &str| format!("{what} is longer than the limit of {limit} bytes");
        let (until, reason) = match &self.form {
            Form::Lines => (Until::LineBreak, longer("the line")),
            Form::Frames => (Until::End, longer("the record")),
            Form::Capture(envelope) if envelope.ends_at(self.buffer.trim_ascii_start()) => {
                (Until::End, "something follows the end of the capture; split the file behind it".to_owned())
            }
            Form::Capture(_) => {
                (Until::Landmark, longer("a message of the capture, or what stands between two,"))
            }
            Form::Single(_) => (Until::End, longer("a DUIS message")),
            Form::Unreadable(reason) => (Until::End, reason.clone()),
        };
        Long::new(self.at, until, reason)
    }

    /// The next part of a record that is too long.
    fn go_on(&mut self, mut long: Long) -> io::Result<Chunk> {
        let overlap = match &self.form {
            Form::Capture(envelope) => envelope.landmark_bytes(),
            _ => 0,
        };
        self.fill(self.sizes.chunk.max(2 * overlap + 2))?;
        let (held, at_the_end) = (self.buffer.len(), self.is_at_the_end());
        let found = match (long.until, &self.form) {
            (Until::At(end), _) => usize::try_from(end - self.at).ok().filter(|cut| *cut <= held),
            (Until::LineBreak, _) => self.buffer.iter().position(|byte| *byte == b'\n').map(|at| at + 1),
            (Until::Landmark, Form::Capture(envelope)) => {
                envelope.landmark(&self.buffer, usize::from(long.is_empty()))
            }
            (Until::Landmark | Until::End, _) => None,
        };
        let cut = match found {
            Some(cut) => cut,
            None if at_the_end => held,
            None => held - overlap,
        };
        long.take(&self.buffer[..cut]);
        if found.is_some() || at_the_end {
            return Ok(self.cut(cut, Holds::Rest(long.unread())));
        }
        self.long = Some(long);
        Ok(self.cut(cut, Holds::Part))
    }

    /// Hands on the first bytes of what was read.
    fn cut(&mut self, cut: usize, holds: Holds) -> Chunk {
        let rest = self.buffer.split_off(cut);
        let bytes = Bytes::from(std::mem::replace(&mut self.buffer, rest));
        let start = self.at;
        self.at += cut as u64;
        Chunk { start, end: self.at, bytes, last: self.at == self.size, holds }
    }
}

/// A record of a file of frames that cannot be held.
struct TooLong {
    /// Its length with what stands in front; `None` when nobody knows.
    bytes: Option<u64>,
    reason: String,
}

impl TooLong {
    fn claiming(length: u64, header: usize) -> Self {
        let most = limits::MESSAGE_BYTES_MAX;
        let reason = format!("the record claims {length} bytes; a record has at most {most}");
        Self { bytes: Some(length.saturating_add(header as u64)), reason }
    }

    fn lost() -> Self {
        let reason = "no record length stands here; nothing after it can be found".to_owned();
        Self { bytes: None, reason }
    }
}

/// Where the last whole record ends. Errors: the one in front is too long to end here, or none.
fn frames_end(buffer: &[u8]) -> Result<usize, TooLong> {
    let mut end = 0;
    loop {
        let too_long = match next_frame(&buffer[end..]) {
            Frame::Complete { consumed, .. } => {
                end += consumed;
                continue;
            }
            Frame::Incomplete => return Ok(end),
            Frame::TooLarge { length, header } => TooLong::claiming(length, header),
            Frame::Bad => TooLong::lost(),
        };
        let consumed = too_long.bytes.and_then(|bytes| usize::try_from(bytes).ok());
        match consumed.filter(|consumed| *consumed <= buffer.len() - end) {
            Some(consumed) => end += consumed,
            None if end == 0 => return Err(too_long),
            None => return Ok(end),
        }
    }
}

/// A place in a file, as the lake's positions have it.
pub(crate) fn to_position(bytes: u64) -> i64 {
    // Files are far smaller than 2^63 bytes.
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// Decodes a piece. CPU-bound.
pub(crate) fn decode_chunk(chunk: &Chunk, (kind, form): (&RecordKind, &Form)) -> Decoded {
    let mut decoded = Decoded::default();
    let start = to_position(chunk.start);
    match (&chunk.holds, form) {
        (Holds::Part, _) => {}
        (Holds::Rest(unread), _) => decoded.letters.push(unread.clone()),
        (Holds::Records, Form::Frames) => decode_frames(chunk, kind, &mut decoded),
        (Holds::Records, Form::Lines) => decode_lines(chunk, kind, &mut decoded),
        (Holds::Records, Form::Capture(envelope)) => decode_capture(chunk, envelope, &mut decoded),
        (Holds::Records, Form::Single(Receipted::Unreadable(fault))) => {
            decoded.unread(start, fault.clone(), &chunk.bytes);
        }
        (Holds::Records, Form::Single(Receipted::Known(receipt))) => {
            decode_message(start, &chunk.bytes, receipt.as_ref(), &mut decoded);
        }
        (Holds::Records, Form::Unreadable(reason)) => decoded.unread(start, reason.clone(), &chunk.bytes),
    }
    decoded
}

impl Decoded {
    /// How many records could be read.
    pub(crate) fn read(&self) -> u64 {
        (self.events.len() + self.plain.len()) as u64
    }

    /// Takes in the record that some bytes are; `raw` is what is kept of it if it cannot be read.
    pub(crate) fn record(
        &mut self,
        position: i64,
        (kind, encoding): (&RecordKind, Encoding),
        bytes: &[u8],
        raw: &[u8],
    ) {
        match kind.reads {
            Reads::Events => self.take(position, decode(encoding, bytes, None), raw),
            Reads::Plain(read) => match read(encoding, bytes) {
                Ok(record) => self.plain.push(record),
                Err(reason) => self.unread(position, reason, raw),
            },
        }
    }

    pub(crate) fn take<E: std::fmt::Display>(&mut self, position: i64, event: Result<Event, E>, raw: &[u8]) {
        match event {
            Ok(event) => self.events.push((position, event)),
            Err(error) => self.unread(position, error.to_string(), raw),
        }
    }

    /// Takes in what the message at a position says beside its event.
    fn says(&mut self, position: i64, said: Said) {
        if !said.is_empty() {
            self.said.push((position, said));
        }
    }

    pub(crate) fn unread(&mut self, position: i64, reason: String, raw: &[u8]) {
        self.letters.push(Unread { position, reason, raw: letter_content(raw) });
    }
}

fn decode_frames(chunk: &Chunk, kind: &RecordKind, decoded: &mut Decoded) {
    let mut at = 0;
    while at < chunk.bytes.len() {
        let position = to_position(chunk.start + at as u64);
        let rest = &chunk.bytes[at..];
        let (consumed, why) = match next_frame(rest) {
            Frame::Complete { record, consumed } => {
                decoded.record(position, (kind, Encoding::Protobuf), record, record);
                at += consumed;
                continue;
            }
            Frame::TooLarge { length, header } => {
                let TooLong { bytes, reason } = TooLong::claiming(length, header);
                let end = bytes.and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(usize::MAX);
                (end.min(rest.len()), reason)
            }
            Frame::Incomplete => (rest.len(), "the file ends within this record".to_owned()),
            Frame::Bad => (rest.len(), TooLong::lost().reason),
        };
        decoded.unread(position, why, &rest[..consumed]);
        at += consumed;
    }
}

/// What a line holds beside its break, white space and byte order mark, which stands at the start of what was once a file.
fn content(line: &[u8]) -> &[u8] {
    without_mark(line.trim_ascii()).trim_ascii()
}

fn decode_lines(chunk: &Chunk, kind: &RecordKind, decoded: &mut Decoded) {
    let mut at = 0;
    for line in chunk.bytes.split_inclusive(|byte| *byte == b'\n') {
        let position = to_position(chunk.start + at as u64);
        at += line.len();
        let record = content(line);
        if !record.is_empty() {
            decoded.record(position, (kind, Encoding::Json), record, record);
        }
    }
}

/// A file that is one DUIS message.
fn decode_message(start: i64, xml: &[u8], receipt: Option<&Receipt>, decoded: &mut Decoded) {
    let event = decode(Encoding::DuisXml, xml, receipt);
    if let (Ok(event), Some(receipt)) = (&event, receipt) {
        decoded.says(start, said::said(event, &Alone { xml, receipt }));
    }
    decoded.take(start, event, xml);
}

fn decode_capture(chunk: &Chunk, envelope: &Envelope, decoded: &mut Decoded) {
    let base = usize::try_from(chunk.start).unwrap_or(usize::MAX);
    // The piece was cut behind what is settled: nothing in it goes on behind it.
    for message in envelope.messages(&chunk.bytes, base, true) {
        let range = match &message {
            Ok(message) => message.range.clone(),
            Err(bad) => bad.range.clone(),
        };
        // That the end is missing is told of the last byte, for nothing stands at the end; unless that is told of already.
        let position = to_position(range.start as u64).min(to_position(chunk.end) - 1);
        let told = decoded.letters.last().is_some_and(|last| last.position == position);
        if range.is_empty() && (!chunk.last || told) {
            continue;
        }
        let event = message.map_err(|bad| bad.to_string()).and_then(|message| {
            let event = message.decode().map_err(|error| error.to_string())?;
            decoded.says(position, said::said(&event, &message));
            Ok(event)
        });
        decoded.take(position, event, &chunk.bytes[range.start - base..range.end - base]);
    }
}

/// The bytes of the record at a position of a piece.
pub(crate) fn record_at<'a>(chunk: &'a Chunk, form: &Form, position: i64) -> &'a [u8] {
    let start = usize::try_from(position - to_position(chunk.start)).unwrap_or(0).min(chunk.bytes.len());
    let rest = &chunk.bytes[start..];
    match form {
        Form::Frames => match next_frame(rest) {
            Frame::Complete { record, .. } => record,
            _ => rest,
        },
        Form::Lines => content(rest.split(|byte| *byte == b'\n').next().unwrap_or_default()),
        Form::Capture(envelope) => {
            let base = usize::try_from(chunk.start).unwrap_or(usize::MAX) + start;
            // The place is that of a message, so that the first that is found is it.
            let message = envelope.messages(rest, base, true).next();
            message.and_then(Result::ok).map_or(rest, |message| &rest[..message.range.end - base])
        }
        Form::Single(_) | Form::Unreadable(_) => rest,
    }
}

#[cfg(test)]
mod tests;
