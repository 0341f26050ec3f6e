//! Parts of runs, kept in memory within a bound.
//!
//! Runs never change once written, so nothing is ever invalidated. What is kept: parsed footers with their page
//! index and bloom filters, the dictionaries of columns, and the pages that look-ups touched, decompressed. What is missing
//! is fetched at once: neighbours in one request, and all requests at the same time; of a file system, all in one go. What comes into memory is
//! held against its checksum first, where its file has any: the footer with all that belongs to it, and each page.

use super::dictionary::Dictionary;
use super::found::FoundRows;
use super::note::Note;
use super::page::Page;
use super::sums::PageSums;
use crate::definition::Definition;
use crate::delta::checksum::{self, ALTERED, checksum_of};
use crate::delta::location::Location;
use crate::delta::log::TableFile;
use crate::delta::table::Table;
use crate::error::RunsError;
use crate::format;
use crate::limits::{AT_ONCE_BYTES, GAP_BYTES, TAIL_BYTES};
use arrow::datatypes::Schema;
use bytes::Bytes;
use deltalake_core::{ObjectStore, Path};
use foldhash::fast::RandomState;
use futures::future::try_join_all;
use moka::sync::Cache;
use object_store::ObjectStoreExt;
use parquet::DecodeResult;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::bloom_filter::Sbbf;
use parquet::file::metadata::{ColumnChunkMetaData, PageIndexPolicy, ParquetMetaDataPushDecoder};
use parquet::file::page_index::offset_index::PageLocation;
use std::any::Any;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A run whose footer is parsed.
#[derive(Debug)]
pub struct OpenRun {
    /// Where it lies, from the root of the store.
    pub path: Arc<Path>,
    /// Its footer.
    pub metadata: ArrowReaderMetadata,
    /// Bloom filters of the columns that look-ups go by, each with one a row group.
    blooms: Vec<(usize, Vec<Option<Sbbf>>)>,
    /// What its footer says of its rows; see [`crate::NoteKind`].
    note: Option<Note>,
    /// The checksums of its pages. `None`: it is of the first format.
    sums: Option<PageSums>,
    /// Tells its pages from those of other runs.
    number: u64,
    /// Bytes that it takes in memory, about.
    size: usize,
}

impl OpenRun {
    /// Where the pages of a column of a row group lie.
    pub fn pages(&self, group: usize, column: usize) -> Option<&[PageLocation]> {
        let index = self.metadata.metadata().offset_index()?;
        Some(index.get(group)?.get(column)?.page_locations())
    }

    /// The bloom filter of a column of a row group, of those that look-ups go by.
    pub fn bloom(&self, column: usize, group: usize) -> Option<&Sbbf> {
        let (_, groups) = self.blooms.iter().find(|(number, _)| *number == column)?;
        groups.get(group)?.as_ref()
    }

    /// The note of its footer. `None`: it has none, or another kind of it.
    pub fn note<T: Any>(&self) -> Option<&T> {
        self.note.as_ref()?.get()
    }

    /// Whether its footer has what this build writes there of its rows: the checksums of their pages, and the note of its table, where that
    /// has any.
    pub fn is_whole(&self, table: &Definition) -> bool {
        self.sums.is_some() && self.note.is_some() == table.note.is_some()
    }

    /// Whether its footer says of what format it is.
    pub fn says_format(&self) -> bool {
        format::is_said(self.metadata.metadata())
    }

    /// Whether a column of a row group has a dictionary.
    pub fn has_dictionary(&self, group: usize, column: usize) -> bool {
        self.chunk(group, column).is_some_and(|chunk| chunk.dictionary_page_offset().is_some())
    }

    pub(super) fn chunk(&self, group: usize, column: usize) -> Option<&ColumnChunkMetaData> {
        self.metadata.metadata().row_groups().get(group)?.columns().get(column)
    }

    pub(super) fn corrupt(&self, why: &str) -> RunsError {
        RunsError::Corrupt { path: self.path.to_string(), why: why.to_owned() }
    }

