//! The table `inventory`: what is told of the Smart Metering Inventory, under each Device and meter point, from UPRNs and postcodes to meter points,
//! and what became of requests that ask for a change of it.
//!
//! One row is what one event says under one key ([`InventoryRow`]), in columns that every engine reads; the values are packed. Rows are sorted by
//! key, and equal ones become one: nothing else is ever changed, so what was corrected or withdrawn stays readable as of then, and the table is kept
//! for ever. A batch writes its rows here before the main table counts it: a repeat of the batch writes them again, which changes nothing.
//!
//! It is compacted by levels and buckets, as trails are, so that a look-up of a key touches few runs however many there are.

use crate::kept_for::{self, KeptFor};
use crate::limits::{BLOOM_FALSE_POSITIVES, ROW_GROUP_ROWS};
use crate::rows::rule::{ordered, unsigned};
use crate::tables::check::{FileCheck, each_batch};
use crate::tables::layout;
use crate::tables::table::{Arriving, Compacting, LakeTable, SideFile, Work};
use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BinaryBuilder, RecordBatch, StringArray, StringBuilder,
    TimestampMillisecondArray,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit, TimestampMillisecondType};
use async_trait::async_trait;
use gridtrail_inventory::{
    FactOrigin, InventoryKey, InventoryRow, InventoryRowKind, merge_rows, rows_of, rows_of_pending,
};
use gridtrail_model::{Fragment, Timestamp};
use gridtrail_runs::{
    Bucket, ByKey, Definition, Encoded, Kept, KeyedRun, KeyedSummary, Listed as _, MergeKey, MergeRule,
    Run as _, RunsError, Summary as _, bucket, lookup,
};
use parquet::basic::{Compression, Encoding};
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnPath;
use std::convert::Infallible;
use std::str::FromStr;
use std::sync::{Arc, LazyLock};

/// Column numbers, in the order of the schema.
pub(crate) mod column {
    pub(crate) const KEY: usize = 0;
    pub(crate) const KIND: usize = 1;
    pub(crate) const EFFECTIVE_FROM: usize = 2;
    pub(crate) const RECORDED: usize = 3;
    pub(crate) const EFFECTIVE_UNTIL: usize = 4;
    pub(crate) const ORIGIN: usize = 5;
    pub(crate) const EVENT: usize = 6;
    pub(crate) const TARGET: usize = 7;
    pub(crate) const BODY: usize = 8;
    pub(crate) const ALL: &[usize] =
        &[KEY, KIND, EFFECTIVE_FROM, RECORDED, EFFECTIVE_UNTIL, ORIGIN, EVENT, TARGET, BODY];
}

/// The columns of the table: those of [`InventoryRow`], in its order.
static COLUMNS: LazyLock<SchemaRef> = LazyLock::new(|| {
    let time = || DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
    Arc::new(Schema::new(vec![
        // Which kind of key it is, and its value.
        Field::new("subject", DataType::Binary, false),
        Field::new("kind", DataType::Utf8, false),
        Field::new("effective_from", time(), true),
        Field::new("recorded_at", time(), false),
        Field::new("effective_until", time(), true),
        Field::new("origin", DataType::Utf8, false),
        Field::new("event_id", DataType::Utf8, false),
        Field::new("target_event_id", DataType::Utf8, true),
        Field::new("body", DataType::Binary, false),
    ]))
});

pub(crate) static INVENTORY: Definition = Definition {
    name: "inventory",
    schema: &COLUMNS,
    by_month: false,
    format: 2,
    // Readers have to know how the body is packed.
    needs: &["packed-rows"],
    keys: &[column::KEY],
    layout: properties,
    note: None,
    made_with: kept_for::made_with,
};

/// The table of the inventory.
pub(crate) struct Inventory;

