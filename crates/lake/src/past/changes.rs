//! Which rows may be others at one version than at an earlier one: what whoever keeps a copy of rows has to take anew.
//!
//! The logs tell. Commits that bring rows name the files that they lie in: ingest, replays, and sweeps of what waited. Compaction, gathering
//! and upgrades write rows anew as they were, and say so (`dataChange`). Uniting rows says of its files that their rows lay elsewhere.
//! Retention and repair take rows away, of whole months: those months are named, with the ones beside them, since a row may go on from one
//! month into the next.
//!
//! What waits for its request is not told here: it may be joined to another row with each version ([`Snapshot::rows_that_wait`]).

use crate::error::LakeError;
use crate::lake::Lake;
use crate::month::Month;
use crate::read::snapshot::{Snapshot, SnapshotVersion};
use crate::read::touched::{TouchedRows, touch};
use crate::rows::lookup;
use crate::rows::run::RunFile;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use gridtrail_access::Access;
use gridtrail_model::Fragment;
use gridtrail_runs::{EntryFiles, LOG_READS_AT_ONCE, RunsError, TableFile};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Which rows may be others than at an earlier version.
#[derive(Debug, Default)]
pub struct RowChanges {
    /// Rows of which fragments came, with the times of those.
    pub rows: TouchedRows,
    /// Months of which any row may be another, or gone.
    pub months: BTreeSet<Month>,
}

/// What the entries of the main table's log say.
#[derive(Default)]
struct Told {
    fresh: Vec<TableFile>,
    months: BTreeSet<Month>,
}

impl Told {
    /// Takes in an entry. `None`: it cannot be read.
    fn take(&mut self, entry: &[u8]) -> Option<()> {
        let EntryFiles { added, removed } = EntryFiles::of(entry)?;
        let brings = added.iter().any(|(_, is_new)| *is_new);
        let goes = removed.iter().any(|(_, goes)| *goes) || brings && !removed.is_empty();
        if goes {
            let of_added = added.iter().map(|(file, _)| &file.month);
            for month in removed.iter().map(|(month, _)| month).chain(of_added) {
                let month: Month = month.as_ref()?.parse().ok()?;
                self.months.extend([month.minus(1), month, month.plus(1)]);
            }
            return Some(());
        }
        for (file, is_new) in added {
            if is_new || RunFile::summary_of(&file).ok()?.moved {
                self.fresh.push(file);
            }
        }
        Some(())
    }
}

impl Lake {
    /// Which rows of a snapshot may be others than at an earlier version, as far as a caller may see them. `None`: that cannot be told, since the
    /// log or a file of then is gone, or more than `most` fragments came: everything is to be taken anew.
    ///
    /// Cost: the log entries in between, and the files of new rows. Errors: as those of a look-up.
    pub async fn row_changes(
        &self,
        who: &Access,
        (since, until): (&SnapshotVersion, &Snapshot),
        most: u64,
    ) -> Result<Option<RowChanges>, LakeError> {
        let (from, to) = (since.trails(), until.version().trails());
        if from > to {
            return Ok(None);
        }
        let tables = self.tables().await;
        let table = &tables.trails;
        let entries = stream::iter(from + 1..=to).map(|version| table.log_entry(version));
        let mut entries = entries.buffered(LOG_READS_AT_ONCE);
        let mut told = Told::default();
        while let Some(entry) = entries.try_next().await? {
            let Some(()) = entry.and_then(|entry| told.take(&entry)) else { return Ok(None) };
        }
        drop(entries);
        let mut files = Vec::with_capacity(told.fresh.len());
        for file in told.fresh {
            let path = table.full_path(&file.path)?;
            files.push(RunFile::new(Arc::new(file), path)?);
        }
        if files.iter().map(|file| file.summary.rows).sum::<u64>() > most {
            return Ok(None);
        }
        let mut changes = RowChanges { months: told.months, ..RowChanges::default() };
        for file in files {
            let fragments = match self.fragments_of(&file).await {
                Ok(fragments) => fragments,
                // Vacuum deleted it, or it is damaged and was replaced since.
                Err(error) if error.is_not_found() => return Ok(None),
                Err(error) => return Err(error.into()),
            };
            let seen = fragments.iter().filter(|fragment| who.user_ids().contains(&fragment.key.user));
            seen.for_each(|fragment| touch(&mut changes.rows, fragment));
        }
        Ok(Some(changes))
    }

    async fn fragments_of(&self, file: &RunFile) -> Result<Vec<Fragment>, RunsError> {
        let run = file.open(self.cache()).await?;
        lookup::all(self.cache(), &run).await
    }
}
