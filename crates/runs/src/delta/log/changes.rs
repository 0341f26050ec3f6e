//! What changed among a table's files, for whoever follows them.

use super::TableFile;
use rpds::RedBlackTreeMapSync;
use std::sync::Arc;

/// What changed since it was last asked for.
#[derive(Debug, Clone, Default)]
pub struct FileChanges {
    /// All that was known before is to be forgotten.
    pub anew: bool,
    /// Files that came.
    pub added: Vec<Arc<TableFile>>,
    /// Files that went.
    pub removed: Vec<Arc<TableFile>>,
}

/// What became of files since whoever follows them last asked, by path. It is cloned with its log, and may be long where nobody asks.
#[derive(Debug, Clone, Default)]
pub(super) struct Pending {
    added: RedBlackTreeMapSync<String, Arc<TableFile>>,
    removed: RedBlackTreeMapSync<String, Arc<TableFile>>,
}

impl Pending {
    pub(super) fn add(&mut self, file: &Arc<TableFile>) {
        self.added.insert_mut(file.path.clone(), Arc::clone(file));
    }

    /// One that came and went since it was last asked never was.
    pub(super) fn remove(&mut self, file: &Arc<TableFile>) {
        if !self.added.remove_mut(&file.path) {
            self.removed.insert_mut(file.path.clone(), Arc::clone(file));
        }
    }
}

impl From<Pending> for FileChanges {
    fn from(pending: Pending) -> Self {
        let files = |of: &RedBlackTreeMapSync<_, Arc<TableFile>>| of.values().cloned().collect();
        Self { anew: false, added: files(&pending.added), removed: files(&pending.removed) }
    }
}
