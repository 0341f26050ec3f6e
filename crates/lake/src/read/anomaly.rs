//! Thresholds and quarantined communications of a caller's User IDs.
//!
//! They are the User's own, and of those to whom it granted its records; nobody else sees any. So a look-up goes by the User IDs of an [`Access`]
//! and has no other key: there is no way to ask for another's. Thresholds that the DCC set for all Users together are nobody's.
//!
//! 1. The files whose bloom filter and page index may have a key.
//! 2. The pages of the keys, and the rows in them. Other pages are not read.

use crate::error::LakeError;
use crate::limits::RUNS_AT_ONCE;
use crate::read::inventory::permit;
use crate::read::query::Cost;
use crate::read::snapshot::Snapshot;
use crate::tables::anomaly::{ANOMALY, Stored, column, unreadable};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use gridtrail_access::{Access, Component};
use gridtrail_anomaly::{
    ActionsRefused, AnomalyFragment, AnomalyKey, AnomalyRow, AnomalyRowError, QuarantineState,
    QuarantinedCommunication,
};
use gridtrail_model::{Timestamp, UserId};
use gridtrail_runs::{RunsError, Sheet, lookup};

/// Action files of a User that were refused, each with the time when the DCC received it.
pub type RefusedAnswers = (UserId, Vec<(Timestamp, ActionsRefused)>);

impl Snapshot {
    /// What is known of the thresholds of each of the caller's User IDs, ascending, and what it cost: which are in force, by which files, and when one
    /// was exceeded. A User ID of which nothing is known is there, too.
    ///
    /// Errors: `NotPermitted` where none of the caller's roles may use reporting; `Unavailable`, `Corrupt`. Cancel-safe.
    pub async fn thresholds(&self, who: &Access) -> Result<(Vec<AnomalyFragment>, Cost), LakeError> {
        permit(who, Component::Reporting)?;
        let (fragments, cost) = self.anomaly(who, AnomalyKey::Thresholds).await?;
        Ok((fragments, cost))
    }

    /// The quarantined communications of each of the caller's User IDs that a report may show at `now`, ascending; and what it cost. A User ID that
    /// has none is left out. `now` is the time of the clock, whatever the snapshot is of: an earlier one would show what is archived by now.
    ///
    /// Errors: as [`Snapshot::thresholds`]. Cancel-safe.
    pub async fn quarantined(
        &self,
        who: &Access,
        now: Timestamp,
    ) -> Result<(Vec<(UserId, Vec<QuarantinedCommunication>)>, Cost), LakeError> {
        permit(who, Component::Reporting)?;
        let (fragments, cost) = self.anomaly(who, AnomalyKey::Quarantine).await?;
        let reported = fragments.iter().filter_map(|fragment| {
            let reported = fragment.known().reported(now);
            Some((fragment.about()?, reported)).filter(|(_, reported)| !reported.is_empty())
        });
        Ok((reported.collect(), cost))
    }

    /// Where each of the quarantined communications of each of the caller's User IDs stood at a time, ascending: archived ones among them, gone ones not.
    /// An answer is judged by it, which is to say of a late one that it is late. A report shows those of them that are to be reported, which are those
    /// that [`Snapshot::quarantined`] gives.
    ///
    /// Errors: as [`Snapshot::thresholds`]. Cancel-safe.
    pub async fn quarantined_or_archived(
        &self,
        who: &Access,
        at: Timestamp,
    ) -> Result<(Vec<QuarantinedCommunication>, Cost), LakeError> {
        permit(who, Component::Reporting)?;
        let (fragments, cost) = self.anomaly(who, AnomalyKey::Quarantine).await?;
        let all = fragments.iter().flat_map(|fragment| fragment.known().communications(at));
        Ok((all.filter(|of| of.state != QuarantineState::Gone).collect(), cost))
    }

