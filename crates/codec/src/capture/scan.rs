//! Finding the messages of a capture.

use crate::charset::Charset;
use crate::duis::SaidOfInventory;
use crate::xml::{Node, Space, XmlReader};
use crate::{DecodeError, Receipt, limits};
use gridtrail_anomaly::AnomalyEvent;
use gridtrail_model::Event;
use gridtrail_schedules::ScheduleEvent;
use gridtrail_xml::attribute_value;
use quick_xml::events::Event as XmlEvent;
use quick_xml::reader::Reader;
use std::ops::Range;

/// How far into the document the root element may stand.
const HEAD_BYTES_MAX: usize = 64 << 10;

/// The longest tag of a `Message`: a time and 64 characters, each perhaps an escape. Without a limit a row of tags
/// that never end would be gone through again and again.
const TAG_BYTES_MAX: usize = 1 << 10;

/// What the root element of a capture says of all that follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// `<Message`, with the prefix that the root element has.
    open: Vec<u8>,
    /// `</Message`, likewise.
    close: Vec<u8>,
    /// `</Capture`, likewise.
    end: Vec<u8>,
    charset: Charset,
    content_at: usize,
    is_empty: bool,
}

impl Envelope {
    /// The envelope that these bytes begin with; the first 64 KiB are enough. Errors: they begin none, or one whose tags cannot
    /// be found by their bytes, as in UTF-16.
    pub fn of(head: &[u8]) -> Result<Self, DecodeError> {
        let charset = Charset::of(head)?;
        let head = &head[..head.len().min(HEAD_BYTES_MAX)];
        if !charset.keeps_ascii() {
            return Err(wrong(0, UTF16));
        }
        let root = match charset {
            // A later message, or the cut, may not be UTF-8; the root element itself must be.
            Charset::Utf8 => {
                let whole = std::str::from_utf8(head).map_or_else(|error| error.valid_up_to(), str::len);
                root(std::str::from_utf8(&head[..whole]).unwrap_or_default())?
            }
            // Markup is ASCII, so that places in the text are places in the bytes as far as the root element goes.
            _ => root(
                &head
                    .iter()
                    .map(|byte| if byte.is_ascii() { char::from(*byte) } else { '?' })
                    .collect::<String>(),
            )?,
        };
        let Root { prefix, content_at, is_empty } = root;
        Ok(Self {
            open: format!("<{prefix}Message").into_bytes(),
            close: format!("</{prefix}Message").into_bytes(),
            end: format!("</{prefix}Capture").into_bytes(),
            charset,
            content_at,
            is_empty,
        })
    }

    /// The messages in a part of the document that starts `base` bytes into it, at its start or where the part before ended
    /// ([`Messages::position`]). Where the part is not the last, what may go on behind it is left for the next.
    pub fn messages<'a>(&self, part: &'a [u8], base: usize, last: bool) -> Messages<'a> {
        let at = self.content_at.saturating_sub(base);
        Messages {
            bytes: part,
            at: at.min(part.len()),
            base,
            last,
            comments_over: false,
            ended: self.is_empty,
            done: at > part.len(),
            envelope: self.clone(),
        }
    }

    /// The next place, from one on, where a message begins or the end of the capture stands.
    pub fn landmark(&self, bytes: &[u8], from: usize) -> Option<usize> {
        let mut at = from;
        while let Some(found) = find(bytes, at, b"<") {
            if is_tag(&bytes[found..], &self.open) || is_tag(&bytes[found..], &self.end) {
                return Some(found);
            }
            at = found + 1;
        }
        None
    }

    /// Whether these bytes begin with the end of the capture.
    pub fn ends_at(&self, bytes: &[u8]) -> bool {
        is_tag(bytes, &self.end)
    }

    /// No landmark that begins further than this from the end of some bytes can be missed in them.
    pub fn landmark_bytes(&self) -> usize {
        self.open.len().max(self.end.len()) + 1
    }
}

