//! Which rows on record a fragment without a place could belong to.
//!
//! Only keys, placement times and Devices are read, and many fragments are resolved at once: in each run the pages that
//! can hold any of them are read once, in order, however many of them lie on one page.

use crate::limits::{MONTHS_AT_FIRST, RUNS_AT_ONCE};
use crate::read::snapshot::Snapshot;
use crate::rows::decode::Stored;
use crate::rows::lookup::{self, Counters};
use crate::rows::packed;
use crate::rows::run::{RunFile, TRAILS};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use gridtrail_model::{DeviceId, Fragment, Resolved, Subject, TrailKey};
use gridtrail_runs::lookup::open_runs;
use gridtrail_runs::{OpenRun, RunCache, RunsError};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// The rows on record, by the key of the fragments that could belong to them.
#[derive(Debug, Default)]
pub struct OnRecord {
    rows: HashMap<TrailKey, Vec<Resolved>>,
    unknown: bool,
}

impl OnRecord {
    /// The rows for fragments of one key.
    pub fn of(&self, key: &TrailKey) -> &[Resolved] {
        self.rows.get(key).map(Vec::as_slice).unwrap_or_default()
    }

    /// Whether nobody knows what is on record, since a run that may hold some of it is damaged. Then what was asked for waits: a place
    /// given to it now could be another than its own.
    pub fn is_unknown(&self) -> bool {
        self.unknown
    }

    /// What is on record where it cannot be read.
    pub(crate) fn unknown() -> Self {
        Self { rows: HashMap::new(), unknown: true }
    }

    /// The keys that a row was asked for by: its own, or, for a leg, what is unjoined of its request.
    fn asked(&self, key: TrailKey) -> impl Iterator<Item = TrailKey> {
        let (own, unjoined) = match key.subject {
            Subject::Leg(leg) => {
                (Some(key), Some(TrailKey { subject: Subject::Unjoined(leg.request_id), ..key }))
            }
            // What waits for its leg is no place to join.
            Subject::Unjoined(_) => (None, None),
            Subject::ScheduledRun(_) | Subject::Alert { .. } => (Some(key), None),
        };
        own.into_iter().chain(unjoined).filter(|key| self.rows.contains_key(key))
    }
}

/// What a run is searched by for a key: the Device that its id names, and the counter, for a row that lies under
/// another. `None`: an alert always has a place of its own.
fn searched_by(key: &TrailKey) -> Option<(DeviceId, i64)> {
    (!matches!(key.subject, Subject::Alert { .. })).then(|| packed::searched_by(key))
}

impl Snapshot {
    /// The rows on record that fragments could belong to: same User, same id; from the newest month back, as far as
    /// needed. No row's content leaves, so no [`Access`](gridtrail_access::Access) is needed.
    ///
    /// It waits for the store a few times for the newest month, for the next two, for the next four, and so on: for footers, for pages of
    /// Devices, and for those of counters.
    pub(crate) async fn resolve(
        &self,
        cache: &RunCache,
        fragments: &[Fragment],
    ) -> Result<OnRecord, RunsError> {
        self.resolve_beside(cache, fragments, &HashSet::new()).await
    }

    /// The same, of all runs but some.
    pub(crate) async fn resolve_beside(
        &self,
        cache: &RunCache,
        fragments: &[Fragment],
        but: &HashSet<&str>,
    ) -> Result<OnRecord, RunsError> {
        let rows = fragments.iter().map(|fragment| (fragment.key, Vec::new())).collect();
        let mut found = OnRecord { rows, unknown: false };
        let mut open: Vec<&Fragment> = fragments.iter().collect();
        // The newest last.
        let mut months: Vec<Vec<&Arc<RunFile>>> = self.trails.months().map(|(_, runs)| runs).collect();
        let mut at_once = MONTHS_AT_FIRST;
        while !months.is_empty() {
            let (devices, counters): (BTreeSet<DeviceId>, Counters) =
                open.iter().filter_map(|fragment| searched_by(&fragment.key)).unzip();
            if devices.is_empty() {
                break;
            }
            let newest = months.split_off(months.len().saturating_sub(at_once));
            let mut files: Vec<&Arc<RunFile>> = newest.into_iter().flatten().collect();
            files.retain(|run| !but.contains(run.path.as_ref()));
            let runs = open_runs(cache, &TRAILS, &files).await?;
            let sought = (&devices, &counters);
            let reading: Vec<_> =
                files.iter().zip(&runs).map(|run| rows_in(cache, run, sought, &found)).collect();
            let read: Vec<_> = stream::iter(reading).buffered(RUNS_AT_ONCE).try_collect().await?;
            for (key, row) in read.into_iter().flatten() {
                if let Some(rows) = found.rows.get_mut(&key) {
                    rows.push(row);
                }
            }
            // An older month could change nothing for these, and most answers come within days of their request.
            open.retain(|fragment| !fragment.is_settled_by(found.of(&fragment.key)));
            at_once *= 2;
        }
        for rows in found.rows.values_mut() {
            rows.sort_by_key(|row| (row.subject, row.received, row.anchor));
            rows.dedup();
        }
        Ok(found)
    }
}

/// The rows of a run that were asked for, each by the key that it was asked for by.
async fn rows_in(
    cache: &RunCache,
    (file, run): (&&Arc<RunFile>, &Arc<OpenRun>),
    (devices, counters): (&BTreeSet<DeviceId>, &Counters),
    asked: &OnRecord,
) -> Result<Vec<(TrailKey, Resolved)>, RunsError> {
    let here: Vec<DeviceId> = devices.iter().copied().filter(|device| file.is_of(*device)).collect();
    let mut found = Vec::new();
    let mut take = |row: &Stored<'_>| {
        if let Some((key, row)) = row.resolved()? {
            found.extend(asked.asked(key).map(|key| (key, row)));
        }
        Ok(())
    };
    lookup::each_of_devices(cache, run, &here, &mut take).await?;
    lookup::each_by_foreign_counter(cache, run, counters, &mut take).await?;
    Ok(found)
}
