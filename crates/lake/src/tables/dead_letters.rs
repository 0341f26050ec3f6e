//! Dead letters: what could not be read, kept as it came, with its reason and position.
//!
//! The table holds what was put aside; what became of it since stands in the evidence of the main table, which alone
//! counts. A letter that no evidence names was written by a batch that came to nothing: its record was read otherwise
//! afterwards, or is about to be read.

mod keep;

use crate::error::LakeError;
use crate::kept_for;
use crate::kept_for::KeptFor;
use crate::kept_for::Went;
use crate::rows::run;
use crate::site::Site;
use crate::tables::check::FileCheck;
use crate::tables::side_files::{batches, by_name};
use crate::tables::table::{Expiry, Gathering, LakeTable};
use arrow::array::{
    Array, ArrayRef, AsArray, BinaryBuilder, Int64Builder, RecordBatch, StringBuilder,
    TimestampMicrosecondBuilder,
};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef, TimeUnit, TimestampMicrosecondType};
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use gridtrail_model::Timestamp;
use gridtrail_runs::{Changes, Definition, Encoded, RunsError, Table, TableFile};
use parquet::file::properties::WriterProperties;
use serde::{Deserialize, Serialize};
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
    /// The record, byte for byte; its beginning, where it was cut.
    pub raw: Bytes,
    /// What was cut off: [`Extent::Whole`] for nothing.
    pub extent: Extent,
    /// The record's key in its topic.
    pub key: Option<Bytes>,
    /// The record's headers in its topic, in order.
    pub headers: Vec<(String, Bytes)>,
    /// When it was put aside.
    pub read_at: Timestamp,
}

impl DeadLetter {
    /// Bytes that it takes in memory, about.
    fn size(&self) -> u64 {
        let texts = [&self.source, &self.source_name, &self.reason].map(String::len).iter().sum::<usize>();
        let headers = self.headers.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
        let key = self.key.as_ref().map_or(0, Bytes::len);
        (size_of::<Self>() + texts + headers + key + self.raw.len()) as u64
    }
}

/// How much of its record a dead letter holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Extent {
    /// All of it.
    #[default]
    Whole,
    /// Its beginning: the record is longer than a message may be.
    Cut {
        /// The length of the record, in bytes.
        bytes: u64,
        /// The SHA-256 of the record, in hexadecimal: by it the whole record is known where it still is.
        sha256: String,
    },
    /// Nobody knows: an earlier version wrote it, at a length at which that version cut records without saying so.
    Unsaid,
}

/// The lengths at which earlier versions cut records.
const EARLIER_CUTS: [usize; 2] = [64 << 10, 1 << 20];

/// Reads dead letters, oldest file first.
#[derive(Debug)]
pub struct LetterReader {
    site: Site,
    table: Table,
    /// The next is the last.
    files: Vec<Arc<TableFile>>,
}

impl LetterReader {
    /// Of all that a table holds now. Errors: `Unavailable`.
    pub(crate) async fn new(site: Site, mut table: Table) -> Result<Self, LakeError> {
        table.refresh().await?;
        table.check_whole()?;
        let files = by_name(&table).into_iter().rev().collect();
        Ok(Self { site, table, files })
    }

    /// Whether nothing is left to read.
    pub const fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// The letters of the next file; `None` after the last. Errors: `Unavailable`, `Corrupt`.
    pub async fn next(&mut self) -> Result<Option<Vec<DeadLetter>>, LakeError> {
        let Some(file) = self.files.pop() else { return Ok(None) };
        let (path, bytes) = self.site.read_file(&self.table, &file).await?;
        Ok(Some(read(bytes, path.as_ref())?))
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

/// Raw bytes of letters in one row group and in one file, at most, but for the last letter of each: a reader holds a file.
const FILE_BYTES: usize = 64 << 20;

/// Raw bytes of letters that are encoded at once, at most, but for the last letter: pages close between them.
const PAGE_BYTES: usize = 1 << 20;

/// The columns of the table. Files of earlier versions lack the last ones.
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
        Field::new("record_bytes", DataType::Int64, true),
        Field::new("record_sha256", DataType::Utf8, true),
    ]))
});

static TABLE: Definition = Definition {
    name: "dead_letters",
    schema: &DEAD_LETTERS,
    by_month: false,
    format: 2,
    needs: &[],
    keys: &[],
    layout,
    note: None,
    made_with: kept_for::made_with,
};

/// The table of dead letters.
pub(crate) struct DeadLetters;