/// One message of a capture, not yet decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message<'a> {
    /// Where its `Message` element stands, in bytes of the capture.
    pub range: Range<usize>,
    /// When the DCC received or sent it.
    pub receipt: Receipt,
    /// The DUIS document.
    pub xml: &'a [u8],
    xml_at: usize,
    charset: Charset,
}

impl Message<'_> {
    /// Reads the event. Positions in errors count from the start of the capture.
    pub fn decode(&self) -> Result<Event, DecodeError> {
        crate::duis::decode(self.xml, Some(self.charset), Some(&self.receipt))
            .map_err(|error| error.moved_by(self.xml_at as u64))
    }

    /// What the message says of the inventory. Errors: those of [`Message::decode`] that are of XML.
    pub fn inventory(&self) -> Result<SaidOfInventory, DecodeError> {
        crate::duis::inventory_in(self.xml, Some(self.charset), &self.receipt)
            .map_err(|error| error.moved_by(self.xml_at as u64))
    }

    /// What the message of an event says of a communication that was quarantined. Errors: those of [`Message::decode`] that are of XML.
    pub fn quarantined(&self, event: &Event) -> Result<Option<AnomalyEvent>, DecodeError> {
        crate::duis::quarantined_in(event, self.xml, Some(self.charset))
            .map_err(|error| error.moved_by(self.xml_at as u64))
    }

    /// What the message of an event says of DSP schedules. Errors: those of [`Message::decode`] that are of XML.
    pub fn schedules(&self, event: &Event) -> Result<Vec<ScheduleEvent>, DecodeError> {
        crate::duis::schedules_in(event, self.xml, Some(self.charset))
            .map_err(|error| error.moved_by(self.xml_at as u64))
    }
}

/// A stretch of a capture that is no message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("bytes {} to {} of the capture: {reason}", .range.start, .range.end)]
pub struct BadMessage {
    /// Where it stands, in bytes of the capture. Never empty but at the very end.
    pub range: Range<usize>,
    /// What is wrong.
    pub reason: DecodeError,
}

/// The messages of a capture, in order. A bad one is an `Err` with its place; the next call goes on behind it.
///
/// Costs one pass over the bytes. Nothing is copied.
#[derive(Debug, Clone)]
pub struct Messages<'a> {
    envelope: Envelope,
    bytes: &'a [u8],
    at: usize,
    /// Where `bytes` start in the capture.
    base: usize,
    /// Whether the capture ends with `bytes`.
    last: bool,
    /// Whether a comment was found that never ends: then none behind it does, and looking again would be
    /// quadratic.
    comments_over: bool,
    /// Whether the end of the capture was found.
    ended: bool,
    done: bool,
}

impl<'a> Messages<'a> {
    /// The messages of this document. Errors: it does not begin a capture envelope.
    pub fn new(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        Ok(Envelope::of(bytes)?.messages(bytes, 0, true))
    }

    /// How many of the bytes have been gone through.
    pub fn position(&self) -> usize {
        self.at
    }

