//! Events of access: whose each User ID is, and which Parties let each other see their records.
//!
//! A side table of the run machinery. One row is one fact, in columns that every engine reads; rows are ordered by the time at
//! which the DCC had them, identical ones merge into one, and all are kept for ever: who could see a row on a day is a question
//! for as long as the row is. A batch writes its facts here before the main table counts them, so a repeat of a batch writes
//! them again, which changes nothing, and a rescission never waits for the rows that arrived with it.
//!
//! [`SharingReader`] follows the table and folds it. **The officers who authorised notifications are personal data**: their
//! columns are written and merged, and the fold keeps nothing of them.

use crate::error::LakeError;
use crate::kept_for;
use crate::kept_for::KeptFor;
use crate::rows::rule::{corrupt, unsigned};
use crate::rows::run;
use crate::site::Site;
use crate::tables::check::FileCheck;
use crate::tables::side_files::batches;
use crate::tables::table::{Gathering, LakeTable};
use arrow::array::{
    Array, ArrayRef, AsArray, BinaryBuilder, RecordBatch, StringBuilder, TimestampMicrosecondBuilder,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit, TimestampMicrosecondType};
use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream};
use gridtrail_access::{
    AccessEvent, AccessRecord, Assignment, Cause, Notice, NoticeKind, Party, Sharing, Sro, Unread, UnreadKind,
};
use gridtrail_model::{EventId, Timestamp, UserId};
use gridtrail_runs::checksum::Written;
use gridtrail_runs::{
    Changes, Definition, Encoded, Kept, LOG_READS_AT_ONCE, MergeKey, MergeRule, NewFile, RunsError, Summary,
    Table, TableFile,
};
use parquet::file::properties::WriterProperties;
use std::collections::{BTreeSet, HashSet};
use std::str::FromStr;
use std::sync::{Arc, LazyLock};

const ASSIGNED: &str = "assigned";
const GRANT: &str = "grant";
const RESCIND: &str = "rescind";
const CONFIRMED: &str = "confirmed";
const REJECTED: &str = "rejected";
const UNREAD: &str = "unread";
const SETTLED: &str = "settled";

/// The columns of the table: the sort key first.
pub(crate) static ACCESS_EVENTS: LazyLock<SchemaRef> = LazyLock::new(|| {
    let time = || DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    Arc::new(Schema::new(vec![
        Field::new("recorded_at", time(), false),
        Field::new("event_id", DataType::Utf8, false),
        // assigned, grant, rescind, confirmed or rejected; unread, of a dead letter that may end what was granted; settled.
        Field::new("kind", DataType::Utf8, false),
        Field::new("at", time(), false),
        Field::new("user_id", DataType::Binary, true),
        Field::new("party", DataType::Utf8, true),
        Field::new("role", DataType::Utf8, true),
        // Of what is unread: where its letter came from.
        Field::new("descriptor", DataType::Utf8, true),
        Field::new("notification_id", DataType::Utf8, true),
        Field::new("other_party", DataType::Utf8, true),
        // Eight bytes a User ID, in order.
        Field::new("user_ids", DataType::Binary, true),
        Field::new("other_user_ids", DataType::Binary, true),
        // Of what is unread: what it is.
        Field::new("reason", DataType::Utf8, true),
        Field::new("officer_name", DataType::Utf8, true),
        Field::new("officer_telephone", DataType::Utf8, true),
        Field::new("officer_email", DataType::Utf8, true),
        Field::new("officer_signature", DataType::Utf8, true),
    ]))
});

static TABLE: Definition = Definition {
    name: "access_events",
    schema: &ACCESS_EVENTS,
    by_month: false,
    format: 2,
    needs: &[],
    keys: &[],
    layout,
    note: None,
    made_with: kept_for::made_with,
};

/// The table of events of access.
pub(crate) struct AccessEvents;

