//! Pages of Parquet files, read without a detour by Arrow.
//!
//! A look-up needs a few rows of a few pages. Setting up readers that could read whole columns costs it several times what
//! those rows do. So pages are taken as the page index names them, decompressed once, and kept such that any row is found.
//!
//! Only what our own writer writes is read: data pages of version 2, values PLAIN, by dictionary, as differences, or as
//! lengths and bytes; no column nested. All else is damage. Every length is checked.

use super::dictionary::Dictionary;
use super::header::{DATA_V2, Header, PAGE_BYTES_MAX, decompressed, take_plain};
use super::levels::{Runs, deltas};
use bytes::Bytes;
use parquet::basic::Compression;
use std::ops::Range;

/// The values of a page. What has to be read from the page's start on is worked out once, when the page comes into memory.
#[derive(Debug)]
enum Values {
    /// Texts that were PLAIN: mostly of the column that a run is sorted by, where nearly each is that of the row before.
    Repeated(Repeated),
    /// Places in the dictionary, behind a byte that says how many bits each has.
    Dictionary(Bytes),
    Numbers(Box<[i64]>),
    /// Texts one behind the other, and where each ends.
    Texts {
        bytes: Box<[u8]>,
        ends: Box<[u32]>,
    },
}

/// Texts, those that follow an equal one left out.
#[derive(Debug)]
struct Repeated {
    bytes: Box<[u8]>,
    /// For each text, how many values end with it, and where it ends.
    ends: Box<[(u32, u32)]>,
}

/// A page of one column, decompressed.
#[derive(Debug)]
pub struct Page {
    /// Rows in it.
    pub rows: usize,
    /// Which of them have a value, those behind its end have none; `None`: all.
    present: Option<Box<[bool]>>,
    values: Values,
}

/// The texts next below and above a key.
pub type Beside<'a> = (Option<&'a [u8]>, Option<&'a [u8]>);

impl Page {
    /// Reads a data page from its bytes. `None`: damaged, or nothing that our writer writes.
    pub fn read(bytes: &Bytes, compression: Compression) -> Option<Self> {
        let (header, at) = Header::read(bytes)?;
        let body = bytes.get(at..at.checked_add(header.compressed)?).map(|body| bytes.slice_ref(body))?;
        if header.kind != DATA_V2 || header.rows != header.values || header.rows > PAGE_BYTES_MAX {
            return None;
        }
        if header.levels > body.len() {
            return None;
        }
        let (levels, packed) = (body.slice(..header.levels), body.slice(header.levels..));
        let size = header.uncompressed.checked_sub(header.levels)?;
        let bytes = if header.is_plain { packed } else { decompressed(&packed, size, compression)? };
        let count = header.rows.checked_sub(header.nulls)?;
        let values = match header.encoding {
            0 => Values::Repeated(Repeated::read(&bytes, count)?),
            2 | 8 => Values::Dictionary(bytes),
            5 => Values::Numbers(differences(&bytes, count)?.0.into()),
            6 => texts(&bytes, count)?,
            _ => return None,
        };
        let present = match (header.nulls, count) {
            (0, _) => None,
            (_, 0) => Some(Box::default()),
            (_, count) => Some(header.present(&levels, count)?.into()),
        };
        Some(Self { rows: header.rows, present, values })
    }

