//! The table `anomaly`: thresholds and quarantined communications, under each User, as anomaly events and DCC Alerts tell them.
//!
//! One row is what one event says under one key ([`AnomalyRow`]), in columns that every engine reads; the values are packed. Rows are sorted by
//! key, and equal ones become one. A batch writes its rows here before the main table counts it: a repeat of the batch writes them again, which
//! changes nothing.
//!
//! Rows of thresholds are kept. Rows of quarantined communications go once the communications are gone ([`AnomalyRow::goes_at`]); until they are
//! written anew without those, no look-up shows them either, for what is shown goes by the clock. Each file says when the first of its rows goes.

use crate::error::LakeError;
use crate::evidence::CommitKind;
use crate::kept_for::{self, DROPS, KeptFor, Went};
use crate::limits::{ANOMALY_ROWS_GO_AFTER_MS, BLOOM_FALSE_POSITIVES};
use crate::rows::rule::{ordered, unsigned};
use crate::tables::check::{FileCheck, each_batch};
use crate::tables::layout;
use crate::tables::side_files::batches;
use crate::tables::table::{Arriving, Expiry, Gathering, LakeTable, SideFile};
use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BinaryBuilder, BooleanArray, RecordBatch, StringArray,
    StringBuilder, TimestampMillisecondArray,
};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit, TimestampMillisecondType};
use async_trait::async_trait;
use bytes::Bytes;
use gridtrail_anomaly::{AnomalyKey, AnomalyRow, AnomalyRowKind, Origin, goes_at, merge_rows, rows_of};
use gridtrail_model::Timestamp;
use gridtrail_runs::checksum::Written;
use gridtrail_runs::gather::{fence, moved};
use gridtrail_runs::{
    Changes, Definition, Encoded, Kept, MergeKey, MergeRule, NewFile, RunsError, Summary, TableFile, lookup,
};
use parquet::basic::{Compression, Encoding};
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnPath;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::str::FromStr;
use std::sync::{Arc, LazyLock};

/// Column numbers, in the order of the schema.
pub(crate) mod column {
    pub(crate) const KEY: usize = 0;
    pub(crate) const KIND: usize = 1;
    pub(crate) const AT: usize = 2;
    pub(crate) const RECORDED: usize = 3;
    pub(crate) const ORIGIN: usize = 4;
    pub(crate) const EVENT: usize = 5;
    pub(crate) const TARGET: usize = 6;
    pub(crate) const BODY: usize = 7;
    pub(crate) const ALL: &[usize] = &[KEY, KIND, AT, RECORDED, ORIGIN, EVENT, TARGET, BODY];
}

/// The columns of the table: those of [`AnomalyRow`], in its order.
static COLUMNS: LazyLock<SchemaRef> = LazyLock::new(|| {
    let time = || DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
    Arc::new(Schema::new(vec![
        // Which kind of key it is, and its value.
        Field::new("subject", DataType::Binary, false),
        Field::new("kind", DataType::Utf8, false),
        Field::new("at", time(), true),
        Field::new("recorded_at", time(), false),
        Field::new("origin", DataType::Utf8, false),
        Field::new("event_id", DataType::Utf8, false),
        Field::new("target_event_id", DataType::Utf8, true),
        Field::new("body", DataType::Binary, false),
    ]))
});

