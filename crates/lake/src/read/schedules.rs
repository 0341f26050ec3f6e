//! DSP schedules of a caller's User IDs.
//!
//! They are the User's own, and of those to whom it granted its records, as trails are; nobody else sees any. So a look-up goes by a User ID of an
//! [`Access`] and has no other key: there is no way to ask for another's.
//!
//! 1. The files whose bloom filter and page index may have the User ID.
//! 2. The pages of it, and the rows in them. Other pages are not read.

use crate::error::LakeError;
use crate::limits::RUNS_AT_ONCE;
use crate::read::inventory::permit;
use crate::read::query::Cost;
use crate::read::snapshot::Snapshot;
use crate::tables::schedules::{SCHEDULES, Stored, column, unreadable};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use gridtrail_access::{Access, Component};
use gridtrail_model::UserId;
use gridtrail_runs::{RunsError, Sheet, lookup};
use gridtrail_schedules::Schedules;

impl Snapshot {
    /// What is known of the schedules of one User, and what it cost. Of a User ID that is not the caller's, own or granted, nothing is.
    ///
    /// Memory: what is known of the User, and some pages. Errors: `NotPermitted` where the caller's roles allow neither searches of the service audit
    /// trail nor reporting; `Unavailable`, `Corrupt`. Cancel-safe.
    pub async fn schedules(&self, who: &Access, user: UserId) -> Result<(Schedules, Cost), LakeError> {
        if !who.permits(Component::Reporting) {
            permit(who, Component::ServiceAudit)?;
        }
        if !who.user_ids().contains(&user) {
            return Ok((Schedules::new(user), Cost::default()));
        }
        Ok(self.schedules_of(user).await?)
    }

    async fn schedules_of(&self, user: UserId) -> Result<(Schedules, Cost), RunsError> {
        let (cache, requests) = self.cache.counting();
        let runs = lookup::open_all(&cache, &SCHEDULES, self.keyed.of(&SCHEDULES)).await?;
        let (mut schedules, mut cost) = (Schedules::new(user), Cost::default());
        let mut reading = Vec::new();
        for run in &runs {
            let plans = lookup::plans(run, &user.to_bytes(), column::ALL)?;
            cost.runs += u64::from(!plans.is_empty());
            let cache = &cache;
            let sheet = |plan| async move { Sheet::get(cache, run, plan).await };
            reading.extend(plans.into_iter().map(sheet));
        }
        let mut reading = stream::iter(reading).buffered(RUNS_AT_ONCE);
        while let Some(sheet) = reading.try_next().await? {
            cost.pages += sheet.pages() as u64;
            take(&sheet, &mut schedules)?;
        }
        Ok((schedules, [cost, Cost::of_requests(&requests)].into_iter().sum()))
    }
}

/// Takes in the rows of a User in a sheet.
fn take(sheet: &Sheet, schedules: &mut Schedules) -> Result<(), RunsError> {
    let corrupt = || unreadable(sheet.path());
    let user = schedules.user().to_bytes();
    let range = sheet.rows_equal(column::USER, &user)?;
    if range.is_empty() {
        return Ok(());
    }
    let text = |number| sheet.texts(number, &range);
    let (kinds, events, bodies) = (text(column::KIND)?, text(column::EVENT)?, text(column::BODY)?);
    let (at, recorded) = (sheet.numbers(column::AT, &range)?, sheet.numbers(column::RECORDED, &range)?);
    for row in 0..range.len() {
        let stored = Stored {
            user: &user,
            kind: kinds[row].ok_or_else(corrupt)?,
            at_ms: at[row].ok_or_else(corrupt)?,
            recorded_ms: recorded[row].ok_or_else(corrupt)?,
            event_id: events[row].ok_or_else(corrupt)?,
            body: bodies[row].ok_or_else(corrupt)?,
        };
        let row = stored.row().ok_or_else(corrupt)?;
        schedules.take(&row).map_err(|_| corrupt())?;
    }
    Ok(())
}