    /// The Quarantined Communications Action Files of each of the caller's User IDs that were refused, ascending, with when the DCC received each and why it was refused; and what
    /// it cost. They are on record for as long as the communications are that they are about. A User ID that has none is left out.
    ///
    /// Errors: as [`Snapshot::thresholds`]. Cancel-safe.
    pub async fn refused_answers(
        &self,
        who: &Access,
        now: Timestamp,
    ) -> Result<(Vec<RefusedAnswers>, Cost), LakeError> {
        permit(who, Component::Reporting)?;
        let (fragments, cost) = self.anomaly(who, AnomalyKey::Quarantine).await?;
        let refused = fragments.iter().filter_map(|fragment| {
            let refused = fragment.known().refused_answers(now);
            Some((fragment.about()?, refused)).filter(|(_, refused)| !refused.is_empty())
        });
        Ok((refused.collect(), cost))
    }

    /// What lies under a key of each of the caller's User IDs.
    async fn anomaly(
        &self,
        who: &Access,
        key: fn(UserId) -> AnomalyKey,
    ) -> Result<(Vec<AnomalyFragment>, Cost), RunsError> {
        let keys: Vec<AnomalyKey> = who.user_ids().iter().map(key).collect();
        let (rows, cost) = self.anomaly_rows(&keys).await?;
        let fragments = keys.iter().zip(&rows).map(|(key, rows)| AnomalyFragment::of_rows(key.about(), rows));
        Ok((fragments.collect::<Result<_, _>>().map_err(|error| unread(&error))?, cost))
    }

    /// The rows under each of some keys, in no order, and the same row perhaps more than once. It waits for the store twice, however many keys there are:
    /// for footers, and for pages.
    async fn anomaly_rows(&self, keys: &[AnomalyKey]) -> Result<(Vec<Vec<AnomalyRow>>, Cost), RunsError> {
        let (cache, requests) = self.cache.counting();
        let runs = lookup::open_all(&cache, &ANOMALY, self.keyed.of(&ANOMALY)).await?;
        let (mut found, mut cost) = (vec![Vec::new(); keys.len()], Cost::default());
        let mut reading = Vec::new();
        for run in &runs {
            for (number, key) in keys.iter().enumerate() {
                let plans = lookup::plans(run, &key.to_bytes(), column::ALL)?;
                cost.runs += u64::from(!plans.is_empty());
                let cache = &cache;
                let sheet =
                    |plan| async move { Ok::<_, RunsError>((number, Sheet::get(cache, run, plan).await?)) };
                reading.extend(plans.into_iter().map(sheet));
            }
        }
        let mut reading = stream::iter(reading).buffered(RUNS_AT_ONCE);
        while let Some((number, sheet)) = reading.try_next().await? {
            cost.pages += sheet.pages() as u64;
            rows_in(&sheet, keys[number], &mut found[number])?;
        }
        let cost = [cost, Cost::of_requests(&requests)].into_iter().sum();
        Ok((found, cost))
    }
}

fn unread(error: &AnomalyRowError) -> RunsError {
    RunsError::Corrupt { path: ANOMALY.name.to_owned(), why: error.to_string() }
}

/// Adds the rows of a key in a sheet.
fn rows_in(sheet: &Sheet, key: AnomalyKey, found: &mut Vec<AnomalyRow>) -> Result<(), RunsError> {
    let corrupt = || unreadable(sheet.path());
    let key = key.to_bytes();
    let range = sheet.rows_equal(column::KEY, &key)?;
    if range.is_empty() {
        return Ok(());
    }
    let text = |number| sheet.texts(number, &range);
    let (kinds, origins) = (text(column::KIND)?, text(column::ORIGIN)?);
    let (events, targets, bodies) = (text(column::EVENT)?, text(column::TARGET)?, text(column::BODY)?);
    let (at, recorded) = (sheet.numbers(column::AT, &range)?, sheet.numbers(column::RECORDED, &range)?);
    for row in 0..range.len() {
        let stored = Stored {
            key: &key,
            kind: kinds[row].ok_or_else(corrupt)?,
            at_ms: at[row],
            recorded_ms: recorded[row].ok_or_else(corrupt)?,
            origin: origins[row].ok_or_else(corrupt)?,
            event_id: events[row].ok_or_else(corrupt)?,
            target: targets[row],
            body: bodies[row].ok_or_else(corrupt)?,
        };
        found.push(stored.row().ok_or_else(corrupt)?);
    }
    Ok(())
}
