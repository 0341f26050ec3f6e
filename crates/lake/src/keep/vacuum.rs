//! Vacuum: deleting what no version of any table that can still be asked for needs.

use crate::error::LakeError;
use crate::keep::maintenance::Maintenance;
use crate::tables::commits::COPIED;
use gridtrail_runs::{TableVacuumed, Windows};

impl Maintenance {
    /// Deletes what no version of the windows needs; with `dry` nothing, and only says what would go.
    ///
    /// Cost: one listing of each table and of its log. Errors: `Settings` when a table's windows contradict each other;
    /// `Unavailable`: some of it may be deleted.
    pub async fn vacuum(&mut self, dry: bool) -> Result<Vec<TableVacuumed>, LakeError> {
        let now_ms = self.lake.clock().now().millis();
        self.tables.commits.refresh().await?;
        // Of evidence that was not copied nothing goes. Nothing was copied: the first entry stays, and all behind it.
        let copied = self.tables.commits.position(COPIED).and_then(|at| u64::try_from(at).ok()).unwrap_or(0);
        let main = self.tables.trails.name();
        for table in self.tables.all() {
            Windows::of(table)?.check(table.name())?;
        }
        let mut all = Vec::new();
        for table in self.tables.all() {
            let copied = if table.name() == main { copied } else { u64::MAX };
            all.push(gridtrail_runs::vacuum(table, now_ms, copied, dry).await?);
        }
        Ok(all)
    }
}
