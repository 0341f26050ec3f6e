//! Dead letters: what could not be read, kept as it came, with its reason and position.
//!
//! The table holds what was put aside; what became of it since stands in the evidence of the main table, which alone
//! counts. A letter that no evidence names was written by a batch that came to nothing: its record was read otherwise
//! afterwards, or is about to be read.

use crate::error::LakeError;
use crate::evidence_log::{Commit, Evidence};
use crate::lake::Lake;
use crate::log::TableFile;
use crate::spans::Spans;
use crate::table::Table;
use arrow::array::{
    Array, ArrayRef, AsArray, BinaryBuilder, Int64Builder, RecordBatch, StringBuilder,
    TimestampMicrosecondBuilder,
};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef, TimeUnit, TimestampMicrosecondType};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use gridtrail_model::Timestamp;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

/// One record that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// The source and partition, as in the commit's evidence.
    pub source: String,
    /// A name of the source that a person knows: the file's path, or `<topic>/<partition>`.
    pub source_name: String,
    /// Where the record starts: the byte in a file, the offset in a topic.
    pub position: i64,
    /// Why it could not be read.
    pub reason: String,
    /// The record, byte for byte, up to a limit.
    pub raw: Bytes,
    /// The record's key in its topic.
    pub key: Option<Bytes>,
    /// The record's headers in its topic, in order.
    pub headers: Vec<(String, Bytes)>,
    /// When it was put aside.
    pub read_at: Timestamp,
}

/// What became of a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fate {
    /// Nothing yet: no search finds what it says.
    Open,
    /// It was read again, and its event is in the lake.
    Replayed,
    /// A person declared that it is no event.
    Dismissed,
}

/// What became of all dead letters, as the evidence has it.
#[derive(Debug, Clone, Default)]
pub struct Fates(BTreeMap<String, OfSource>);

#[derive(Debug, Clone, Default)]
struct OfSource {
    put_aside: Spans,
    replayed: Spans,
    dismissed: Spans,
    expired: Spans,
}

impl Fates {
    /// Takes in the evidence of a commit.
    pub fn take(&mut self, commit: &Commit) {
        for evidence in &commit.sources {
            let Evidence::Whole(evidence) = evidence else { continue };
            if let Some(source) = evidence.letters_of() {
                let of = self.0.entry(source.to_owned()).or_default();
                of.replayed.insert_all(&evidence.replayed_at);
                of.dismissed.insert_all(&evidence.dismissed_at);
                of.expired.insert_all(&evidence.expired_at);
            } else if !evidence.dead_lettered_at.is_empty() {
                let of = self.0.entry(evidence.source.clone()).or_default();
                of.put_aside.insert_all(&evidence.dead_lettered_at);
            }
        }
    }

    /// What became of the letter at a position. `None`: no evidence has one there.
    pub fn of(&self, source: &str, position: i64) -> Option<Fate> {
        let of = self.0.get(source)?;
        if of.replayed.contains(position) {
            Some(Fate::Replayed)
        } else if of.dismissed.contains(position) {
            Some(Fate::Dismissed)
        } else {
            of.put_aside.contains(position).then_some(Fate::Open)
        }
    }

    /// The positions of a source's letters that retention took out of their table.
    pub fn expired(&self, source: &str) -> Spans {
        self.0.get(source).map(|of| of.expired.clone()).unwrap_or_default()
    }

    /// Every source that has or had letters, with the positions of all of them and of those that are open.
    pub fn sources(&self) -> impl Iterator<Item = (&str, &Spans, Spans)> {
        self.0.iter().map(|(source, of)| {
            let open = of.put_aside.without(&of.replayed).without(&of.dismissed);
            (source.as_str(), &of.put_aside, open)
        })
    }
}

impl Lake {
    /// What became of all dead letters so far. Cost and errors: those of [`Lake::evidence`].
    pub async fn letter_fates(&self) -> Result<Fates, LakeError> {
        let mut fates = Fates::default();
        self.evidence(|commit| fates.take(&commit)).await?;
        Ok(fates)
    }