pub(crate) static ANOMALY: Definition = Definition {
    name: "anomaly",
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

/// The table of thresholds and quarantined communications.
pub(crate) struct Anomaly;

#[async_trait]
impl LakeTable for Anomaly {
    fn definition(&self) -> &'static Definition {
        &ANOMALY
    }

    fn is_keyed(&self) -> bool {
        true
    }

    fn came_later(&self) -> bool {
        true
    }

    fn rows_of(&self, arriving: &Arriving<'_>) -> Result<Option<SideFile>, RunsError> {
        let rows = merge_rows(arriving.anomaly.iter().flat_map(rows_of).collect(), Vec::new());
        if rows.is_empty() { Ok(None) } else { side_file(&rows).map(Some) }
    }

    fn kept_for(&self) -> KeptFor {
        KeptFor::Needed
    }

    async fn expire(&self, of: &mut Expiry<'_>) -> Result<Went, LakeError> {
        expire(of).await
    }

    async fn check(&self, file: &mut FileCheck<'_>) -> Result<(), RunsError> {
        check(file).await
    }

    async fn gather(&self, of: &Gathering<'_>) -> Result<Option<Changes>, RunsError> {
        let now = of.now;
        let keep = |_: &[Arc<TableFile>], batch: RecordBatch| staying(&batch, now);
        of.by_size(|file| file.size, AnomalyRule, |_| AnomalySummary::default(), keep).await
    }
}

/// What the log says of a file.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Tag {
    /// How many rows it has.
    rows: u64,
    /// When the first of its rows goes, milliseconds since the epoch; absent where all are kept.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    goes_ms: Option<i64>,
}

impl Tag {
    fn text(self) -> String {
        // A number: writing it cannot fail.
        serde_json::to_string(&self).unwrap_or_default()
    }

    fn of(file: &TableFile) -> Self {
        file.tag.as_deref().and_then(|tag| serde_json::from_str(tag).ok()).unwrap_or_default()
    }
}

/// How many rows the log says that a file has.
pub(crate) fn rows_in(file: &TableFile) -> u64 {
    Tag::of(file).rows
}

/// A file of rows, which are in order.
pub(crate) fn side_file(rows: &[AnomalyRow]) -> Result<SideFile, RunsError> {
    let encoded = Encoded::of(&ANOMALY, rows.chunks(gridtrail_runs::ENCODE_ROWS).map(batch))?;
    let goes_ms = rows.iter().filter_map(AnomalyRow::goes_at).map(Timestamp::millis).min();
    let rows = rows.len() as u64;
    Ok(SideFile { encoded, rows, tag: Tag { rows, goes_ms }.text() })
}

/// What the log is to say of a file that is written batch by batch.
#[derive(Debug, Default)]
struct AnomalySummary(Tag);

impl Summary for AnomalySummary {
    fn add(&mut self, batch: &RecordBatch) -> Result<(), RunsError> {
        let columns = Columns::of(batch).ok_or_else(|| unreadable(ANOMALY.name))?;
        self.0.rows += batch.num_rows() as u64;
        for row in 0..batch.num_rows() {
            let goes = columns.goes_at(row).ok_or_else(|| unreadable(ANOMALY.name))?;
            self.0.goes_ms = self.0.goes_ms.into_iter().chain(goes.map(Timestamp::millis)).min();
        }
        Ok(())
    }

    fn file(self, path: String, written: Written) -> Result<NewFile, RunsError> {
        let (rows, tag) = (self.0.rows, self.0.text());
        Ok(NewFile { path, written, month: None, rows, tag, bounds: Vec::new() })
    }
}

/// The rows of a batch that are needed after a time.
fn staying(batch: &RecordBatch, now: Timestamp) -> Result<RecordBatch, RunsError> {
    let columns = Columns::of(batch).ok_or_else(|| unreadable(ANOMALY.name))?;
    let stays = |row| columns.goes_at(row).map(|goes| goes.is_none_or(|goes| goes > now));
    let stay: Option<Vec<bool>> = (0..batch.num_rows()).map(stays).collect();
    let stay = BooleanArray::from(stay.ok_or_else(|| unreadable(ANOMALY.name))?);
    filter_record_batch(batch, &stay)
        .map_err(|_| RunsError::Internal("rows of anomaly detection that stay could not be told"))
}

