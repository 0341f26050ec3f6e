//! The table `schedules`: what messages tell of DSP schedules, under each User.
//!
//! One row is what one event says ([`ScheduleRow`]), in columns that every engine reads; the values are packed. Rows are sorted by User, and equal
//! ones become one. A batch writes its rows here before the main table counts it: a repeat of the batch writes them again, which changes nothing.
//!
//! Rows of a schedule stay as long as it has not come to its end, and then for as long as audit trails do; so do those of requests that no schedule
//! came of. Which those are, all rows of a User say together, so letting go reads the table from front to back: where some file has rows that are
//! old enough, and nowhere else.

use crate::error::LakeError;
use crate::evidence::CommitKind;
use crate::kept_for::{self, DROPS, KeptFor, Went, floor, months_of};
use crate::limits::BLOOM_FALSE_POSITIVES;
use crate::month::Month;
use crate::rows::rule::{ordered, unsigned};
use crate::tables::check::{FileCheck, each_batch};
use crate::tables::hold::{ActiveHold, HOLDS};
use crate::tables::layout;
use crate::tables::side_files::batches;
use crate::tables::table::{Arriving, Expiry, Gathering, LakeTable, SideFile};
use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BinaryBuilder, RecordBatch, StringArray, StringBuilder,
    TimestampMillisecondArray,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit, TimestampMillisecondType};
use async_trait::async_trait;
use bytes::Bytes;
use gridtrail_model::{Timestamp, UserId};
use gridtrail_runs::checksum::Written;
use gridtrail_runs::gather::{fence, moved};
use gridtrail_runs::{
    Changes, Definition, Encoded, Kept, Merge, MergeKey, MergeRule, NewFile, RunsError, Summary, TableFile,
    lookup,
};
use gridtrail_schedules::{Over, Schedule, ScheduleRow, ScheduleRowKind, Schedules, merge_rows, row_of};
use parquet::basic::{Compression, Encoding};
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnPath;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::str::FromStr;
use std::sync::{Arc, LazyLock};

/// Column numbers, in the order of the schema.
pub(crate) mod column {
    pub(crate) const USER: usize = 0;
    pub(crate) const KIND: usize = 1;
    pub(crate) const AT: usize = 2;
    pub(crate) const RECORDED: usize = 3;
    pub(crate) const EVENT: usize = 4;
    pub(crate) const BODY: usize = 5;
    pub(crate) const ALL: &[usize] = &[USER, KIND, AT, RECORDED, EVENT, BODY];
}

/// The columns of the table: those of [`ScheduleRow`], in its order.
static COLUMNS: LazyLock<SchemaRef> = LazyLock::new(|| {
    let time = || DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
    Arc::new(Schema::new(vec![
        Field::new("user_id", DataType::Binary, false),
        Field::new("kind", DataType::Utf8, false),
        Field::new("at", time(), false),
        Field::new("recorded_at", time(), false),
        Field::new("event_id", DataType::Utf8, false),
        Field::new("body", DataType::Binary, false),
    ]))
});

pub(crate) static SCHEDULES: Definition = Definition {
    name: "schedules",
    schema: &COLUMNS,
    by_month: false,
    format: 2,
    // Readers have to know how the body is packed.
    needs: &["packed-rows"],
    keys: &[column::USER],
    layout: properties,
    note: None,
    made_with: kept_for::made_with,
};

/// The table of schedules.
pub(crate) struct ScheduleTable;