    /// Bytes that it takes in memory, about.
    pub fn size(&self) -> usize {
        let values = match &self.values {
            Values::Repeated(texts) => texts.bytes.len() + size_of_val::<[(u32, u32)]>(&texts.ends),
            Values::Dictionary(bytes) => bytes.len(),
            Values::Numbers(numbers) => size_of_val::<[i64]>(numbers),
            Values::Texts { bytes, ends } => bytes.len() + size_of_val::<[u32]>(ends),
        };
        size_of::<Self>() + values + self.present.as_ref().map_or(0, |present| present.len())
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
    pub fn texts<'a>(
        &'a self,
        (from, to): (usize, usize),
        dictionary: Option<&'a Dictionary>,
        mut take: impl FnMut(Option<&'a [u8]>),
    ) -> Option<()> {
        let mut values = Reader::new(&self.values, dictionary)?;
        values.skip(self.rank(from))?;
        for row in from..to.min(self.rows) {
            take(if self.is_present(row) { Some(values.next()?) } else { None });
        }
        Some(())
    }

    /// Numbers of the rows from `from` up to `to`, `None` where a row has none.
    pub fn numbers(&self, (from, to): (usize, usize)) -> Option<Vec<Option<i64>>> {
        let Values::Numbers(numbers) = &self.values else { return None };
        let mut values = numbers.get(self.rank(from)..)?.iter();
        let mut next = |row: usize| {
            if self.is_present(row) { values.next().map(|number| Some(*number)) } else { Some(None) }
        };
        (from..to.min(self.rows)).map(&mut next).collect()
    }

    /// The rows whose number is one that is looked for, ascending. `None`: damaged.
    pub fn rows_with(&self, is_wanted: impl Fn(i64) -> bool) -> Option<Vec<usize>> {
        let Values::Numbers(numbers) = &self.values else { return None };
        // Mostly none is: then no row is looked at.
        if !numbers.iter().any(|number| is_wanted(*number)) {
            return Some(Vec::new());
        }
        let rows = (0..self.rows).filter(|row| self.is_present(*row)).zip(numbers);
        Some(rows.filter(|(_, number)| is_wanted(**number)).map(|(row, _)| row).collect())
    }

    /// The rows whose value is a key, in a page whose rows ascend by value, those without one first.
    pub fn rows_equal(&self, key: &[u8]) -> Option<Range<usize>> {
        let (values, found) = match &self.values {
            Values::Repeated(texts) => (texts.values(), texts.equal(key)?),
            Values::Texts { bytes, ends } => (ends.len(), equal_texts(bytes, ends, key)?),
            Values::Dictionary(_) | Values::Numbers(_) => return None,
        };
        let empty = self.rows.checked_sub(values)?;
        if (0..empty).any(|row| self.is_present(row)) {
            return None;
        }
        Some(empty + found.start..empty + found.end)
    }

    /// The texts next below and above a key. `None`: as for [`Page::rows_equal`].
    pub fn beside(&self, key: &[u8]) -> Option<Beside<'_>> {
        let Values::Repeated(texts) = &self.values else { return None };
        let place = try_partition_point(texts.ends.len(), |at| Some(texts.text(at)? < key))?;
        let below = place.checked_sub(1).and_then(|at| texts.text(at));
        let above = texts.text(place).filter(|text| *text != key).or_else(|| texts.text(place + 1));
        Some((below, above))
    }
}

impl Repeated {
    /// So many texts, each behind its length. `None`: damaged.
    fn read(mut plain: &[u8], count: usize) -> Option<Self> {
        let (mut bytes, mut ends) = (Vec::new(), Vec::<(u32, u32)>::new());
        let mut before = None;
        for number in 1..=u32::try_from(count).ok()? {
            let text = take_plain(&mut plain)?;
            match ends.last_mut() {
                Some((values, _)) if before == Some(text) => *values = number,
                _ => {
                    bytes.extend_from_slice(text);
                    ends.push((number, u32::try_from(bytes.len()).ok()?));
                }
            }
            before = Some(text);
        }
        plain.is_empty().then(|| Self { bytes: bytes.into(), ends: ends.into() })
    }

    /// How many values there are.
    fn values(&self) -> usize {
        self.ends.last().map_or(0, |(values, _)| *values as usize)
    }

    /// A text, of those that differ from the one before.
    fn text(&self, at: usize) -> Option<&[u8]> {
        let start = at.checked_sub(1).map_or(Some(0), |before| Some(self.ends.get(before)?.1))?;
        self.bytes.get(start as usize..self.ends.get(at)?.1 as usize)
    }

    /// Which of them a value is.
    fn of_value(&self, number: usize) -> usize {
        self.ends.partition_point(|(values, _)| *values as usize <= number)
    }