#[async_trait]
impl LakeTable for Inventory {
    fn definition(&self) -> &'static Definition {
        &INVENTORY
    }

    fn is_looked_up(&self) -> bool {
        true
    }

    fn came_later(&self) -> bool {
        true
    }

    fn rows_of(&self, arriving: &Arriving<'_>) -> Result<Option<SideFile>, RunsError> {
        let told = arriving.inventory.iter().flat_map(rows_of);
        let pending = arriving.pending.iter().flat_map(rows_of_pending);
        let rows = merge_rows(told.collect(), pending.collect());
        if rows.is_empty() { Ok(None) } else { side_file(&rows, None, arriving.since_ms).map(Some) }
    }

    fn kept_for(&self) -> KeptFor {
        KeptFor::Ever
    }

    async fn check(&self, file: &mut FileCheck<'_>) -> Result<(), RunsError> {
        check(file).await
    }

    fn compaction(&self, of: &Compacting<'_>) -> Vec<Work> {
        of.by_levels(LEVELS, of.inventory.iter(), nothing_moved)
    }

    fn rebucketing(&self, of: &Compacting<'_>) -> Vec<Work> {
        of.by_buckets(LEVELS, of.inventory.iter(), nothing_moved)
    }

    fn is_in_buckets(&self) -> bool {
        true
    }
}

/// How it is written anew.
const LEVELS: ByKey<InventoryRule> = ByKey { rule: InventoryRule, time: None };

/// No row comes to lie elsewhere.
fn nothing_moved(_: Vec<Infallible>) -> Vec<Fragment> {
    Vec::new()
}

/// A file of rows, which are in order: of a bucket, or of level 0. `since_ms`: since when commits went into it.
pub(crate) fn side_file(
    rows: &[InventoryRow],
    bucket: Option<Bucket>,
    since_ms: Option<i64>,
) -> Result<SideFile, RunsError> {
    let batches: Vec<RecordBatch> =
        rows.chunks(gridtrail_runs::ENCODE_ROWS).map(batch).collect::<Result<_, _>>()?;
    let mut summary = KeyedSummary::new(None, None, bucket, since_ms);
    batches.iter().try_for_each(|batch| summary.add(batch))?;
    let encoded = Encoded::of(&INVENTORY, batches.into_iter().map(Ok))?;
    let tag = summary.file(String::new(), encoded.written)?.tag;
    Ok(SideFile { encoded, rows: rows.len() as u64, tag })
}

/// The word for a kind of row, which other engines filter by.
const fn word_of(kind: InventoryRowKind) -> &'static str {
    match kind {
        InventoryRowKind::Device => "device",
        InventoryRowKind::DeviceRemoved => "device_removed",
        InventoryRowKind::SmiStatus => "smi_status",
        InventoryRowKind::Installation => "installation",
        InventoryRowKind::Association => "association",
        InventoryRowKind::Region => "hub_region",
        InventoryRowKind::Registration => "registration",
        InventoryRowKind::Hub => "hub_status",
        InventoryRowKind::Withdrawal => "withdrawal",
        InventoryRowKind::LeadsTo => "leads_to",
        InventoryRowKind::Asked => "asked",
        InventoryRowKind::Outcome => "outcome",
    }
}

pub(crate) fn kind_of(word: &[u8]) -> Option<InventoryRowKind> {
    // They are numbered from 1 on, without a gap.
    (1..).map_while(InventoryRowKind::from_number).find(|kind| word_of(*kind).as_bytes() == word)
}

const fn word_of_origin(origin: FactOrigin) -> &'static str {
    match origin {
        FactOrigin::Duis => "duis",
        FactOrigin::Inventory => "inventory",
    }
}

fn origin_of(word: &[u8]) -> Option<FactOrigin> {
    [FactOrigin::Inventory, FactOrigin::Duis]
        .into_iter()
        .find(|origin| word_of_origin(*origin).as_bytes() == word)
}

/// Columns of rows, in their order.
fn batch(rows: &[InventoryRow]) -> Result<RecordBatch, RunsError> {
    let (mut keys, mut bodies) = (BinaryBuilder::new(), BinaryBuilder::new());
    let (mut kinds, mut origins) = (StringBuilder::new(), StringBuilder::new());
    let (mut events, mut targets) = (StringBuilder::new(), StringBuilder::new());
    for row in rows {
        keys.append_value(row.key.to_bytes());
        kinds.append_value(word_of(row.kind));
        origins.append_value(word_of_origin(row.origin));
        events.append_value(row.event_id.as_str());
        targets.append_option(row.target.as_ref().map(|target| target.as_str()));
        bodies.append_value(&row.body);
    }
    let times = |of: fn(&InventoryRow) -> Option<Timestamp>| -> ArrayRef {
        let times: TimestampMillisecondArray =
            rows.iter().map(|row| of(row).map(Timestamp::millis)).collect();
        Arc::new(times.with_timezone("UTC"))
    };
    let columns: Vec<ArrayRef> = vec![
        Arc::new(keys.finish()),
        Arc::new(kinds.finish()),
        times(|row| row.effective_from),
        times(|row| Some(row.recorded_at)),
        times(|row| row.effective_until),
        Arc::new(origins.finish()),
        Arc::new(events.finish()),
        Arc::new(targets.finish()),
        Arc::new(bodies.finish()),
    ];
    RecordBatch::try_new(Arc::clone(&COLUMNS), columns)
        .map_err(|_| RunsError::Internal("columns of a file of the inventory do not fit its schema"))
}

