//! The table `named_rows`: a row is found from each Device or meter point that its messages name and that it does not lie under.
//!
//! A row lies under one Device, or what stands for one (`anchor`), and its messages may name fifty thousand more. For each of those the
//! table has a *link*: what the row lies under, and when. A search by one of them seeks the rows that lie there at those times, and
//! nothing else that lies there. Most Devices are named by no such row: then every file's bloom filter says so, and no page is read.
//!
//! The key of a link is the beginning of the print of what is named and of somebody who may see the row (`viewers`), as the keys of
//! filters are: so a search comes to no link of rows that it may not show, and a link says nothing to those who do not know what they
//! look for. Two prints that begin alike send a look-up in vain once in millions of links; it shows only rows that name what is sought.
//!
//! Links are committed before their rows, by whoever has a row lie at a new time: a repeat writes the same links again, and one without
//! its row leads nowhere. So the table may say a link twice, never miss one. They go when they are older than every row.

use crate::kept_for::{self, KeptFor};
use crate::limits::{PAIR_FALSE_POSITIVES, RUNS_AT_ONCE};
use crate::rows::anchor;
use crate::rows::rule::{ordered, unsigned};
use crate::rows::viewers::Viewer;
use crate::tables::check::{FileCheck, each_batch};
use crate::tables::layout;
use crate::tables::pairs::{self, PairTable};
use crate::tables::table::{Arriving, Gathering, LakeTable, SideFile};
use arrow::array::{ArrayRef, AsArray, BinaryArray, BinaryBuilder, RecordBatch, TimestampMillisecondArray};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit, TimestampMillisecondType};
use async_trait::async_trait;
use futures::TryFutureExt as _;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use gridtrail_model::{Anchor, DeviceId, Fragment, Named, Subject, Timestamp};
use gridtrail_runs::checksum::Written;
use gridtrail_runs::{
    Changes, Definition, Encoded, Kept, KeyedFile, KeyedFiles, MergeKey, MergeRule, NewFile, RunCache,
    RunsError, Sheet, Summary, lookup,
};
use parquet::basic::{Compression, Encoding};
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnPath;
use std::convert::Infallible;
use std::sync::{Arc, LazyLock};

/// Column numbers, in the order of the schema.
mod column {
    pub(super) const PRINT: usize = 0;
    pub(super) const ANCHOR: usize = 1;
    pub(super) const RECEIVED: usize = 2;
    pub(super) const ALL: &[usize] = &[PRINT, ANCHOR, RECEIVED];
}

static LINKS: LazyLock<SchemaRef> = LazyLock::new(|| {
    let time = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
    Arc::new(Schema::new(vec![
        Field::new("print", DataType::Binary, false),
        Field::new("lies_under", DataType::Binary, false),
        Field::new("received_at", time, false),
    ]))
});

static TABLE: Definition = Definition {
    name: "named_rows",
    schema: &LINKS,
    by_month: false,
    format: 2,
    needs: &[],
    keys: &[column::PRINT],
    layout: properties,
    note: None,
    made_with: kept_for::made_with,
};

/// Bytes of a print that a link keeps: of a hundred million links, three in ten million absent prints begin as one of them does.
const PRINT_BYTES: usize = 6;

/// Devices that are looked for of a row of a sample.
const CHECKED_OF_ROW: usize = 16;

/// How a link is found.
pub(crate) type Print = [u8; PRINT_BYTES];

/// One link. Its fields are in the order of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Link {
    print: Print,
    /// The bytes of what the row lies under.
    under: DeviceId,
    /// When a fragment of it lies there.
    at: Timestamp,
}

/// Where rows lie that name something: the bytes of what they lie under, and when.
pub(crate) type Place = (DeviceId, Timestamp);

/// The table of links.
pub(crate) struct NamedRows;

