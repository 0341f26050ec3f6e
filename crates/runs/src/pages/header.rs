//! Headers of pages, and what their bodies are packed in.

use super::levels::{Runs, varint, zigzag};
use bytes::Bytes;
use parquet::basic::Compression;

/// The longest header of a page that is read: ours have a few dozen bytes.
const HEADER_BYTES_MAX: usize = 8 * 1024;
/// The largest page that is made room for, in bytes. A dictionary has a mebibyte at most, any other page less.
pub(super) const PAGE_BYTES_MAX: usize = 16 << 20;

/// The header of a page, as far as it matters.
#[derive(Debug, Default)]
pub(super) struct Header {
    pub(super) kind: i64,
    pub(super) uncompressed: usize,
    pub(super) compressed: usize,
    pub(super) rows: usize,
    pub(super) values: usize,
    pub(super) nulls: usize,
    pub(super) encoding: i64,
    pub(super) levels: usize,
    pub(super) is_plain: bool,
}

/// What [`Header::kind`] is of a data page of version 2, and of a dictionary.
pub(super) const DATA_V2: i64 = 3;
pub(super) const DICTIONARY: i64 = 2;

/// The next value of a PLAIN page of bytes.
pub(super) fn take_plain<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, after) = rest.split_first_chunk()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    let (value, after) = after.split_at_checked(length)?;
    *rest = after;
    Some(value)
}

/// How long the header of a page is, and its body; `None`: the header does not end within the bytes, or is none.
pub(crate) fn page_sizes(bytes: &[u8]) -> Option<(usize, usize)> {
    Header::read(bytes).map(|(header, at)| (at, header.compressed))
}

pub(super) fn decompressed(bytes: &Bytes, size: usize, compression: Compression) -> Option<Bytes> {
    match compression {
        Compression::UNCOMPRESSED => (bytes.len() == size).then(|| bytes.clone()),
        Compression::LZ4_RAW if size <= PAGE_BYTES_MAX => {
            let mut out = vec![0; size];
            // What is empty is not even compressed.
            let written =
                if bytes.is_empty() { 0 } else { lz4_flex::block::decompress_into(bytes, &mut out).ok()? };
            (written == size).then(|| out.into())
        }
        _ => None,
    }
}

impl Header {
    /// Which rows have a value, where so many have. `None`: damaged.
    pub(super) fn present(&self, levels: &[u8], values: usize) -> Option<Vec<bool>> {
        if values == 0 {
            return Some(vec![false; self.rows]);
        }
        // No memory is taken for rows that are claimed, and of which nothing is there.
        let (mut all, mut part, mut runs) = (Vec::new(), [0; 512], Runs::new(levels, 1));
        while all.len() < self.rows {
            let part = part.get_mut(..(self.rows - all.len()).min(512))?;
            runs.fill(part)?;
            all.extend(part.iter().map(|level| *level == 1));
        }
        (all.iter().filter(|present| **present).count() == values).then_some(all)
    }

    /// Whether the rows of the page go by the dictionary of their column.
    pub(super) fn is_by_dictionary(&self) -> bool {
        matches!(self.encoding, 2 | 8)
    }

    /// The header that bytes begin with, and where it ends.
    pub(super) fn read(bytes: &[u8]) -> Option<(Self, usize)> {
        let bytes = &bytes[..bytes.len().min(HEADER_BYTES_MAX)];
        let mut compact = Compact { rest: bytes };
        // Compression is on unless a header of version 2 says otherwise.
        let mut header = Self::default();
        let size = |number: i64| usize::try_from(number).ok();
        let mut field = 0;
        while let Some(kind) = compact.field(&mut field)? {
            match field {
                1 => header.kind = compact.number(kind)?,
                2 => header.uncompressed = size(compact.number(kind)?)?,
                3 => header.compressed = size(compact.number(kind)?)?,
                7 => header.read_dictionary(&mut compact)?,
                8 => header.read_data(&mut compact)?,
                _ => compact.pass(kind, 0)?,
            }
        }
        let at = bytes.len() - compact.rest.len();
        Some((header, at))
    }

    fn read_dictionary(&mut self, compact: &mut Compact<'_>) -> Option<()> {
        let mut field = 0;
        while let Some(kind) = compact.field(&mut field)? {
            match field {
                1 => self.values = usize::try_from(compact.number(kind)?).ok()?,
                2 => self.encoding = compact.number(kind)?,
                _ => compact.pass(kind, 0)?,
            }
        }
        Some(())
    }

    fn read_data(&mut self, compact: &mut Compact<'_>) -> Option<()> {
        let size = |number: i64| usize::try_from(number).ok();
        let mut field = 0;
        while let Some(kind) = compact.field(&mut field)? {
            match field {
                1 => self.values = size(compact.number(kind)?)?,
                2 => self.nulls = size(compact.number(kind)?)?,
                3 => self.rows = size(compact.number(kind)?)?,
                4 => self.encoding = compact.number(kind)?,
                5 => self.levels = size(compact.number(kind)?)?,
                // Repetition levels: nothing of ours is nested.
                6 if compact.number(kind)? != 0 => return None,
                6 => {}
                7 => self.is_plain = kind == Compact::FALSE,
                _ => compact.pass(kind, 0)?,
            }
        }
        Some(())
    }
}

/// Thrift's compact protocol, as far as page headers need it.
struct Compact<'a> {
    rest: &'a [u8],
}

impl Compact<'_> {
    const TRUE: u8 = 1;
    const FALSE: u8 = 2;

    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*byte)
    }

    fn varint(&mut self) -> Option<u64> {
        varint(&mut self.rest)
    }

    /// The kind of the next field, `Some(None)` at the end. `field` is the number of the one before, and then of this one.
    #[expect(clippy::option_option, reason = "the end is no damage")]
    fn field(&mut self, field: &mut i64) -> Option<Option<u8>> {
        let byte = self.byte()?;
        if byte == 0 {
            return Some(None);
        }
        *field = match byte >> 4 {
            0 => zigzag(self.varint()?),
            more => field.checked_add(more.into())?,
        };
        Some(Some(byte & 15))
    }

    fn number(&mut self, kind: u8) -> Option<i64> {
        // Whole numbers of 16, 32 and 64 bits.
        if (4..=6).contains(&kind) { self.varint().map(zigzag) } else { None }
    }

    /// Passes over a value.
    fn pass(&mut self, kind: u8, depth: u32) -> Option<()> {
        match kind {
            Self::TRUE | Self::FALSE => {}
            3 => drop(self.byte()?),
            4..=6 => drop(self.varint()?),
            7 => self.rest = self.rest.get(8..)?,
            8 => {
                let length = usize::try_from(self.varint()?).ok()?;
                self.rest = self.rest.get(length..)?;
            }
            12 if depth < 4 => {
                let mut field = 0;
                while let Some(kind) = self.field(&mut field)? {
                    self.pass(kind, depth + 1)?;
                }
            }
            _ => return None,
        }
        Some(())
    }
}
