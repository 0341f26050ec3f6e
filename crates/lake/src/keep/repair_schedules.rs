//! Repair of the table of schedules: a damaged file is replaced by the rows that the commits told which may have gone into it, read again.
//!
//! Its files say nothing of what they hold but when the first row was recorded, so all rows that were told until the file was written are its rows, or the same as
//! rows of other files, which does no harm: equal rows become one when they are gathered.

use crate::error::LakeError;
use crate::evidence::{CommitKind, SourceEvidence};
use crate::keep::repair::{CommitTimes, Replaced};
use crate::lake::Lake;
use crate::tables::schedules::{rows_in, side_file};
use crate::write::writer::Batch;
use gridtrail_runs::gather::fence;
use gridtrail_runs::{Changes, Move, NewFile, TableFile};
use gridtrail_schedules::{ScheduleRow, merge_rows, row_of};
use serde_json::json;
use std::sync::Arc;

/// A damaged file of the table of schedules.
#[derive(Debug, Clone)]
pub struct DamagedSchedules {
    file: Arc<TableFile>,
    /// Its path from the root of the store.
    pub path: String,
    /// What is wrong with it.
    pub why: String,
    /// Rows that it had.
    pub rows: u64,
    /// Where the position that guards it was when it was found damaged.
    guarded_at: Option<i64>,
}

impl Lake {
    /// The files of schedules whose bytes are not those that were written.
    ///
    /// Cost: every byte of them is read. Errors: `Unavailable`; `Corrupt` where a log is damaged.
    pub async fn damaged_schedules(&self) -> Result<Vec<DamagedSchedules>, LakeError> {
        let tables = self.maintenance().await?.tables;
        let mut damaged = Vec::new();
        for file in tables.schedules.files() {
            let path = tables.schedules.full_path(&file.path)?;
            let Some(why) = self.damage_of(&path, &file).await? else { continue };
            let (path, rows) = (path.to_string(), rows_in(&file));
            damaged.push(DamagedSchedules {
                file,
                path,
                why,
                rows,
                guarded_at: tables.schedules.position(&fence(None)),
            });
        }
        Ok(damaged)
    }

    /// Has rows that were read again ([`DamagedSchedules::rows_in`]) take the place of a damaged file. `told` goes into
    /// the evidence: what was read, and what could not be.
    ///
    /// Errors: `PositionMoved` when another job was faster; any other: nothing was replaced, or it was, see [`Lake::damaged_schedules`].
    pub async fn replace_schedules(
        &self,
        damaged: &DamagedSchedules,
        rows: Vec<ScheduleRow>,
        told: String,
    ) -> Result<Replaced, LakeError> {
        let mut tables = self.maintenance().await?.tables;
        let now = self.clock().now();
        // All evidence is in the main table. Cut short behind it, the repair is done, and told of, once more.
        let evidence = SourceEvidence::of_repair(&damaged.path, told, now.millis());
        let evidence = Some(json!({ "kind": CommitKind::Repair.name(), "sources": [evidence] }));
        tables.trails.commit(&Changes { now_ms: now.millis(), evidence, ..Changes::default() }).await?;
        let rows = merge_rows(rows, Vec::new());
        let mut add = Vec::new();
        if !rows.is_empty() {
            let file = side_file(&rows)?;
            let path = tables.schedules.definition().new_path(None);
            let written = tables.schedules.upload_encoded(&path, file.encoded).await?;
            let (rows, tag) = (file.rows, file.tag);
            add.push(NewFile { path, written, month: None, rows, tag, bounds: Vec::new() });
        }
        let app_id = fence(None);
        // Another file under the same guard may have been replaced since; that this one is still there says that nobody took it.
        let is_there = tables.schedules.files().iter().any(|file| file.path == damaged.file.path);
        let from = if is_there { tables.schedules.position(&app_id) } else { damaged.guarded_at };
        let changes = Changes {
            add,
            remove: vec![Arc::clone(&damaged.file)],
            moves: vec![Move { app_id, from, to: from.unwrap_or(0) + 1 }],
            now_ms: now.millis(),
            evidence: Some(json!({ "kind": CommitKind::Repair.name() })),
            ..Changes::default()
        };
        let version = tables.schedules.commit(&changes).await?;
        self.site().forget_damage(&damaged.path);
        self.refresh().await?;
        Ok(Replaced { rows: rows.len() as u64, version })
    }
}

impl DamagedSchedules {
    /// When the commits were made that may have gone into it.
    pub fn commit_times(&self) -> CommitTimes {
        CommitTimes::of(None, self.file.written_ms)
    }

    /// The rows that a batch tells of schedules.
    pub fn rows_in(&self, batch: &Batch) -> Vec<ScheduleRow> {
        batch.schedules.iter().map(row_of).collect()
    }
}