#[async_trait]
impl LakeTable for DeadLetters {
    fn definition(&self) -> &'static Definition {
        &TABLE
    }

    fn kept_for(&self) -> KeptFor {
        KeptFor::Needed
    }

    async fn check(&self, file: &mut FileCheck<'_>) -> Result<(), RunsError> {
        file.whole(read).await.map(drop)
    }

    async fn expire(&self, of: &mut Expiry<'_>) -> Result<Went, LakeError> {
        keep::expire(of).await
    }

    async fn gather(&self, of: &Gathering<'_>) -> Result<Option<Changes>, RunsError> {
        keep::gather(of).await
    }
}

/// What the log says of a file of dead letters.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Tag {
    /// Bytes that its letters take in memory, about.
    bytes: u64,
    /// When the oldest of its letters was put aside, milliseconds since the epoch.
    oldest_ms: i64,
}

/// What is said of a file. Of those of earlier versions nothing is.
fn tag_of(file: &TableFile) -> Option<Tag> {
    serde_json::from_str(file.tag.as_deref()?).ok()
}

/// The dead letters in one file.
pub(crate) fn read(bytes: Bytes, path: &str) -> Result<Vec<DeadLetter>, RunsError> {
    let corrupt = |why: &str| RunsError::Corrupt { path: path.to_owned(), why: why.to_owned() };
    let mut letters = Vec::new();
    for batch in batches(bytes, path)? {
        let batch = batch?;
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
    /// Length and hash of what was cut; `None` in files of versions that did not say.
    cut: Option<(&'a arrow::array::Int64Array, &'a arrow::array::StringArray)>,
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
            cut: batch
                .column_by_name("record_bytes")
                .and_then(|bytes| bytes.as_primitive_opt::<Int64Type>())
                .zip(text("record_sha256")),
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
            extent: self.extent(row)?,
            key: key.map(Bytes::copy_from_slice),
            headers: headers.map_or(Some(Vec::new()), headers_from)?,
            read_at: Timestamp::from_millis(self.times.value(row) / 1_000)?,
        })
    }
}

