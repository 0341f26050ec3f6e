//! Repair of the table of the inventory: a damaged run is replaced by the rows that the commits told which may have gone into it, read again.
//!
//! Rows merge by dropping equals, and a key lies in one bucket; so all rows of the run's bucket and keys are its rows, or the same as rows of
//! other runs, which does no harm.

use crate::error::LakeError;
use crate::evidence::{CommitKind, SourceEvidence};
use crate::keep::repair::{CommitTimes, Replaced};
use crate::lake::Lake;
use crate::tables::inventory::side_file;
use crate::write::writer::Batch;
use gridtrail_inventory::{InventoryRow, merge_rows, rows_of, rows_of_pending};
use gridtrail_runs::{Bucket, Changes, KeyedRun, Move, NewFile, Run as _, gather, plan};
use serde_json::json;
use std::sync::Arc;

/// A damaged run of the table of the inventory.
#[derive(Debug, Clone)]
pub struct DamagedInventory {
    run: Arc<KeyedRun>,
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
    /// The runs of the inventory whose bytes are not those that were written.
    ///
    /// Cost: every byte of them is read. Errors: `Unavailable`; `Corrupt` where a log is damaged.
    pub async fn damaged_inventory(&self) -> Result<Vec<DamagedInventory>, LakeError> {
        let tables = self.maintenance().await?.tables;
        let mut damaged = Vec::new();
        for run in tables.inventory_runs.iter() {
            let Some(why) = self.damage_of(run.path(), run.file()).await? else { continue };
            damaged.push(DamagedInventory {
                run: Arc::clone(run),
                path: run.path().to_string(),
                why,
                rows: run.facts().rows,
                guarded_at: tables.inventory.position(&guard(run)),
            });
        }
        Ok(damaged)
    }

    /// Has rows that were read again ([`DamagedInventory::rows_in`]) take the place of a damaged run. `told` goes into the evidence: what was
    /// read, and what could not be.
    ///
    /// Errors: `PositionMoved` when another job was faster; any other: nothing was replaced, or it was, see [`Lake::damaged_inventory`].
    pub async fn replace_inventory(
        &self,
        damaged: &DamagedInventory,
        rows: Vec<InventoryRow>,
        told: String,
    ) -> Result<Replaced, LakeError> {
        let mut tables = self.maintenance().await?.tables;
        let now_ms = self.clock().now().millis();
        // All evidence is in the main table. Cut short behind it, the repair is done, and told of, once more.
        let evidence = SourceEvidence::of_repair(&damaged.path, told, now_ms);
        let evidence = Some(json!({ "kind": CommitKind::Repair.name(), "sources": [evidence] }));
        tables.trails.commit(&Changes { now_ms, evidence, ..Changes::default() }).await?;
        let facts = damaged.run.facts();
        let (rows, mut add) = (merge_rows(rows, Vec::new()), Vec::new());
        if !rows.is_empty() {
            let file = side_file(&rows, facts.bucket, facts.since_ms)?;
            let path = match facts.bucket {
                Some(bucket) => bucket.run_path(None),
                None => tables.inventory.definition().new_path(None),
            };
            let written = tables.inventory.upload_encoded(&path, file.encoded).await?;
            let (rows, tag) = (file.rows, file.tag);
            add.push(NewFile { path, written, month: None, rows, tag, bounds: Vec::new() });
        }
        let app_id = guard(&damaged.run);
        // Another run under the same guard may have been replaced since; that this one is still there says that nobody took it.
        let is_there = tables.inventory_runs.iter().any(|run| run.path() == damaged.run.path());
        let from = if is_there { tables.inventory.position(&app_id) } else { damaged.guarded_at };
        let changes = Changes {
            add,
            remove: vec![Arc::clone(damaged.run.file())],
            moves: vec![Move { app_id, from, to: from.unwrap_or(0) + 1 }],
            now_ms,
            evidence: Some(json!({ "kind": CommitKind::Repair.name() })),
            ..Changes::default()
        };
        let version = tables.inventory.commit(&changes).await?;
        self.site().forget_damage(&damaged.path);
        self.refresh().await?;
        Ok(Replaced { rows: rows.len() as u64, version })
    }
}

/// The position that guards a run.
fn guard(run: &KeyedRun) -> String {
    run.facts().bucket.map_or_else(|| gather::fence(None), |bucket| plan::fence(None, bucket))
}

impl DamagedInventory {
    /// When the commits were made that may have gone into it.
    pub fn commit_times(&self) -> CommitTimes {
        CommitTimes::of(self.run.facts().since_ms, self.run.file().written_ms)
    }

    /// The rows that a batch tells of the inventory and that may have been in the run: of its bucket and keys.
    pub fn rows_in(&self, batch: &Batch) -> Vec<InventoryRow> {
        let told = batch.inventory.iter().flat_map(rows_of);
        let all = told.chain(batch.pending.iter().flat_map(rows_of_pending));
        let bucket = self.run.facts().bucket;
        let lies = |row: &InventoryRow| {
            let key = row.key.to_bytes();
            let in_bucket = bucket.is_none_or(|bucket| Bucket::of_key(&key, bucket.of) == bucket);
            in_bucket && self.run.spans(&key)
        };
        all.filter(lies).collect()
    }
}
