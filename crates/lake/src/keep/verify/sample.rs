//! A sample of Devices, whose fragments are merged in several orders.
//!
//! The sample is those Devices whose ids hash lowest: it is the same for the same rows, whatever files they lie in, and in
//! whichever order they are read.

use super::{Damage, DamageKind, Verification, Verified};
use crate::read::snapshot::Snapshot;
use crate::rows::decode::Stored;
use crate::rows::encode;
use crate::rows::index::RunIndex;
use crate::rows::lookup;
use crate::rows::run::RunFile;
use crate::tables::check::Sample;
use crate::tables::registry::{ALL, Tables};
use gridtrail_model::{DeviceId, Fragment, Merge, TrailKey};
use gridtrail_runs::RunsError;
use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

/// Merges the fragments of each Device of the sample.
pub(super) async fn check(
    of: &Verification,
    tables: &mut Tables,
    sample: Sample,
    found: &mut Verified,
) -> Result<(), RunsError> {
    (tables.runs, tables.waiting) = (RunIndex::default(), RunIndex::default());
    tables.index()?;
    let snapshot = Snapshot::of(tables, of.cache.clone(), Weak::new());
    for device in sample.into_devices() {
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
            if let Some(named) = table.missed((&snapshot.cache, &snapshot.keyed), fragment).await? {
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