impl Columns<'_> {
    /// `None`: the length that it tells is none.
    fn extent(&self, row: usize) -> Option<Extent> {
        let Some((bytes, sha256)) = self.cut else {
            let unsaid = EARLIER_CUTS.contains(&self.raws.value(row).len());
            return Some(if unsaid { Extent::Unsaid } else { Extent::Whole });
        };
        if bytes.is_null(row) {
            return Some(Extent::Whole);
        }
        let sha256 = sha256.value(row).to_owned();
        Some(Extent::Cut { bytes: u64::try_from(bytes.value(row)).ok()?, sha256 })
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

/// Letters in parts that are no larger than a file may be; each letter is in one.
pub(crate) fn by_file<'a>(letters: &'a [&'a DeadLetter]) -> impl Iterator<Item = &'a [&'a DeadLetter]> {
    parts(letters, FILE_BYTES)
}

/// Letters in parts that close once they hold so many bytes.
fn parts<'a>(mut letters: &'a [&'a DeadLetter], bytes: usize) -> impl Iterator<Item = &'a [&'a DeadLetter]> {
    std::iter::from_fn(move || {
        let mut held = 0;
        let full = |letter: &&DeadLetter| {
            held += letter.raw.len();
            held >= bytes
        };
        let end = letters.iter().position(full).map_or(letters.len(), |last| last + 1);
        let (part, rest) = letters.split_at(end);
        letters = rest;
        (!part.is_empty()).then_some(part)
    })
}

/// A file of dead letters, with its rows and its tag. Memory: its raw bytes a few times.
pub(crate) fn write(letters: &[&DeadLetter]) -> Result<(Encoded, u64, String), RunsError> {
    let bytes = letters.iter().map(|letter| letter.size()).sum();
    let oldest_ms = letters.iter().map(|letter| letter.read_at.millis()).min().unwrap_or(i64::MAX);
    // Two numbers: writing them cannot fail.
    let tag = serde_json::to_string(&Tag { bytes, oldest_ms }).unwrap_or_default();
    let encoded = Encoded::of(&TABLE, parts(letters, PAGE_BYTES).map(encoded))?;
    Ok((encoded, letters.len() as u64, tag))
}

/// The Parquet settings of a file of dead letters.
fn layout() -> WriterProperties {
    WriterProperties::builder()
        .set_compression(run::zstd())
        // No two records that cannot be read are expected to be the same, and a dictionary is one more page.
        .set_column_dictionary_enabled("raw".into(), false)
        .set_column_dictionary_enabled("record_key".into(), false)
        .build()
}

fn encoded(letters: &[&DeadLetter]) -> Result<RecordBatch, RunsError> {
    let (mut sources, mut names, mut reasons) =
        (StringBuilder::new(), StringBuilder::new(), StringBuilder::new());
    let (mut positions, mut raws) = (Int64Builder::new(), BinaryBuilder::new());
    let (mut keys, mut headers) = (BinaryBuilder::new(), StringBuilder::new());
    let (mut lengths, mut hashes) = (Int64Builder::new(), StringBuilder::new());
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
        let (length, hash) = match &letter.extent {
            Extent::Cut { bytes, sha256 } => (Some(i64::try_from(*bytes).unwrap_or(i64::MAX)), Some(sha256)),
            Extent::Whole | Extent::Unsaid => (None, None),
        };
        lengths.append_option(length);
        hashes.append_option(hash);
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
        Arc::new(lengths.finish()),
        Arc::new(hashes.finish()),
    ];
    RecordBatch::try_new(Arc::clone(&DEAD_LETTERS), columns)
        .map_err(|_| RunsError::Internal("columns of a file of dead letters do not fit its schema"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use parquet::file::reader::{FileReader as _, SerializedFileReader};
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
            (read_at, cut) in (0i64..4_000_000_000_000, prop::option::of((0u64..1 << 40, ".{0,9}"))),
        ) -> DeadLetter {
            let read_at = Timestamp::from_millis(read_at).unwrap();
            let extent = cut.map_or(Extent::Whole, |(bytes, sha256)| Extent::Cut { bytes, sha256 });
            DeadLetter { source, source_name, position, reason, raw, extent, key, headers, read_at }
        }
    }

    proptest! {
        #[test]
        fn a_letter_is_kept_as_it_came(letters in prop::collection::vec(letter(), 1..5)) {
            let written = write(&letters.iter().collect::<Vec<_>>()).unwrap();
            prop_assert_eq!(read(written.0.bytes, "file").unwrap(), letters);
        }
    }

    fn of_length(position: i64, length: usize) -> DeadLetter {
        DeadLetter {
            source: "file:s".into(),
            source_name: "s".into(),
            position,
            reason: "r".into(),
            raw: vec![b'x'; length].into(),
            extent: Extent::Whole,
            key: None,
            headers: Vec::new(),
            read_at: Timestamp::MIN,
        }
    }

    #[test]
    fn files_and_pages_are_bounded_by_bytes() {
        let letters: Vec<_> = (0..9).map(|n| of_length(n, 16 << 20)).collect();
        let letters: Vec<_> = letters.iter().collect();
        let sizes: Vec<_> = by_file(&letters).map(<[_]>::len).collect();
        assert_eq!(sizes, [4, 4, 1]);
        let small: Vec<_> = (0..40).map(|n| of_length(n, 300 << 10)).collect();
        let file = write(&small.iter().collect::<Vec<_>>()).unwrap().0.bytes;
        let found = SerializedFileReader::new(file.clone()).unwrap();
        let pages = found.get_row_group(0).unwrap().get_column_page_reader(4).unwrap();
        let sizes: Vec<usize> = pages.map(|page| page.unwrap().buffer().len()).collect();
        // 12 MB of letters, of which none has a megabyte.
        assert!(sizes.len() >= 5 && sizes.iter().all(|size| *size < 3 * PAGE_BYTES), "{sizes:?}");
        assert_eq!(read(file, "file").unwrap(), small);
    }

    /// A file as earlier versions wrote it: without the columns that say what was cut.
    #[test]
    fn letters_of_earlier_versions_do_not_claim_to_be_whole() {
        let letters = [of_length(1, 64 << 10), of_length(2, (64 << 10) + 1), of_length(3, 1 << 20)];
        let batch = encoded(&letters.iter().collect::<Vec<_>>()).unwrap();
        let earlier = batch.project(&(0..8).collect::<Vec<_>>()).unwrap();
        let mut writer = parquet::arrow::ArrowWriter::try_new(Vec::new(), earlier.schema(), None).unwrap();
        writer.write(&earlier).unwrap();
        let found = read(writer.into_inner().unwrap().into(), "file").unwrap();
        let extents: Vec<_> = found.into_iter().map(|letter| letter.extent).collect();
        assert_eq!(extents, [Extent::Unsaid, Extent::Whole, Extent::Unsaid]);
    }
}