    /// Refuses bytes that are not those of a part.
    pub(super) fn check(&self, name: PartName, bytes: &[u8]) -> Result<(), RunsError> {
        let (Some(sums), PartName { group, column, page }) = (&self.sums, name) else { return Ok(()) };
        let (group, column) = (group as usize, column as usize);
        let page = page.map_or(0, |page| page as usize + usize::from(self.has_dictionary(group, column)));
        if sums.fit((group, column), page, bytes) { Ok(()) } else { Err(self.corrupt(ALTERED)) }
    }

    /// Refuses the bytes of a row group of which a part is not what was written.
    pub(crate) fn check_group(
        &self,
        group: usize,
        span: &Range<u64>,
        bytes: &Bytes,
    ) -> Result<(), RunsError> {
        if self.sums.is_none() {
            return Ok(());
        }
        let damaged = || self.corrupt("its page index is damaged");
        let number = |number: usize| u32::try_from(number).map_err(|_| damaged());
        for column in 0..self.metadata.metadata().row_group(group).num_columns() {
            let dictionary = self.has_dictionary(group, column).then_some(None);
            let pages = self.pages(group, column).ok_or_else(damaged)?.len();
            for page in dictionary.into_iter().chain((0..number(pages)?).map(Some)) {
                let name = PartName { group: number(group)?, column: number(column)?, page };
                let range = range_of(self, name).ok_or_else(damaged)?;
                self.check(name, &within(span, bytes, &range).ok_or_else(damaged)?)?;
            }
        }
        Ok(())
    }
}

/// How much the caches were asked for, and how much the object store, since the lake was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StoreUse {
    /// Range requests.
    pub gets: u64,
    /// Bytes that they returned.
    pub bytes: u64,
    /// Footers that were in memory, and that were not.
    pub footers: HitsAndMisses,
    /// Pages and dictionaries that were in memory, and that were not.
    pub pages: HitsAndMisses,
    /// Look-ups.
    pub lookups: u64,
    /// Runs that they touched.
    pub runs_touched: u64,
    /// Data pages that they read.
    pub pages_read: u64,
}

/// How often something was in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HitsAndMisses {
    /// It was.
    pub hits: u64,
    /// It had to be fetched.
    pub misses: u64,
}

#[derive(Debug, Default)]
struct Counters {
    gets: AtomicU64,
    bytes: AtomicU64,
    footer_hits: AtomicU64,
    footer_misses: AtomicU64,
    page_hits: AtomicU64,
    page_misses: AtomicU64,
    lookups: AtomicU64,
    runs_touched: AtomicU64,
    pages_read: AtomicU64,
}

/// What is kept of a column chunk: one of its pages, or its dictionary.
#[derive(Debug, Clone)]
pub enum Part {
    /// A page.
    Page(Arc<Page>),
    /// A dictionary.
    Dictionary(Arc<Dictionary>),
}

impl Part {
    fn size(&self) -> usize {
        match self {
            Self::Page(page) => page.size(),
            Self::Dictionary(values) => values.size(),
        }
    }

    /// The page that it is.
    pub fn page(self) -> Option<Arc<Page>> {
        if let Self::Page(page) = self { Some(page) } else { None }
    }

    /// The dictionary that it is.
    pub fn dictionary(self) -> Option<Arc<Dictionary>> {
        if let Self::Dictionary(dictionary) = self { Some(dictionary) } else { None }
    }
}

/// Names a part of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PartName {
    /// The row group.
    pub group: u32,
    /// The column.
    pub column: u32,
    /// `None`: the dictionary.
    pub page: Option<u32>,
}

/// The cache of one lake.
#[derive(Debug, Clone)]
pub struct RunCache {
    store: Arc<dyn ObjectStore>,
    /// Whether the store is a file system: it then reads all ranges of a file in one go.
    is_files: bool,
    /// Asked for several times a look-up and run, by numbers that are our own: hence the fast hash.
    parts: Cache<(u64, PartName), Part, RandomState>,
    runs: Cache<Path, Arc<OpenRun>>,
    /// What readers made of the rows of keys.
    pub found: FoundRows,
    opened: Arc<AtomicU64>,
    counters: Arc<Counters>,
    /// What one look-up asked the store for.
    own: Option<Arc<Requests>>,
}

