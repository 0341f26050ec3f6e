//! A sample of Devices, whose fragments are merged in several orders.
//!
//! The sample is those Devices whose ids hash lowest: it is the same for the same rows, whatever files they lie in, and in
//! whichever order they are read.

use super::{Damage, DamageKind, Verification, Verified};
use crate::decode::Stored;
use crate::encode;
use crate::index::RunIndex;
use crate::lookup;
use crate::snapshot::{RunFile, Snapshot};
use crate::tables::{ALL, Tables};
use gridtrail_model::{DeviceId, Fragment, Merge, TrailKey};
use gridtrail_runs::RunsError;
use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use xxhash_rust::xxh64::xxh64;

/// Not the seed of the buckets: the sample is to come from all of them.
const SEED: u64 = 1;

/// The Devices of a sample, by their hash.
pub(crate) struct Sample {
    size: usize,
    devices: BTreeMap<u64, DeviceId>,
}

impl Sample {
    pub(super) fn new(size: usize) -> Self {
        Self { size, devices: BTreeMap::new() }
    }

    pub(super) fn add(&mut self, device: DeviceId) {
        let hash = xxh64(&device.to_bytes(), SEED);
        let full = self.devices.len() >= self.size;
        if full && self.devices.last_key_value().is_none_or(|(last, _)| *last <= hash) {
            return;
        }
        self.devices.insert(hash, device);
        if self.devices.len() > self.size {
            self.devices.pop_last();
        }
    }

    pub(super) fn merge(&mut self, other: Self) {
        other.devices.into_values().for_each(|device| self.add(device));
    }
}

/// Merges the fragments of each Device of the sample.
pub(super) async fn check(
    of: &Verification,
    tables: &mut Tables,
    sample: Sample,
    found: &mut Verified,
) -> Result<(), RunsError> {
    (tables.runs, tables.waiting) = (RunIndex::default(), RunIndex::default());
    tables.index()?;
    let snapshot = tables.snapshot(of.cache.clone(), Weak::new());
    for device in sample.devices.into_values() {
        let files: Vec<Arc<RunFile>> = tables
            .runs
            .of_device(device, None, None)
            .chain(tables.waiting.of_device(device, None, None))
            .cloned()
            .collect();
        let read = async {
            let rows = rows_of(of, device, &files).await?;
            let missed = missed(&snapshot, &rows).await?;
            Ok::<_, RunsError>((rows, missed))
        };
        match read.await {
            Ok((rows, missed)) => {
                found.devices += 1;
                for what in missed {
                    found.damaged(Damage { kind: DamageKind::Rows, path: device.to_string(), what });
                }
                check_rows(device, rows, found)?;
            }
            // Taken away and deleted meanwhile.
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The fragments of a Device, by their row.
async fn rows_of(
    of: &Verification,
    device: DeviceId,
    files: &[Arc<RunFile>],
) -> Result<BTreeMap<TrailKey, Vec<Fragment>>, RunsError> {
    let mut rows: BTreeMap<TrailKey, Vec<Fragment>> = BTreeMap::new();
    for file in files {
        let run = file.open(&of.cache).await?;
        for sheet in lookup::sheets(&of.cache, &run, device).await? {
            for fragment in lookup::all_of(&sheet, device)? {
                rows.entry(fragment.key).or_default().push(fragment);
            }
        }
    }
    Ok(rows)
}

/// What rows of a Device name and are not found by.
async fn missed(
    snapshot: &Snapshot,
    rows: &BTreeMap<TrailKey, Vec<Fragment>>,
) -> Result<Vec<String>, RunsError> {
    let mut all = Vec::new();
    for fragment in rows.values().flatten() {
        for table in ALL {
            if let Some(named) = table.missed(snapshot, fragment).await? {
                let (key, table) = (fragment.key, table.definition().name);
                all.push(format!("{table} leads from {named:?} to no row that names it: {key:?}"));
            }
        }
    }
    Ok(all)
}

fn check_rows(
    device: DeviceId,
    rows: BTreeMap<TrailKey, Vec<Fragment>>,
    found: &mut Verified,
) -> Result<(), RunsError> {
    for (key, fragments) in rows {
        found.rows_merged += u64::from(fragments.len() > 1);
        if let Some(what) = disagreement(&fragments)? {
            let what = format!("{what}: {key:?}");
            found.damaged(Damage { kind: DamageKind::Merge, path: device.to_string(), what });
        }
    }
    Ok(())
}

/// How the fragments of a row fail to merge; `None` where they do not.
fn disagreement(fragments: &[Fragment]) -> Result<Option<&'static str>, RunsError> {
    let merged = |order: &mut dyn Iterator<Item = &Fragment>| {
        let mut order = order.cloned();
        let first = order.next()?;
        Some(order.fold(first, |mut row, fragment| {
            row.merge(fragment);
            row
        }))
    };
    let Some(row) = merged(&mut fragments.iter()) else { return Ok(None) };
    if merged(&mut fragments.iter().rev()).as_ref() != Some(&row) {
        return Ok(Some("its fragments come to another row in the other order"));
    }
    let (before, behind) = fragments.split_at(fragments.len() / 2);
    let halves: Vec<_> = [behind, before].into_iter().filter_map(|half| merged(&mut half.iter())).collect();
    if merged(&mut halves.iter()).as_ref() != Some(&row) {
        return Ok(Some("its fragments come to another row in two halves"));
    }
    if merged(&mut fragments.iter().chain([&row])).as_ref() != Some(&row) {
        return Ok(Some("it changes when it is merged with its own fragments"));
    }
    let batch = encode::batch(&[&row])?;
    if Stored::of(&batch, 0, "a row of a sample")?.fragment()? != row {
        return Ok(Some("it changes when it is written and read"));
    }
    Ok(None)
}
