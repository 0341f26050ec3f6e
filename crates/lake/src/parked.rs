//! The table of what waits: fragments whose request is not on record.

use crate::error::LakeError;
use crate::evidence::CommitKind;
use crate::holds::HOLDS;
use crate::lookup;
use crate::maintenance::Maintenance;
use crate::month::Month;
use crate::retention::{self, Went, floor, months_of};
use crate::run::{self, FragmentSummary, RunSummary};
use crate::schema::{FRAGMENTS, PACKED, column};
use crate::snapshot::RunFile;
use crate::tables::{Expiry, KeptFor, LakeTable, Rewriting, SWEPT};
use crate::verify::{FileCheck, rows};
use crate::viewers;

use async_trait::async_trait;
use gridtrail_model::{Fragment, Timestamp};
use gridtrail_runs::{Changes, Definition, Move, RunsError};
use serde_json::json;
use std::sync::Arc;

static TABLE: Definition = Definition {
    name: "parked",
    schema: &FRAGMENTS,
    by_month: false,
    format: 2,
    needs: PACKED,
    keys: &[column::DEVICE, column::FOREIGN_COUNTER],
    layout: run::properties,
    note: Some(viewers::NOTE),
    made_with: retention::made_with,
};

/// Fragments that wait for their request.
pub(crate) struct Parked;

#[async_trait]
impl LakeTable for Parked {
    fn definition(&self) -> &'static Definition {
        &TABLE
    }

    fn is_looked_up(&self) -> bool {
        true
    }

    fn kept_for(&self) -> KeptFor {
        KeptFor::Needed
    }

    async fn check(&self, file: &mut FileCheck<'_>) -> Result<(), RunsError> {
        rows::fragments(file).await
    }

    async fn expire(&self, maintenance: &mut Maintenance, how: &Expiry<'_>) -> Result<Went, LakeError> {
        Ok(maintenance.expire_parked(how.dry).await?)
    }

    fn is_rewritten(&self) -> bool {
        true
    }

    async fn rewrite(&self, of: &Rewriting<'_>) -> Result<Option<Changes>, RunsError> {
        let summary = FragmentSummary::anew(None, &RunFile::summary_of(of.file)?);
        // As a sweep that found nothing: whoever takes files away moves this position.
        let guard = Move {
            app_id: SWEPT.to_owned(),
            from: of.table.position(SWEPT),
            to: of.main_version.cast_signed(),
        };
        of.in_its_place(self.definition().new_path(None), summary, guard).await.map(Some)
    }
}

impl Maintenance {
    /// Lets go files of parked fragments, all of which are as old as a month that is due, and none of which is held.
    async fn expire_parked(&mut self, dry: bool) -> Result<Went, RunsError> {
        self.tables.refresh().await?;
        let requires = vec![(HOLDS.to_owned(), self.tables.parked.position(HOLDS))];
        let holds = self.active_holds().await?;
        let now = self.lake.clock().now();
        let (floor, first_kept) = (floor(now), Month::of(now).minus(months_of(&self.tables.trails)));
        let old = |run: &&Arc<RunFile>| {
            let RunSummary { max_received_ms, max_recorded_ms, .. } = &run.summary;
            let month = Timestamp::from_millis(*max_received_ms).map(Month::of);
            *max_recorded_ms < floor.millis() && month.is_some_and(|month| month < first_kept)
        };
        let (mut remove, mut went) = (Vec::new(), Went::default());
        for run in self.tables.waiting.iter().filter(old) {
            if !holds.is_empty() {
                let fragments = match self.all_of(run).await {
                    Ok(fragments) => fragments,
                    // It may hold what is held.
                    Err(error) => {
                        self.lake.leave_alone(error, &[&run.path])?;
                        went.refused += 1;
                        continue;
                    }
                };
                // Where a fragment without a request would lie is not known, so months do not count.
                if fragments.iter().any(|fragment| holds.iter().any(|hold| hold.holds(fragment))) {
                    continue;
                }
            }
            remove.push(Arc::clone(&run.file));
            went.rows += run.summary.rows;
        }
        if remove.is_empty() || dry {
            return Ok(went);
        }
        let from = self.tables.parked.position(SWEPT);
        let to = self.tables.trails.version().cast_signed();
        let moves = vec![Move { app_id: SWEPT.to_owned(), from, to }];
        let evidence = Some(json!({ "kind": CommitKind::Retention.name() }));
        let now_ms = self.now_ms();
        let changes =
            Changes { remove, moves, requires, now_ms, evidence, drops: true, ..Changes::default() };
        let committed = self.tables.parked.commit_unless_moved(&changes).await?;
        Ok(went.unless_overtaken(committed))
    }

    async fn all_of(&self, run: &RunFile) -> Result<Vec<Fragment>, RunsError> {
        let opened = self.lake.cache().open_to_rewrite(&self.tables.parked, &run.file).await?;
        lookup::all(self.lake.cache(), &opened).await
    }
}