/// What was asked of the store on one look-up's behalf.
#[derive(Debug, Default)]
pub struct Requests {
    /// Range requests.
    pub gets: AtomicU64,
    /// Bytes that they returned.
    pub bytes: AtomicU64,
}

impl RunCache {
    /// The same cache, which also counts what is asked of the store by way of it.
    pub fn counting(&self) -> (Self, Arc<Requests>) {
        let own = Arc::<Requests>::default();
        (Self { own: Some(Arc::clone(&own)), ..self.clone() }, own)
    }

    /// A cache over a lake's store, of about so many bytes: five eighths for pages, a quarter for footers, an eighth for what readers made of rows.
    pub fn new(location: &Location, bytes_max: u64) -> Self {
        let part = |_: &(u64, PartName), part: &Part| u32::try_from(part.size()).unwrap_or(u32::MAX);
        let footer = |_: &Path, run: &Arc<OpenRun>| u32::try_from(run.size).unwrap_or(u32::MAX);
        Self {
            store: location.store.clone(),
            is_files: location.is_files,
            parts: Cache::builder()
                .max_capacity(bytes_max / 8 * 5)
                .weigher(part)
                .build_with_hasher(RandomState::default()),
            runs: Cache::builder().max_capacity(bytes_max / 4).weigher(footer).build(),
            found: FoundRows::new(bytes_max / 8),
            opened: Arc::default(),
            counters: Arc::default(),
            own: None,
        }
    }

    /// How much it was used.
    pub fn store_use(&self) -> StoreUse {
        let all = &*self.counters;
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        StoreUse {
            gets: count(&all.gets),
            bytes: count(&all.bytes),
            footers: HitsAndMisses { hits: count(&all.footer_hits), misses: count(&all.footer_misses) },
            pages: HitsAndMisses { hits: count(&all.page_hits), misses: count(&all.page_misses) },
            lookups: count(&all.lookups),
            runs_touched: count(&all.runs_touched),
            pages_read: count(&all.pages_read),
        }
    }

    /// Counts a look-up, with the runs that it touched and the pages that it read.
    pub fn count_lookup(&self, runs: u64, pages: u64) {
        self.counters.lookups.fetch_add(1, Ordering::Relaxed);
        self.counters.runs_touched.fetch_add(runs, Ordering::Relaxed);
        self.counters.pages_read.fetch_add(pages, Ordering::Relaxed);
    }

    /// The run at a path, if its footer is in memory.
    pub fn opened(&self, path: &Path) -> Option<Arc<OpenRun>> {
        let found = self.runs.get(path)?;
        self.counters.footer_hits.fetch_add(1, Ordering::Relaxed);
        Some(found)
    }

    /// The store of the lake.
    pub fn store(&self) -> &dyn ObjectStore {
        self.store.as_ref()
    }

    /// A file of a table, its footer read once. `footer_bytes` says how long what follows its pages is, where its log entry does
    /// without being asked: one request then gets all of it.
    pub async fn open(
        &self,
        table: &'static Definition,
        (file, path): (&TableFile, &Path),
        footer_bytes: Option<u64>,
    ) -> Result<Arc<OpenRun>, RunsError> {
        if let Some(run) = self.opened(path) {
            return Ok(run);
        }
        self.counters.footer_misses.fetch_add(1, Ordering::Relaxed);
        let guess = footer_bytes.unwrap_or(TAIL_BYTES);
        let run = Arc::new(self.read_footer(table, path, file, guess).await?);
        self.runs.insert(path.clone(), Arc::clone(&run));
        Ok(run)
    }

    /// A file of a table of which rows are to be written anew: nothing is read of it later that was not checked.
    pub async fn open_to_rewrite(&self, table: &Table, file: &TableFile) -> Result<Arc<OpenRun>, RunsError> {
        let path = table.full_path(&file.path)?;
        if file.tail.is_none() {
            file.check(&path, checksum_of(self.store(), &path).await?)?;
        }
        self.open(table.definition(), (file, &path), None).await
    }

