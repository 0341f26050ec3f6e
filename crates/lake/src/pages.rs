//! Pages of Parquet files, read without a detour by Arrow.
//!
//! A look-up needs a few rows of a few pages. Setting up readers that could read whole columns costs it several times what
//! those rows do. So pages are taken as the page index names them, decompressed once, kept, and read in place.
//!
//! Only what our own writer writes is read: data pages of version 2, values PLAIN, by dictionary, as differences, or as
//! lengths and bytes; no column nested. All else is damage. Every length is checked.

use crate::levels::{Runs, deltas};
use bytes::Bytes;
use parquet::basic::Compression;

/// The longest header of a page that is read: ours have a few dozen bytes.
const HEADER_BYTES_MAX: usize = 8 * 1024;
/// The largest page that is made room for, in bytes. A dictionary has a mebibyte at most, any other page less.
const PAGE_BYTES_MAX: usize = 16 << 20;

/// How the values of a page are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Plain,
    Dictionary,
    Deltas,
    Lengths,
}

/// A page of one column, decompressed.
#[derive(Debug)]
pub(crate) struct Page {
    /// Rows in it.
    pub(crate) rows: usize,
    /// Which of them have a value; `None`: all.
    present: Option<Box<[bool]>>,
    form: Form,
    values: Bytes,
}

/// The values of a column chunk's dictionary.
pub(crate) type Dictionary = Vec<Bytes>;

/// The header of a page, as far as it matters.
#[derive(Debug, Default)]
struct Header {
    kind: i64,
    uncompressed: usize,
    compressed: usize,
    rows: usize,
    values: usize,
    nulls: usize,
    encoding: i64,
    levels: usize,
    is_plain: bool,
}

const DATA_V2: i64 = 3;
const DICTIONARY: i64 = 2;

impl Page {
    /// Reads a data page from its bytes. `None`: damaged, or nothing that our writer writes.
    pub(crate) fn read(bytes: &Bytes, compression: Compression) -> Option<Self> {
        let (header, at) = Header::read(bytes)?;
        let body = bytes.get(at..at.checked_add(header.compressed)?).map(|body| bytes.slice_ref(body))?;
        if header.kind != DATA_V2 || header.rows != header.values || header.rows > PAGE_BYTES_MAX {
            return None;
        }
        let form = match header.encoding {
            0 => Form::Plain,
            2 | 8 => Form::Dictionary,
            5 => Form::Deltas,
            6 => Form::Lengths,
            _ => return None,
        };
        if header.levels > body.len() {
            return None;
        }
        let (levels, packed) = (body.slice(..header.levels), body.slice(header.levels..));
        let size = header.uncompressed.checked_sub(header.levels)?;
        let values = if header.is_plain { packed } else { decompressed(&packed, size, compression)? };
        let present = if header.nulls == 0 {
            None
        } else {
            let mut runs = Runs::new(&levels, 1);
            let all: Option<Box<[bool]>> =
                (0..header.rows).map(|_| runs.next_value().map(|level| level == 1)).collect();
            all.map(Some)?
        };
        Some(Self { rows: header.rows, present, form, values })
    }

    /// Bytes that it takes in memory, about.
    pub(crate) fn size(&self) -> usize {
        size_of::<Self>() + self.values.len() + self.present.as_ref().map_or(0, |present| present.len())
    }

    fn is_present(&self, row: usize) -> bool {
        self.present.as_ref().is_none_or(|present| present.get(row).copied().unwrap_or(false))
    }

    /// How many values lie before that of a row.
    fn rank(&self, row: usize) -> usize {
        match &self.present {
            None => row,
            Some(present) => present.iter().take(row).filter(|present| **present).count(),
        }
    }

    /// Calls `take` with each row from `from` up to `to`, and its value. `None`: damaged.
    pub(crate) fn texts(
        &self,
        (from, to): (usize, usize),
        dictionary: Option<&Dictionary>,
        mut take: impl FnMut(Option<Bytes>),
    ) -> Option<()> {
        let mut values = Values::new(self, dictionary)?;
        values.skip(self.rank(from))?;
        for row in from..to.min(self.rows) {
            take(if self.is_present(row) { Some(values.next()?) } else { None });
        }
        Some(())
    }

