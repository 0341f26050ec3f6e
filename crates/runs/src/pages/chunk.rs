//! Column chunks, read whole: for scans, which want few columns of a row group and nearly all of its rows.
//!
//! A chunk is fetched in one request, past the pages that look-ups keep in memory, and each page of it is held against its checksum. Values
//! come out as what repeats in them allows: places in a dictionary, numbers, or texts that lie where the page has them. Pages whose rows
//! nobody wants are not decompressed.
//!
//! As of [pages](super::page), only what our own writer writes is read, and every length is checked.

use super::cache::{OpenRun, PartName, RunCache, range_of, within};
use super::dictionary::{Dictionary, Places};
use super::header::{DATA_V2, Header, decompressed, take_plain};
use super::levels::Runs;
use super::page::differences;
use crate::error::RunsError;
use bytes::Bytes;
use futures::future::try_join_all;
use parquet::basic::Compression;
use std::ops::Range;

/// The place of a row that has no value.
pub const NO_VALUE: u32 = u32::MAX;

/// A column of a row group as it is stored.
#[derive(Debug)]
pub struct Chunk {
    compression: Compression,
    dictionary: Option<Bytes>,
    /// Each with its first row's number in the group.
    pages: Vec<(usize, Bytes)>,
    /// Rows of the group.
    rows: usize,
}

/// Values by their place in a dictionary.
#[derive(Debug, Default)]
pub struct Coded {
    /// The different values. Not each need be that of a row.
    pub values: Dictionary,
    /// For each row, the place of its value, or [`NO_VALUE`].
    pub codes: Vec<u32>,
}

/// Texts of rows, where their pages have them.
#[derive(Debug)]
pub struct Texts {
    pages: Vec<TextPage>,
}

#[derive(Debug)]
struct TextPage {
    first: usize,
    /// One behind the other. Empty, with no ends, where nobody wants any of them.
    bytes: Bytes,
    ends: Vec<u32>,
}

/// Which rows are wanted, of some.
pub type Wanted<'a> = &'a dyn Fn(Range<usize>) -> bool;

/// Wants the pages in which any of some rows lies, which ascend.
pub fn is_among(rows: &[u32]) -> impl Fn(Range<usize>) -> bool + '_ {
    move |page| {
        let from = rows.partition_point(|row| (*row as usize) < page.start);
        rows.get(from).is_some_and(|row| (*row as usize) < page.end)
    }
}

impl RunCache {
    /// Some columns of a row group, read whole, each page held against its checksum. None of it is kept in memory.
    pub async fn chunks(
        &self,
        run: &OpenRun,
        group: usize,
        columns: &[usize],
    ) -> Result<Vec<Chunk>, RunsError> {
        let damaged = || run.corrupt("its page index is damaged");
        let rows = run.metadata.metadata().row_groups().get(group).ok_or_else(damaged)?.num_rows();
        let rows = usize::try_from(rows).map_err(|_| damaged())?;
        let mut spans = Vec::with_capacity(columns.len());
        for column in columns {
            let (start, length) = run.chunk(group, *column).ok_or_else(damaged)?.byte_range();
            spans.push(start..start.checked_add(length).ok_or_else(damaged)?);
        }
        let fetched = try_join_all(spans.iter().map(|span| self.fetch(&run.path, span))).await?;
        let each = columns.iter().zip(spans.iter().zip(&fetched));
        each.map(|(column, (span, bytes))| {
            let part = |page: Option<u32>| {
                let number = |number: usize| u32::try_from(number).map_err(|_| damaged());
                let name = PartName { group: number(group)?, column: number(*column)?, page };
                let bytes = range_of(run, name).and_then(|range| within(span, bytes, &range));
                let bytes = bytes.ok_or_else(damaged)?;
                run.check(name, &bytes)?;
                Ok::<_, RunsError>(bytes)
            };
            let dictionary = run.has_dictionary(group, *column).then(|| part(None)).transpose()?;
            let mut pages = Vec::new();
            for (page, location) in (0..).zip(run.pages(group, *column).ok_or_else(damaged)?) {
                pages.push((
                    usize::try_from(location.first_row_index).map_err(|_| damaged())?,
                    part(Some(page))?,
                ));
            }
            let compression = run.chunk(group, *column).ok_or_else(damaged)?.compression();
            Ok(Chunk { compression, dictionary, pages, rows })
        })
        .collect()
    }
}

