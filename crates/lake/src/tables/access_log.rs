//! The access log: who asked for what, in chains of hashes.
//!
//! A side table of the run machinery, by month. One row is one row of a chain, in columns that every engine reads; rows are ordered by
//! time, and of a chain by place. Rows of one place are all kept, be they equal: none is to be there twice, and `verify` tells where one is.
//! The table counts the last row of each chain, in the commit that adds it, so that a repeat adds nothing, and rows that
//! somebody takes away from the end of a chain are missed.
//!
//! [`Appender`] adds rows for a server, [`LogReader`] reads them for operators, [`Lake::own_calls`](crate::Lake::own_calls) for whoever asked,
//! `verify` audits them, and housekeeping gathers files and lets go what is too old.

mod append;
mod keep;
mod own;
mod read;

pub use append::Appender;
pub(crate) use keep::{kept_from, raise_months};
pub(crate) use own::LOOKED_AT_MAX;
pub use own::{CallsFrom, OwnCalls};
pub use read::LogReader;
pub(crate) use read::merged;

use crate::error::LakeError;
use crate::kept_for::KeptFor;
use crate::kept_for::{self, Went};
use crate::limits::ROW_GROUP_ROWS;
use crate::month::Month;
use crate::rows::rule::corrupt;
use crate::rows::run;
use crate::tables::check::FileCheck;
use crate::tables::table::{Expiry, Gathering, LakeTable};
use arrow::array::{
    Array, ArrayRef, AsArray, BinaryBuilder, BooleanArray, Int64Array, RecordBatch, StringArray,
    StringBuilder, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef, TimeUnit, TimestampMicrosecondType};
use async_trait::async_trait;
use deltalake_core::Path;
use gridtrail_access_log::{Entry, HEADS_MAX, Head, Row, RowKind};
use gridtrail_model::Timestamp;
use gridtrail_runs::checksum::Written;
use gridtrail_runs::{
    Changes, Definition, Encoded, Kept, MergeKey, MergeRule, NewFile, RunsError, Scan, Summary, Table,
    TableFile,
};
use parquet::file::properties::WriterProperties;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::sync::{Arc, LazyLock};
use uuid::Uuid;

/// The name of the table.
pub(crate) const NAME: &str = "access_log";

/// How the positions begin that count the rows of chains.
const COUNTED: &str = "chain/";

/// How the marks begin that say up to which row those of a chain were let go.
const GONE: &str = "gone/";

/// The columns of the table: the sort key first.
pub(crate) static ACCESS_LOG: LazyLock<SchemaRef> = LazyLock::new(|| {
    let time = || DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let text = |name: &str, nullable| Field::new(name, DataType::Utf8, nullable);
    Arc::new(Schema::new(vec![
        Field::new("at", time(), false),
        text("chain", false),
        Field::new("seq", DataType::Int64, false),
        // start, call, trimmed or end.
        text("kind", false),
        text("call", false),
        text("outcome", false),
        text("reason", true),
        Field::new("times", DataType::Int64, false),
        text("subject", true),
        text("party", true),
        text("session", true),
        text("roles", true),
        text("key_kind", true),
        text("key", true),
        text("variants", true),
        Field::new("period_from", time(), true),
        Field::new("period_to", time(), true),
        Field::new("rows", DataType::Int64, true),
        Field::new("rows_of_others", DataType::Int64, true),
        text("version", true),
        Field::new("page_size", DataType::Int64, true),
        Field::new("later_page", DataType::Boolean, true),
        text("peer", true),
        Field::new("took_us", DataType::Int64, true),
        text("detail", true),
        Field::new("hash", DataType::Binary, false),
    ]))
});

static TABLE: Definition = Definition {
    name: NAME,
    schema: &ACCESS_LOG,
    by_month: true,
    format: 2,
    needs: &[],
    keys: &[],
    layout,
    note: None,
    made_with: kept_for::made_with,
};

/// The table of the access log.
pub(crate) struct AccessLogTable;