#[async_trait]
impl LakeTable for AccessEvents {
    fn definition(&self) -> &'static Definition {
        &TABLE
    }

    fn kept_for(&self) -> KeptFor {
        KeptFor::Ever
    }

    async fn check(&self, file: &mut FileCheck<'_>) -> Result<(), RunsError> {
        let events = file.whole(read).await?;
        let in_order = events.is_sorted_by(|a, b| (a.recorded_at, a) < (b.recorded_at, b));
        in_order.then_some(()).ok_or_else(|| file.corrupt("its events of access are not in order"))
    }

    async fn gather(&self, of: &Gathering<'_>) -> Result<Option<Changes>, RunsError> {
        of.by_size(|file| file.size, AccessRule, |_| AccessSummary::default(), |_, batch| Ok(batch)).await
    }
}

/// Events of access: by the time at which the DCC had them, identical ones once.
#[derive(Debug, Clone, Copy)]
struct AccessRule;

impl MergeRule for AccessRule {
    type Row = AccessRecord;

    fn keys(&self, batch: &RecordBatch, path: &str) -> Result<Vec<MergeKey>, RunsError> {
        let times = batch.columns().first().and_then(|c| c.as_primitive_opt::<TimestampMicrosecondType>());
        let times = times.ok_or_else(corrupt(path))?;
        Ok(times.values().iter().map(|time| MergeKey(None, unsigned(*time))).collect())
    }

    fn merge(&self, rows: &[RecordBatch], path: &str) -> Result<Vec<Kept<AccessRecord>>, RunsError> {
        let read = |(at, row): (usize, &RecordBatch)| Some((record(row, 0)?, at));
        let read = rows.iter().enumerate().map(read);
        let mut records = read.collect::<Option<Vec<_>>>().ok_or_else(corrupt(path))?;
        records.sort_unstable();
        records.dedup_by(|(a, _), (b, _)| a == b);
        Ok(records.into_iter().map(|(_, at)| Kept::Same(at)).collect())
    }

    fn encode(&self, rows: &[AccessRecord]) -> Result<RecordBatch, RunsError> {
        batch(rows)
    }
}

/// One row of the table, as its columns have it.
#[derive(Default)]
struct Row {
    kind: &'static str,
    user_id: Option<UserId>,
    assignment: Option<Assignment>,
    notification_id: Option<String>,
    notice: Option<Notice>,
    reason: Option<String>,
    unread: Option<Unread>,
}

impl Row {
    fn of(event: &AccessEvent) -> (Self, Timestamp) {
        match event.clone() {
            AccessEvent::Assigned { user_id, to, from } => {
                (Self { kind: ASSIGNED, user_id: Some(user_id), assignment: to, ..Self::default() }, from)
            }
            AccessEvent::Notified { id, notice } => {
                let kind = match notice.kind {
                    NoticeKind::Grant => GRANT,
                    NoticeKind::Rescind => RESCIND,
                };
                let at = notice.at;
                let notification_id = Some(id.to_string());
                (Self { kind, notification_id, notice: Some(notice), ..Self::default() }, at)
            }
            AccessEvent::Confirmed { id, at } => {
                (Self { kind: CONFIRMED, notification_id: Some(id.to_string()), ..Self::default() }, at)
            }
            AccessEvent::Rejected { id, at, reason } => {
                let (notification_id, reason) = (Some(id.to_string()), Some(reason.to_string()));
                (Self { kind: REJECTED, notification_id, reason, ..Self::default() }, at)
            }
            AccessEvent::Unread { unread, at, .. } => {
                let notification_id = unread.notice.as_ref().map(ToString::to_string);
                let reason = Some(unread.kind.name().to_owned());
                (Self { kind: UNREAD, notification_id, reason, unread: Some(unread), ..Self::default() }, at)
            }
            AccessEvent::Settled { what, at, because } => {
                let notification_id = match what {
                    Cause::Letter(_) => None,
                    Cause::Notice(id) => Some(id.to_string()),
                };
                let reason = because.map(|because| because.to_string());
                (Self { kind: SETTLED, notification_id, reason, ..Self::default() }, at)
            }
        }
    }
}