/// Lets go the rows of quarantined communications that are gone, of files where the first is for a day: so that a file is written anew once a
/// day at most. Memory: a file.
async fn expire(of: &mut Expiry<'_>) -> Result<Went, LakeError> {
    let (now, mut went) = (of.site.now(), Went::default());
    of.table.refresh().await?;
    let table = &*of.table;
    let due = |file: &Arc<TableFile>| {
        Tag::of(file).goes_ms.is_some_and(|goes| goes + ANOMALY_ROWS_GO_AFTER_MS <= now.millis())
    };
    let (mut add, mut remove) = (Vec::new(), Vec::new());
    for file in table.files().into_iter().filter(due) {
        let bytes = of.site.read_file(table, &file).await;
        let held = match bytes.and_then(|(path, bytes)| read(bytes, path.as_ref())) {
            Ok(held) => held,
            Err(error) => {
                of.site.leave_alone(error, &[&table.full_path(&file.path)?])?;
                went.refused += 1;
                continue;
            }
        };
        let before = held.len();
        let stay: Vec<AnomalyRow> =
            held.into_iter().filter(|row| row.goes_at().is_none_or(|goes| goes > now)).collect();
        went.rows += (before - stay.len()) as u64;
        if !stay.is_empty() && !of.dry {
            let SideFile { encoded, rows, tag } = side_file(&stay)?;
            let path = ANOMALY.new_path(None);
            let written = table.upload_encoded(&path, encoded).await?;
            add.push(NewFile { path, written, month: None, rows, tag, bounds: Vec::new() });
        }
        remove.push(file);
    }
    if remove.is_empty() || of.dry {
        return Ok(went);
    }
    let table = &mut *of.table;
    let moves = [DROPS.to_owned(), fence(None)].map(|app_id| moved(table, app_id)).to_vec();
    let evidence = Some(json!({ "kind": CommitKind::Retention.name() }));
    let now_ms = now.millis();
    let changes = Changes { add, remove, moves, now_ms, drops: true, evidence, ..Changes::default() };
    let committed = table.commit_unless_moved(&changes).await?;
    Ok(went.unless_overtaken(committed))
}

/// The rows in a file. Errors: `Corrupt`.
fn read(bytes: Bytes, path: &str) -> Result<Vec<AnomalyRow>, RunsError> {
    let mut all = Vec::new();
    for batch in batches(bytes, path)? {
        all.extend(rows(&batch?, path)?);
    }
    Ok(all)
}

/// Columns of rows, in their order.
fn batch(rows: &[AnomalyRow]) -> Result<RecordBatch, RunsError> {
    let (mut keys, mut bodies) = (BinaryBuilder::new(), BinaryBuilder::new());
    let (mut kinds, mut origins) = (StringBuilder::new(), StringBuilder::new());
    let (mut events, mut targets) = (StringBuilder::new(), StringBuilder::new());
    for row in rows {
        keys.append_value(row.key.to_bytes());
        kinds.append_value(row.kind.as_str());
        origins.append_value(row.origin.as_str());
        events.append_value(row.event_id.as_str());
        targets.append_option(row.target.as_ref().map(|target| target.as_str()));
        bodies.append_value(&row.body);
    }
    let times = |of: fn(&AnomalyRow) -> Option<Timestamp>| -> ArrayRef {
        let times: TimestampMillisecondArray =
            rows.iter().map(|row| of(row).map(Timestamp::millis)).collect();
        Arc::new(times.with_timezone("UTC"))
    };
    let columns: Vec<ArrayRef> = vec![
        Arc::new(keys.finish()),
        Arc::new(kinds.finish()),
        times(|row| row.at),
        times(|row| Some(row.recorded_at)),
        Arc::new(origins.finish()),
        Arc::new(events.finish()),
        Arc::new(targets.finish()),
        Arc::new(bodies.finish()),
    ];
    RecordBatch::try_new(Arc::clone(&COLUMNS), columns)
        .map_err(|_| RunsError::Internal("columns of a file of anomaly detection do not fit its schema"))
}

