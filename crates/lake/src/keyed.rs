//! The files of the tables that look-ups read by a key alone: those that lead to rows.

use crate::tables::LakeTable;
use deltalake_core::Path;
use gridtrail_runs::{FileChanges, RunsError, Table, TableFile};
use std::sync::Arc;

/// A file that is sorted by a key, with the least and the greatest, where its log entry says them.
#[derive(Debug, Clone)]
pub(crate) struct KeyedFile {
    pub(crate) file: Arc<TableFile>,
    pub(crate) path: Path,
    pub(crate) range: Option<(String, String)>,
}

impl KeyedFile {
    pub(crate) fn new(file: &Arc<TableFile>, path: Path) -> Self {
        let range = file.tag.as_deref().and_then(|tag| serde_json::from_str(tag).ok());
        Self { file: Arc::clone(file), path, range }
    }

    /// How many bytes it takes in memory.
    fn bytes(&self) -> usize {
        let range = self.range.as_ref().map_or(0, |(min, max)| min.len() + max.len());
        size_of::<Self>() + self.path.as_ref().len() + range + self.file.bytes()
    }
}

/// The files of each such table, by its name.
#[derive(Debug, Clone, Default)]
pub(crate) struct KeyedFiles(Vec<(&'static str, Arc<Vec<KeyedFile>>)>);

impl KeyedFiles {
    /// The files of a table.
    pub(crate) fn of(&self, table: &dyn LakeTable) -> &[KeyedFile] {
        let name = table.definition().name;
        self.0.iter().find(|(of, _)| *of == name).map_or(&[], |(_, files)| files)
    }

    /// Takes in what changed among the files of a table.
    pub(crate) fn apply(&mut self, changes: &FileChanges, table: &Table) -> Result<(), RunsError> {
        if !changes.anew && changes.added.is_empty() && changes.removed.is_empty() {
            return Ok(());
        }
        let file = |file: &Arc<TableFile>| Ok(KeyedFile::new(file, table.full_path(&file.path)?));
        let files = Arc::new(table.files().iter().map(file).collect::<Result<_, RunsError>>()?);
        match self.0.iter_mut().find(|(of, _)| *of == table.name()) {
            Some((_, known)) => *known = files,
            None => self.0.push((table.name(), files)),
        }
        Ok(())
    }

    /// About how many bytes they take beside what they share with others.
    pub(crate) fn bytes_beside(&self, other: Option<&Self>) -> usize {
        let is_shared =
            |files| other.is_some_and(|other| other.0.iter().any(|(_, theirs)| Arc::ptr_eq(theirs, files)));
        let own = self.0.iter().filter(|(_, files)| !is_shared(files));
        own.flat_map(|(_, files)| files.iter()).map(KeyedFile::bytes).sum()
    }
}