#[async_trait]
impl LakeTable for AccessLogTable {
    fn definition(&self) -> &'static Definition {
        &TABLE
    }

    fn kept_for(&self) -> KeptFor {
        KeptFor::Months
    }

    async fn check(&self, file: &mut FileCheck<'_>) -> Result<(), RunsError> {
        check(file).await
    }

    async fn expire(&self, of: &mut Expiry<'_>) -> Result<Went, LakeError> {
        Ok(keep::expire(of).await?)
    }

    async fn gather(&self, of: &Gathering<'_>) -> Result<Option<Changes>, RunsError> {
        let rows = |file: &TableFile| LogSummary::of(file).map_or(file.size, |summary| summary.rows);
        let summary = |month: Option<&str>| LogSummary::of_month(month.unwrap_or_default().to_owned());
        of.by_size(rows, LogRule, summary, |_, batch| Ok(batch)).await
    }
}

/// Rows of the access log: by time, and of a chain by place. All are kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LogRule;

impl MergeRule for LogRule {
    /// No row is made of others.
    type Row = Infallible;

    fn keys(&self, batch: &RecordBatch, path: &str) -> Result<Vec<MergeKey>, RunsError> {
        let columns = Columns::of(batch).ok_or_else(corrupt(path))?;
        let key = |row| {
            let head = columns.head(row)?;
            let (place, seq) = self::place(head.at.millis(), head.chain, head.seq);
            Some(MergeKey(Some(place), seq))
        };
        (0..batch.num_rows()).map(key).collect::<Option<_>>().ok_or_else(corrupt(path))
    }

    fn merge(&self, rows: &[RecordBatch], path: &str) -> Result<Vec<Kept<Infallible>>, RunsError> {
        let chain = |(at, row): (usize, &RecordBatch)| Some((Columns::of(row)?.head(0)?.chain, at));
        let chains = rows.iter().enumerate().map(chain).collect::<Option<Vec<_>>>();
        let mut chains = chains.ok_or_else(corrupt(path))?;
        chains.sort_unstable();
        Ok(chains.into_iter().map(|(_, at)| Kept::Same(at)).collect())
    }

    fn encode(&self, rows: &[Infallible]) -> Result<RecordBatch, RunsError> {
        match rows.first() {
            None => batch(&[]),
            Some(never) => match *never {},
        }
    }
}

/// Reads the rows of a file of the access log, counts them, and gathers what they say of others.
async fn check(of: &mut FileCheck<'_>) -> Result<(), RunsError> {
    let FileCheck { cache, table, file, path, rows, witnesses, .. } = of;
    let month = month_of(file);
    let mut scan = Scan::new(cache.clone(), cache.open(table, (file, path), None).await?);
    let (mut count, mut last) = (0, None);
    while let Some(batch) = scan.next().await? {
        for row in self::rows(&batch, path.as_ref())? {
            let place = self::place(row.entry.at.millis(), row.chain, row.seq);
            if last.is_some_and(|last| place < last) {
                return Err(damaged(path, "its rows of the access log are not in order"));
            }
            if month != Some(Month::of(row.entry.at)) {
                return Err(damaged(path, "a row of the access log lies in another month than its own"));
            }
            witnesses.take(&row);
            (count, last) = (count + 1, Some(place));
        }
    }
    match LogSummary::of(file) {
        Some(summary) if summary.rows != count => {
            let said = summary.rows;
            Err(damaged(path, format!("it has {count} rows, and its log says {said}")))
        }
        // Files of others say nothing: what they did to the chains is told by those.
        _ => {
            *rows = count;
            Ok(())
        }
    }
}

fn damaged(path: &Path, why: impl Into<String>) -> RunsError {
    RunsError::Corrupt { path: path.to_string(), why: why.into() }
}

/// The place of a row in the order of the table, as far as a merge compares it. Of a chain's id the beginning, which is all but unique.
pub(crate) fn place(at_ms: i64, chain: Uuid, seq: u64) -> (u128, u64) {
    let at = at_ms.cast_unsigned() ^ (1 << 63);
    let (chain, _) = chain.as_u64_pair();
    (u128::from(at) << 64 | u128::from(chain), seq)
}

fn place_of(row: &Row) -> ((u128, u64), Uuid) {
    (place(row.entry.at.millis(), row.chain, row.seq), row.chain)
}

