//! Verification of files: whether each that a log names is there, and is what it was when it was written.

use crate::definition::Definition;
use crate::delta::checksum::{ALTERED, checksum_of};
use crate::delta::location::Location;
use crate::delta::log::{Stop, TableFile};
use crate::delta::table::Table;
use crate::error::RunsError;
use crate::keep::vacuum::orphans;
use crate::pages::cache::RunCache;
use deltalake_core::Path;

/// In which way a log or a file is not what it was when it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// A log cannot be read, or lacks an entry.
    Log,
    /// A file that a log names is not there.
    Missing,
    /// A file has another size than its log says.
    Size,
    /// The bytes of a file are not those that were written.
    Checksum,
    /// A file cannot be read, or its rows are not as they must be.
    Rows,
}

/// What is wrong with a log or a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileFault {
    /// In which way.
    pub kind: FaultKind,
    /// The file, by its path from the root of the store; or the entry or folder of a log.
    pub path: String,
    /// What was found, in a sentence.
    pub what: String,
}

/// A table, read anew from its newest checkpoint.
#[derive(Debug)]
pub struct TableRead {
    /// The table. `None`: its log is damaged.
    pub table: Option<Table>,
    /// Files that no version names any more, or ever named, and that may go.
    pub orphans: u64,
    /// What is wrong with its log.
    pub fault: Option<FileFault>,
}

impl TableRead {
    /// Reads a table. Damage is found, not failed at. Cost: its log from the newest checkpoint on, and one listing.
    ///
    /// Errors: the store does not answer.
    pub async fn of(
        location: &Location,
        definition: &'static Definition,
        now_ms: i64,
    ) -> Result<Self, RunsError> {
        let table = match Table::open(location, definition, None).await {
            Ok(table) => table,
            Err(RunsError::Corrupt { path, why }) => {
                let fault = FileFault { kind: FaultKind::Log, path, what: why };
                return Ok(Self { table: None, orphans: 0, fault: Some(fault) });
            }
            Err(error) => return Err(error),
        };
        // What came before it is looked at all the same.
        let fault = match table.stop() {
            Some(Stop::NotOurs { path, what }) => {
                let what = format!("it was not written by gridtrail: {what}");
                Some(FileFault { kind: FaultKind::Log, path: path.clone(), what })
            }
            _ => None,
        };
        let orphans = orphans(&table, now_ms).await?;
        Ok(Self { table: Some(table), orphans, fault })
    }
}

/// What was found in a file: how many bytes were read, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FileRead {
    /// Bytes that were read.
    pub bytes: u64,
    /// What is wrong.
    pub fault: Option<FileFault>,
}

/// Reads a file that a version of a table names, and holds it against what the log says. Where its bytes are those that were written, `rows`
/// looks at them closer.
///
/// Damage is found, not failed at. What a newer version took away, a vacuum may have deleted: that is none. Cost: every byte once. Errors: the
/// store does not answer.
pub async fn verify_file(
    (cache, table): (&RunCache, &Table),
    (file, path): (&TableFile, &Path),
    rows: impl AsyncFnOnce() -> Result<(), RunsError>,
) -> Result<FileRead, RunsError> {
    let fault = |kind, what| Some(FileFault { kind, path: path.to_string(), what });
    let mut read = FileRead::default();
    let looked = async {
        let written = checksum_of(cache.store(), path).await?;
        read.bytes = written.size;
        if written.size != file.size {
            let what = format!("it has {} bytes, and is said to have {}", written.size, file.size);
            return Ok(fault(FaultKind::Size, what));
        }
        if file.xxh64.is_some_and(|xxh64| xxh64 != written.xxh64) {
            return Ok(fault(FaultKind::Checksum, ALTERED.to_owned()));
        }
        rows().await.map(|()| None)
    };
    read.fault = match looked.await {
        Ok(fault) => fault,
        Err(error) if error.is_not_found() => {
            let mut newest = table.clone();
            newest.refresh().await?;
            let missing = || fault(FaultKind::Missing, "it is named and not there".to_owned());
            newest.names(&file.path).then(missing).flatten()
        }
        Err(RunsError::Corrupt { why, .. }) => fault(FaultKind::Rows, why),
        Err(error) => return Err(error),
    };
    Ok(read)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delta::commit::{Changes, NewFile};
    use crate::example::{IDS, new_table};
    use object_store::ObjectStoreExt;
    use std::sync::Arc;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_file_that_is_not_what_was_written_is_told_by_what_is_wrong() {
        let (location, mut table) = new_table().await;
        let cache = RunCache::new(&location, 1 << 20);
        let path = IDS.new_path(None);
        let written = table.upload(&path, b"rows".as_slice().into()).await.unwrap();
        let file = NewFile { path, written, month: None, rows: 1, tag: "{}".to_owned(), bounds: Vec::new() };
        table.commit(&Changes { add: vec![file], ..Changes::default() }).await.unwrap();
        let file = table.files().remove(0);
        let full = table.full_path(&file.path).unwrap();
        let look = async |rows: Result<(), RunsError>| {
            let read = verify_file((&cache, &table), (&file, &full), async || rows).await.unwrap();
            (read.bytes, read.fault.map(|fault| fault.kind))
        };
        let corrupt = || RunsError::Corrupt { path: "t".to_owned(), why: "a row".to_owned() };
        assert_eq!(look(Ok(())).await, (4, None));
        assert_eq!(look(Err(corrupt())).await, (4, Some(FaultKind::Rows)));
        for (bytes, kind) in [(b"rowz".as_slice(), FaultKind::Checksum), (b"row", FaultKind::Size)] {
            location.store.put(&full, bytes.into()).await.unwrap();
            assert_eq!(look(Err(corrupt())).await, (bytes.len() as u64, Some(kind)));
        }
        location.store.delete(&full).await.unwrap();
        assert_eq!(look(Ok(())).await, (0, Some(FaultKind::Missing)));
        // Another process took it away, and a vacuum deleted it.
        let changes = Changes { remove: vec![Arc::clone(&file)], drops: true, ..Changes::default() };
        table.at(table.version()).await.unwrap().commit(&changes).await.unwrap();
        assert_eq!(look(Ok(())).await, (0, None));
        let read = TableRead::of(&location, &IDS, 0).await.unwrap();
        assert_eq!((read.table.map(|table| table.version()), read.fault), (Some(2), None));
    }
}