/// Columns of events, in their order.
pub(crate) fn batch(records: &[AccessRecord]) -> Result<RecordBatch, RunsError> {
    let rows: Vec<(Row, Timestamp)> = records.iter().map(|record| Row::of(&record.event)).collect();
    let texts = |of: &dyn Fn(&Row) -> Option<String>| -> ArrayRef {
        let mut column = StringBuilder::new();
        rows.iter().for_each(|(row, _)| column.append_option(of(row)));
        Arc::new(column.finish())
    };
    let bytes = |of: &dyn Fn(&Row) -> Option<Vec<u8>>| -> ArrayRef {
        let mut column = BinaryBuilder::new();
        rows.iter().for_each(|(row, _)| column.append_option(of(row)));
        Arc::new(column.finish())
    };
    let times = |of: &mut dyn Iterator<Item = Timestamp>| -> ArrayRef {
        let mut column = TimestampMicrosecondBuilder::new();
        of.for_each(|at| column.append_value(at.millis() * 1_000));
        Arc::new(column.finish().with_timezone("UTC"))
    };
    let mut ids = StringBuilder::new();
    records.iter().for_each(|record| ids.append_value(record.id.as_str()));
    let packed = |ids: &BTreeSet<UserId>| ids.iter().flat_map(|id| id.to_bytes()).collect();
    let officer =
        |of: fn(&Sro) -> &String| texts(&move |row| Some(of(row.notice.as_ref()?.sro.as_ref()?).clone()));
    let columns: Vec<ArrayRef> = vec![
        times(&mut records.iter().map(|record| record.recorded_at)),
        Arc::new(ids.finish()),
        texts(&|row| Some(row.kind.to_owned())),
        times(&mut rows.iter().map(|(_, at)| *at)),
        bytes(&|row| Some(row.user_id?.to_bytes().to_vec())),
        texts(&|row| {
            let assigned = row.assignment.as_ref().map(|to| &to.party);
            let notified = row.notice.as_ref().map(|notice| &notice.by);
            let unread = row.unread.as_ref().and_then(|unread| unread.by.as_ref());
            Some(assigned.or(notified).or(unread)?.to_string())
        }),
        texts(&|row| Some(row.assignment.as_ref()?.role.to_string())),
        texts(&|row| match &row.unread {
            Some(unread) => Some(unread.place.clone()),
            None => Some(row.assignment.as_ref()?.descriptor.as_ref()?.to_string()),
        }),
        texts(&|row| row.notification_id.clone()),
        texts(&|row| match &row.unread {
            Some(unread) => Some(unread.with.as_ref()?.to_string()),
            None => Some(row.notice.as_ref()?.with.to_string()),
        }),
        bytes(&|row| match &row.unread {
            Some(unread) => Some(packed(&unread.user_ids)),
            None => Some(packed(&row.notice.as_ref()?.own)),
        }),
        bytes(&|row| Some(packed(&row.notice.as_ref()?.other))),
        texts(&|row| row.reason.clone()),
        officer(|sro| &sro.name),
        officer(|sro| &sro.telephone),
        officer(|sro| &sro.email),
        officer(|sro| &sro.signature),
    ];
    RecordBatch::try_new(Arc::clone(&ACCESS_EVENTS), columns)
        .map_err(|_| RunsError::Internal("columns of events of access do not fit their schema"))
}

/// One row of a batch, to be read. What cannot be read is `None`.
struct Cells<'a> {
    batch: &'a RecordBatch,
    row: usize,
}