/// The position that counts the rows of a chain.
fn counted(chain: Uuid) -> String {
    format!("{COUNTED}{chain}")
}

/// The mark that says up to which row those of a chain were let go.
fn gone_mark(chain: Uuid) -> String {
    format!("{GONE}{chain}")
}

/// The last row of each chain that the table ever counted.
pub(crate) fn all_counted(table: &Table) -> BTreeMap<Uuid, u64> {
    of_chains(table, COUNTED)
}

/// The last row of each chain that was let go, as the table counted them.
pub(crate) fn all_gone(table: &Table) -> BTreeMap<Uuid, u64> {
    of_chains(table, GONE)
}

fn of_chains(table: &Table, prefix: &str) -> BTreeMap<Uuid, u64> {
    let numbers = table.positions().numbers_starting_with(prefix);
    numbers
        .filter_map(|(name, seq)| Some((name.strip_prefix(prefix)?.parse().ok()?, seq.try_into().ok()?)))
        .collect()
}

/// The month that a file lies in.
pub(crate) fn month_of(file: &TableFile) -> Option<Month> {
    file.month.as_deref()?.parse().ok()
}

/// What a commit says of a file.
#[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize)]
pub(crate) struct LogSummary {
    pub(crate) rows: u64,
    pub(crate) min_at_ms: i64,
    pub(crate) max_at_ms: i64,
    /// The last row of each chain in the file: of the newest chains.
    pub(crate) heads: Vec<Head>,
    #[serde(skip)]
    month: String,
    #[serde(skip)]
    last: HashMap<Uuid, Head>,
}

impl LogSummary {
    /// Of a file of a month that is about to be written.
    pub(crate) fn of_month(month: String) -> Self {
        Self { month, min_at_ms: i64::MAX, max_at_ms: i64::MIN, ..Self::default() }
    }

    /// What the log says of a file; `None` where it says nothing.
    pub(crate) fn of(file: &TableFile) -> Option<Self> {
        serde_json::from_str(file.tag.as_deref()?).ok()
    }

    fn see(&mut self, head: Head) {
        self.rows += 1;
        self.min_at_ms = self.min_at_ms.min(head.at.millis());
        self.max_at_ms = self.max_at_ms.max(head.at.millis());
        let known = self.last.entry(head.chain).or_insert(head);
        if known.seq <= head.seq {
            *known = head;
        }
    }
}

impl Summary for LogSummary {
    fn add(&mut self, batch: &RecordBatch) -> Result<(), RunsError> {
        let columns =
            Columns::of(batch).ok_or(RunsError::Internal("rows of the access log lack a column"))?;
        for row in 0..batch.num_rows() {
            let head =
                columns.head(row).ok_or(RunsError::Internal("a row of the access log cannot be read"))?;
            self.see(head);
        }
        Ok(())
    }

    fn file(mut self, path: String, written: Written) -> Result<NewFile, RunsError> {
        self.heads = newest(std::mem::take(&mut self.last).into_values());
        let failed = |_| RunsError::Internal("what is said of a file of the access log could not be encoded");
        let tag = serde_json::to_string(&self).map_err(failed)?;
        Ok(NewFile { path, written, month: Some(self.month), rows: self.rows, tag, bounds: Vec::new() })
    }
}

/// The newest heads, one a chain: as many as are witnessed.
pub(crate) fn newest(heads: impl Iterator<Item = Head>) -> Vec<Head> {
    let mut last: HashMap<Uuid, Head> = HashMap::new();
    for head in heads {
        let known = last.entry(head.chain).or_insert(head);
        if known.seq < head.seq {
            *known = head;
        }
    }
    let mut heads: Vec<Head> = last.into_values().collect();
    heads.sort_unstable_by_key(|head| std::cmp::Reverse((head.at, head.chain)));
    heads.truncate(HEADS_MAX);
    heads
}

/// The newest heads of the files of a table.
fn heads_of<'a>(files: impl Iterator<Item = &'a Arc<TableFile>>) -> Vec<Head> {
    newest(files.filter_map(|file| LogSummary::of(file)).flat_map(|summary| summary.heads))
}