#[async_trait]
impl LakeTable for NamedRows {
    fn definition(&self) -> &'static Definition {
        &TABLE
    }

    fn is_keyed(&self) -> bool {
        true
    }

    fn came_later(&self) -> bool {
        true
    }

    /// What waits for its request is found as the row that it is until then.
    fn rows_of(&self, arriving: &Arriving<'_>) -> Result<Option<SideFile>, RunsError> {
        let mut links = Vec::new();
        arriving.placed.iter().chain(arriving.waiting).for_each(|fragment| add(fragment, &mut links));
        if links.is_empty() {
            return Ok(None);
        }
        links.sort_unstable();
        links.dedup();
        let encoded = Encoded::of(&TABLE, links.chunks(gridtrail_runs::ENCODE_ROWS).map(batch))?;
        Ok(Some(SideFile { encoded, rows: links.len() as u64, tag: TAG.to_owned() }))
    }

    fn kept_for(&self) -> KeptFor {
        KeptFor::Needed
    }

    async fn check(&self, of: &mut FileCheck<'_>) -> Result<(), RunsError> {
        check(of).await
    }

    async fn missed(&self, by: (&RunCache, &KeyedFiles), row: &Fragment) -> Result<Option<Named>, RunsError> {
        missed(by, row).await
    }

    async fn gather(&self, of: &Gathering<'_>) -> Result<Option<Changes>, RunsError> {
        of.by_size_since(LinkRule, Count::default(), since).await
    }
}

/// What the log says of a file: nothing. Its prints lie anywhere.
const TAG: &str = "{}";

/// Adds the links of a fragment: none of nearly every one, whose messages name what it lies under and nothing else.
fn add(fragment: &Fragment, links: &mut Vec<Link>) {
    let Some(at) = fragment.placement() else { return };
    let lies_under = fragment.anchor();
    let Some(under) = anchor::key_of(lies_under) else { return };
    let user = Viewer::User(fragment.key.user);
    let everybody = may_be_open(fragment).then_some(Viewer::Everybody);
    anchor::named_beside(fragment, lies_under).for_each(|named| {
        let viewers = std::iter::once(user).chain(everybody);
        links.extend(viewers.map(|viewer| Link { print: print(viewer, named), under, at }));
    });
}

/// Whether a row may be a meter read, for all that one fragment of it says: others may name the variant.
fn may_be_open(fragment: &Fragment) -> bool {
    let is_alert = matches!(fragment.key.subject, Subject::Alert { .. });
    !is_alert && fragment.variant.iter().all(|variant| variant.is_meter_read())
}

fn print(viewer: Viewer, named: DeviceId) -> Print {
    let [a, b, c, d, e, f, ..] = viewer.print(named).to_be_bytes();
    [a, b, c, d, e, f]
}

/// The prints by which somebody finds the rows that name something. `in_vain`: of what nothing is, and as many.
pub(crate) fn prints(named: Named, viewers: impl Iterator<Item = Viewer>, in_vain: bool) -> Vec<Print> {
    let named = match named {
        Named::Device(device) => Some(device),
        Named::Mpxn(mpxn) => anchor::key_of(Anchor::Mpxn(mpxn)),
    };
    let flip = |print: Print| if in_vain { print.map(|byte| !byte) } else { print };
    named.map_or_else(Vec::new, |named| viewers.map(|viewer| flip(print(viewer, named))).collect())
}

/// Where the links of some prints lead, for each list of prints, ascending.
///
/// It waits for the store twice at most: for footers, and for pages.
pub(crate) async fn places(
    cache: &RunCache,
    files: impl Iterator<Item = &KeyedFile>,
    sought: &[Vec<Print>],
) -> Result<Vec<Vec<Place>>, RunsError> {
    let mut found = vec![Vec::new(); sought.len()];
    let runs = lookup::open_all(cache, &TABLE, files).await?;
    let mut reading = Vec::new();
    for run in &runs {
        for (number, prints) in sought.iter().enumerate() {
            for print in prints {
                for plan in lookup::plans(run, print, column::ALL)? {
                    let sheet = async move { Sheet::get(cache, run, plan).await };
                    reading.push(sheet.map_ok(move |sheet| (number, print, sheet)));
                }
            }
        }
    }
    // Nearly always, since few Devices are named by rows that lie elsewhere.
    if reading.is_empty() {
        return Ok(found);
    }
    let sheets: Vec<_> = stream::iter(reading).buffered(RUNS_AT_ONCE).try_collect().await?;
    for (number, print, sheet) in sheets {
        places_in(&sheet, print, &mut found[number])?;
    }
    for places in &mut found {
        places.sort_unstable();
        places.dedup();
    }
    Ok(found)
}

