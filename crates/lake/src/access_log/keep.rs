//! Keeping the log in order: few files, and no month that is too old.

use super::{LogSummary, counted, heads_of, month_of, rows, upload};
use crate::lake::Lake;
use crate::month::Month;
use crate::retention::DROPS;
use gridtrail_access_log::{Chain, Head, RowKind, Started, Trimmed};
use gridtrail_model::Timestamp;
use gridtrail_runs::gather::{fence, moved};
use gridtrail_runs::{Changes, Move, RunsError, Scan, Table, TableFile};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use uuid::Uuid;

/// How many rows lie in months before one.
pub(crate) fn rows_before(table: &Table, first_kept: Month) -> u64 {
    let files =
        table.files().into_iter().filter(|file| month_of(file).is_some_and(|month| month < first_kept));
    files.filter_map(|file| LogSummary::of(&file)).map(|summary| summary.rows).sum()
}

/// What takes away all months before one, and says so in a chain of its own. `None`: there are none. With it, the number of rows.
pub(crate) async fn drop_months(
    lake: &Lake,
    table: &Table,
    first_kept: Month,
    now: Timestamp,
) -> Result<Option<(Changes, u64)>, RunsError> {
    let old = |file: &Arc<TableFile>| month_of(file).is_some_and(|month| month < first_kept);
    let (remove, kept): (Vec<_>, Vec<_>) = table.files().into_iter().partition(old);
    if remove.is_empty() {
        return Ok(None);
    }
    let (gone, chains) = last_rows(lake, table, &remove).await?;
    let trimmed = Trimmed { before: first_kept.first_instant().to_string(), rows: gone, chains };
    let started = Started {
        by: "retention".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        heads: heads_of(kept.iter()),
    };
    let (mut chain, first) = Chain::start(now, &started);
    let rows = vec![first, chain.trim(now, &trimmed), chain.end(now)];
    let last = rows.last().map_or(0, |row| row.seq.cast_signed());
    let chain_moves = Move { app_id: counted(rows[0].chain), from: None, to: last };
    let fences: BTreeSet<String> = remove.iter().map(|file| fence(file.month.as_deref())).collect();
    let fences = fences.into_iter().chain([DROPS.to_owned()]).map(|app_id| moved(table, app_id));
    let changes = Changes {
        moves: fences.chain([chain_moves]).collect(),
        add: vec![upload(table, Month::of(now), rows).await?],
        remove,
        drops: true,
        now_ms: now.millis(),
        ..Changes::default()
    };
    Ok(Some((changes, gone)))
}

/// How many rows files hold, and the last of each chain whose end is not among them.
async fn last_rows(
    lake: &Lake,
    table: &Table,
    files: &[Arc<TableFile>],
) -> Result<(u64, Vec<Head>), RunsError> {
    let (mut count, mut last) = (0, BTreeMap::<Uuid, (Head, bool)>::new());
    for file in files {
        let path = table.full_path(&file.path)?;
        let mut scan = Scan::new(lake.cache().clone(), lake.cache().open_to_rewrite(table, file).await?);
        while let Some(batch) = scan.next().await? {
            for row in rows(&batch, path.as_ref())? {
                count += 1;
                let head = (Head::of(&row), row.kind == RowKind::End);
                let known = last.entry(row.chain).or_insert(head);
                if known.0.seq < row.seq {
                    *known = head;
                }
            }
        }
    }
    Ok((count, last.into_values().filter(|(_, ended)| !ended).map(|(head, _)| head).collect()))
}