/// A row as it is stored.
pub(crate) struct Stored<'a> {
    pub(crate) key: &'a [u8],
    pub(crate) kind: &'a [u8],
    pub(crate) at_ms: Option<i64>,
    pub(crate) recorded_ms: i64,
    pub(crate) origin: &'a [u8],
    pub(crate) event_id: &'a [u8],
    pub(crate) target: Option<&'a [u8]>,
    pub(crate) body: &'a [u8],
}

impl Stored<'_> {
    /// `None`: no writer of ours writes it.
    pub(crate) fn row(&self) -> Option<AnomalyRow> {
        let target = match self.target {
            Some(target) => Some(parsed(target)?),
            None => None,
        };
        Some(AnomalyRow {
            key: AnomalyKey::from_bytes(self.key.try_into().ok()?)?,
            kind: kind_of(self.kind)?,
            at: time(self.at_ms)?,
            recorded_at: Timestamp::from_millis(self.recorded_ms)?,
            origin: Origin::ALL.iter().copied().find(|one| one.as_str().as_bytes() == self.origin)?,
            event_id: parsed(self.event_id)?,
            target,
            body: self.body.into(),
        })
    }
}

fn kind_of(word: &[u8]) -> Option<AnomalyRowKind> {
    AnomalyRowKind::ALL.iter().copied().find(|kind| kind.as_str().as_bytes() == word)
}

/// `None`: there is one, and it is none.
fn time(ms: Option<i64>) -> Option<Option<Timestamp>> {
    ms.map_or(Some(None), |ms| Timestamp::from_millis(ms).map(Some))
}

fn parsed<T: FromStr>(text: &[u8]) -> Option<T> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// The columns of a batch.
struct Columns<'a> {
    keys: &'a BinaryArray,
    kinds: &'a StringArray,
    at: &'a TimestampMillisecondArray,
    recorded: &'a TimestampMillisecondArray,
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
            at: times(column::AT)?,
            recorded: times(column::RECORDED)?,
            origins: text(column::ORIGIN)?,
            events: text(column::EVENT)?,
            targets: text(column::TARGET)?,
            bodies: binary(column::BODY)?,
        })
    }

    fn at_ms(&self, row: usize) -> Option<i64> {
        self.at.is_valid(row).then(|| self.at.value(row))
    }

    fn stored(&self, row: usize) -> Stored<'a> {
        Stored {
            key: self.keys.value(row),
            kind: self.kinds.value(row).as_bytes(),
            at_ms: self.at_ms(row),
            recorded_ms: self.recorded.value(row),
            origin: self.origins.value(row).as_bytes(),
            event_id: self.events.value(row).as_bytes(),
            target: self.targets.is_valid(row).then(|| self.targets.value(row).as_bytes()),
            body: self.bodies.value(row),
        }
    }

    /// When a row goes; `None`: no writer of ours writes it.
    fn goes_at(&self, row: usize) -> Option<Option<Timestamp>> {
        let key = AnomalyKey::from_bytes(self.keys.value(row).try_into().ok()?)?;
        let recorded_at = Timestamp::from_millis(self.recorded.value(row))?;
        Some(goes_at(key, time(self.at_ms(row))?, recorded_at, self.targets.is_valid(row)))
    }

    /// What a merge compares rows by: the beginning of their order.
    fn merge_key(&self, row: usize) -> Option<MergeKey> {
        let mut first = [0; AnomalyKey::BYTES + 1];
        let key: [u8; AnomalyKey::BYTES] = self.keys.value(row).try_into().ok()?;
        first[..AnomalyKey::BYTES].copy_from_slice(&key);
        first[AnomalyKey::BYTES] = kind_of(self.kinds.value(row).as_bytes())? as u8;
        // What has no such time comes first; no time is as early as the least number.
        Some(MergeKey(Some(ordered(&first)), self.at_ms(row).map_or(0, unsigned)))
    }
}