/// A row as it is stored.
pub(crate) struct Stored<'a> {
    pub(crate) key: &'a [u8],
    pub(crate) kind: &'a [u8],
    pub(crate) effective_from_ms: Option<i64>,
    pub(crate) recorded_ms: i64,
    pub(crate) effective_until_ms: Option<i64>,
    pub(crate) origin: &'a [u8],
    pub(crate) event_id: &'a [u8],
    pub(crate) target: Option<&'a [u8]>,
    pub(crate) body: &'a [u8],
}

impl Stored<'_> {
    /// `None`: no writer of ours writes it.
    pub(crate) fn row(&self) -> Option<InventoryRow> {
        let time = |ms: Option<i64>| match ms {
            Some(ms) => Timestamp::from_millis(ms).map(Some),
            None => Some(None),
        };
        let target = match self.target {
            Some(target) => Some(parsed(target)?),
            None => None,
        };
        Some(InventoryRow {
            key: InventoryKey::from_bytes(self.key.try_into().ok()?)?,
            kind: kind_of(self.kind)?,
            effective_from: time(self.effective_from_ms)?,
            recorded_at: Timestamp::from_millis(self.recorded_ms)?,
            effective_until: time(self.effective_until_ms)?,
            origin: origin_of(self.origin)?,
            event_id: parsed(self.event_id)?,
            target,
            body: self.body.into(),
        })
    }
}

fn parsed<T: FromStr>(text: &[u8]) -> Option<T> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// The columns of a batch.
struct Columns<'a> {
    keys: &'a BinaryArray,
    kinds: &'a StringArray,
    effective_from: &'a TimestampMillisecondArray,
    recorded: &'a TimestampMillisecondArray,
    effective_until: &'a TimestampMillisecondArray,
    origins: &'a StringArray,
    events: &'a StringArray,
    targets: &'a StringArray,
    bodies: &'a BinaryArray,
}

impl<'a> Columns<'a> {
    /// `None`: a column is of another type.
    fn of(batch: &'a RecordBatch) -> Option<Self> {
        let column = |number: usize| batch.columns().get(number);
        let binary = |number| column(number)?.as_binary_opt::<i32>();
        let text = |number| column(number)?.as_string_opt::<i32>();
        let times = |number| column(number)?.as_primitive_opt::<TimestampMillisecondType>();
        Some(Self {
            keys: binary(column::KEY)?,
            kinds: text(column::KIND)?,
            effective_from: times(column::EFFECTIVE_FROM)?,
            recorded: times(column::RECORDED)?,
            effective_until: times(column::EFFECTIVE_UNTIL)?,
            origins: text(column::ORIGIN)?,
            events: text(column::EVENT)?,
            targets: text(column::TARGET)?,
            bodies: binary(column::BODY)?,
        })
    }

