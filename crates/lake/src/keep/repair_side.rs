//! Repair of the tables of anomaly detection and of schedules: a damaged file is replaced by the rows that the commits told which may have gone into it, read
//! again.
//!
//! Their files say nothing of what they hold but a time, so all rows that were told until the file was written are its rows, or the same as rows of other
//! files, which does no harm: equal rows become one when they are gathered.

use crate::error::LakeError;
use crate::evidence::{CommitKind, SourceEvidence};
use crate::keep::repair::{CommitTimes, Replaced};
use crate::lake::Lake;
use crate::tables::registry::Tables;
use crate::tables::table::SideFile;
use crate::tables::{anomaly, schedules};
use crate::write::writer::Batch;
use gridtrail_anomaly::AnomalyRow;
use gridtrail_runs::gather::fence;
use gridtrail_runs::{Changes, Move, NewFile, Table, TableFile};
use gridtrail_schedules::ScheduleRow;
use serde_json::json;
use std::sync::Arc;

/// A damaged file of such a table.
#[derive(Debug, Clone)]
pub struct DamagedSide {
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

impl DamagedSide {
    /// When the commits were made that may have gone into it.
    pub fn commit_times(&self) -> CommitTimes {
        CommitTimes::of(None, self.file.written_ms)
    }
}

impl Batch {
    /// The rows that it tells of thresholds and quarantine.
    pub fn anomaly_rows(&self) -> Vec<AnomalyRow> {
        self.anomaly.iter().flat_map(gridtrail_anomaly::rows_of).collect()
    }

    /// The rows that it tells of schedules.
    pub fn schedule_rows(&self) -> Vec<ScheduleRow> {
        self.schedules.iter().map(gridtrail_schedules::row_of).collect()
    }
}

impl Lake {
    /// The files of anomaly detection whose bytes are not those that were written.
    ///
    /// Cost: every byte of them is read. Errors: `Unavailable`; `Corrupt` where a log is damaged.
    pub async fn damaged_anomaly(&self) -> Result<Vec<DamagedSide>, LakeError> {
        self.damaged_side(|tables| &mut tables.anomaly, anomaly::rows_in).await
    }

    /// The files of schedules whose bytes are not those that were written. Cost, errors: as of [`Lake::damaged_anomaly`].
    pub async fn damaged_schedules(&self) -> Result<Vec<DamagedSide>, LakeError> {
        self.damaged_side(|tables| &mut tables.schedules, schedules::rows_in).await
    }

    /// Has rows that were read again ([`Batch::anomaly_rows`]) take the place of a damaged file, but for those that are needed no more. `told` goes into
    /// the evidence: what was read, and what could not be.
    ///
    /// Errors: `PositionMoved` when another job was faster; any other: nothing was replaced, or it was, see [`Lake::damaged_anomaly`].
    pub async fn replace_anomaly(
        &self,
        damaged: &DamagedSide,
        rows: Vec<AnomalyRow>,
        told: String,
    ) -> Result<Replaced, LakeError> {
        let now = self.clock().now();
        let mut rows = gridtrail_anomaly::merge_rows(rows, Vec::new());
        rows.retain(|row| row.goes_at().is_none_or(|goes| goes > now));
        let file = if rows.is_empty() { None } else { Some(anomaly::side_file(&rows)?) };
        self.replace_side(|tables| &mut tables.anomaly, damaged, file, told).await
    }

    /// The same for schedules ([`Batch::schedule_rows`]), all of whose rows stay.
    pub async fn replace_schedules(
        &self,
        damaged: &DamagedSide,
        rows: Vec<ScheduleRow>,
        told: String,
    ) -> Result<Replaced, LakeError> {
        let rows = gridtrail_schedules::merge_rows(rows, Vec::new());
        let file = if rows.is_empty() { None } else { Some(schedules::side_file(&rows)?) };
        self.replace_side(|tables| &mut tables.schedules, damaged, file, told).await
    }

    async fn damaged_side(
        &self,
        of: fn(&mut Tables) -> &mut Table,
        rows_in: fn(&TableFile) -> u64,
    ) -> Result<Vec<DamagedSide>, LakeError> {
        let mut tables = self.maintenance().await?.tables;
        let table = of(&mut tables);
        let mut damaged = Vec::new();
        for file in table.files() {
            let path = table.full_path(&file.path)?;
            let Some(why) = self.damage_of(&path, &file).await? else { continue };
            let (path, rows, guarded_at) = (path.to_string(), rows_in(&file), table.position(&fence(None)));
            damaged.push(DamagedSide { file, path, why, rows, guarded_at });
        }
        Ok(damaged)
    }

    async fn replace_side(
        &self,
        of: fn(&mut Tables) -> &mut Table,
        damaged: &DamagedSide,
        by: Option<SideFile>,
        told: String,
    ) -> Result<Replaced, LakeError> {
        let mut tables = self.maintenance().await?.tables;
        let now = self.clock().now();
        // All evidence is in the main table. Cut short behind it, the repair is done, and told of, once more.
        let evidence = SourceEvidence::of_repair(&damaged.path, told, now.millis());
        let evidence = Some(json!({ "kind": CommitKind::Repair.name(), "sources": [evidence] }));
        tables.trails.commit(&Changes { now_ms: now.millis(), evidence, ..Changes::default() }).await?;
        let table = of(&mut tables);
        let (mut add, rows) = (Vec::new(), by.as_ref().map_or(0, |file| file.rows));
        if let Some(SideFile { encoded, rows, tag }) = by {
            let path = table.definition().new_path(None);
            let written = table.upload_encoded(&path, encoded).await?;
            add.push(NewFile { path, written, month: None, rows, tag, bounds: Vec::new() });
        }
        let app_id = fence(None);
        // Another file under the same guard may have been replaced since; that this one is still there says that nobody took it.
        let is_there = table.files().iter().any(|file| file.path == damaged.file.path);
        let from = if is_there { table.position(&app_id) } else { damaged.guarded_at };
        let changes = Changes {
            add,
            remove: vec![Arc::clone(&damaged.file)],
            moves: vec![Move { app_id, from, to: from.unwrap_or(0) + 1 }],
            now_ms: now.millis(),
            evidence: Some(json!({ "kind": CommitKind::Repair.name() })),
            ..Changes::default()
        };
        let version = table.commit(&changes).await?;
        self.site().forget_damage(&damaged.path);
        self.refresh().await?;
        Ok(Replaced { rows, version })
    }
}