/// That a row cannot be read.
pub(crate) fn unreadable(path: &str) -> RunsError {
    RunsError::Corrupt { path: path.to_owned(), why: "a row of anomaly detection cannot be read".to_owned() }
}

/// The rows of a batch.
fn rows(batch: &RecordBatch, path: &str) -> Result<Vec<AnomalyRow>, RunsError> {
    let columns = Columns::of(batch).ok_or_else(|| unreadable(path))?;
    let read = (0..batch.num_rows()).map(|row| columns.stored(row).row());
    read.collect::<Option<_>>().ok_or_else(|| unreadable(path))
}

/// Rows of anomaly detection: each once.
#[derive(Debug, Clone, Copy)]
struct AnomalyRule;

impl MergeRule for AnomalyRule {
    type Row = AnomalyRow;

    fn keys(&self, batch: &RecordBatch, path: &str) -> Result<Vec<MergeKey>, RunsError> {
        let columns = Columns::of(batch).ok_or_else(|| unreadable(path))?;
        let keys = (0..batch.num_rows()).map(|row| columns.merge_key(row));
        keys.collect::<Option<_>>().ok_or_else(|| unreadable(path))
    }

    fn merge(&self, sharing: &[RecordBatch], path: &str) -> Result<Vec<Kept<AnomalyRow>>, RunsError> {
        let mut all = Vec::new();
        for one in sharing {
            all.extend(rows(one, path)?);
        }
        Ok(merge_rows(all, Vec::new()).into_iter().map(Kept::Made).collect())
    }

    fn encode(&self, rows: &[AnomalyRow]) -> Result<RecordBatch, RunsError> {
        batch(rows)
    }
}

/// The Parquet settings of a file of anomaly detection.
fn properties() -> WriterProperties {
    let of = ColumnPath::from;
    let mut builder = layout::by_key("subject", BLOOM_FALSE_POSITIVES).set_compression(Compression::LZ4_RAW);
    // Few values, or those of the row before: compression finds that, and a look-up need not read dictionaries.
    for name in ["subject", "kind", "origin"] {
        builder = builder.set_column_encoding(of(name), Encoding::PLAIN);
    }
    for name in ["at", "recorded_at"] {
        builder = builder.set_column_encoding(of(name), Encoding::DELTA_BINARY_PACKED);
    }
    for name in ["event_id", "target_event_id", "body"] {
        builder = builder.set_column_encoding(of(name), Encoding::DELTA_LENGTH_BYTE_ARRAY);
    }
    builder.build()
}

/// Reads a file: in order, each row once, each readable, found by its look-up, and going no earlier than the log says.
async fn check(of: &mut FileCheck<'_>) -> Result<(), RunsError> {
    let run = of.cache.open(&ANOMALY, (of.file, of.path), None).await?;
    let Tag { rows: told, goes_ms } = Tag::of(of.file);
    let mut last: Option<AnomalyRow> = None;
    let read = each_batch(of.cache, &run, |(group, start), batch| {
        for (number, row) in rows(batch, of.path.as_ref())?.into_iter().enumerate() {
            if last.as_ref().is_some_and(|last| *last >= row) {
                return Err(of.corrupt("its rows are not in order, or one is there twice"));
            }
            row.event().map_err(|error| of.corrupt(error.to_string()))?;
            if !lookup::comes_to(&run, group, start + number, &row.key.to_bytes()) {
                return Err(of.corrupt("its bloom filter or page index hides a row"));
            }
            let goes = row.goes_at().map(Timestamp::millis);
            if goes.is_some_and(|goes| goes_ms.is_none_or(|first| goes < first)) {
                return Err(of.corrupt("a row goes earlier than its log entry says"));
            }
            last = Some(row);
        }
        Ok(())
    });
    of.rows += read.await?;
    if of.rows == told {
        return Ok(());
    }
    Err(of.corrupt(format!("it has {} rows, and its log entry says {told}", of.rows)))
}
