//! Which rows on record a fragment without a place could belong to.
//!
//! Only keys, placement times and Devices are read, and many fragments are resolved at once: in each run the pages that
//! can hold any of them are read once, in order, however many of them lie on one page.

use crate::decode::Stored;
use crate::lookup::{self, Counters};
use crate::packed;
use crate::snapshot::Snapshot;
use gridtrail_model::{DeviceId, Fragment, Resolved, Subject, TrailKey};
use gridtrail_runs::RunsError;
use std::collections::{BTreeSet, HashMap, HashSet};

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

    /// Takes a row in where it was asked for: by its own key, or, for a leg, by what is unjoined of its request.
    fn add(&mut self, key: TrailKey, row: Resolved) {
        let unjoined = match key.subject {
            Subject::Leg(leg) => Some(TrailKey { subject: Subject::Unjoined(leg.request_id), ..key }),
            // What waits for its leg is no place to join.
            Subject::Unjoined(_) => return,
            Subject::ScheduledRun(_) | Subject::Alert { .. } => None,
        };
        for key in [Some(key), unjoined].into_iter().flatten() {
            if let Some(rows) = self.rows.get_mut(&key) {
                rows.push(row);
            }
        }
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
    pub(crate) async fn resolve(&self, fragments: &[Fragment]) -> Result<OnRecord, RunsError> {
        self.resolve_beside(fragments, &HashSet::new()).await
    }

    /// The same, of all runs but some.
    pub(crate) async fn resolve_beside(
        &self,
        fragments: &[Fragment],
        but: &HashSet<&str>,
    ) -> Result<OnRecord, RunsError> {
        let rows = fragments.iter().map(|fragment| (fragment.key, Vec::new())).collect();
        let mut found = OnRecord { rows, unknown: false };
        let mut open: Vec<&Fragment> = fragments.iter().collect();
        for (_, runs) in self.trails.months().rev() {
            let (devices, counters): (BTreeSet<DeviceId>, Counters) =
                open.iter().filter_map(|fragment| searched_by(&fragment.key)).unzip();
            if devices.is_empty() {
                break;
            }
            for file in runs.into_iter().filter(|run| !but.contains(run.path.as_ref())) {
                let run = file.open(&self.cache).await?;
                let here: Vec<DeviceId> =
                    devices.iter().copied().filter(|device| file.is_of(*device)).collect();
                let mut take = |row: &Stored<'_>| {
                    row.resolved()?.into_iter().for_each(|(key, row)| found.add(key, row));
                    Ok(())
                };
                lookup::each_of_devices(&self.cache, &run, &here, &mut take).await?;
                lookup::each_by_foreign_counter(&self.cache, &run, &counters, &mut take).await?;
            }
            // An older month could change nothing for these, and most answers come within days of their request.
            open.retain(|fragment| !fragment.is_settled_by(found.of(&fragment.key)));
        }
        for rows in found.rows.values_mut() {
            rows.sort_by_key(|row| (row.subject, row.received, row.anchor));
            rows.dedup();
        }
        Ok(found)
    }
}