impl<'a> Cells<'a> {
    /// The inner `None`: the column is empty there.
    fn text(&self, name: &str) -> Option<Option<&'a str>> {
        let texts = self.batch.column_by_name(name)?.as_string_opt::<i32>()?;
        Some(texts.is_valid(self.row).then(|| texts.value(self.row)))
    }

    fn parsed<T: FromStr>(&self, name: &str) -> Option<T> {
        self.text(name)??.parse().ok()
    }

    /// A value that may be absent: the inner `None`.
    fn optional<T: FromStr>(&self, name: &str) -> Option<Option<T>> {
        self.text(name)?.map(str::parse).transpose().ok()
    }

    fn bytes(&self, name: &str) -> Option<&'a [u8]> {
        let values = self.batch.column_by_name(name)?.as_binary_opt::<i32>()?;
        values.is_valid(self.row).then(|| values.value(self.row))
    }

    fn time(&self, name: &str) -> Option<Timestamp> {
        let times = self.batch.column_by_name(name)?.as_primitive_opt::<TimestampMicrosecondType>()?;
        Timestamp::from_millis(times.value(self.row).div_euclid(1_000))
    }

    fn ids(&self, name: &str) -> Option<BTreeSet<UserId>> {
        let (ids, rest) = self.bytes(name)?.as_chunks::<8>();
        rest.is_empty().then(|| ids.iter().map(|id| UserId::from_bytes(*id)).collect())
    }

    fn assigned(&self) -> Option<AccessEvent> {
        let to = match self.text("party")? {
            None => None,
            Some(_) => Some(Assignment {
                party: self.parsed("party")?,
                role: self.parsed("role")?,
                descriptor: self.text("descriptor")?.map(str::parse).transpose().ok()?,
            }),
        };
        let user_id = UserId::from_bytes(self.bytes("user_id")?.try_into().ok()?);
        Some(AccessEvent::Assigned { user_id, to, from: self.time("at")? })
    }

    fn notified(&self, kind: NoticeKind) -> Option<AccessEvent> {
        let notice = Notice {
            kind,
            by: self.parsed("party")?,
            with: self.parsed("other_party")?,
            own: self.ids("user_ids")?,
            other: self.ids("other_user_ids")?,
            at: self.time("at")?,
            sro: self.officer(),
        };
        Some(AccessEvent::Notified { id: self.parsed("notification_id")?, notice })
    }

    fn unread(&self, letter: EventId) -> Option<AccessEvent> {
        let kind = self.text("reason")??;
        let party = |name| self.optional::<Party>(name);
        let unread = Unread {
            kind: UnreadKind::ALL.into_iter().find(|known| known.name() == kind)?,
            place: self.text("descriptor")??.to_owned(),
            notice: self.optional("notification_id")?,
            by: party("party")?,
            with: party("other_party")?,
            user_ids: self.ids("user_ids")?,
        };
        Some(AccessEvent::Unread { letter, unread, at: self.time("at")? })
    }

    fn settled(&self, letter: EventId) -> Option<AccessEvent> {
        let what = self.optional("notification_id")?.map_or(Cause::Letter(letter), Cause::Notice);
        Some(AccessEvent::Settled { what, at: self.time("at")?, because: self.optional("reason")? })
    }

    fn officer(&self) -> Option<Sro> {
        let text = |name| self.text(name)?.map(str::to_owned);
        Some(Sro {
            name: text("officer_name")?,
            telephone: text("officer_telephone")?,
            email: text("officer_email")?,
            signature: text("officer_signature")?,
        })
    }
}

/// The event in one row of a batch; `None` where it cannot be read.
pub(crate) fn record(batch: &RecordBatch, row: usize) -> Option<AccessRecord> {
    let cells = Cells { batch, row };
    let (id, at) = (|| cells.parsed("notification_id"), cells.time("at")?);
    let event_id: EventId = cells.parsed("event_id")?;
    let event = match cells.text("kind")?? {
        ASSIGNED => cells.assigned()?,
        GRANT => cells.notified(NoticeKind::Grant)?,
        RESCIND => cells.notified(NoticeKind::Rescind)?,
        CONFIRMED => AccessEvent::Confirmed { id: id()?, at },
        REJECTED => AccessEvent::Rejected { id: id()?, at, reason: cells.parsed("reason")? },
        UNREAD => cells.unread(event_id.clone())?,
        SETTLED => cells.settled(event_id.clone())?,
        _ => return None,
    };
    Some(AccessRecord { id: event_id, recorded_at: cells.time("recorded_at")?, event })
}

