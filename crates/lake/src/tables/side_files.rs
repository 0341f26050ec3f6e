//! Files of side tables whose rows have no sort key: they are read whole, one after the other, and what reads them relies on the order in
//! which they were committed.
//!
//! That order is that of their names. A new file is named by the time, or just behind the last where a clock is behind; one that takes the
//! place of several is named after the first of them. Only consecutive files become one.

use crate::tables::table::Gathering;
use arrow::array::RecordBatch;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use gridtrail_runs::gather::{alike, fence, moved};
use gridtrail_runs::{Changes, Encoded, LOG_READS_AT_ONCE, NewFile, RunsError, Table, TableFile};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::ops::Range;
use std::sync::Arc;
use uuid::{Builder, Uuid};

/// Files that become one at a time: after a long time in which nobody gathered, as many are read before anything is done.
const FILES_AT_ONCE: usize = 1_024;

/// How long the part of a file's name is by which files are ordered: a UUID.
const ORDER_CHARS: usize = 36;

/// The rows of a file. Errors: `Corrupt`.
pub(crate) fn batches(
    bytes: Bytes,
    path: &str,
) -> Result<impl Iterator<Item = Result<RecordBatch, RunsError>> + use<>, RunsError> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).and_then(|builder| builder.build());
    let path = path.to_owned();
    let batches = reader.map_err(RunsError::corrupt(&path))?;
    Ok(batches.map(move |batch| {
        batch.map_err(|error| RunsError::Corrupt { path: path.clone(), why: error.to_string() })
    }))
}

/// The live files of a table, in the order of their names.
pub(crate) fn by_name(table: &Table) -> Vec<Arc<TableFile>> {
    let mut files = table.files();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

/// The name of a new file: behind those of all others of the table, whatever the clocks of their writers were.
pub(crate) fn named_last(table: &Table) -> String {
    let now = Uuid::now_v7();
    let last = table.files().into_iter().max_by(|a, b| a.path.cmp(&b.path));
    let last = last.and_then(|file| file.path.get(..ORDER_CHARS)?.parse::<Uuid>().ok());
    let name = match last {
        Some(last) if last >= now => behind(last),
        _ => now,
    };
    format!("{name}.parquet")
}

/// A name of the millisecond behind that of another.
fn behind(name: Uuid) -> Uuid {
    let millis = name.as_u64_pair().0 >> 16;
    let [.., a, b, c, d, e, f, g, h, i, j] = *Uuid::new_v4().as_bytes();
    Builder::from_unix_timestamp_millis(millis + 1, &[a, b, c, d, e, f, g, h, i, j]).into_uuid()
}

/// The name of a file that takes the place of some, of which the first has this name.
pub(crate) fn named_after(first: &str) -> String {
    let stem = first.strip_suffix(".parquet").unwrap_or(first);
    let order = stem.get(..ORDER_CHARS).unwrap_or(stem);
    format!("{order}-{}.parquet", Uuid::now_v7())
}

/// Which of consecutive files become one, by their weights: those among which four or more are of one size class, from the first of such or
/// smaller ones to the last, as far as they weigh no more than `most` together. What weighs more than half of that is left.
fn consecutive(weights: &[u64], most: u64) -> Option<Range<usize>> {
    let mut start = 0;
    for stretch in weights.split(|weight| *weight > most / 2) {
        let places: Vec<usize> = (start..start + stretch.len()).collect();
        start += stretch.len() + 1;
        let Some(alike) = alike(&places, |place| weights[*place]) else { continue };
        let (Some(first), Some(last)) = (alike.first(), alike.last()) else { continue };
        let mut sum = 0_u64;
        let within = |weight: &&u64| {
            sum = sum.saturating_add(**weight);
            sum <= most
        };
        let fit = weights[*first..=*last].iter().take(FILES_AT_ONCE).take_while(within).count();
        return Some(*first..*first + fit);
    }
    None
}

impl Gathering<'_> {
    /// The consecutive files that are to become one, with their bytes. `files` come in order, each with its weight; what a file made of them
    /// may weigh is `most`. `None`: they are few.
    pub(crate) async fn consecutive(
        &self,
        files: Vec<Arc<TableFile>>,
        weight: impl Fn(&TableFile) -> u64,
        most: u64,
    ) -> Result<Option<Vec<(Arc<TableFile>, Bytes)>>, RunsError> {
        let mut weights = Vec::with_capacity(files.len());
        for file in &files {
            // What is damaged stays where it is in the order.
            let left_alone = self.site.is_left_alone(&self.table.full_path(&file.path)?);
            weights.push(if left_alone { u64::MAX } else { weight(file) });
        }
        let Some(range) = consecutive(&weights, most) else { return Ok(None) };
        let read = |file: Arc<TableFile>| async move {
            let (_, bytes) = self.site.read_file(self.table, &file).await?;
            Ok::<_, RunsError>((file, bytes))
        };
        let files: Vec<_> = files[range].to_vec();
        Ok(Some(stream::iter(files).map(read).buffered(LOG_READS_AT_ONCE).try_collect().await?))
    }

    /// Has a file take the place of some, up to the commit.
    pub(crate) async fn replace(
        &self,
        files: Vec<Arc<TableFile>>,
        (encoded, rows, tag): (Encoded, u64, String),
    ) -> Result<Changes, RunsError> {
        let add = vec![upload_after(self.table, &files, (encoded, rows, tag)).await?];
        let moves = vec![moved(self.table, fence(None))];
        Ok(Changes { add, remove: files, moves, now_ms: self.now.millis(), ..Changes::default() })
    }
}