    /// Reads what follows the pages of a file. Where nothing says how much that is, `guess` is tried first.
    async fn read_footer(
        &self,
        table: &Definition,
        path: &Path,
        file: &TableFile,
        guess: u64,
    ) -> Result<OpenRun, RunsError> {
        let corrupt = || RunsError::corrupt(path.as_ref());
        let size = file.size;
        let tail = size.saturating_sub(file.tail.map_or(guess, |tail| tail.bytes))..size;
        let mut decoder = ParquetMetaDataPushDecoder::try_new(size)
            .map_err(corrupt())?
            .with_page_index_policy(PageIndexPolicy::Required);
        let bytes = self.fetch(path, &tail).await?;
        if file.tail.is_some_and(|tail| checksum::sum(&bytes) != tail.xxh64) {
            return Err(RunsError::Corrupt { path: path.to_string(), why: ALTERED.to_owned() });
        }
        let end = Tail { cache: self, path, bytes, range: tail, whole: file.tail.is_some() };
        end.check_length(size)?;
        decoder.push_range(end.range.clone(), end.bytes.clone()).map_err(corrupt())?;
        let metadata = loop {
            match decoder.try_decode().map_err(corrupt())? {
                DecodeResult::Data(metadata) => break metadata,
                DecodeResult::NeedsData(ranges) => {
                    for range in ranges {
                        let bytes = end.get(&range).await?;
                        decoder.push_range(range, bytes).map_err(corrupt())?;
                    }
                }
                DecodeResult::Finished => {
                    return Err(RunsError::Internal("a footer decoder finished without a footer"));
                }
            }
        };
        let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Required);
        let metadata = ArrowReaderMetadata::try_new(Arc::new(metadata), options).map_err(corrupt())?;
        table.check_footer(path, metadata.metadata())?;
        check_layout(table, path, &metadata)?;
        let mut blooms = Vec::with_capacity(table.keys.len());
        for column in table.keys {
            blooms.push((*column, end.blooms(&metadata, *column).await?));
        }
        let sums = match file.tail {
            Some(_) => Some(PageSums::of(metadata.metadata()).ok_or_else(|| RunsError::Corrupt {
                path: path.to_string(),
                why: "its footer has no checksums of its pages".to_owned(),
            })?),
            None => None,
        };
        let note = match table.note {
            Some(kind) => (kind.read)(metadata.metadata())
                .map_err(|why| RunsError::Corrupt { path: path.to_string(), why: why.to_owned() })?,
            None => None,
        };
        let number = self.opened.fetch_add(1, Ordering::Relaxed);
        let bloom_bytes: usize = table.keys.iter().map(|column| bloom_bytes(&metadata, *column)).sum();
        let added = sums.as_ref().map_or(0, PageSums::size) + note.as_ref().map_or(0, Note::bytes);
        let size = metadata.metadata().memory_size() + bloom_bytes + added;
        Ok(OpenRun { path: Arc::new(path.clone()), metadata, blooms, note, sums, number, size })
    }

    /// A range of a file.
    pub async fn fetch(&self, path: &Path, range: &Range<u64>) -> Result<Bytes, RunsError> {
        let fetched = self.fetch_all(path, std::slice::from_ref(range)).await?;
        fetched
            .into_iter()
            .next()
            .ok_or(RunsError::Internal("a store gave fewer ranges than it was asked for"))
    }

    /// Ranges of a file, all at once.
    async fn fetch_all(&self, path: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>, RunsError> {
        let length = |range: &Range<u64>| range.end.checked_sub(range.start);
        let bytes = ranges.iter().try_fold(0_u64, |sum, range| sum.checked_add(length(range)?));
        // Each request to a file system opens the file anew and goes through other threads twice. Other stores get single
        // requests, for theirs of many ranges read what lies between, too.
        if self.is_files
            && bytes.is_some_and(|bytes| (1..=AT_ONCE_BYTES).contains(&bytes))
            && let Ok(fetched) = self.store.get_ranges(path, ranges).await
        {
            self.counters.gets.fetch_add(ranges.len() as u64, Ordering::Relaxed);
            fetched.iter().for_each(|bytes| self.count_fetched(bytes));
            return Ok(fetched);
        }
        // Where that failed, this tells why.
        try_join_all(ranges.iter().map(|range| self.fetch_one(path, range))).await
    }

    async fn fetch_one(&self, path: &Path, range: &Range<u64>) -> Result<Bytes, RunsError> {
        self.counters.gets.fetch_add(1, Ordering::Relaxed);
        let bytes = self.store.get_range(path, range.clone()).await;
        let bytes = bytes.map_err(RunsError::store(format!("read {path}")))?;
        if bytes.len() as u64 != range.end.saturating_sub(range.start) {
            return Err(RunsError::Corrupt {
                path: path.to_string(),
                why: "it is shorter than its commit says".into(),
            });
        }
        self.count_fetched(&bytes);
        Ok(bytes)
    }

    fn count_fetched(&self, bytes: &Bytes) {
        self.counters.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        if let Some(own) = &self.own {
            own.gets.fetch_add(1, Ordering::Relaxed);
            own.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        }
    }

    /// Parts of a run that are in memory; `None` as soon as one is not.
    pub fn kept(&self, run: &OpenRun, names: &[PartName]) -> Option<Vec<Part>> {
        let parts: Option<Vec<Part>> =
            names.iter().map(|name| self.parts.get(&(run.number, *name))).collect();
        let found = parts.as_ref().map_or(0, Vec::len) as u64;
        self.counters.page_hits.fetch_add(found, Ordering::Relaxed);
        parts
    }

    /// Parts of a run. Those that are not in memory are fetched all at once.
    pub async fn parts(&self, run: &OpenRun, names: &[PartName]) -> Result<Vec<Part>, RunsError> {
        let mut parts: Vec<Option<Part>> =
            names.iter().map(|name| self.parts.get(&(run.number, *name))).collect();
        let mut missing = Vec::new();
        for (at, name) in names.iter().enumerate().filter(|(at, _)| parts[*at].is_none()) {
            missing.push((at, range_of(run, *name).ok_or_else(|| run.corrupt("its page index is damaged"))?));
        }
        self.counters.page_misses.fetch_add(missing.len() as u64, Ordering::Relaxed);
        self.counters.page_hits.fetch_add((names.len() - missing.len()) as u64, Ordering::Relaxed);
        missing.sort_unstable_by_key(|(_, range)| range.start);
        let spans = joined(missing.iter().map(|(_, range)| range.clone()));
        let fetched = self.fetch_all(&run.path, &spans).await?;
        for (at, range) in missing {
            let from = spans.partition_point(|span| span.end < range.end);
            let bytes = spans.get(from).zip(fetched.get(from));
            let bytes = bytes.and_then(|(span, bytes)| within(span, bytes, &range));
            bytes.as_ref().map_or(Ok(()), |bytes| run.check(names[at], bytes))?;
            let part = bytes.and_then(|bytes| read_part(run, names[at], &bytes));
            let part = part.ok_or_else(|| run.corrupt("a page cannot be read"))?;
            self.parts.insert((run.number, names[at]), part.clone());
            parts[at] = Some(part);
        }
        Ok(parts.into_iter().flatten().collect())
    }
}