#[async_trait]
impl LakeTable for ScheduleTable {
    fn definition(&self) -> &'static Definition {
        &SCHEDULES
    }

    fn is_keyed(&self) -> bool {
        true
    }

    fn came_later(&self) -> bool {
        true
    }

    fn rows_of(&self, arriving: &Arriving<'_>) -> Result<Option<SideFile>, RunsError> {
        let rows = merge_rows(arriving.schedules.iter().map(row_of).collect(), Vec::new());
        if rows.is_empty() { Ok(None) } else { side_file(&rows).map(Some) }
    }

    fn kept_for(&self) -> KeptFor {
        KeptFor::Months
    }

    async fn expire(&self, of: &mut Expiry<'_>) -> Result<Went, LakeError> {
        expire(of).await
    }

    async fn check(&self, file: &mut FileCheck<'_>) -> Result<(), RunsError> {
        check(file).await
    }

    async fn gather(&self, of: &Gathering<'_>) -> Result<Option<Changes>, RunsError> {
        of.by_size(|file| file.size, ScheduleRule, |_| ScheduleSummary::default(), |_, batch| Ok(batch)).await
    }
}

/// What the log says of a file.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Tag {
    /// How many rows it has.
    rows: u64,
    /// When the first of them was recorded, milliseconds since the epoch.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    oldest_ms: Option<i64>,
}

impl Tag {
    fn text(self) -> String {
        // Numbers: writing them cannot fail.
        serde_json::to_string(&self).unwrap_or_default()
    }

    fn of(file: &TableFile) -> Self {
        file.tag.as_deref().and_then(|tag| serde_json::from_str(tag).ok()).unwrap_or_default()
    }

    fn add(&mut self, recorded_ms: i64) {
        self.rows += 1;
        self.oldest_ms = self.oldest_ms.into_iter().chain([recorded_ms]).min();
    }
}

/// How many rows the log says that a file has.
pub(crate) fn rows_in(file: &TableFile) -> u64 {
    Tag::of(file).rows
}

/// A file of rows, which are in order.
pub(crate) fn side_file(rows: &[ScheduleRow]) -> Result<SideFile, RunsError> {
    let encoded = Encoded::of(&SCHEDULES, rows.chunks(gridtrail_runs::ENCODE_ROWS).map(batch))?;
    let mut tag = Tag::default();
    rows.iter().for_each(|row| tag.add(row.recorded_at.millis()));
    Ok(SideFile { encoded, rows: tag.rows, tag: tag.text() })
}

/// What the log is to say of a file that is written batch by batch.
#[derive(Debug, Default)]
struct ScheduleSummary(Tag);

impl Summary for ScheduleSummary {
    fn add(&mut self, batch: &RecordBatch) -> Result<(), RunsError> {
        let columns = Columns::of(batch).ok_or_else(|| unreadable(SCHEDULES.name))?;
        columns.recorded.values().iter().for_each(|recorded_ms| self.0.add(*recorded_ms));
        Ok(())
    }

    fn file(self, path: String, written: Written) -> Result<NewFile, RunsError> {
        let (rows, tag) = (self.0.rows, self.0.text());
        Ok(NewFile { path, written, month: None, rows, tag, bounds: Vec::new() })
    }
}

/// Until when something was recorded, or was at its end, that is kept no longer.
struct Cut<'a> {
    /// The first month that is kept.
    first_kept: Month,
    floor: Timestamp,
    holds: &'a [ActiveHold],
}

impl Cut<'_> {
    fn is_old(&self, recorded_at: Timestamp) -> bool {
        Month::of(recorded_at) < self.first_kept && recorded_at < self.floor
    }

    /// Whether a schedule came to its end so long ago that audit trails of then are gone, and no hold keeps it.
    fn is_over(&self, user: UserId, schedule: &Schedule) -> bool {
        let Some(ended) = schedule.ended_at() else { return false };
        let is_held = |hold: &ActiveHold| {
            let device = schedule.details.device;
            let scope = &hold.scope;
            // Which meter points a schedule is about, its Device says; what is not known of it is held.
            scope.user.is_none_or(|held| held == user)
                && scope.device.is_none_or(|held| device.is_none_or(|device| device == held))
                && scope.mpxn.is_none_or(|_| device.is_none_or(|device| hold.devices.contains(&device)))
                && scope.from.is_none_or(|from| from <= Month::of(ended.max(schedule.recorded_at)))
        };
        let goes =
            Month::of(ended) < self.first_kept && ended < self.floor && self.is_old(schedule.recorded_at);
        goes && !self.holds.iter().any(is_held)
    }
}