/// A data page, decompressed.
struct Body {
    rows: usize,
    encoding: i64,
    /// Which rows have a value; `None`: all.
    present: Option<Vec<bool>>,
    values: usize,
    bytes: Bytes,
}

impl Chunk {
    /// Its dictionary, without any row of it. `None`: damaged. A chunk that has none has an empty one, and so may one have of which not
    /// all rows go by it: see [`Chunk::is_by_dictionary`].
    pub fn dictionary(&self) -> Option<Dictionary> {
        self.dictionary
            .as_ref()
            .map_or(Some(Dictionary::default()), |page| Dictionary::read(page, self.compression))
    }

    /// Whether every row has its value in the dictionary, or none.
    pub fn is_by_dictionary(&self) -> bool {
        self.pages
            .iter()
            .all(|(_, page)| Header::read(page).is_some_and(|(header, _)| header.is_by_dictionary()))
    }

    fn rows_of(&self, number: usize) -> Range<usize> {
        let start = self.pages.get(number).map_or(self.rows, |(first, _)| *first);
        start..self.pages.get(number + 1).map_or(self.rows, |(first, _)| *first)
    }

    /// Calls `take` with the rows of each page, and with the page where any of them is wanted.
    fn each(
        &self,
        wanted: Wanted<'_>,
        mut take: impl FnMut(Range<usize>, Option<Body>) -> Option<()>,
    ) -> Option<()> {
        let mut next = 0;
        for (number, (first, bytes)) in self.pages.iter().enumerate() {
            let rows = self.rows_of(number);
            if *first != next || rows.end < rows.start {
                return None;
            }
            next = rows.end;
            let body = match wanted(rows.clone()) {
                true => Some(Body::read(bytes, self.compression).filter(|body| body.rows == rows.len())?),
                false => None,
            };
            take(rows, body)?;
        }
        (next == self.rows).then_some(())
    }

    /// The values of all rows, by their places in the dictionary. What the writer found no room for there is added to it. Rows of pages
    /// that are not wanted have no value. `None`: damaged.
    pub fn coded(&self, wanted: Wanted<'_>) -> Option<Coded> {
        let values = self.dictionary()?;
        let (known, mut coded) =
            (u32::try_from(values.len()).ok()?, Coded { values, codes: vec![NO_VALUE; self.rows] });
        let mut added: Option<Places> = None;
        let mut found = Vec::new();
        self.each(wanted, |rows, body| {
            let Some(body) = body else { return Some(()) };
            found.clear();
            found.resize(body.values, 0);
            match body.encoding {
                2 | 8 => {
                    let (width, places) = body.bytes.split_first()?;
                    (*width <= 32).then_some(())?;
                    Runs::new(places, (*width).into()).fill(&mut found)?;
                    found.iter().all(|place| *place < known).then_some(())?;
                }
                0 => {
                    let places = added.get_or_insert_with(|| Places::of(&coded.values));
                    let mut rest = body.bytes.as_ref();
                    for place in &mut found {
                        *place = places.place(&mut coded.values, take_plain(&mut rest)?)?;
                    }
                }
                _ => return None,
            }
            spread(&found, body.present.as_deref(), coded.codes.get_mut(rows)?)
        })?;
        Some(coded)
    }

    /// The numbers of all rows; those of pages that are not wanted are zero. `None`: damaged, or a row has none.
    pub fn numbers(&self, wanted: Wanted<'_>) -> Option<Vec<i64>> {
        let mut numbers = Vec::with_capacity(self.rows);
        self.each(wanted, |rows, body| {
            match body {
                Some(body) if body.encoding == 5 && body.present.is_none() => {
                    numbers.extend(differences(&body.bytes, body.values)?.0);
                }
                Some(_) => return None,
                None => numbers.resize(rows.end, 0),
            }
            (numbers.len() == rows.end).then_some(())
        })?;
        Some(numbers)
    }

