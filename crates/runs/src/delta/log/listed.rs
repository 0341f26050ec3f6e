//! What lies in the folder of a log, by the names of its files.

use object_store::ObjectMeta;
use std::collections::BTreeSet;

/// What lies in the folder of a log.
#[derive(Debug, Clone, Default)]
pub(crate) struct Listed {
    pub(crate) entries: BTreeSet<u64>,
    pub(crate) checkpoints: BTreeSet<u64>,
}

impl Listed {
    /// The entries and checkpoints among some files.
    pub(super) fn among(files: &[ObjectMeta]) -> Self {
        let mut found = Self::default();
        for name in files.iter().filter_map(|file| file.location.filename()) {
            let Some((version, kind)) = name.split_once('.') else { continue };
            let Ok(version) = version.parse() else { continue };
            match kind {
                "json" => drop(found.entries.insert(version)),
                "checkpoint.parquet" => drop(found.checkpoints.insert(version)),
                _ => {}
            }
        }
        found
    }
}

/// The name of a checkpoint.
pub(super) fn checkpoint_name(version: u64) -> String {
    format!("{version:020}.checkpoint.parquet")
}