    fn stored(&self, row: usize) -> Stored<'a> {
        let time = |times: &TimestampMillisecondArray| times.is_valid(row).then(|| times.value(row));
        Stored {
            key: self.keys.value(row),
            kind: self.kinds.value(row).as_bytes(),
            effective_from_ms: time(self.effective_from),
            recorded_ms: self.recorded.value(row),
            effective_until_ms: time(self.effective_until),
            origin: self.origins.value(row).as_bytes(),
            event_id: self.events.value(row).as_bytes(),
            target: self.targets.is_valid(row).then(|| self.targets.value(row).as_bytes()),
            body: self.bodies.value(row),
        }
    }

    /// What a merge compares rows by: the beginning of their order. Facts about one key are often of one time, such as those of the day when a
    /// meter was fitted, or of a postcode whose premises were registered together; hardly ever were they recorded at one, too.
    fn merge_key(&self, row: usize) -> Option<MergeKey> {
        let mut first = [0; InventoryKey::BYTES + 1 + EFFECTIVE_BYTES];
        let (key, rest) = first.split_first_chunk_mut::<{ InventoryKey::BYTES }>()?;
        let (kind, effective) = rest.split_first_chunk_mut::<1>()?;
        *key = self.keys.value(row).try_into().ok()?;
        *kind = [kind_of(self.kinds.value(row).as_bytes())?.number()];
        // What has no such time comes first.
        let from = self.effective_from.is_valid(row).then(|| self.effective_from.value(row));
        let from = from.map_or(Some(0), |from| {
            Timestamp::from_millis(from).map(|from| from.millis().abs_diff(Timestamp::MIN.millis()) + 1)
        })?;
        effective.copy_from_slice(from.to_be_bytes().last_chunk::<EFFECTIVE_BYTES>()?);
        Some(MergeKey(Some(ordered(&first)), unsigned(self.recorded.value(row))))
    }
}

/// Bytes that the milliseconds between the first [`Timestamp`] and any other have room in.
const EFFECTIVE_BYTES: usize = 6;
const _: () =
    assert!(Timestamp::MAX.millis().abs_diff(Timestamp::MIN.millis()) + 1 < 1 << (8 * EFFECTIVE_BYTES));

/// That a row cannot be read.
pub(crate) fn unreadable(path: &str) -> RunsError {
    RunsError::Corrupt { path: path.to_owned(), why: "a row of the inventory cannot be read".to_owned() }
}

/// The rows of a batch.
pub(crate) fn rows(batch: &RecordBatch, path: &str) -> Result<Vec<InventoryRow>, RunsError> {
    let columns = Columns::of(batch).ok_or_else(|| unreadable(path))?;
    let read = (0..batch.num_rows()).map(|row| columns.stored(row).row());
    read.collect::<Option<_>>().ok_or_else(|| unreadable(path))
}

/// Rows of the inventory: each once. None is ever made of others.
#[derive(Debug, Clone, Copy)]
pub(crate) struct InventoryRule;

impl MergeRule for InventoryRule {
    type Row = Infallible;

    fn keys(&self, batch: &RecordBatch, path: &str) -> Result<Vec<MergeKey>, RunsError> {
        let columns = Columns::of(batch).ok_or_else(|| unreadable(path))?;
        let keys = (0..batch.num_rows()).map(|row| columns.merge_key(row));
        keys.collect::<Option<_>>().ok_or_else(|| unreadable(path))
    }

    fn merge(&self, sharing: &[RecordBatch], path: &str) -> Result<Vec<Kept<Infallible>>, RunsError> {
        let mut all = Vec::with_capacity(sharing.len());
        for (at, one) in sharing.iter().enumerate() {
            all.extend(rows(one, path)?.into_iter().map(|row| (row, at)));
        }
        all.sort();
        all.dedup_by(|(row, _), (kept, _)| row == kept);
        Ok(all.into_iter().map(|(_, at)| Kept::Same(at)).collect())
    }

    fn encode(&self, _: &[Infallible]) -> Result<RecordBatch, RunsError> {
        Ok(RecordBatch::new_empty(Arc::clone(&COLUMNS)))
    }
}

/// The Parquet settings of a file of the inventory.
fn properties() -> WriterProperties {
    let of = ColumnPath::from;
    let mut builder = layout::by_key("subject", BLOOM_FALSE_POSITIVES)
        .set_compression(Compression::LZ4_RAW)
        .set_column_bloom_filter_max_ndv(of("subject"), ROW_GROUP_ROWS as u64);
    // Few values, or those of the row before: compression finds that, and a look-up need not read dictionaries.
    for name in ["subject", "kind", "origin"] {
        builder = builder.set_column_encoding(of(name), Encoding::PLAIN);
    }
    for name in ["effective_from", "recorded_at", "effective_until"] {
        builder = builder.set_column_encoding(of(name), Encoding::DELTA_BINARY_PACKED);
    }
    for name in ["event_id", "target_event_id", "body"] {
        builder = builder.set_column_encoding(of(name), Encoding::DELTA_LENGTH_BYTE_ARRAY);
    }
    builder.build()
}

