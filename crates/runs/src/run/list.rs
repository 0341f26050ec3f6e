//! The files of a table that look-ups read, each with what its log entry says of it.
//!
//! The list is persistent, as a [`RunIndex`](super::index::RunIndex) is: a new version shares with the one before it all that stays.

use crate::delta::log::{FileChanges, TableFile};
use crate::delta::table::Table;
use crate::error::RunsError;
use deltalake_core::Path;
use rpds::RedBlackTreeMapSync;
use std::sync::Arc;

/// A file, with what was read of its log entry.
pub trait Listed: Sized {
    /// Reads what the log says of a file. `path` is from the root of the store. Errors: `Corrupt` where that cannot be read.
    fn listed(file: &Arc<TableFile>, path: Path) -> Result<Self, RunsError>;

    /// How many bytes it takes in memory.
    fn bytes(&self) -> usize;
}

/// The files of a table at one version. Cheap to clone.
#[derive(Debug)]
pub struct FileList<T> {
    /// By path.
    files: RedBlackTreeMapSync<String, Arc<T>>,
    memory: Memory,
}

// A file need not be cloned for it.
impl<T> Clone for FileList<T> {
    fn clone(&self) -> Self {
        Self { files: self.files.clone(), memory: self.memory.clone() }
    }
}

impl<T> Default for FileList<T> {
    fn default() -> Self {
        Self { files: RedBlackTreeMapSync::new_sync(), memory: Memory::default() }
    }
}

impl<T: Listed> FileList<T> {
    /// Takes in what changed. `table` says where files lie.
    pub fn apply(&mut self, changes: &FileChanges, table: &Table) -> Result<(), RunsError> {
        if changes.anew {
            *self = Self::default();
        }
        for file in &changes.removed {
            if let Some(listed) = self.files.get(&file.path) {
                self.memory.take(listed.bytes(), tree_path_bytes(self.files.size()));
                self.files.remove_mut(&file.path);
            }
        }
        for file in &changes.added {
            let listed = T::listed(file, table.full_path(&file.path)?)?;
            self.memory.add(listed.bytes(), tree_path_bytes(self.files.size()));
            self.files.insert_mut(file.path.clone(), Arc::new(listed));
        }
        Ok(())
    }

    /// Every file.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<T>> {
        self.files.values()
    }

    /// About how many bytes it takes beside what it shares with another: one that it came from by changes. With any other it shares
    /// nothing.
    pub fn bytes_beside(&self, other: Option<&Self>) -> usize {
        self.memory.beside(other.map(|other| &other.memory))
    }
}

/// What a node of a tree takes: its entry is shared.
const TREE_NODE_BYTES: usize = 64;

/// About how many bytes a change of a tree of so many entries takes: the nodes on the way to the entry are copied.
pub(super) fn tree_path_bytes(entries: usize) -> usize {
    (entries.max(1).ilog2() as usize + 2) * TREE_NODE_BYTES
}

/// What a persistent list takes in memory.
#[derive(Debug, Clone, Default)]
pub(super) struct Memory {
    /// The same in a list and in those that it came from by changes.
    line: Arc<()>,
    /// Bytes of what it holds.
    held: usize,
    /// Bytes of all that was made for it and for those that it came from, whether it holds it still or not.
    made: usize,
}

impl Memory {
    /// Something of so many bytes came, and so many were copied on the way to it.
    pub(super) fn add(&mut self, bytes: usize, path: usize) {
        let bytes = bytes + TREE_NODE_BYTES;
        self.held += bytes;
        self.made += bytes + path;
    }

    /// Something of so many bytes went.
    pub(super) fn take(&mut self, bytes: usize, path: usize) {
        self.held = self.held.saturating_sub(bytes + TREE_NODE_BYTES);
        self.made += path;
    }

    /// Bytes beside what is shared with another.
    pub(super) fn beside(&self, other: Option<&Self>) -> usize {
        match other.filter(|other| Arc::ptr_eq(&self.line, &other.line)) {
            Some(other) => self.made.saturating_sub(other.made),
            None => self.held,
        }
    }
}