/// Refuses a file of a table that look-ups read, whose columns are those of an earlier version: they go by number.
fn check_layout(table: &Definition, path: &Path, metadata: &ArrowReaderMetadata) -> Result<(), RunsError> {
    let names = |schema: &Schema| schema.fields().iter().map(|f| f.name().clone()).collect::<Vec<_>>();
    if !table.keys.is_empty() && names(metadata.schema()) != names(table.schema) {
        let why = "its columns are those of another version of gridtrail; fill a new lake".to_owned();
        return Err(RunsError::Corrupt { path: path.to_string(), why });
    }
    Ok(())
}

/// Bytes of all bloom filters of a column.
fn bloom_bytes(metadata: &ArrowReaderMetadata, column: usize) -> usize {
    let chunks = metadata.metadata().row_groups().iter().filter_map(|group| group.columns().get(column));
    chunks.filter_map(|chunk| usize::try_from(chunk.bloom_filter_length()?).ok()).sum()
}

/// The end of a file, which holds its bloom filters, too.
struct Tail<'a> {
    cache: &'a RunCache,
    path: &'a Path,
    range: Range<u64>,
    bytes: Bytes,
    /// Whether nothing that belongs to the footer lies before it.
    whole: bool,
}

impl Tail<'_> {
    /// Bytes of the file that belong to its footer.
    async fn get(&self, range: &Range<u64>) -> Result<Bytes, RunsError> {
        match within(&self.range, &self.bytes, range) {
            Some(bytes) => Ok(bytes),
            None if self.whole => Err(RunsError::Corrupt {
                path: self.path.to_string(),
                why: "its footer names bytes among its pages".to_owned(),
            }),
            None => self.cache.fetch(self.path, range).await,
        }
    }

    /// The last eight bytes say how long the footer is. One longer than the file would have the library panic.
    fn check_length(&self, size: u64) -> Result<(), RunsError> {
        let length = self.bytes.last_chunk::<8>().and_then(|last| {
            let (length, magic) = last.split_first_chunk::<4>()?;
            (magic == b"PAR1").then_some(u64::from(u32::from_le_bytes(*length)))
        });
        match length {
            Some(length) if length.saturating_add(8) <= size => Ok(()),
            _ => Err(RunsError::Corrupt {
                path: self.path.to_string(),
                why: "it does not end as a Parquet file does".to_owned(),
            }),
        }
    }

    async fn blooms(
        &self,
        metadata: &ArrowReaderMetadata,
        column: usize,
    ) -> Result<Vec<Option<Sbbf>>, RunsError> {
        let mut blooms = Vec::new();
        for group in metadata.metadata().row_groups() {
            let range = group.columns().get(column).and_then(|chunk| {
                let start = u64::try_from(chunk.bloom_filter_offset()?).ok()?;
                let length = u64::try_from(chunk.bloom_filter_length()?).ok()?;
                Some(start..start.checked_add(length)?)
            });
            blooms.push(match range {
                Some(range) => {
                    let bytes = self.get(&range).await?;
                    Some(Sbbf::from_bytes(&bytes).map_err(RunsError::corrupt(self.path.as_ref()))?)
                }
                None => None,
            });
        }
        Ok(blooms)
    }
}