    /// Every dead letter that the table holds now. For operators: raw records are nobody's rows, and no service that a
    /// User reaches calls this. Errors: `Unavailable`.
    pub async fn dead_letters(&self) -> Result<LetterReader, LakeError> {
        let mut table = self.tables().await.dead_letters;
        table.refresh().await?;
        table.check_whole()?;
        let mut files = table.files();
        // Names are ordered by time.
        files.sort_by(|a, b| b.path.cmp(&a.path));
        Ok(LetterReader { lake: self.clone(), table, files })
    }
}

/// Reads dead letters, oldest file first.
#[derive(Debug)]
pub struct LetterReader {
    lake: Lake,
    table: Table,
    /// The next is the last.
    files: Vec<Arc<TableFile>>,
}

impl LetterReader {
    /// The letters of the next file; `None` after the last. Errors: `Unavailable`, `Corrupt`.
    pub async fn next(&mut self) -> Result<Option<Vec<DeadLetter>>, LakeError> {
        let Some(file) = self.files.pop() else { return Ok(None) };
        let (path, bytes) = self.lake.read_file(&self.table, &file).await?;
        read(bytes, path.as_ref()).map(Some)
    }

    /// All that are left, in memory at once.
    pub async fn rest(mut self) -> Result<Vec<DeadLetter>, LakeError> {
        let mut letters = Vec::new();
        while let Some(more) = self.next().await? {
            letters.extend(more);
        }
        Ok(letters)
    }
}

/// The columns of the table. Files of earlier versions lack the last two.
pub(crate) static DEAD_LETTERS: LazyLock<SchemaRef> = LazyLock::new(|| {
    let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    Arc::new(Schema::new(vec![
        Field::new("source", DataType::Utf8, false),
        Field::new("source_name", DataType::Utf8, false),
        Field::new("position", DataType::Int64, false),
        Field::new("reason", DataType::Utf8, false),
        Field::new("raw", DataType::Binary, false),
        Field::new("read_at", time, false),
        Field::new("record_key", DataType::Binary, true),
        Field::new("record_headers", DataType::Utf8, true),
    ]))
});

/// The dead letters in one file.
pub(crate) fn read(bytes: Bytes, path: &str) -> Result<Vec<DeadLetter>, LakeError> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).and_then(|builder| builder.build());
    let corrupt = |why: &str| LakeError::Corrupt { path: path.to_owned(), why: why.to_owned() };
    let mut letters = Vec::new();
    for batch in reader.map_err(LakeError::corrupt(path))? {
        let batch = batch.map_err(|error| corrupt(&error.to_string()))?;
        let columns = Columns::of(&batch).ok_or_else(|| corrupt("a column of dead letters is missing"))?;
        for row in 0..batch.num_rows() {
            letters.push(columns.letter(row).ok_or_else(|| corrupt("a time or header cannot be read"))?);
        }
    }
    Ok(letters)
}

/// The columns of a batch.
struct Columns<'a> {
    sources: &'a arrow::array::StringArray,
    names: &'a arrow::array::StringArray,
    positions: &'a arrow::array::Int64Array,
    reasons: &'a arrow::array::StringArray,
    raws: &'a arrow::array::BinaryArray,
    times: &'a arrow::array::TimestampMicrosecondArray,
    keys: Option<&'a arrow::array::BinaryArray>,
    headers: Option<&'a arrow::array::StringArray>,
}

impl<'a> Columns<'a> {
    fn of(batch: &'a RecordBatch) -> Option<Self> {
        let text = |name: &str| batch.column_by_name(name)?.as_string_opt::<i32>();
        let binary = |name: &str| batch.column_by_name(name)?.as_binary_opt::<i32>();
        Some(Self {
            sources: text("source")?,
            names: text("source_name")?,
            positions: batch.column_by_name("position")?.as_primitive_opt::<Int64Type>()?,
            reasons: text("reason")?,
            raws: binary("raw")?,
            times: batch.column_by_name("read_at")?.as_primitive_opt::<TimestampMicrosecondType>()?,
            keys: binary("record_key"),
            headers: text("record_headers"),
        })
    }