/// A file of rows of one month, uploaded.
async fn upload(table: &Table, month: Month, mut rows: Vec<Row>) -> Result<NewFile, RunsError> {
    let encode = move || {
        rows.sort_unstable_by_key(place_of);
        let mut summary = LogSummary::of_month(month.to_string());
        rows.iter().map(Head::of).for_each(|head| summary.see(head));
        Ok((write(&rows)?, summary))
    };
    let encoded = tokio::task::spawn_blocking(encode).await;
    let (encoded, summary) =
        encoded.map_err(|_| RunsError::Internal("encoding the access log panicked"))??;
    let path = table.definition().new_path(Some(&month.to_string()));
    let written = table.upload_encoded(&path, encoded).await?;
    summary.file(path, written)
}

/// Columns of rows, in their order.
pub(crate) fn batch(rows: &[Row]) -> Result<RecordBatch, RunsError> {
    let texts = |of: &dyn Fn(&Row) -> Option<&str>| -> ArrayRef {
        Arc::new(rows.iter().map(of).collect::<StringArray>())
    };
    let numbers = |of: &dyn Fn(&Row) -> Option<u64>| -> ArrayRef {
        Arc::new(rows.iter().map(|row| of(row).map(u64::cast_signed)).collect::<Int64Array>())
    };
    let times = |of: &dyn Fn(&Row) -> Option<Timestamp>| -> ArrayRef {
        let micros = rows.iter().map(|row| of(row).map(|time| time.millis() * 1_000));
        Arc::new(micros.collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
    };
    let (mut chains, mut hashes) = (StringBuilder::new(), BinaryBuilder::new());
    for row in rows {
        chains.append_value(row.chain.to_string());
        hashes.append_value(row.hash);
    }
    let columns: Vec<ArrayRef> = vec![
        times(&|row| Some(row.entry.at)),
        Arc::new(chains.finish()),
        numbers(&|row| Some(row.seq)),
        texts(&|row| Some(row.kind.name())),
        texts(&|row| Some(&row.entry.call)),
        texts(&|row| Some(&row.entry.outcome)),
        texts(&|row| row.entry.reason.as_deref()),
        numbers(&|row| Some(row.entry.times)),
        texts(&|row| row.entry.subject.as_deref()),
        texts(&|row| row.entry.party.as_deref()),
        texts(&|row| row.entry.session.as_deref()),
        texts(&|row| row.entry.roles.as_deref()),
        texts(&|row| row.entry.key_kind.as_deref()),
        texts(&|row| row.entry.key.as_deref()),
        texts(&|row| row.entry.variants.as_deref()),
        times(&|row| row.entry.from),
        times(&|row| row.entry.to),
        numbers(&|row| row.entry.rows),
        numbers(&|row| row.entry.rows_of_others),
        texts(&|row| row.entry.version.as_deref()),
        numbers(&|row| row.entry.page_size),
        Arc::new(rows.iter().map(|row| row.entry.later_page).collect::<BooleanArray>()),
        texts(&|row| row.entry.peer.as_deref()),
        numbers(&|row| row.entry.took_us),
        texts(&|row| row.entry.detail.as_deref()),
        Arc::new(hashes.finish()),
    ];
    RecordBatch::try_new(Arc::clone(&ACCESS_LOG), columns)
        .map_err(|_| RunsError::Internal("columns of the access log do not fit their schema"))
}

fn write(rows: &[Row]) -> Result<Encoded, RunsError> {
    Encoded::of(&TABLE, std::iter::once(batch(rows)))
}

/// The Parquet settings of a file.
fn layout() -> WriterProperties {
    WriterProperties::builder()
        .set_compression(run::zstd())
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .build()
}

/// The columns of a batch that is read.
pub(crate) struct Columns<'a> {
    columns: HashMap<&'static str, &'a ArrayRef>,
}