/// Lets go the rows of schedules that came to their end long ago. Memory: what is known of one User, a file, and what goes.
async fn expire(of: &mut Expiry<'_>) -> Result<Went, LakeError> {
    // As it was before the holds were read.
    let requires = vec![(HOLDS.to_owned(), of.table.position(HOLDS))];
    let (now, mut went) = (of.site.now(), Went::default());
    of.table.refresh().await?;
    let first_kept = Month::of(now).minus(months_of(of.main));
    let cut = Cut { first_kept, floor: floor(now), holds: of.holds };
    let table = &*of.table;
    let files = table.files();
    let is_old = |file: &Arc<TableFile>| {
        let oldest = Tag::of(file).oldest_ms.and_then(Timestamp::from_millis);
        oldest.is_some_and(|oldest| cut.is_old(oldest))
    };
    if !files.iter().any(is_old) {
        return Ok(went);
    }
    let over = match over(of, &files, &cut).await {
        Ok(over) => over,
        Err(error) => {
            let paths =
                files.iter().map(|file| table.full_path(&file.path)).collect::<Result<Vec<_>, _>>()?;
            of.site.leave_alone(error, &paths.iter().collect::<Vec<_>>())?;
            went.refused += 1;
            return Ok(went);
        }
    };
    if over.is_empty() {
        return Ok(went);
    }
    let (mut add, mut remove) = (Vec::new(), Vec::new());
    for file in files.into_iter().filter(is_old) {
        let (path, bytes) = of.site.read_file(table, &file).await?;
        let held = read(bytes, path.as_ref())?;
        let before = held.len();
        let mut stay = Vec::with_capacity(before);
        for row in held {
            let event = row.event().map_err(|_| unreadable(path.as_ref()))?;
            if !over.has(row.user, &event.fact) {
                stay.push(row);
            }
        }
        if stay.len() == before {
            continue;
        }
        went.rows += (before - stay.len()) as u64;
        if !stay.is_empty() && !of.dry {
            let SideFile { encoded, rows, tag } = side_file(&stay)?;
            let path = SCHEDULES.new_path(None);
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
    let changes =
        Changes { add, remove, moves, requires, now_ms, drops: true, evidence, ..Changes::default() };
    let committed = table.commit_unless_moved(&changes).await?;
    Ok(went.unless_overtaken(committed))
}

/// What is over, of all Users. The files are merged, in which a User's rows lie together.
async fn over(of: &Expiry<'_>, files: &[Arc<TableFile>], cut: &Cut<'_>) -> Result<Over, RunsError> {
    let cache = of.site.cache();
    let mut runs = Vec::with_capacity(files.len());
    for file in files {
        let path = of.table.full_path(&file.path)?;
        runs.push(cache.open(&SCHEDULES, (file, &path), None).await?);
    }
    let mut merge = Merge::new(ScheduleRule, cache, runs).await?;
    let (mut over, mut of_user) = (Over::default(), None::<Schedules>);
    let mut end = |of_user: Option<Schedules>| {
        let Some(schedules) = of_user else { return };
        over.add(&schedules, |one| cut.is_over(schedules.user(), one), |recorded_at| cut.is_old(recorded_at));
    };
    while let Some(batch) = merge.next().await? {
        for row in rows(&batch, SCHEDULES.name)? {
            if of_user.as_ref().is_none_or(|schedules| schedules.user() != row.user) {
                end(of_user.replace(Schedules::new(row.user)));
            }
            if let Some(schedules) = &mut of_user {
                schedules.take(&row).map_err(|_| unreadable(SCHEDULES.name))?;
            }
        }
    }
    end(of_user);
    Ok(over)
}

/// The rows in a file. Errors: `Corrupt`.
fn read(bytes: Bytes, path: &str) -> Result<Vec<ScheduleRow>, RunsError> {
    let mut all = Vec::new();
    for batch in batches(bytes, path)? {
        all.extend(rows(&batch?, path)?);
    }
    Ok(all)
}

/// Columns of rows, in their order.
fn batch(rows: &[ScheduleRow]) -> Result<RecordBatch, RunsError> {
    let (mut users, mut bodies) = (BinaryBuilder::new(), BinaryBuilder::new());
    let (mut kinds, mut events) = (StringBuilder::new(), StringBuilder::new());
    for row in rows {
        users.append_value(row.user.to_bytes());
        kinds.append_value(row.kind.as_str());
        events.append_value(row.event_id.as_str());
        bodies.append_value(&row.body);
    }
    let times = |of: fn(&ScheduleRow) -> Timestamp| -> ArrayRef {
        let times: TimestampMillisecondArray = rows.iter().map(|row| Some(of(row).millis())).collect();
        Arc::new(times.with_timezone("UTC"))
    };
    let columns: Vec<ArrayRef> = vec![
        Arc::new(users.finish()),
        Arc::new(kinds.finish()),
        times(|row| row.at),
        times(|row| row.recorded_at),
        Arc::new(events.finish()),
        Arc::new(bodies.finish()),
    ];
    RecordBatch::try_new(Arc::clone(&COLUMNS), columns)
        .map_err(|_| RunsError::Internal("columns of a file of schedules do not fit its schema"))
}

/// A row as it is stored.
pub(crate) struct Stored<'a> {
    pub(crate) user: &'a [u8],
    pub(crate) kind: &'a [u8],
    pub(crate) at_ms: i64,
    pub(crate) recorded_ms: i64,
    pub(crate) event_id: &'a [u8],
    pub(crate) body: &'a [u8],
}

impl Stored<'_> {
    /// `None`: no writer of ours writes it.
    pub(crate) fn row(&self) -> Option<ScheduleRow> {
        Some(ScheduleRow {
            user: UserId::from_bytes(self.user.try_into().ok()?),
            kind: kind_of(self.kind)?,
            at: Timestamp::from_millis(self.at_ms)?,
            recorded_at: Timestamp::from_millis(self.recorded_ms)?,
            event_id: parsed(self.event_id)?,
            body: self.body.into(),
        })
    }
}