    /// Numbers of the rows from `from` up to `to`, `None` where a row has none.
    pub(crate) fn numbers(&self, (from, to): (usize, usize)) -> Option<Vec<Option<i64>>> {
        let to = to.min(self.rows);
        let end = self.rank(to);
        let all = match self.form {
            Form::Deltas => deltas(&self.values, end)?.0,
            Form::Plain => {
                let values = self.values.chunks_exact(8).take(end);
                values.map(|value| value.try_into().ok().map(i64::from_le_bytes)).collect::<Option<_>>()?
            }
            Form::Dictionary | Form::Lengths => return None,
        };
        let mut at = self.rank(from);
        let mut number = |row: usize| {
            if !self.is_present(row) {
                return Some(None);
            }
            at += 1;
            all.get(at - 1).map(|number| Some(*number))
        };
        (from..to).map(&mut number).collect()
    }

    /// The rows whose value is a key, in a page whose rows ascend by value, those without one first.
    pub(crate) fn rows_equal(&self, key: &[u8]) -> Option<std::ops::Range<usize>> {
        if self.form != Form::Plain {
            return None;
        }
        if self.present.is_none()
            && let Some(found) = equal_in(&self.values, self.rows, key)
        {
            return Some(found);
        }
        let mut rest = self.values.as_ref();
        let (mut first, mut last) = (None, 0);
        for row in (0..self.rows).filter(|row| self.is_present(*row)) {
            let value = take_plain(&mut rest)?;
            if value == key {
                first.get_or_insert(row);
                last = row + 1;
            } else if value > key {
                break;
            }
        }
        first.map_or(Some(0..0), |first| Some(first..last))
    }
}

/// [`Page::rows_equal`] of PLAIN values that are all as long as the key, by halving; `None` where one that was looked at is
/// not, or they do not ascend.
fn equal_in(values: &[u8], rows: usize, key: &[u8]) -> Option<std::ops::Range<usize>> {
    let width = 4 + key.len();
    if values.len() != rows.checked_mul(width)? {
        return None;
    }
    let value = |row: usize| {
        let mut rest = values.get(row * width..(row + 1) * width)?;
        take_plain(&mut rest).filter(|_| rest.is_empty())
    };
    let first = halve(rows, |row| Some(value(row)? < key))?;
    let end = halve(rows, |row| Some(value(row)? <= key))?;
    (first <= end).then_some(first..end)
}

/// The first of so many places that no longer lies before what is looked for, given that all before it do; `None` where a place
/// that was looked at cannot be read.
pub(crate) fn halve(places: usize, is_before: impl Fn(usize) -> Option<bool>) -> Option<usize> {
    let (mut low, mut high) = (0, places);
    while low < high {
        let middle = low.midpoint(high);
        if is_before(middle)? { low = middle + 1 } else { high = middle }
    }
    Some(low)
}

/// The next value of a PLAIN page of bytes.
fn take_plain<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, after) = rest.split_first_chunk()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    let (value, after) = after.split_at_checked(length)?;
    *rest = after;
    Some(value)
}

/// The values of a page of bytes, one after the other.
enum Values<'a> {
    Plain(&'a Bytes, &'a [u8]),
    Dictionary(Runs<'a>, &'a Dictionary),
    Lengths { lengths: Vec<i64>, next: usize, bytes: &'a Bytes, at: usize },
}

impl<'a> Values<'a> {
    fn new(page: &'a Page, dictionary: Option<&'a Dictionary>) -> Option<Self> {
        match page.form {
            Form::Plain => Some(Self::Plain(&page.values, &page.values)),
            Form::Dictionary => {
                let (width, indices) = page.values.split_first()?;
                (*width <= 32).then_some(())?;
                Some(Self::Dictionary(Runs::new(indices, (*width).into()), dictionary?))
            }
            Form::Lengths => {
                let (lengths, at) = deltas(&page.values, page.rows)?;
                Some(Self::Lengths { lengths, next: 0, bytes: &page.values, at })
            }
            Form::Deltas => None,
        }
    }

