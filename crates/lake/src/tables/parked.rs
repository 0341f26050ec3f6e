//! The table of what waits: fragments whose request is not on record.

use crate::error::LakeError;
use crate::evidence::CommitKind;
use crate::kept_for::KeptFor;
use crate::kept_for::{self, Went, floor, months_of};
use crate::month::Month;
use crate::rows::lookup;
use crate::rows::run::{self, FragmentSummary, RunFile, RunSummary};
use crate::rows::schema::{FRAGMENTS, PACKED, column};
use crate::rows::viewers;
use crate::site::Site;
use crate::tables::check::FileCheck;
use crate::tables::hold::HOLDS;
use crate::tables::run_check;
use crate::tables::table::{Expiry, LakeTable, Rewriting};
use async_trait::async_trait;
use gridtrail_model::{Fragment, Timestamp};
use gridtrail_runs::{Changes, Definition, Move, RunsError, Table};
use serde_json::json;
use std::sync::Arc;

/// The position in the parked table that names the version of the main table its last removal relies on.
pub(crate) const SWEPT: &str = "swept/trails";

static TABLE: Definition = Definition {
    name: "parked",
    schema: &FRAGMENTS,
    by_month: false,
    format: 2,
    needs: PACKED,
    keys: &[column::DEVICE, column::FOREIGN_COUNTER],
    layout: run::properties,
    note: Some(viewers::NOTE),
    made_with: kept_for::made_with,
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
        run_check::fragments(file).await
    }

    async fn expire(&self, of: &mut Expiry<'_>) -> Result<Went, LakeError> {
        Ok(expire(of).await?)
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

/// Lets go files of parked fragments, all of which are as old as a month that is due, and none of which is held.
async fn expire(of: &mut Expiry<'_>) -> Result<Went, RunsError> {
    let requires = vec![(HOLDS.to_owned(), of.table.position(HOLDS))];
    let now = of.site.now();
    let (floor, first_kept) = (floor(now), Month::of(now).minus(months_of(of.main)));
    let old = |run: &RunFile| {
        let RunSummary { max_received_ms, max_recorded_ms, .. } = &run.summary;
        let month = Timestamp::from_millis(*max_received_ms).map(Month::of);
        *max_recorded_ms < floor.millis() && month.is_some_and(|month| month < first_kept)
    };
    let (mut remove, mut went) = (Vec::new(), Went::default());
    for file in of.table.files() {
        let run = RunFile::new(Arc::clone(&file), of.table.full_path(&file.path)?)?;
        if !old(&run) {
            continue;
        }
        if !of.holds.is_empty() {
            let fragments = match all_of((of.site, of.table), &run).await {
                Ok(fragments) => fragments,
                // It may hold what is held.
                Err(error) => {
                    of.site.leave_alone(error, &[&run.path])?;
                    went.refused += 1;
                    continue;
                }
            };
            // Where a fragment without a request would lie is not known, so months do not count.
            if fragments.iter().any(|fragment| of.holds.iter().any(|hold| hold.holds(fragment))) {
                continue;
            }
        }
        remove.push(file);
        went.rows += run.summary.rows;
    }
    if remove.is_empty() || of.dry {
        return Ok(went);
    }
    let from = of.table.position(SWEPT);
    let to = of.main.version().cast_signed();
    let moves = vec![Move { app_id: SWEPT.to_owned(), from, to }];
    let evidence = Some(json!({ "kind": CommitKind::Retention.name() }));
    let now_ms = of.site.now().millis();
    let changes = Changes { remove, moves, requires, now_ms, evidence, drops: true, ..Changes::default() };
    let committed = of.table.commit_unless_moved(&changes).await?;
    Ok(went.unless_overtaken(committed))
}

async fn all_of((site, table): (&Site, &Table), run: &RunFile) -> Result<Vec<Fragment>, RunsError> {
    let opened = site.cache().open_to_rewrite(table, &run.file).await?;
    lookup::all(site.cache(), &opened).await
}