fn kind_of(word: &[u8]) -> Option<ScheduleRowKind> {
    ScheduleRowKind::ALL.iter().copied().find(|kind| kind.as_str().as_bytes() == word)
}

fn parsed<T: FromStr>(text: &[u8]) -> Option<T> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// The columns of a batch.
struct Columns<'a> {
    users: &'a BinaryArray,
    kinds: &'a StringArray,
    at: &'a TimestampMillisecondArray,
    recorded: &'a TimestampMillisecondArray,
    events: &'a StringArray,
    bodies: &'a BinaryArray,
}

impl<'a> Columns<'a> {
    /// `None`: a column is of another type, or lacks a value.
    fn of(batch: &'a RecordBatch) -> Option<Self> {
        if batch.columns().iter().any(|column| column.null_count() > 0) {
            return None;
        }
        let column = |number: usize| batch.columns().get(number);
        let binary = |number| column(number)?.as_binary_opt::<i32>();
        let text = |number| column(number)?.as_string_opt::<i32>();
        let times = |number| column(number)?.as_primitive_opt::<TimestampMillisecondType>();
        Some(Self {
            users: binary(column::USER)?,
            kinds: text(column::KIND)?,
            at: times(column::AT)?,
            recorded: times(column::RECORDED)?,
            events: text(column::EVENT)?,
            bodies: binary(column::BODY)?,
        })
    }

    fn stored(&self, row: usize) -> Stored<'a> {
        Stored {
            user: self.users.value(row),
            kind: self.kinds.value(row).as_bytes(),
            at_ms: self.at.value(row),
            recorded_ms: self.recorded.value(row),
            event_id: self.events.value(row).as_bytes(),
            body: self.bodies.value(row),
        }
    }

    /// What a merge compares rows by: the beginning of their order.
    fn merge_key(&self, row: usize) -> Option<MergeKey> {
        let mut first = [0; 9];
        let user: [u8; 8] = self.users.value(row).try_into().ok()?;
        first[..8].copy_from_slice(&user);
        first[8] = kind_of(self.kinds.value(row).as_bytes())? as u8;
        Some(MergeKey(Some(ordered(&first)), unsigned(self.at.value(row))))
    }
}

