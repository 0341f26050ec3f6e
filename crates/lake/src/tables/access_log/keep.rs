//! Keeping the log in order: few files, and no month that is too old.

use super::{LogSummary, all_gone, counted, gone_mark, heads_of, month_of, rows, upload};
use crate::kept_for::{DROPS, RETENTION_MONTHS_MIN, Went, months_of};
use crate::month::Month;
use crate::site::Site;
use crate::tables::table::Expiry;
use gridtrail_access_log::{Chain, Gone, Head, Row, RowKind, SKEW_MS, Started, Trimmed};
use gridtrail_model::Timestamp;
use gridtrail_runs::gather::{fence, moved};
use gridtrail_runs::{Changes, Move, RunsError, Scan, Table, TableFile};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use uuid::Uuid;

/// The property that says from which month on rows were kept when the number of months was last raised.
const KEPT_FROM: &str = "gridtrail.keptFromBeforeRaise";

/// Lets go the months of the access log that are due. No hold counts: it keeps records of Service Requests.
pub(super) async fn expire(of: &mut Expiry<'_>) -> Result<Went, RunsError> {
    of.table.refresh().await?;
    let (site, table) = (of.site, &mut *of.table);
    let now = site.now();
    let first_kept = Month::of(now).minus(months_of(table));
    if of.dry {
        return Ok(Went { rows: rows_before(table, first_kept), ..Went::default() });
    }
    let (own, runtime, read) = (site.clone(), tokio::runtime::Handle::current(), table.clone());
    let work = move || runtime.block_on(drop_months(&own, &read, first_kept, now));
    let made = site.detached().spawn_blocking(work).await;
    let made = match made.map_err(|_| RunsError::Internal("reading the access log panicked"))? {
        Ok(made) => made,
        Err(error) => {
            let paths = table
                .files()
                .iter()
                .map(|file| table.full_path(&file.path))
                .collect::<Result<Vec<_>, _>>()?;
            site.leave_alone(error, &paths.iter().collect::<Vec<_>>())?;
            return Ok(Went { refused: 1, ..Went::default() });
        }
    };
    let Some((changes, rows)) = made else { return Ok(Went::default()) };
    let committed = table.commit_unless_moved(&changes).await?;
    Ok(Went { rows, ..Went::default() }.unless_overtaken(committed))
}

/// How many rows lie in months before one.
fn rows_before(table: &Table, first_kept: Month) -> u64 {
    let files =
        table.files().into_iter().filter(|file| month_of(file).is_some_and(|month| month < first_kept));
    files.filter_map(|file| LogSummary::of(&file)).map(|summary| summary.rows).sum()
}

/// What takes away all months before one, and says so in a chain of its own. `None`: there are none. With it, the number of rows.
async fn drop_months(
    site: &Site,
    table: &Table,
    first_kept: Month,
    now: Timestamp,
) -> Result<Option<(Changes, u64)>, RunsError> {
    let old = |file: &Arc<TableFile>| month_of(file).is_some_and(|month| month < first_kept);
    let (remove, kept): (Vec<_>, Vec<_>) = table.files().into_iter().partition(old);
    if remove.is_empty() {
        return Ok(None);
    }
    let went = Leaving::read(site, table, &remove).await?;
    let mut gone = all_gone(table);
    gone.extend(went.last.values().map(|head| (head.chain, head.seq)));
    let trimmed = Trimmed {
        before: first_kept.first_instant().to_string(),
        rows: went.rows,
        hash: Head::hash_of_all(went.last.values()),
        chains: went.open(),
        gone: Gone::of(&gone),
    };
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
        marks: went.last.values().map(|head| (gone_mark(head.chain), head.seq.cast_signed())).collect(),
        add: vec![upload(table, Month::of(now), rows).await?],
        remove,
        drops: true,
        now_ms: now.millis(),
        ..Changes::default()
    };
    Ok(Some((changes, went.rows)))
}

/// What goes with files.
#[derive(Default)]
struct Leaving {
    rows: u64,
    /// The last row of each chain.
    last: BTreeMap<Uuid, Head>,
    /// The chains whose end is there.
    ended: BTreeSet<Uuid>,
    /// What went earlier of chains that may go on, as rows say that go now.
    earlier: BTreeMap<Uuid, Head>,
}

impl Leaving {
    async fn read(site: &Site, table: &Table, files: &[Arc<TableFile>]) -> Result<Self, RunsError> {
        let mut went = Self::default();
        for file in files {
            let path = table.full_path(&file.path)?;
            let mut scan = Scan::new(site.cache().clone(), site.cache().open_to_rewrite(table, file).await?);
            while let Some(batch) = scan.next().await? {
                rows(&batch, path.as_ref())?.iter().for_each(|row| went.take(row));
            }
        }
        Ok(went)
    }

    fn take(&mut self, row: &Row) {
        self.rows += 1;
        later(&mut self.last, Head::of(row));
        if row.kind == RowKind::End {
            self.ended.insert(row.chain);
        }
        let said = row.entry.detail.as_deref().filter(|_| row.kind == RowKind::Trimmed);
        if let Some(said) = said.and_then(|said| serde_json::from_str::<Trimmed>(said).ok()) {
            said.chains.into_iter().for_each(|head| later(&mut self.earlier, head));
        }
    }

    /// The last rows that ever went of chains whose end did not: the next row of such a chain, whenever it comes, follows on that.
    fn open(&self) -> Vec<Head> {
        let mut open = self.earlier.clone();
        self.last.values().for_each(|head| later(&mut open, *head));
        open.into_values().filter(|head| !self.ended.contains(&head.chain)).collect()
    }
}

fn later(last: &mut BTreeMap<Uuid, Head>, head: Head) {
    let known = last.entry(head.chain).or_insert(head);
    if known.seq < head.seq {
        *known = head;
    }
}

/// No row of this time or later may have been let go, as a clock and the table's settings say.
pub(crate) fn kept_from(table: &Table, now: Timestamp) -> Timestamp {
    // Whoever let rows go may have had a clock that is ahead of this one.
    let month = Month::of(now.plus_millis(SKEW_MS));
    let went = went_by_earlier_setting(table).min(Some(month.minus(RETENTION_MONTHS_MIN)));
    went.max(Some(month.minus(months_of(table)))).unwrap_or(month).first_instant()
}

/// What went while fewer months were kept is not missed once more are.
fn went_by_earlier_setting(table: &Table) -> Option<Month> {
    table.property(KEPT_FROM)?.parse().ok()
}

/// The property that goes with another number of months, if it is higher: what may have gone until now.
pub(crate) fn raise_months(table: &Table, months: u32, now: Timestamp) -> Option<(&'static str, String)> {
    let before = months_of(table);
    let month = Some(Month::of(now).minus(before)).max(went_by_earlier_setting(table))?;
    (months > before).then(|| (KEPT_FROM, month.to_string()))
}