fn places_in(sheet: &Sheet, print: &Print, places: &mut Vec<Place>) -> Result<(), RunsError> {
    let corrupt = || unreadable(sheet.path());
    let rows = sheet.rows_equal(column::PRINT, print)?;
    let times = sheet.numbers(column::RECEIVED, &rows)?;
    for (under, at) in sheet.texts(column::ANCHOR, &rows)?.into_iter().zip(times) {
        let under = under.and_then(|under| under.try_into().ok()).ok_or_else(corrupt)?;
        let at = at.and_then(Timestamp::from_millis).ok_or_else(corrupt)?;
        places.push((DeviceId::from_bytes(under), at));
    }
    Ok(())
}

fn unreadable(path: &str) -> RunsError {
    RunsError::Corrupt { path: path.to_owned(), why: "a link cannot be read".to_owned() }
}

/// Columns of links, given in the order of the table.
fn batch(links: &[Link]) -> Result<RecordBatch, RunsError> {
    let (mut prints, mut under) = (BinaryBuilder::new(), BinaryBuilder::new());
    for link in links {
        prints.append_value(link.print);
        under.append_value(link.under.to_bytes());
    }
    let times = TimestampMillisecondArray::from_iter_values(links.iter().map(|link| link.at.millis()));
    let columns: Vec<ArrayRef> =
        vec![Arc::new(prints.finish()), Arc::new(under.finish()), Arc::new(times.with_timezone("UTC"))];
    RecordBatch::try_new(Arc::clone(&LINKS), columns)
        .map_err(|_| RunsError::Internal("columns of a file of links do not fit its schema"))
}

/// The columns of a batch of links.
struct Columns<'a> {
    prints: &'a BinaryArray,
    under: &'a BinaryArray,
    times: &'a TimestampMillisecondArray,
}

impl<'a> Columns<'a> {
    fn of(batch: &'a RecordBatch, path: &str) -> Result<Self, RunsError> {
        let column = |number: usize| batch.columns().get(number).ok_or_else(|| unreadable(path));
        let binary = |number| column(number)?.as_binary_opt::<i32>().ok_or_else(|| unreadable(path));
        let times = column(column::RECEIVED)?.as_primitive_opt::<TimestampMillisecondType>();
        Ok(Self {
            prints: binary(column::PRINT)?,
            under: binary(column::ANCHOR)?,
            times: times.ok_or_else(|| unreadable(path))?,
        })
    }

    /// The link in a row. `None`: it is none.
    fn link(&self, row: usize) -> Option<Link> {
        Some(Link {
            print: self.prints.value(row).try_into().ok()?,
            under: DeviceId::from_bytes(self.under.value(row).try_into().ok()?),
            at: Timestamp::from_millis(self.times.value(row))?,
        })
    }
}

/// Links: each once.
#[derive(Debug, Clone, Copy)]
struct LinkRule;

impl MergeRule for LinkRule {
    /// No row is made of others.
    type Row = Infallible;

    fn keys(&self, batch: &RecordBatch, path: &str) -> Result<Vec<MergeKey>, RunsError> {
        let columns = Columns::of(batch, path)?;
        let key = |row| {
            let Link { print, under, at } = columns.link(row)?;
            let mut first = [0; PRINT_BYTES + 8];
            first[..PRINT_BYTES].copy_from_slice(&print);
            first[PRINT_BYTES..].copy_from_slice(&under.to_bytes());
            Some(MergeKey(Some(ordered(&first)), unsigned(at.millis())))
        };
        (0..batch.num_rows()).map(key).collect::<Option<_>>().ok_or_else(|| unreadable(path))
    }

