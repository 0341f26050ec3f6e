//! Sheets: decoded pages of chosen columns for one range of rows of a row group.

use crate::decode::Stored;
use crate::schema::column;
use gridtrail_runs::{Beside, Dictionary, OpenRun, Page, Part, PartName, RunCache, RunsError};
use std::ops::Range;
use std::sync::Arc;

/// The columns that a row is read from.
pub(crate) const ROW_COLUMNS: &[usize] = &[
    column::DEVICE,
    column::RECEIVED,
    column::USER,
    column::VARIANT,
    column::MPXN,
    column::REGION,
    column::SHAPE,
    column::TAIL,
];

/// The columns that tell a row's key, place and Device, in the order of [`ROW_COLUMNS`].
pub(crate) const KEY_COLUMNS: &[usize] =
    &[column::DEVICE, column::RECEIVED, column::USER, column::SHAPE, column::TAIL];

/// The pages of one column.
#[derive(Debug)]
struct Column {
    dictionary: Option<Arc<Dictionary>>,
    /// Each with its first row's number in the group.
    pages: Vec<(usize, Arc<Page>)>,
}

/// What a sheet is made of: named first, and got then.
#[derive(Debug)]
pub(crate) struct Plan {
    group: usize,
    rows: Range<usize>,
    /// By column, its number and the first row of each of its pages.
    columns: Vec<(usize, Vec<usize>)>,
    names: Vec<PartName>,
}

/// Some columns of some rows of a row group.
#[derive(Debug)]
pub(crate) struct Sheet {
    path: Arc<deltalake_core::Path>,
    columns: Vec<(usize, Column)>,
}

/// One row, out of its pages.
#[derive(Debug, Default)]
pub(crate) struct Row<'a> {
    received_ms: i64,
    texts: [Option<&'a [u8]>; column::COUNT],
}

impl Plan {
    /// What the rows of a group need; `None` where the run's index is damaged.
    pub(crate) fn new(run: &OpenRun, group: usize, rows: Range<usize>, columns: &[usize]) -> Option<Self> {
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

    pub(crate) fn names(&self) -> &[PartName] {
        &self.names
    }
}

impl Sheet {
    /// The sheet of a plan, of the parts that it names.
    pub(crate) fn new(run: &OpenRun, plan: Plan, parts: Vec<Part>) -> Self {
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
    pub(crate) async fn get(cache: &RunCache, run: &OpenRun, plan: Plan) -> Result<Self, RunsError> {
        let parts = cache.parts(run, plan.names()).await?;
        Ok(Self::new(run, plan, parts))
    }

    /// How many pages it holds.
    pub(crate) fn pages(&self) -> usize {
        self.columns.iter().map(|(_, column)| column.pages.len()).sum()
    }

    fn corrupt(&self, why: &str) -> RunsError {
        RunsError::Corrupt { path: self.path.to_string(), why: why.to_owned() }
    }

    fn column(&self, number: usize) -> Result<&Column, RunsError> {
        let found = self.columns.iter().find(|(column, _)| *column == number);
        found.map(|(_, column)| column).ok_or(RunsError::Internal("a column was not asked for"))
    }

    /// The rows of the sheet whose value in a column that the run is sorted by is a key.
    pub(crate) fn rows_equal(&self, number: usize, key: &[u8]) -> Result<Range<usize>, RunsError> {
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
    pub(crate) fn beside(&self, number: usize, key: &[u8]) -> Result<Beside<'_>, RunsError> {
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
    pub(crate) fn numbers(&self, number: usize, rows: &Range<usize>) -> Result<Vec<Option<i64>>, RunsError> {
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
    pub(crate) fn rows_with(
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
    pub(crate) fn texts(&self, number: usize, rows: &Range<usize>) -> Result<Vec<Option<&[u8]>>, RunsError> {
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

    /// Some rows, with all columns of the sheet.
    pub(crate) fn rows(&self, rows: &Range<usize>) -> Result<Vec<Row<'_>>, RunsError> {
        let mut all: Vec<Row<'_>> = Vec::new();
        all.resize_with(rows.len(), Row::default);
        for (number, _) in &self.columns {
            if *number == column::RECEIVED {
                for (row, time) in all.iter_mut().zip(self.numbers(*number, rows)?) {
                    row.received_ms = time.ok_or_else(|| self.corrupt("a row has no time"))?;
                }
                continue;
            }
            for (row, text) in all.iter_mut().zip(self.texts(*number, rows)?) {
                if let Some(place) = row.texts.get_mut(*number) {
                    *place = text;
                }
            }
        }
        Ok(all)
    }

    /// The path of its run.
    pub(crate) fn path(&self) -> &str {
        self.path.as_ref().as_ref()
    }
}

impl<'a> Row<'a> {
    /// The row as it is stored; `path` names its run in errors.
    pub(crate) fn stored(&self, path: &'a str) -> Result<Stored<'a>, RunsError> {
        let missing = |why: &str| RunsError::Corrupt { path: path.to_owned(), why: why.to_owned() };
        let text = |number: usize| self.texts.get(number).copied().flatten();
        Ok(Stored {
            device: text(column::DEVICE),
            received_ms: self.received_ms,
            user: text(column::USER).ok_or_else(|| missing("a row has no User"))?,
            variant: text(column::VARIANT),
            mpxn: text(column::MPXN),
            region: text(column::REGION),
            shape: text(column::SHAPE).ok_or_else(|| missing("a row has no shape"))?,
            tail: text(column::TAIL).ok_or_else(|| missing("a row has no tail"))?,
            path,
        })
    }
}

/// The part of a page that lies in some rows, as numbers within the page.
fn overlap(first: usize, length: usize, rows: &Range<usize>) -> (usize, usize) {
    (rows.start.saturating_sub(first).min(length), rows.end.saturating_sub(first).min(length))
}