    /// The values that are a key, where they ascend.
    fn equal(&self, key: &[u8]) -> Option<Range<usize>> {
        let at = try_partition_point(self.ends.len(), |at| Some(self.text(at)? < key))?;
        if self.text(at) != Some(key) {
            return Some(0..0);
        }
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before].0 as usize);
        Some(start..self.ends[at].0 as usize)
    }
}

/// The first of so many places that no longer lies before what is looked for, given that all before it do; `None` where a place
/// that was looked at cannot be read.
pub fn try_partition_point(places: usize, is_before: impl Fn(usize) -> Option<bool>) -> Option<usize> {
    let (mut low, mut high) = (0, places);
    while low < high {
        let middle = low.midpoint(high);
        if is_before(middle)? { low = middle + 1 } else { high = middle }
    }
    Some(low)
}

/// The texts that are a key, of some that ascend. `None`: damaged.
fn equal_texts(bytes: &[u8], ends: &[u32], key: &[u8]) -> Option<Range<usize>> {
    let text = |at: usize| {
        let start = at.checked_sub(1).map_or(Some(0), |before| ends.get(before).copied())?;
        bytes.get(usize::try_from(start).ok()?..usize::try_from(*ends.get(at)?).ok()?)
    };
    let start = try_partition_point(ends.len(), |at| Some(text(at)? < key))?;
    let end = try_partition_point(ends.len(), |at| Some(text(at)? <= key))?;
    Some(start..end)
}

/// The texts of a page, one after the other.
enum Reader<'a> {
    Repeated { texts: &'a Repeated, at: usize, next: usize },
    Dictionary(Runs<'a>, &'a Dictionary),
    Texts { bytes: &'a [u8], ends: &'a [u32], next: usize },
}

impl<'a> Reader<'a> {
    fn new(values: &'a Values, dictionary: Option<&'a Dictionary>) -> Option<Self> {
        match values {
            Values::Repeated(texts) => Some(Self::Repeated { texts, at: 0, next: 0 }),
            Values::Dictionary(bytes) => {
                let (width, indices) = bytes.split_first()?;
                (*width <= 32).then_some(())?;
                Some(Self::Dictionary(Runs::new(indices, (*width).into()), dictionary?))
            }
            Values::Texts { bytes, ends } => Some(Self::Texts { bytes, ends, next: 0 }),
            Values::Numbers(_) => None,
        }
    }

    fn skip(&mut self, count: usize) -> Option<()> {
        match self {
            Self::Repeated { texts, at, next } => {
                *next = next.checked_add(count)?;
                *at = texts.of_value(*next);
                Some(())
            }
            Self::Dictionary(runs, _) => runs.skip(count),
            Self::Texts { next, .. } => {
                *next = next.checked_add(count)?;
                Some(())
            }
        }
    }

    fn next(&mut self) -> Option<&'a [u8]> {
        match self {
            Self::Repeated { texts, at, next } => {
                let text = texts.text(*at)?;
                *next += 1;
                *at += usize::from(texts.ends[*at].0 as usize <= *next);
                Some(text)
            }
            Self::Dictionary(runs, dictionary) => dictionary.get(usize::try_from(runs.next_value()?).ok()?),
            Self::Texts { bytes, ends, next } => {
                let start = next.checked_sub(1).map_or(Some(0), |before| ends.get(before).copied())?;
                let end = *ends.get(*next)?;
                *next += 1;
                bytes.get(usize::try_from(start).ok()?..usize::try_from(end).ok()?)
            }
        }
    }
}

/// So many numbers that a page begins with as differences, and where they end. `None`: damaged.
pub(super) fn differences(bytes: &[u8], count: usize) -> Option<(Vec<i64>, usize)> {
    deltas(bytes, count).filter(|(numbers, _)| numbers.len() == count)
}

