//! Small files of a copy, made one.

use crate::copy::{Copy, GATHERED};
use crate::data::{CopyFile, encode, rows_of};
use crate::error::ExportError;
use crate::limits::{FILE_ROWS, GATHERED_FILES};
use crate::tables::MadeOf;
use gridtrail_lake::Lake;
use gridtrail_runs::{Changes, Move};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What gathering came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Gathered {
    /// Files that became fewer.
    pub files: u64,
    /// Rows in the files that were written.
    pub rows_written: u64,
    /// Bytes of those files.
    pub bytes_written: u64,
}

/// By fours: files whose rows differ by less than that are of one size.
fn size_class(rows: u64) -> u32 {
    rows.max(1).ilog(GATHERED_FILES as u64)
}

/// Files that are to become one, those of one month together: four or more of one size.
fn due(files: Vec<CopyFile>) -> Vec<Vec<CopyFile>> {
    let mut classes = BTreeMap::<(String, u32), Vec<CopyFile>>::new();
    for file in files {
        if !file.summary.waits && file.summary.rows < FILE_ROWS as u64 {
            let class = (file.month().to_owned(), size_class(file.summary.rows));
            classes.entry(class).or_default().push(file);
        }
    }
    // By time: what is gathered covers no more of it than it must.
    let parts = classes.into_values().flat_map(|files| {
        let mut parts = vec![Vec::new()];
        let mut rows = 0;
        for file in files {
            rows += file.summary.rows;
            if rows > FILE_ROWS as u64 {
                parts.push(Vec::new());
                rows = file.summary.rows;
            }
            if let Some(part) = parts.last_mut() {
                part.push(file);
            }
        }
        parts
    });
    parts.filter(|part| part.len() >= GATHERED_FILES).collect()
}

impl Copy {
    /// Makes small files fewer: rows stay as they are. One commit for what becomes one file.
    ///
    /// Errors: `Copy`; what was gathered before stays so.
    pub async fn gather(&mut self, lake: &Lake) -> Result<Gathered, ExportError> {
        let mut done = Gathered::default();
        if !matches!(self.kind.made_of(), MadeOf::Trails(_)) {
            // Files of the inventory are written anew as a whole, and stay few.
            return Ok(done);
        }
        loop {
            let due = due(self.files()?);
            if due.is_empty() {
                return Ok(done);
            }
            for files in due {
                if !self.gather_some(lake, &files, &mut done).await? {
                    return Ok(done);
                }
            }
        }
    }

    /// `false`: another process changed them meanwhile.
    async fn gather_some(
        &mut self,
        lake: &Lake,
        files: &[CopyFile],
        done: &mut Gathered,
    ) -> Result<bool, ExportError> {
        let Some(month) = files.first().map(|file| file.month().to_owned()) else { return Ok(true) };
        let mut rows = Vec::new();
        for file in files {
            rows.extend(rows_of(file.fetch(&self.table).await?, &file.file.path)?);
        }
        let mut add = Vec::new();
        for file in encode(self.kind, &month, &rows, None)? {
            add.push(file.upload(&self.table).await?.0);
        }
        let from = self.table.position(GATHERED);
        let (rows_written, bytes_written) = (
            add.iter().map(|file| file.rows).sum::<u64>(),
            add.iter().map(|file| file.written.size).sum::<u64>(),
        );
        let changes = Changes {
            add,
            remove: files.iter().map(|file| Arc::clone(&file.file)).collect(),
            moves: vec![Move { app_id: GATHERED.to_owned(), from, to: from.unwrap_or(0) + 1 }],
            requires: self.lake_positions(),
            now_ms: lake.clock().now().millis(),
            evidence: Some(json!({ "kind": "gather" })),
            ..Changes::default()
        };
        if self.table.commit_unless_moved(&changes).await?.is_none() {
            return Ok(false);
        }
        done.files += files.len() as u64;
        done.rows_written += rows_written;
        done.bytes_written += bytes_written;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Summary;
    use gridtrail_runs::TableFile;

    fn file(number: usize, rows: u64, waits: bool) -> CopyFile {
        let file = TableFile {
            path: format!("month=2026-03/{number}.parquet"),
            size: rows,
            month: Some("2026-03".to_owned()),
            written_ms: 0,
            tag: None,
            xxh64: None,
            tail: None,
        };
        CopyFile { file: Arc::new(file), summary: Summary { rows, first: 0, last: 0, waits } }
    }

    #[test]
    fn files_of_one_size_become_one_and_full_ones_stay() {
        let four = |rows| (0..4).map(move |number| file(number, rows, false)).collect::<Vec<_>>();
        assert_eq!(due(four(4)).iter().map(Vec::len).collect::<Vec<_>>(), [4]);
        assert_eq!(due(four(FILE_ROWS as u64)).len(), 0);
        assert_eq!(due((0..9).map(|number| file(number, 4, true)).collect()).len(), 0);
        assert_eq!(
            due(vec![file(0, 1, false), file(1, 4, false), file(2, 16, false), file(3, 40, false)]).len(),
            0
        );
        // Never more rows than a file may have.
        for part in due((0..64).map(|number| file(number, 5, false)).collect()) {
            assert!(part.iter().map(|file| file.summary.rows).sum::<u64>() <= FILE_ROWS as u64);
        }
    }
}