/// The events in a file, in its order.
pub(crate) fn read(bytes: Bytes, path: &str) -> Result<Vec<AccessRecord>, RunsError> {
    let mut records = Vec::new();
    for batch in batches(bytes, path)? {
        let batch = batch?;
        for row in 0..batch.num_rows() {
            // Nothing of the row is told: it may hold a person's data.
            let why = || format!("event of access {} cannot be read", records.len());
            let read = record(&batch, row);
            records.push(read.ok_or_else(|| RunsError::Corrupt { path: path.to_owned(), why: why() })?);
        }
    }
    Ok(records)
}

/// A file of events.
pub(crate) fn write(records: &[AccessRecord]) -> Result<Encoded, RunsError> {
    Encoded::of(&TABLE, std::iter::once(batch(records)))
}

/// The order of the table, each event once.
pub(crate) fn sorted(mut records: Vec<AccessRecord>) -> Vec<AccessRecord> {
    records.sort_unstable_by(|a, b| (a.recorded_at, a).cmp(&(b.recorded_at, b)));
    records.dedup();
    records
}

/// The Parquet settings of a file of events.
fn layout() -> WriterProperties {
    WriterProperties::builder().set_compression(run::zstd()).build()
}

/// Counts the rows of a file that is written batch by batch.
#[derive(Debug, Default)]
pub(crate) struct AccessSummary {
    rows: u64,
}

impl Summary for AccessSummary {
    fn add(&mut self, batch: &RecordBatch) -> Result<(), RunsError> {
        self.rows += batch.num_rows() as u64;
        Ok(())
    }

    fn file(self, path: String, written: Written) -> Result<NewFile, RunsError> {
        Ok(NewFile { path, written, month: None, rows: self.rows, tag: "{}".to_owned(), bounds: Vec::new() })
    }
}

/// Follows the events of access, and folds them.
#[derive(Debug)]
pub struct SharingReader {
    site: Site,
    table: Table,
    /// The files that are folded, of those that are named.
    folded: HashSet<String>,
    sharing: Arc<Sharing>,
    /// Whether there is something that no refresh has told of.
    changed: bool,
}

impl SharingReader {
    /// Of a table, as far as it is now. Errors: `Unavailable`, `Corrupt`.
    pub(crate) async fn new(site: Site, table: Table) -> Result<Self, LakeError> {
        let mut reader = Self { site, table, folded: HashSet::new(), sharing: Arc::default(), changed: true };
        reader.refresh().await?;
        Ok(reader)
    }

    /// Who shares with whom, as of the last refresh.
    pub fn current(&self) -> Arc<Sharing> {
        Arc::clone(&self.sharing)
    }

    /// Takes in what was committed since, by any process; whether there was something. Costs one request when there was not.
    ///
    /// Errors: `Unavailable`, `Corrupt`; what was taken in by then stays, and the next refresh goes on from there.
    pub async fn refresh(&mut self) -> Result<bool, LakeError> {
        self.table.refresh().await?;
        let files = self.table.files().into_iter().filter(|file| !self.folded.contains(&file.path));
        let (site, table) = (&self.site, &self.table);
        let fetch = |file: Arc<TableFile>| async move { (site.read_file(table, &file).await, file) };
        let mut fetching = stream::iter(files.collect::<Vec<_>>()).map(fetch).buffered(LOG_READS_AT_ONCE);
        while let Some((fetched, file)) = fetching.next().await {
            let (path, bytes) = fetched?;
            let records = read(bytes, path.as_ref())?;
            let sharing = Arc::make_mut(&mut self.sharing);
            records.into_iter().for_each(|record| sharing.take(record.event));
            self.folded.insert(file.path.clone());
            self.changed = true;
        }
        drop(fetching);
        self.folded.retain(|path| self.table.names(path));
        // What came before an entry that is not ours counts, and is not all.
        self.table.check_whole()?;
        Ok(std::mem::take(&mut self.changed))
    }
}

#[cfg(test)]
mod tests;
