//! DSP schedules of a caller's User IDs.
//!
//! They are the User's own, and of those to whom it granted its records, as trails are; nobody else sees any. So a look-up goes by a User ID of an
//! [`Access`] and has no other key: there is no way to ask for another's.
//!
//! 1. The files whose bloom filter and page index may have the User ID.
//! 2. The pages of it, and the rows in them, some thousands of rows at a time. Other pages are not read.
//!
//! A User may have millions of schedules. Whoever wants no more than some of them in memory asks for a part: the pages are read twice then, first for what
//! names a schedule of the part, and then for the requests that those came of.

use crate::error::LakeError;
use crate::limits::RUNS_AT_ONCE;
use crate::read::inventory::permit;
use crate::read::query::Cost;
use crate::read::snapshot::Snapshot;
use crate::tables::schedules::{SCHEDULES, Stored, column, unreadable};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use gridtrail_access::{Access, Component};
use gridtrail_model::UserId;
use gridtrail_runs::{OpenRun, PAGE_ROWS, Plan, RunCache, RunsError, Sheet, lookup};
use gridtrail_schedules::{ScheduleEvent, SchedulePart, ScheduleRowKind, Schedules};
use std::ops::Range;
use std::sync::Arc;

/// Rows of a file that are read together.
const PIECE_ROWS: usize = 2 * PAGE_ROWS;
/// Rows that are read at the same time, of schedules of one User, and what one of them takes while it is, about.
pub const SCHEDULE_ROWS_READ: (usize, usize) = (RUNS_AT_ONCE * PIECE_ROWS, 256);

/// What names a schedule.
const NAMING: &[ScheduleRowKind] = &[
    ScheduleRowKind::Created,
    ScheduleRowKind::Listed,
    ScheduleRowKind::DeletionAsked,
    ScheduleRowKind::Removed,
];
/// What tells of a request.
const OF_REQUESTS: &[ScheduleRowKind] =
    &[ScheduleRowKind::Asked, ScheduleRowKind::DeletionAsked, ScheduleRowKind::Deleted];

/// The rows of a User.
struct RowsOfUser {
    cache: RunCache,
    user: UserId,
    /// Which rows of which group of which file may be the User's.
    places: Vec<(Arc<OpenRun>, usize, Range<usize>)>,
    cost: Cost,
}

impl Snapshot {
    /// What is known of the schedules of one User, and what it cost. Of a User ID that is not the caller's, own or granted, nothing is.
    ///
    /// Memory: what is known of the User, and some pages. Errors: `NotPermitted` where the caller's roles allow neither searches of the service audit
    /// trail nor reporting; `Unavailable`, `Corrupt`. Cancel-safe.
    pub async fn schedules(&self, who: &Access, user: UserId) -> Result<(Schedules, Cost), LakeError> {
        let (cache, requests) = self.cache.counting();
        let mut schedules = Schedules::new(user);
        let Some(mut rows) = self.rows_of_user(cache, who, user).await? else {
            return Ok((schedules, Cost::default()));
        };
        rows.each(ScheduleRowKind::ALL, |event| schedules.add(event)).await?;
        Ok((schedules, [rows.cost, Cost::of_requests(&requests)].into_iter().sum()))
    }

    /// How many rows tell of the schedules of one User, or some more. Errors: as [`Snapshot::schedules`].
    pub async fn schedule_rows(&self, who: &Access, user: UserId) -> Result<usize, LakeError> {
        let rows = self.rows_of_user(self.cache.clone(), who, user).await?;
        Ok(rows.map_or(0, |rows| rows.places.iter().map(|(.., rows)| rows.len()).sum()))
    }

    /// What is known of a part of the schedules of one User. Memory: that, and some pages. Errors: as [`Snapshot::schedules`]. Cancel-safe.
    pub async fn schedules_of_part(
        &self,
        who: &Access,
        user: UserId,
        part: SchedulePart,
    ) -> Result<Schedules, LakeError> {
        let mut schedules = Schedules::new(user);
        let Some(mut rows) = self.rows_of_user(self.cache.clone(), who, user).await? else {
            return Ok(schedules);
        };
        rows.each(NAMING, |event| schedules.add_of_part(event, part)).await?;
        let creations = schedules.creations();
        rows.each(OF_REQUESTS, |event| schedules.add_of_requests(event, &creations)).await?;
        schedules.keep_part(part);
        Ok(schedules)
    }