    /// The keys of eight bytes that the rows of a run ascend by, as numbers in the same order, and how many rows have none: those come
    /// first, and have zero, as rows of pages do that are not wanted. `None`: damaged, or another key.
    pub fn keys(&self, wanted: Wanted<'_>) -> Option<(Vec<u64>, usize)> {
        let (mut keys, mut without, mut is_first) = (Vec::with_capacity(self.rows), 0, true);
        self.each(wanted, |rows, body| {
            let Some(body) = body else {
                keys.resize(rows.end, 0);
                return Some(());
            };
            let absent = body.rows.checked_sub(body.values)?;
            if absent > 0 {
                // Rows without a key come before all that have one.
                let present = body.present.as_deref().unwrap_or_default();
                let precede = present.iter().take(absent).all(|present| !present);
                (is_first && precede).then_some(())?;
                without = rows.start + absent;
            }
            is_first &= body.values == 0;
            (body.encoding == 0).then_some(())?;
            keys.resize(rows.start + absent, 0);
            let (plain, rest) = body.bytes.as_chunks::<12>();
            if plain.len() != body.values || !rest.is_empty() {
                return None;
            }
            for [l0, l1, l2, l3, key @ ..] in plain {
                (u32::from_le_bytes([*l0, *l1, *l2, *l3]) == 8).then_some(())?;
                keys.push(u64::from_be_bytes(*key));
            }
            Some(())
        })?;
        Some((keys, without))
    }

    /// The texts of all rows, each of which has one. `None`: damaged.
    pub fn texts(&self, wanted: Wanted<'_>) -> Option<Texts> {
        let mut pages = Vec::with_capacity(self.pages.len());
        self.each(wanted, |rows, body| {
            let (bytes, ends) = match body {
                Some(body) if body.encoding == 6 && body.present.is_none() => {
                    let (lengths, at) = differences(&body.bytes, body.values)?;
                    let (mut end, mut ends) = (0_u32, Vec::with_capacity(lengths.len()));
                    for length in lengths {
                        end = end.checked_add(u32::try_from(length).ok()?)?;
                        ends.push(end);
                    }
                    let bytes = body.bytes.slice(at..);
                    (usize::try_from(end).ok()? == bytes.len()).then_some((bytes, ends))?
                }
                Some(_) => return None,
                None => (Bytes::new(), Vec::new()),
            };
            pages.push(TextPage { first: rows.start, bytes, ends });
            Some(())
        })?;
        Some(Texts { pages })
    }
}

impl Texts {
    /// Calls `take` with some rows, given ascending, and the text of each. `None`: a row is not there.
    pub fn each<'a>(
        &'a self,
        rows: impl Iterator<Item = usize>,
        mut take: impl FnMut(usize, &'a [u8]) -> Option<()>,
    ) -> Option<()> {
        let mut pages = self.pages.iter().peekable();
        let mut page = pages.next();
        for row in rows {
            while pages.peek().is_some_and(|next| next.first <= row) {
                page = pages.next();
            }
            let TextPage { first, bytes, ends } = page?;
            let at = row.checked_sub(*first)?;
            let start = at.checked_sub(1).map_or(Some(0), |before| ends.get(before).copied())?;
            take(row, bytes.get(start as usize..*ends.get(at)? as usize)?)?;
        }
        Some(())
    }
}

/// Puts the places of those rows that have a value where the rows are.
fn spread(found: &[u32], present: Option<&[bool]>, codes: &mut [u32]) -> Option<()> {
    let Some(present) = present else {
        (found.len() == codes.len()).then(|| codes.copy_from_slice(found))?;
        return Some(());
    };
    let mut found = found.iter();
    for (code, _) in codes.iter_mut().zip(present).filter(|(_, present)| **present) {
        *code = *found.next()?;
    }
    Some(())
}

impl Body {
    fn read(page: &Bytes, compression: Compression) -> Option<Self> {
        let (header, at) = Header::read(page)?;
        let body = page.get(at..at.checked_add(header.compressed)?).map(|body| page.slice_ref(body))?;
        if header.kind != DATA_V2 || header.rows != header.values || header.levels > body.len() {
            return None;
        }
        let (levels, packed) = (body.slice(..header.levels), body.slice(header.levels..));
        let size = header.uncompressed.checked_sub(header.levels)?;
        let bytes = if header.is_plain { packed } else { decompressed(&packed, size, compression)? };
        let values = header.rows.checked_sub(header.nulls)?;
        let present = if header.nulls == 0 { None } else { Some(header.present(&levels, values)?) };
        Some(Self { rows: header.rows, encoding: header.encoding, present, values, bytes })
    }
}

#[cfg(test)]
mod tests;