/// Uploads a file that takes the place of some.
pub(crate) async fn upload_after(
    table: &Table,
    files: &[Arc<TableFile>],
    (encoded, rows, tag): (Encoded, u64, String),
) -> Result<NewFile, RunsError> {
    let path = named_after(files.first().map_or("", |file| file.path.as_str()));
    let written = table.upload_encoded(&path, encoded).await?;
    Ok(NewFile { path, written, month: None, rows, tag, bounds: Vec::new() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_keep_the_order_of_files() {
        let names: Vec<String> = (0..3).map(|_| format!("{}.parquet", Uuid::now_v7())).collect();
        assert!(names.is_sorted());
        let gathered = named_after(&named_after(&names[1]));
        assert!(names[0] < gathered && gathered < names[2], "{gathered}");
        assert_eq!(gathered.len(), 2 * 36 + 1 + ".parquet".len());
    }

    #[test]
    fn a_clock_that_is_behind_puts_no_file_before_another() {
        let ahead = Builder::from_unix_timestamp_millis(1 << 45, &[0xFF; 10]).into_uuid();
        let next = behind(ahead);
        assert!(ahead.to_string() < next.to_string() && Uuid::now_v7() < ahead);
        assert!(named_after(&format!("{ahead}.parquet")) < format!("{next}.parquet"));
    }

    #[test]
    fn four_of_a_size_become_one_and_full_ones_stay() {
        assert_eq!(consecutive(&[4, 4, 4], 1_000), None);
        assert_eq!(consecutive(&[200, 5, 4, 4, 7, 1], 1_000), Some(1..6));
        // Not past what may not be moved, and no further than a file may weigh.
        assert_eq!(consecutive(&[4, 4, u64::MAX, 4, 4], 1_000), None);
        assert_eq!(consecutive(&[501, 300, 300, 300, 300], 1_000), Some(1..4));
    }

    proptest! {
        /// Files that come one after the other, gathered each time as long as something is due: few are left, each row was written few
        /// times, and none weighs too much.
        #[test]
        fn files_stay_few(sizes in prop::collection::vec(1u64..40, 1..400), most in 100u64..4_000) {
            let (mut files, mut written) = (Vec::new(), 0);
            for size in &sizes {
                files.push(*size);
                while let Some(range) = consecutive(&files, most) {
                    prop_assert!(range.len() >= 2);
                    let sum: u64 = files[range.clone()].iter().sum();
                    prop_assert!(sum <= most);
                    written += sum;
                    files.splice(range, [sum]);
                }
            }
            let total: u64 = sizes.iter().sum();
            prop_assert_eq!(files.iter().sum::<u64>(), total);
            prop_assert!(files.len() as u64 <= 2 * total / most + 1 + 4 * 8, "{} files", files.len());
            prop_assert!(written <= 12 * total, "{written} of {total}");
        }
    }
}