    /// `None`: the User ID is none of the caller's.
    async fn rows_of_user(
        &self,
        cache: RunCache,
        who: &Access,
        user: UserId,
    ) -> Result<Option<RowsOfUser>, LakeError> {
        if !who.permits(Component::Reporting) {
            permit(who, Component::ServiceAudit)?;
        }
        if !who.user_ids().contains(&user) {
            return Ok(None);
        }
        let mut cost = Cost::default();
        let mut places = Vec::new();
        for run in lookup::open_all(&cache, &SCHEDULES, self.keyed.of(&SCHEDULES)).await? {
            let plans = lookup::plans(&run, &user.to_bytes(), &[column::USER])?;
            cost.runs += u64::from(!plans.is_empty());
            places.extend(plans.iter().map(|plan| {
                let (group, rows) = plan.place();
                (Arc::clone(&run), group, rows)
            }));
        }
        Ok(Some(RowsOfUser { cache, user, places, cost }))
    }
}

impl RowsOfUser {
    /// Calls `take` with what each row of some kinds tells.
    async fn each(
        &mut self,
        kinds: &[ScheduleRowKind],
        mut take: impl FnMut(&ScheduleEvent),
    ) -> Result<(), RunsError> {
        let Self { cache, user, places, cost } = self;
        let cache = &*cache;
        let pieces = places.iter().flat_map(|(run, group, rows)| {
            let piece = |from| from..rows.end.min(from + PIECE_ROWS);
            rows.clone().step_by(PIECE_ROWS).map(move |from| (run, *group, piece(from)))
        });
        let reading = pieces.map(|(run, group, rows)| async move {
            let plan = Plan::new(run, group, rows.clone(), column::ALL);
            let plan = plan.ok_or_else(|| unreadable(run.path.as_ref().as_ref()))?;
            Ok::<_, RunsError>((Sheet::get(cache, run, plan).await?, rows))
        });
        let reading: Vec<_> = reading.collect();
        let mut reading = stream::iter(reading).buffered(RUNS_AT_ONCE);
        while let Some((sheet, rows)) = reading.try_next().await? {
            cost.pages += sheet.pages() as u64;
            each_in((&sheet, rows), *user, kinds, &mut take)?;
        }
        Ok(())
    }
}

/// Calls `take` with what each row of a User and of some kinds in a sheet tells.
fn each_in(
    (sheet, rows): (&Sheet, Range<usize>),
    user: UserId,
    wanted: &[ScheduleRowKind],
    take: &mut impl FnMut(&ScheduleEvent),
) -> Result<(), RunsError> {
    let corrupt = || unreadable(sheet.path());
    let user = user.to_bytes();
    let range = sheet.rows_equal(column::USER, &user)?;
    let range = range.start.max(rows.start)..range.end.min(rows.end);
    if range.is_empty() {
        return Ok(());
    }
    let text = |number| sheet.texts(number, &range);
    let (kinds, events, bodies) = (text(column::KIND)?, text(column::EVENT)?, text(column::BODY)?);
    let (at, recorded) = (sheet.numbers(column::AT, &range)?, sheet.numbers(column::RECORDED, &range)?);
    for row in 0..range.len() {
        let kind = kinds[row].ok_or_else(corrupt)?;
        let is_known = |of: &[ScheduleRowKind]| of.iter().any(|one| one.as_str().as_bytes() == kind);
        if !is_known(wanted) && is_known(ScheduleRowKind::ALL) {
            continue;
        }
        let stored = Stored {
            user: &user,
            kind,
            at_ms: at[row].ok_or_else(corrupt)?,
            recorded_ms: recorded[row].ok_or_else(corrupt)?,
            event_id: events[row].ok_or_else(corrupt)?,
            body: bodies[row].ok_or_else(corrupt)?,
        };
        let row = stored.row().ok_or_else(corrupt)?;
        take(&row.event().map_err(|_| corrupt())?);
    }
    Ok(())
}