    fn skip(&mut self, count: usize) -> Option<()> {
        match self {
            Self::Plain(_, rest) => (0..count).try_for_each(|_| take_plain(rest).map(drop)),
            Self::Dictionary(runs, _) => runs.skip(count),
            Self::Lengths { lengths, next, at, .. } => {
                for length in lengths.get(*next..next.checked_add(count)?)? {
                    *at = at.checked_add(usize::try_from(*length).ok()?)?;
                }
                *next += count;
                Some(())
            }
        }
    }

    fn next(&mut self) -> Option<Bytes> {
        match self {
            Self::Plain(bytes, rest) => take_plain(rest).map(|value| bytes.slice_ref(value)),
            Self::Dictionary(runs, dictionary) => {
                dictionary.get(usize::try_from(runs.next_value()?).ok()?).cloned()
            }
            Self::Lengths { lengths, next, bytes, at } => {
                let end = at.checked_add(usize::try_from(*lengths.get(*next)?).ok()?)?;
                let value = bytes.get(*at..end)?;
                (*next, *at) = (*next + 1, end);
                Some(bytes.slice_ref(value))
            }
        }
    }
}

/// Reads a dictionary page. `None`: damaged.
pub(crate) fn dictionary(bytes: &Bytes, compression: Compression) -> Option<Dictionary> {
    let (header, at) = Header::read(bytes)?;
    if header.kind != DICTIONARY || header.encoding != 0 && header.encoding != 2 {
        return None;
    }
    let body = bytes.get(at..at.checked_add(header.compressed)?).map(|body| bytes.slice_ref(body))?;
    let values = decompressed(&body, header.uncompressed, compression)?;
    let mut rest = values.as_ref();
    let mut all = Vec::with_capacity(header.values.min(values.len() / 4));
    for _ in 0..header.values {
        all.push(values.slice_ref(take_plain(&mut rest)?));
    }
    Some(all)
}

fn decompressed(bytes: &Bytes, size: usize, compression: Compression) -> Option<Bytes> {
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
    /// The header that bytes begin with, and where it ends.
    fn read(bytes: &[u8]) -> Option<(Self, usize)> {
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
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7F).checked_shl(shift)?;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
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

const fn zigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -((value & 1).cast_signed())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn plain(values: &[Vec<u8>]) -> Page {
        let written = values.iter().flat_map(|value| {
            let length = u32::try_from(value.len()).unwrap().to_le_bytes();
            length.into_iter().chain(value.iter().copied())
        });
        Page {
            rows: values.len(),
            present: None,
            form: Form::Plain,
            values: written.collect::<Vec<u8>>().into(),
        }
    }

    proptest! {
        /// Values of one length are found by halving, others one after the other: both are the rows of the key.
        #[test]
        fn the_rows_of_a_key_are_found(
            mut values in proptest::collection::vec(proptest::collection::vec(0_u8..3, 2..4), 0..40),
            key in proptest::collection::vec(0_u8..3, 2..4),
            one_length in any::<bool>(),
        ) {
            if one_length {
                values.retain(|value| value.len() == key.len());
            }
            values.sort();
            let rows: Vec<usize> = (0..values.len()).filter(|row| values[*row] == key).collect();
            let found = plain(&values).rows_equal(&key).unwrap();
            prop_assert_eq!(found.collect::<Vec<_>>(), rows);
            if one_length {
                prop_assert!(equal_in(&plain(&values).values, values.len(), &key).is_some());
            }
        }
    }

    #[test]
    fn a_value_that_is_cut_short_is_damage() {
        let page = plain(&[b"abcd".to_vec(), b"abcf".to_vec()]);
        let cut = Page { values: page.values.slice(..15), ..page };
        assert!(cut.rows_equal(b"abcf").is_none());
    }
}
