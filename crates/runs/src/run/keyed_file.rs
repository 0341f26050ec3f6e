//! The files of the tables that look-ups read by a key alone: those that lead to rows.

use crate::definition::Definition;
use crate::delta::log::{FileChanges, TableFile};
use crate::delta::table::Table;
use crate::error::RunsError;
use crate::run::list::{FileList, Listed};
use deltalake_core::Path;
use std::sync::Arc;

/// A file that is sorted by a key, with the least and the greatest, where its log entry says them.
#[derive(Debug, Clone)]
pub struct KeyedFile {
    /// The file.
    pub file: Arc<TableFile>,
    /// Its path from the root of the store.
    pub path: Path,
    /// The least and the greatest key.
    pub range: Option<(String, String)>,
}

impl KeyedFile {
    /// A file as its log entry has it.
    pub fn new(file: &Arc<TableFile>, path: Path) -> Self {
        let range = file.tag.as_deref().and_then(|tag| serde_json::from_str(tag).ok());
        Self { file: Arc::clone(file), path, range }
    }
}

impl Listed for KeyedFile {
    fn listed(file: &Arc<TableFile>, path: Path) -> Result<Self, RunsError> {
        Ok(Self::new(file, path))
    }

    fn bytes(&self) -> usize {
        let range = self.range.as_ref().map_or(0, |(min, max)| min.len() + max.len());
        size_of::<Self>() + self.path.as_ref().len() + range + self.file.bytes()
    }
}

/// The files of each such table, by its name.
#[derive(Debug, Clone, Default)]
pub struct KeyedFiles(Vec<(&'static str, FileList<KeyedFile>)>);

impl KeyedFiles {
    fn list(&self, name: &str) -> Option<&FileList<KeyedFile>> {
        self.0.iter().find(|(of, _)| *of == name).map(|(_, files)| files)
    }

    /// The files of a table.
    pub fn of(&self, table: &Definition) -> impl Iterator<Item = &KeyedFile> {
        self.list(table.name).into_iter().flat_map(FileList::iter).map(AsRef::as_ref)
    }

    /// Takes in what changed among the files of a table.
    pub fn apply(&mut self, changes: &FileChanges, table: &Table) -> Result<(), RunsError> {
        match self.0.iter_mut().find(|(of, _)| *of == table.name()) {
            Some((_, files)) => files.apply(changes, table),
            None => {
                let mut files = FileList::default();
                files.apply(changes, table)?;
                self.0.push((table.name(), files));
                Ok(())
            }
        }
    }

    /// About how many bytes they take beside what they share with others.
    pub fn bytes_beside(&self, other: Option<&Self>) -> usize {
        let beside = |(name, files): &(&'static str, FileList<KeyedFile>)| {
            files.bytes_beside(other.and_then(|other| other.list(name)))
        };
        self.0.iter().map(beside).sum()
    }
}