/// Reads a file of the inventory: in order, each row once, each readable, in its bucket, found by its look-up, and no other than the log says.
async fn check(of: &mut FileCheck<'_>) -> Result<(), RunsError> {
    let file = KeyedRun::listed(of.file, of.path.clone())?;
    let facts = file.facts();
    let run = of.cache.open(&INVENTORY, (of.file, of.path), file.footer_bytes()).await?;
    let mut last: Option<InventoryRow> = None;
    let read = each_batch(of.cache, &run, |(group, start), batch| {
        let buckets = facts.bucket.map(|bucket| bucket::of_rows(batch, bucket.of)).transpose()?;
        for (number, row) in rows(batch, of.path.as_ref())?.into_iter().enumerate() {
            if last.as_ref().is_some_and(|last| *last >= row) {
                return Err(of.corrupt("its rows are not in order, or one is there twice"));
            }
            row.content().map_err(|error| of.corrupt(error.to_string()))?;
            let bucket = buckets.as_ref().and_then(|buckets| buckets.get(number)).copied();
            if bucket != facts.bucket.map(|bucket| bucket.number) {
                return Err(of.corrupt("a row lies in another bucket than its own"));
            }
            let key = row.key.to_bytes();
            if !file.spans(&key) || !lookup::comes_to(&run, group, start + number, &key) {
                return Err(of.corrupt("its bloom filter, page index or log entry hides a row"));
            }
            last = Some(row);
        }
        Ok(())
    });
    of.rows += read.await?;
    if of.rows == facts.rows {
        return Ok(());
    }
    Err(of.corrupt(format!("it has {} rows, and its log entry says {}", of.rows, facts.rows)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn a_time() -> impl Strategy<Value = Timestamp> {
        let ends = [Timestamp::MIN, Timestamp::MAX, Timestamp::MIN.plus_millis(1)];
        prop_oneof![
            prop::sample::select(ends.to_vec()),
            (0..3i64).prop_map(|ms| Timestamp::MIN.plus_millis(ms << 40))
        ]
    }

    prop_compose! {
        fn a_row()(
            key in prop_oneof![Just([0, 0, 0, 0, 0, 0, 0, 1]), Just([0, 0, 0, 0, 0, 0, 1, 0])],
            kind in prop_oneof![Just(InventoryRowKind::Device), Just(InventoryRowKind::Association)],
            effective_from in prop::option::of(a_time()),
            recorded_at in a_time(),
            event in 0..2u8,
        ) -> InventoryRow {
            InventoryRow {
                key: InventoryKey::Device(gridtrail_model::DeviceId::from_bytes(key)),
                kind,
                effective_from,
                recorded_at,
                effective_until: None,
                origin: FactOrigin::Inventory,
                event_id: format!("event-{event}").parse().unwrap(),
                target: None,
                body: Box::default(),
            }
        }
    }

    proptest! {
        /// A merge that compared rows otherwise than they are sorted would lose rows to look-ups, and one that took two for the same would lose one.
        #[test]
        fn rows_are_compared_by_the_beginning_of_their_order(rows in prop::collection::vec(a_row(), 1..12)) {
            let rows = merge_rows(rows, Vec::new());
            let keys = InventoryRule.keys(&batch(&rows).unwrap(), "a file").unwrap();
            prop_assert!(keys.is_sorted());
            let beginning = |row: &InventoryRow| (row.key, row.kind, row.effective_from, row.recorded_at);
            for (two, keys) in rows.windows(2).zip(keys.windows(2)) {
                prop_assert_eq!(keys[0] == keys[1], beginning(&two[0]) == beginning(&two[1]));
            }
            let one_each: Vec<RecordBatch> = rows.iter().map(|row| batch(std::slice::from_ref(row)).unwrap()).collect();
            let twice = one_each.iter().chain(&one_each).cloned().collect::<Vec<_>>();
            let kept = InventoryRule.merge(&twice, "a file").unwrap();
            let places = kept.iter().map(|kept| if let Kept::Same(at) = kept { Some(*at) } else { None });
            let is_each_once = places.eq((0..rows.len()).map(Some));
            prop_assert!(is_each_once);
        }
    }
}