/// Where a part of a run lies in its file.
pub(super) fn range_of(run: &OpenRun, PartName { group, column, page }: PartName) -> Option<Range<u64>> {
    let pages = run.pages(group as usize, column as usize)?;
    let place = |page: &PageLocation| -> Option<Range<u64>> {
        let start = u64::try_from(page.offset).ok()?;
        Some(start..start.checked_add(u64::try_from(page.compressed_page_size).ok()?)?)
    };
    match page {
        Some(page) => place(pages.get(page as usize)?),
        None => {
            let chunk = run.chunk(group as usize, column as usize)?;
            let start = u64::try_from(chunk.dictionary_page_offset()?).ok()?;
            let end = place(pages.first()?)?.start;
            (start < end).then_some(start..end)
        }
    }
}

/// Ranges that ascend, as few that cover them without reading much in vain.
fn joined(ranges: impl Iterator<Item = Range<u64>>) -> Vec<Range<u64>> {
    let mut spans: Vec<Range<u64>> = Vec::new();
    for range in ranges {
        match spans.last_mut() {
            Some(last) if range.start <= last.end.saturating_add(GAP_BYTES) => {
                last.end = last.end.max(range.end);
            }
            _ => spans.push(range),
        }
    }
    spans
}

/// The bytes of a range, out of those of a span that covers it.
pub(super) fn within(span: &Range<u64>, bytes: &Bytes, range: &Range<u64>) -> Option<Bytes> {
    let at = |place: u64| place.checked_sub(span.start).and_then(|at| usize::try_from(at).ok());
    let (start, end) = (at(range.start)?, at(range.end)?);
    (start <= end && end <= bytes.len()).then(|| bytes.slice(start..end))
}

fn read_part(run: &OpenRun, name: PartName, bytes: &Bytes) -> Option<Part> {
    let compression = run.chunk(name.group as usize, name.column as usize)?.compression();
    // A copy where a page is kept as it came: it would keep all that was fetched with it.
    let bytes = Bytes::copy_from_slice(bytes);
    match name.page {
        Some(_) => Page::read(&bytes, compression).map(|page| Part::Page(Arc::new(page))),
        None => Dictionary::read(&bytes, compression).map(|values| Part::Dictionary(Arc::new(values))),
    }
}

#[cfg(test)]
mod tests;