    fn letter(&self, row: usize) -> Option<DeadLetter> {
        let key = self.keys.filter(|keys| keys.is_valid(row)).map(|keys| keys.value(row));
        let headers = self.headers.filter(|headers| headers.is_valid(row)).map(|headers| headers.value(row));
        Some(DeadLetter {
            source: self.sources.value(row).to_owned(),
            source_name: self.names.value(row).to_owned(),
            position: self.positions.value(row),
            reason: self.reasons.value(row).to_owned(),
            raw: Bytes::copy_from_slice(self.raws.value(row)),
            key: key.map(Bytes::copy_from_slice),
            headers: headers.map_or(Some(Vec::new()), headers_from)?,
            read_at: Timestamp::from_millis(self.times.value(row) / 1_000)?,
        })
    }
}

/// Headers as a JSON list of names and values; a value is bytes, so it is written in base64.
fn headers_text(headers: &[(String, Bytes)]) -> Option<String> {
    let encoded: Vec<_> = headers.iter().map(|(name, value)| (name, STANDARD.encode(value))).collect();
    // A list of texts: writing it cannot fail.
    (!headers.is_empty()).then(|| serde_json::to_string(&encoded).unwrap_or_default())
}

fn headers_from(text: &str) -> Option<Vec<(String, Bytes)>> {
    let encoded: Vec<(String, String)> = serde_json::from_str(text).ok()?;
    encoded.into_iter().map(|(name, value)| Some((name, STANDARD.decode(value).ok()?.into()))).collect()
}

/// A file of dead letters.
pub(crate) fn write(letters: &[&DeadLetter]) -> Result<Bytes, LakeError> {
    let failed = |_| LakeError::Internal("a file of dead letters could not be encoded");
    let (mut sources, mut names, mut reasons) =
        (StringBuilder::new(), StringBuilder::new(), StringBuilder::new());
    let (mut positions, mut raws) = (Int64Builder::new(), BinaryBuilder::new());
    let (mut keys, mut headers) = (BinaryBuilder::new(), StringBuilder::new());
    let mut times = TimestampMicrosecondBuilder::new();
    for letter in letters {
        sources.append_value(&letter.source);
        names.append_value(&letter.source_name);
        positions.append_value(letter.position);
        reasons.append_value(&letter.reason);
        raws.append_value(&letter.raw);
        times.append_value(letter.read_at.millis() * 1_000);
        keys.append_option(letter.key.as_deref());
        headers.append_option(headers_text(&letter.headers));
    }
    let columns: Vec<ArrayRef> = vec![
        Arc::new(sources.finish()),
        Arc::new(names.finish()),
        Arc::new(positions.finish()),
        Arc::new(reasons.finish()),
        Arc::new(raws.finish()),
        Arc::new(times.finish().with_timezone("UTC")),
        Arc::new(keys.finish()),
        Arc::new(headers.finish()),
    ];
    let batch = RecordBatch::try_new(Arc::clone(&DEAD_LETTERS), columns)
        .map_err(|_| LakeError::Internal("columns of a file of dead letters do not fit its schema"))?;
    let level = ZstdLevel::try_new(3).map_err(failed)?;
    let properties = WriterProperties::builder().set_compression(Compression::ZSTD(level)).build();
    let mut writer =
        ArrowWriter::try_new(Vec::new(), Arc::clone(&DEAD_LETTERS), Some(properties)).map_err(failed)?;
    writer.write(&batch).map_err(failed)?;
    Ok(writer.into_inner().map_err(failed)?.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes() -> impl Strategy<Value = Bytes> {
        prop::collection::vec(any::<u8>(), 0..40).prop_map(Bytes::from)
    }

    prop_compose! {
        fn letter()(
            (source, source_name, reason) in (".{0,9}", ".{0,9}", ".{0,9}"),
            position in 0i64..,
            (raw, key) in (bytes(), prop::option::of(bytes())),
            headers in prop::collection::vec((".{0,9}", bytes()), 0..3),
            read_at in 0i64..4_000_000_000_000,
        ) -> DeadLetter {
            let read_at = Timestamp::from_millis(read_at).unwrap();
            DeadLetter { source, source_name, position, reason, raw, key, headers, read_at }
        }
    }

    proptest! {
        #[test]
        fn a_letter_is_kept_as_it_came(letters in prop::collection::vec(letter(), 1..5)) {
            let written = write(&letters.iter().collect::<Vec<_>>()).unwrap();
            prop_assert_eq!(read(written, "file").unwrap(), letters);
        }
    }
}
