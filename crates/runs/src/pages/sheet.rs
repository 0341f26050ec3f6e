//! Sheets: decoded pages of chosen columns for one range of rows of a row group.

use super::cache::{OpenRun, Part, PartName, RunCache};
use super::dictionary::Dictionary;
use super::page::{Beside, Page};
use crate::error::RunsError;
use std::ops::Range;
use std::sync::Arc;

/// The pages of one column.
#[derive(Debug)]
struct Column {
    dictionary: Option<Arc<Dictionary>>,
    /// Each with its first row's number in the group.
    pages: Vec<(usize, Arc<Page>)>,
}

/// What a sheet is made of: named first, and got then.
#[derive(Debug)]
pub struct Plan {
    group: usize,
    rows: Range<usize>,
    /// By column, its number and the first row of each of its pages.
    columns: Vec<(usize, Vec<usize>)>,
    names: Vec<PartName>,
}

/// Some columns of some rows of a row group.
#[derive(Debug)]
pub struct Sheet {
    path: Arc<deltalake_core::Path>,
    columns: Vec<(usize, Column)>,
}

impl Plan {
    /// What the rows of a group need; `None` where the run's index is damaged.
    pub fn new(run: &OpenRun, group: usize, rows: Range<usize>, columns: &[usize]) -> Option<Self> {
        let mut plan = Self { group, rows, columns: Vec::with_capacity(columns.len()), names: Vec::new() };
        for column in columns {
            let firsts = plan.name_pages(run, *column)?;
            plan.columns.push((*column, firsts));
        }
        Some(plan)
    }

    fn name_pages(&mut self, run: &OpenRun, column: usize) -> Option<Vec<usize>> {
        let name = |page| {
            let (group, column) = (u32::try_from(self.group).ok()?, u32::try_from(column).ok()?);
            Some(PartName { group, column, page })
        };
        if run.has_dictionary(self.group, column) {
            self.names.push(name(None)?);
        }
        let pages = run.pages(self.group, column)?;
        let first_row = |page: usize| usize::try_from(pages.get(page)?.first_row_index).ok();
        let from = pages.partition_point(|page| {
            usize::try_from(page.first_row_index).is_ok_and(|first| first <= self.rows.start)
        });
        let mut firsts = Vec::new();
        for page in from.checked_sub(1)?..pages.len() {
            let first = first_row(page)?;
            if first >= self.rows.end {
                break;
            }
            self.names.push(name(Some(u32::try_from(page).ok()?))?);
            firsts.push(first);
        }
        Some(firsts)
    }

    /// The row group, and its rows.
    pub fn place(&self) -> (usize, Range<usize>) {
        (self.group, self.rows.clone())
    }

    /// The parts that it is made of.
    pub fn names(&self) -> &[PartName] {
        &self.names
    }
}

impl Sheet {
    /// The sheet of a plan, of the parts that it names.
    pub fn new(run: &OpenRun, plan: Plan, parts: Vec<Part>) -> Self {
        let mut parts = parts.into_iter().peekable();
        let columns = plan.columns.into_iter().map(|(number, firsts)| {
            let dictionary = parts.next_if(|part| matches!(part, Part::Dictionary(_)));
            let dictionary = dictionary.and_then(Part::dictionary);
            let pages = firsts.into_iter().zip(parts.by_ref());
            let pages = pages.filter_map(|(first, part)| Some((first, part.page()?))).collect();
            (number, Column { dictionary, pages })
        });
        Self { path: Arc::clone(&run.path), columns: columns.collect() }
    }

    /// Gets a sheet, of what is in memory and what has to be fetched.
    pub async fn get(cache: &RunCache, run: &OpenRun, plan: Plan) -> Result<Self, RunsError> {
        let parts = cache.parts(run, plan.names()).await?;
        Ok(Self::new(run, plan, parts))
    }

    /// How many pages it holds.
    pub fn pages(&self) -> usize {
        self.columns.iter().map(|(_, column)| column.pages.len()).sum()
    }

    fn corrupt(&self, why: &str) -> RunsError {
        RunsError::Corrupt { path: self.path.to_string(), why: why.to_owned() }
    }