    fn bad(&mut self, start: usize, end: usize, reason: DecodeError) -> Result<Message<'a>, BadMessage> {
        self.at = end;
        Err(BadMessage {
            range: self.base + start..self.base + end,
            reason: reason.moved_by(self.base as u64),
        })
    }

    /// Passes over white space and comments.
    fn skip_gap(&mut self) {
        loop {
            self.at += self.bytes[self.at..].iter().take_while(|b| b.is_ascii_whitespace()).count();
            if self.comments_over || !self.bytes[self.at..].starts_with(b"<!--") {
                return;
            }
            match find(self.bytes, self.at + 4, b"-->") {
                Some(end) => self.at = end + 3,
                None => self.comments_over = true,
            }
        }
    }

    /// The next place where a message begins, or the end of the capture stands; the end of the bytes if none does.
    fn next_landmark(&self, from: usize) -> usize {
        self.envelope.landmark(self.bytes, from).unwrap_or(self.bytes.len())
    }

    fn message(&mut self, start: usize) -> Result<Message<'a>, BadMessage> {
        let Some(tag_end) = tag_end(self.bytes, start) else {
            let cut = !self.last && self.bytes.len() - start < TAG_BYTES_MAX;
            let next = if cut { self.bytes.len() } else { self.next_landmark(start + 1) };
            return self.bad(start, next, wrong(start, "a Message tag is cut off"));
        };
        let tag = &self.bytes[start..tag_end];
        if tag.ends_with(b"/>") {
            return self.bad(start, tag_end, wrong(start, "a Message without a document"));
        }
        let next = self.next_landmark(tag_end);
        let Some(close_at) = self.find_close(tag_end, next) else {
            return self.bad(start, next, wrong(start, "a Message is not closed"));
        };
        let Some(end) = tag_end_within(self.bytes, close_at, next) else {
            return self.bad(start, next, wrong(close_at, "a Message is not closed"));
        };
        let receipt = match receipt(tag, start) {
            Ok(receipt) => receipt,
            Err(reason) => return self.bad(start, end, reason),
        };
        let content = &self.bytes[tag_end..close_at];
        let xml = content.trim_ascii();
        if xml.len() > limits::MESSAGE_BYTES_MAX {
            let (bytes, limit) = (xml.len() as u64, limits::MESSAGE_BYTES_MAX);
            return self.bad(start, end, DecodeError::TooLarge { what: "a DUIS message", bytes, limit });
        }
        self.at = end;
        let xml_at = self.base + tag_end + (content.len() - content.trim_ascii_start().len());
        let charset = self.envelope.charset;
        Ok(Message { range: self.base + start..self.base + end, receipt, xml, xml_at, charset })
    }

    fn find_close(&self, from: usize, before: usize) -> Option<usize> {
        let mut at = from;
        while let Some(found) = find(&self.bytes[..before], at, &self.envelope.close) {
            if is_tag(&self.bytes[found..], &self.envelope.close) {
                return Some(found);
            }
            at = found + 1;
        }
        None
    }
}

impl<'a> Iterator for Messages<'a> {
    type Item = Result<Message<'a>, BadMessage>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let before = self.at;
        let found = self.step();
        // What reaches the end of a part may go on behind it.
        let open = self.comments_over || self.ended || found.as_ref().is_none_or(Result::is_err);
        if !self.last && open && (self.at == self.bytes.len() || self.comments_over || self.ended) {
            (self.at, self.done) = (before, true);
            return None;
        }
        found
    }
}

impl<'a> Messages<'a> {
    fn step(&mut self) -> Option<Result<Message<'a>, BadMessage>> {
        self.skip_gap();
        if !self.ended && self.envelope.ends_at(&self.bytes[self.at..]) {
            self.ended = true;
            self.at = tag_end(self.bytes, self.at).unwrap_or(self.bytes.len());
            self.skip_gap();
        }
        let (start, rest) = (self.at, &self.bytes[self.at..]);
        if self.ended || rest.is_empty() {
            self.done = true;
            let cut_off = "the capture is cut off: its end tag is missing";
            return match (self.ended, rest.is_empty()) {
                (true, true) => None,
                (false, _) => Some(self.bad(start, start, wrong(start, cut_off))),
                (true, false) => {
                    let reason = "something follows the end of the capture; split the file behind it";
                    Some(self.bad(start, self.bytes.len(), wrong(start, reason)))
                }
            };
        }
        if is_tag(rest, &self.envelope.open) {
            return Some(self.message(start));
        }
        let next = self.next_landmark(start + 1);
        Some(self.bad(start, next, wrong(start, "something else than a Message")))
    }
}

fn wrong(position: usize, reason: &'static str) -> DecodeError {
    DecodeError::xml(position as u64, reason)
}

/// Why a capture whose tags cannot be found by their bytes is not read.
pub(crate) const UTF16: &str = "a capture in UTF-16 is not read; convert it to UTF-8";

const NO_CAPTURE: &str = "the root element is not Capture of urn:gridtrail:capture:v1";