/// That a row cannot be read.
pub(crate) fn unreadable(path: &str) -> RunsError {
    RunsError::Corrupt { path: path.to_owned(), why: "a row of schedules cannot be read".to_owned() }
}

/// The rows of a batch.
fn rows(batch: &RecordBatch, path: &str) -> Result<Vec<ScheduleRow>, RunsError> {
    let columns = Columns::of(batch).ok_or_else(|| unreadable(path))?;
    let read = (0..batch.num_rows()).map(|row| columns.stored(row).row());
    read.collect::<Option<_>>().ok_or_else(|| unreadable(path))
}

/// Rows of schedules: each once.
#[derive(Debug, Clone, Copy)]
struct ScheduleRule;

impl MergeRule for ScheduleRule {
    type Row = ScheduleRow;

    fn keys(&self, batch: &RecordBatch, path: &str) -> Result<Vec<MergeKey>, RunsError> {
        let columns = Columns::of(batch).ok_or_else(|| unreadable(path))?;
        let keys = (0..batch.num_rows()).map(|row| columns.merge_key(row));
        keys.collect::<Option<_>>().ok_or_else(|| unreadable(path))
    }

    fn merge(&self, sharing: &[RecordBatch], path: &str) -> Result<Vec<Kept<ScheduleRow>>, RunsError> {
        let mut all = Vec::new();
        for one in sharing {
            all.extend(rows(one, path)?);
        }
        Ok(merge_rows(all, Vec::new()).into_iter().map(Kept::Made).collect())
    }

    fn encode(&self, rows: &[ScheduleRow]) -> Result<RecordBatch, RunsError> {
        batch(rows)
    }
}

/// The Parquet settings of a file of schedules.
fn properties() -> WriterProperties {
    let of = ColumnPath::from;
    let mut builder = layout::by_key("user_id", BLOOM_FALSE_POSITIVES).set_compression(Compression::LZ4_RAW);
    // Few values, or those of the row before: compression finds that, and a look-up need not read dictionaries.
    for name in ["user_id", "kind"] {
        builder = builder.set_column_encoding(of(name), Encoding::PLAIN);
    }
    for name in ["at", "recorded_at"] {
        builder = builder.set_column_encoding(of(name), Encoding::DELTA_BINARY_PACKED);
    }
    for name in ["event_id", "body"] {
        builder = builder.set_column_encoding(of(name), Encoding::DELTA_LENGTH_BYTE_ARRAY);
    }
    builder.build()
}

/// Reads a file: in order, each row once, each readable, found by its look-up, and recorded no earlier than the log says.
async fn check(of: &mut FileCheck<'_>) -> Result<(), RunsError> {
    let run = of.cache.open(&SCHEDULES, (of.file, of.path), None).await?;
    let Tag { rows: told, oldest_ms } = Tag::of(of.file);
    let mut last: Option<ScheduleRow> = None;
    let read = each_batch(of.cache, &run, |(group, start), batch| {
        for (number, row) in rows(batch, of.path.as_ref())?.into_iter().enumerate() {
            if last.as_ref().is_some_and(|last| *last >= row) {
                return Err(of.corrupt("its rows are not in order, or one is there twice"));
            }
            row.event().map_err(|error| of.corrupt(error.to_string()))?;
            if !lookup::comes_to(&run, group, start + number, &row.user.to_bytes()) {
                return Err(of.corrupt("its bloom filter or page index hides a row"));
            }
            if oldest_ms.is_none_or(|oldest_ms| row.recorded_at.millis() < oldest_ms) {
                return Err(of.corrupt("a row was recorded earlier than its log entry says"));
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