    #[inline]
    fn column(&self, number: usize) -> Result<&Column, RunsError> {
        let found = self.columns.iter().find(|(column, _)| *column == number);
        found.map(|(_, column)| column).ok_or(RunsError::Internal("a column was not asked for"))
    }

    /// The rows of the sheet whose value in a column that the run is sorted by is a key.
    pub fn rows_equal(&self, number: usize, key: &[u8]) -> Result<Range<usize>, RunsError> {
        let mut found: Option<Range<usize>> = None;
        for (first, page) in &self.column(number)?.pages {
            let here = page.rows_equal(key).ok_or_else(|| self.corrupt("a page of keys cannot be read"))?;
            if here.is_empty() {
                continue;
            }
            let (start, end) = (first + here.start, first + here.end);
            found = Some(found.map_or(start..end, |found| found.start.min(start)..found.end.max(end)));
        }
        Ok(found.unwrap_or(0..0))
    }

    /// The keys next below and above one, in a column that the run is sorted by, as far as the sheet goes.
    pub fn beside(&self, number: usize, key: &[u8]) -> Result<Beside<'_>, RunsError> {
        let mut found: Beside<'_> = (None, None);
        for (_, page) in &self.column(number)?.pages {
            let (below, above) =
                page.beside(key).ok_or_else(|| self.corrupt("a page of keys cannot be read"))?;
            // Pages ascend.
            found = (below.or(found.0), found.1.or(above));
        }
        Ok(found)
    }

    /// The numbers in some rows of a column.
    pub fn numbers(&self, number: usize, rows: &Range<usize>) -> Result<Vec<Option<i64>>, RunsError> {
        let mut all = Vec::with_capacity(rows.len());
        for (first, page) in &self.column(number)?.pages {
            let part = overlap(*first, page.rows, rows);
            if part.0 < part.1 {
                all.extend(
                    page.numbers(part).ok_or_else(|| self.corrupt("a page of numbers cannot be read"))?,
                );
            }
        }
        self.complete(all, rows)
    }

    /// The rows whose number in a column is one that is looked for, ascending, of all rows of the group.
    pub fn rows_with(
        &self,
        number: usize,
        rows: usize,
        is_wanted: impl Fn(i64) -> bool,
    ) -> Result<Vec<usize>, RunsError> {
        let (mut all, mut next) = (Vec::new(), 0);
        for (first, page) in &self.column(number)?.pages {
            let here = page.rows_with(&is_wanted).filter(|_| *first == next);
            let here = here.ok_or_else(|| self.corrupt("a page of numbers cannot be read"))?;
            all.extend(here.into_iter().map(|row| first + row));
            next += page.rows;
        }
        if next == rows { Ok(all) } else { Err(self.corrupt("its pages have too few rows")) }
    }

    /// The bytes in some rows of a column.
    pub fn texts(&self, number: usize, rows: &Range<usize>) -> Result<Vec<Option<&[u8]>>, RunsError> {
        let column = self.column(number)?;
        let mut all = Vec::with_capacity(rows.len());
        for (first, page) in &column.pages {
            let part = overlap(*first, page.rows, rows);
            if part.0 < part.1 {
                page.texts(part, column.dictionary.as_deref(), |value| all.push(value))
                    .ok_or_else(|| self.corrupt("a page of texts cannot be read"))?;
            }
        }
        self.complete(all, rows)
    }

    fn complete<T>(&self, all: Vec<T>, rows: &Range<usize>) -> Result<Vec<T>, RunsError> {
        if all.len() == rows.len() { Ok(all) } else { Err(self.corrupt("its pages have too few rows")) }
    }

    /// The numbers of its columns, in the order in which they were asked for.
    #[inline]
    pub fn columns(&self) -> impl Iterator<Item = usize> {
        self.columns.iter().map(|(number, _)| *number)
    }

    /// The path of its run.
    #[inline]
    pub fn path(&self) -> &str {
        self.path.as_ref().as_ref()
    }
}

/// The part of a page that lies in some rows, as numbers within the page.
fn overlap(first: usize, length: usize, rows: &Range<usize>) -> (usize, usize) {
    (rows.start.saturating_sub(first).min(length), rows.end.saturating_sub(first).min(length))
}