/// The root element of a capture.
struct Root {
    /// Its prefix with the colon, or nothing.
    prefix: String,
    content_at: usize,
    is_empty: bool,
}

/// Whether a text begins a capture.
pub(crate) fn begins(text: &str) -> bool {
    root(text).is_ok()
}

fn root(text: &str) -> Result<Root, DecodeError> {
    let body = text.trim_start_matches('\u{feff}');
    let mark = text.len() - body.len();
    let mut reader = XmlReader::new(body);
    match reader.next()? {
        Node::Open(Space::Capture, start) if start.local_name().into_inner() == "Capture" => {
            let content_at = mark + usize::try_from(reader.position()).unwrap_or(usize::MAX).min(body.len());
            let name = start.name();
            let prefix = name.prefix().map(|prefix| format!("{}:", prefix.into_inner())).unwrap_or_default();
            Ok(Root { prefix, content_at, is_empty: text[..content_at].ends_with("/>") })
        }
        _ => Err(wrong(mark, NO_CAPTURE)),
    }
}

/// The receipt that a `Message` start tag tells.
fn receipt(tag: &[u8], at: usize) -> Result<Receipt, DecodeError> {
    let text = std::str::from_utf8(tag).map_err(|_| wrong(at, "a Message tag is not UTF-8"))?;
    let xml = |error: quick_xml::Error| DecodeError::xml(at as u64, error);
    let XmlEvent::Start(start) = Reader::from_str(text).read_event().map_err(xml)? else {
        return Err(wrong(at, "a Message tag is malformed"));
    };
    let (mut recorded_at, mut event_id) = (None, None);
    for attribute in start.attributes().with_checks(false) {
        let attribute = attribute.map_err(|error| DecodeError::xml(at as u64, error))?;
        let slot = match attribute.key.0 {
            "recordedAt" => &mut recorded_at,
            "eventId" => &mut event_id,
            name if name == "xmlns" || name.starts_with("xmlns:") => continue,
            _ => return Err(wrong(at, "a Message has another attribute than recordedAt and eventId")),
        };
        let value = attribute_value(&attribute).map_err(|why| DecodeError::xml(at as u64, why))?;
        if slot.replace(value).is_some() {
            return Err(wrong(at, "an attribute of a Message stands twice"));
        }
    }
    let missing =
        DecodeError::Missing { field: "recordedAt", rule: "a DUIS message carries no time of its own" };
    Receipt::parse(&recorded_at.ok_or(missing)?, event_id.as_deref())
}

/// Where this text stands next.
fn find(bytes: &[u8], from: usize, text: &[u8]) -> Option<usize> {
    let (first, rest) = text.split_first()?;
    let mut at = from;
    loop {
        at += bytes.get(at..)?.iter().position(|b| b == first)?;
        if bytes[at + 1..].starts_with(rest) {
            return Some(at);
        }
        at += 1;
    }
}

/// Whether these bytes begin with this tag, and not with a longer name.
fn is_tag(bytes: &[u8], tag: &[u8]) -> bool {
    bytes.strip_prefix(tag).is_some_and(|rest| {
        matches!(rest.first(), Some(b'>' | b'/')) || rest.first().is_some_and(u8::is_ascii_whitespace)
    })
}

/// Behind the `>` that ends the tag at `start`; one within quotes ends nothing.
fn tag_end(bytes: &[u8], start: usize) -> Option<usize> {
    tag_end_within(bytes, start, bytes.len().min(start.saturating_add(TAG_BYTES_MAX)))
}

fn tag_end_within(bytes: &[u8], start: usize, before: usize) -> Option<usize> {
    let mut quote = None;
    for (i, byte) in bytes.get(start..before)?.iter().enumerate() {
        match (quote, byte) {
            (None, b'>') => return Some(start + i + 1),
            (None, b'"' | b'\'') => quote = Some(*byte),
            (Some(open), byte) if open == *byte => quote = None,
            _ => {}
        }
    }
    None
}