impl<'a> Columns<'a> {
    /// `None`: one is missing.
    pub(crate) fn of(batch: &'a RecordBatch) -> Option<Self> {
        let column = |field: &'static Arc<Field>| {
            let name = field.name().as_str();
            Some((name, batch.column_by_name(name)?))
        };
        let fields: &'static SchemaRef = &ACCESS_LOG;
        Some(Self { columns: fields.fields().iter().map(column).collect::<Option<_>>()? })
    }

    fn text(&self, name: &str, row: usize) -> Option<Option<&'a str>> {
        let texts = self.columns.get(name)?.as_string_opt::<i32>()?;
        Some(texts.is_valid(row).then(|| texts.value(row)))
    }

    fn owned(&self, name: &str, row: usize) -> Option<Option<String>> {
        Some(self.text(name, row)?.map(str::to_owned))
    }

    fn number(&self, name: &str, row: usize) -> Option<Option<u64>> {
        let numbers = self.columns.get(name)?.as_primitive_opt::<Int64Type>()?;
        let number = numbers.is_valid(row).then(|| u64::try_from(numbers.value(row)));
        number.transpose().ok()
    }

    fn time(&self, name: &str, row: usize) -> Option<Option<Timestamp>> {
        let times = self.columns.get(name)?.as_primitive_opt::<TimestampMicrosecondType>()?;
        if times.is_null(row) {
            return Some(None);
        }
        // What is hashed has milliseconds, so nothing may hide behind them.
        let micros = times.value(row);
        let millis = (micros.rem_euclid(1_000) == 0).then(|| micros.div_euclid(1_000))?;
        Some(Some(Timestamp::from_millis(millis)?))
    }

    fn chain(&self, row: usize) -> Option<Uuid> {
        let text = self.text("chain", row)??;
        // One spelling: a UUID has several.
        text.parse::<Uuid>().ok().filter(|chain| chain.to_string() == text)
    }

    fn hash(&self, row: usize) -> Option<[u8; 32]> {
        let hashes = self.columns.get("hash")?.as_binary_opt::<i32>()?;
        hashes.is_valid(row).then(|| hashes.value(row).try_into().ok())?
    }

    /// The end of its chain, as far as a row knows. `None`: it cannot be read.
    pub(crate) fn head(&self, row: usize) -> Option<Head> {
        let (seq, at) = (self.number("seq", row)??, self.time("at", row)??);
        Some(Head { chain: self.chain(row)?, seq, hash: self.hash(row)?, at })
    }

    /// A row. `None`: it cannot be read.
    pub(crate) fn row(&self, row: usize) -> Option<Row> {
        let name = |name: &str| Some(self.owned(name, row)?.map(Cow::Owned));
        let flags = self.columns.get("later_page")?.as_boolean_opt()?;
        let entry = Entry {
            at: self.time("at", row)??,
            call: name("call")??,
            outcome: name("outcome")??,
            reason: name("reason")?,
            times: self.number("times", row)??,
            subject: self.owned("subject", row)?,
            party: self.owned("party", row)?,
            session: self.owned("session", row)?,
            roles: self.owned("roles", row)?,
            key_kind: name("key_kind")?,
            key: self.owned("key", row)?,
            variants: self.owned("variants", row)?,
            from: self.time("period_from", row)?,
            to: self.time("period_to", row)?,
            rows: self.number("rows", row)?,
            rows_of_others: self.number("rows_of_others", row)?,
            version: self.owned("version", row)?,
            page_size: self.number("page_size", row)?,
            later_page: flags.is_valid(row).then(|| flags.value(row)),
            peer: self.owned("peer", row)?,
            took_us: self.number("took_us", row)?,
            detail: self.owned("detail", row)?,
        };
        let kind: RowKind = self.text("kind", row)??.parse().ok()?;
        Some(Row {
            chain: self.chain(row)?,
            seq: self.number("seq", row)??,
            kind,
            entry,
            hash: self.hash(row)?,
        })
    }
}

/// The rows of a batch. Errors: `Corrupt`.
pub(crate) fn rows(batch: &RecordBatch, path: &str) -> Result<Vec<Row>, RunsError> {
    let corrupt = || RunsError::Corrupt {
        path: path.to_owned(),
        why: "a row of the access log cannot be read".to_owned(),
    };
    let columns = Columns::of(batch).ok_or_else(corrupt)?;
    (0..batch.num_rows()).map(|row| columns.row(row).ok_or_else(corrupt)).collect()
}

#[cfg(test)]
mod tests;