    fn merge(&self, _: &[RecordBatch], _: &str) -> Result<Vec<Kept<Infallible>>, RunsError> {
        Ok(vec![Kept::Same(0)])
    }

    fn encode(&self, rows: &[Infallible]) -> Result<RecordBatch, RunsError> {
        match rows.first() {
            None => batch(&[]),
            Some(never) => match *never {},
        }
    }
}

/// The links of a batch whose rows lie at a time or later.
fn since(batch: &RecordBatch, oldest: Timestamp) -> Result<RecordBatch, RunsError> {
    let times = Columns::of(batch, TABLE.name)?.times;
    let keep = times.values().iter().map(|at| Some(*at >= oldest.millis())).collect();
    filter_record_batch(batch, &keep).map_err(|_| RunsError::Internal("links that stay could not be told"))
}

/// The Parquet settings of a file of links.
fn properties() -> WriterProperties {
    layout::by_key("print", PAIR_FALSE_POSITIVES)
        .set_encoding(Encoding::DELTA_LENGTH_BYTE_ARRAY)
        // Prints are as good as chance.
        .set_compression(Compression::UNCOMPRESSED)
        // All links of a row lead to one place.
        .set_column_dictionary_enabled(ColumnPath::from("lies_under"), true)
        .set_column_encoding(ColumnPath::from("received_at"), Encoding::DELTA_BINARY_PACKED)
        .build()
}

/// How many rows a file has that is written batch by batch.
#[derive(Debug, Default)]
struct Count(u64);

impl Summary for Count {
    fn add(&mut self, batch: &RecordBatch) -> Result<(), RunsError> {
        self.0 += batch.num_rows() as u64;
        Ok(())
    }

    fn file(self, path: String, written: Written) -> Result<NewFile, RunsError> {
        Ok(NewFile { path, written, month: None, rows: self.0, tag: TAG.to_owned(), bounds: Vec::new() })
    }
}

/// One of the first Devices that a row names and is not found by, be it by a link or by a pair of an earlier build.
async fn missed(
    (cache, keyed): (&RunCache, &KeyedFiles),
    row: &Fragment,
) -> Result<Option<Named>, RunsError> {
    let (Some(at), Some(under)) = (row.placement(), anchor::of_fragment(row)) else { return Ok(None) };
    let devices = row.concerned_devices().iter().filter(|device| row.anchor() != Anchor::Device(**device));
    let named: Vec<Named> = devices.take(CHECKED_OF_ROW).map(|device| Named::Device(*device)).collect();
    let viewers = || std::iter::once(Viewer::User(row.key.user));
    let prints: Vec<_> = named.iter().map(|named| prints(*named, viewers(), false)).collect();
    let places = places(cache, keyed.of(&TABLE), &prints).await?;
    let linked = |places: &Vec<Place>| places.contains(&(under, at));
    if places.iter().all(linked) {
        return Ok(None);
    }
    let before = pairs::of_devices(cache, keyed.of(PairTable.definition()), &named, (viewers, false)).await?;
    let mut all = named.into_iter().zip(places).zip(before);
    let missed = all.find(|((_, places), before)| !linked(places) && !before.contains(&under));
    Ok(missed.map(|((named, _), _)| named))
}

/// Reads a file of links.
async fn check(of: &mut FileCheck<'_>) -> Result<(), RunsError> {
    let run = of.cache.open(&TABLE, (of.file, of.path), None).await?;
    let mut last = None;
    let rows = each_batch(of.cache, &run, |(group, start), batch| {
        let columns = Columns::of(batch, of.path.as_ref())?;
        for row in 0..batch.num_rows() {
            let link = columns.link(row).ok_or_else(|| of.corrupt("a link cannot be read"))?;
            if last.is_some_and(|last| last >= link) {
                return Err(of.corrupt("its links are not in order"));
            }
            if !lookup::comes_to(&run, group, start + row, &link.print) {
                return Err(of.corrupt("its bloom filter or page index hides a link"));
            }
            last = Some(link);
        }
        Ok(())
    });
    of.rows += rows.await?;
    Ok(())
}

#[cfg(test)]
mod tests;