/// So many texts behind their lengths. `None`: damaged.
fn texts(bytes: &[u8], count: usize) -> Option<Values> {
    let (lengths, at) = differences(bytes, count)?;
    let bytes = bytes.get(at..)?;
    let mut end = 0_u32;
    let mut ends = Vec::with_capacity(count);
    for length in lengths {
        end = end.checked_add(u32::try_from(length).ok()?)?;
        ends.push(end);
    }
    (usize::try_from(end).ok()? == bytes.len())
        .then(|| Values::Texts { bytes: bytes.into(), ends: ends.into() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn plain(values: &[Vec<u8>]) -> Vec<u8> {
        let written = values.iter().flat_map(|value| {
            let length = u32::try_from(value.len()).unwrap().to_le_bytes();
            length.into_iter().chain(value.iter().copied())
        });
        written.collect()
    }

    proptest! {
        /// Rows without a value first, then texts that ascend, many of them several times.
        #[test]
        fn the_rows_of_a_key_are_found_and_every_row_read(
            mut values in proptest::collection::vec(proptest::collection::vec(0_u8..3, 1..4), 0..40),
            empty in 0_usize..4,
            key in proptest::collection::vec(0_u8..3, 1..4),
            from in 0_usize..44,
        ) {
            values.sort();
            let texts = Repeated::read(&plain(&values), values.len()).unwrap();
            let rows = empty + values.len();
            let present: Box<[bool]> = (0..rows).map(|row| row >= empty).collect();
            let page = Page { rows, present: (empty > 0).then_some(present), values: Values::Repeated(texts) };
            let expected: Vec<Option<&[u8]>> =
                std::iter::repeat_n(None, empty).chain(values.iter().map(|value| Some(value.as_slice()))).collect();
            let equal: Vec<usize> = (0..rows).filter(|row| expected[*row] == Some(key.as_slice())).collect();
            let found = page.rows_equal(&key).unwrap();
            prop_assert_eq!(found.collect::<Vec<_>>(), equal);
            let others = || expected.iter().copied().flatten();
            let below = others().filter(|text| *text < key.as_slice()).max();
            let above = others().filter(|text| *text > key.as_slice()).min();
            prop_assert_eq!(page.beside(&key), Some((below, above)));
            let (from, mut read) = (from.min(rows), Vec::new());
            page.texts((from, rows), None, |text| read.push(text)).unwrap();
            prop_assert_eq!(&read, &expected[from..]);
        }
    }

    #[test]
    fn texts_that_are_cut_short_or_go_on_are_damage() {
        let written = plain(&[b"abcd".to_vec(), b"abcf".to_vec()]);
        assert!(Repeated::read(&written, 2).is_some());
        assert!(Repeated::read(&written[..15], 2).is_none());
        assert!(Repeated::read(&written, 1).is_none());
        assert!(Repeated::read(&written, 3).is_none());
    }

    proptest! {
        #[test]
        fn the_rows_of_numbers_are_found(
            rows in proptest::collection::vec(proptest::option::of(0_i64..9), 0..40),
            wanted in proptest::collection::hash_set(0_i64..9, 0..3),
        ) {
            let numbers: Vec<i64> = rows.iter().copied().flatten().collect();
            let present = if numbers.is_empty() { Vec::new() } else { rows.iter().map(Option::is_some).collect() };
            let page = Page { rows: rows.len(), present: Some(present.into()), values: Values::Numbers(numbers.into()) };
            let is_wanted = |row: &usize| rows[*row].is_some_and(|number| wanted.contains(&number));
            let expected: Vec<usize> = (0..rows.len()).filter(is_wanted).collect();
            prop_assert_eq!(page.rows_with(|number| wanted.contains(&number)), Some(expected));
            prop_assert_eq!(page.numbers((0, rows.len())), Some(rows));
        }
    }

    #[test]
    fn a_page_of_keys_with_a_gap_is_damage() {
        let texts = Repeated::read(&plain(&[b"a".to_vec()]), 1).unwrap();
        let page = Page { rows: 2, present: Some([true, false].into()), values: Values::Repeated(texts) };
        assert!(page.rows_equal(b"a").is_none());
    }
}
