//! Rows by scans: all of a lake, or of some months.

use crate::columns;
use crate::copy::{Copy, Plan};
use crate::data::{Encoded, encode};
use crate::error::ExportError;
use crate::identity::identity;
use crate::limits::{FILE_ROWS, PART_ROWS, PARTS_MAX};
use crate::tables::CopiedTable;
use arrow::array::RecordBatch;
use gridtrail_access::Access;
use gridtrail_lake::{Found, Month, ScanPart, ScanQuery, Snapshot, TouchedRows};
use gridtrail_model::{Subject, Timestamp};
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use tokio::task::JoinSet;

/// Parts of a scan that are read at the same time.
const AT_ONCE: usize = 2;

/// Scans for one table of a copy.
pub(crate) struct Scanned<'a> {
    pub(crate) copy: &'a Copy,
    pub(crate) who: &'a Access,
    /// The snapshot, and about how many rows it has.
    pub(crate) of: (&'a Arc<Snapshot>, u64),
    /// Rows that show something which waits for its request.
    pub(crate) waiting: Arc<TouchedRows>,
    /// Rows of which it is to be told where they were found.
    pub(crate) sought: Arc<TouchedRows>,
}

/// Rows of a month on their way into files.
#[derive(Default)]
struct Open {
    batches: Vec<RecordBatch>,
    rows: usize,
    /// Of rows that wait, the identities of those that are joined.
    joined: Vec<String>,
}

/// One part of a scan, being put into files.
struct Part {
    table: CopiedTable,
    who: Access,
    waiting: Arc<TouchedRows>,
    sought: Arc<TouchedRows>,
    /// By month, and whether they wait.
    open: BTreeMap<(String, bool), Open>,
    done: Vec<Encoded>,
    rows: u64,
    found: Vec<Found>,
}

impl Scanned<'_> {
    /// Has a commit add all rows that are filed under a month, or all there are. Gives those that were sought.
    pub(crate) async fn write(
        &self,
        month: Option<Month>,
        plan: &mut Plan,
    ) -> Result<Vec<Found>, ExportError> {
        let (snapshot, rows) = self.of;
        let query = ScanQuery {
            from: month.map(Month::first_instant),
            to: month.map(|month| month.plus(1).first_instant().plus_millis(-1)),
            ..ScanQuery::all(self.copy.kind.view())
        };
        // A power of two, so that a lake which grows has the same parts for long.
        let parts = u32::try_from(rows / PART_ROWS).unwrap_or(PARTS_MAX).next_power_of_two();
        let parts = NonZeroU32::new(parts.min(PARTS_MAX)).unwrap_or(NonZeroU32::MIN);
        let mut left = snapshot.scan(self.who, query, parts).await?.into_iter();
        let mut reading = JoinSet::new();
        left.by_ref().take(AT_ONCE).for_each(|part| drop(reading.spawn(self.part().read(part))));
        let (mut found, mut waiting) = (Vec::new(), BTreeMap::<String, Open>::new());
        while let Some(read) = reading.join_next().await {
            let part = read.map_err(|_| ExportError::Internal("a scan panicked"))??;
            if let Some(next) = left.next() {
                reading.spawn(self.part().read(next));
            }
            for file in part.done {
                plan.add(&self.copy.table, file).await?;
            }
            for ((month, _), open) in part.open {
                waiting.entry(month).or_default().absorb(open);
            }
            plan.rows += part.rows;
            found.extend(part.found);
        }
        // Of all parts together: as a rule they are few.
        for (month, mut open) in waiting {
            open.joined.sort();
            for file in encode(self.copy.kind, &month, &open.batches, Some(&open.joined))? {
                plan.add(&self.copy.table, file).await?;
            }
        }
        Ok(found)
    }

    fn part(&self) -> Part {
        Part {
            table: self.copy.kind,
            who: self.who.clone(),
            waiting: Arc::clone(&self.waiting),
            sought: Arc::clone(&self.sought),
            open: BTreeMap::new(),
            done: Vec::new(),
            rows: 0,
            found: Vec::new(),
        }
    }
}

impl Open {
    fn absorb(&mut self, other: Self) {
        self.batches.extend(other.batches);
        self.rows += other.rows;
        self.joined.extend(other.joined);
    }
}

impl Part {
    /// Reads the part to its end. What waits is left open.
    async fn read(mut self, part: ScanPart) -> Result<Self, ExportError> {
        let mut rows = part.rows();
        while let Some(found) = rows.next().await? {
            self.take(found)?;
        }
        let settled: Vec<_> = self.open.extract_if(.., |(_, waits), _| !*waits).collect();
        for ((month, _), open) in settled {
            self.done.extend(encode(self.table, &month, &open.batches, None)?);
        }
        Ok(self)
    }

    fn take(&mut self, found: Vec<Found>) -> Result<(), ExportError> {
        self.rows += found.len() as u64;
        let mut by_month = BTreeMap::<(String, bool), Vec<Found>>::new();
        for row in found {
            if has(&self.sought, &row) {
                self.found.push(row.clone());
            }
            let waits = is_waiting(&self.waiting, &row);
            by_month.entry((row.placement.month(), waits)).or_default().push(row);
        }
        for ((month, waits), rows) in by_month {
            let batch = columns::batch((&self.who, self.table.view()), &rows)?;
            let open = self.open.entry((month.clone(), waits)).or_default();
            open.rows += batch.num_rows();
            open.batches.push(batch);
            if waits {
                open.joined.extend(rows.iter().filter_map(joined));
            } else if open.rows >= FILE_ROWS {
                let full = std::mem::take(open);
                self.done.extend(encode(self.table, &month, &full.batches, None)?);
            }
        }
        Ok(())
    }
}

fn has(rows: &TouchedRows, row: &Found) -> bool {
    !rows.is_empty()
        && rows.get(&row.fragment.anchor()).is_some_and(|keys| keys.contains_key(&row.fragment.key))
}

/// Whether a row shows something that waits for its request.
pub(crate) fn is_waiting(joined: &TouchedRows, row: &Found) -> bool {
    matches!(row.fragment.key.subject, Subject::Unjoined(_)) || has(joined, row)
}

/// The identity of a row that something is joined to which waits, and where it is filed.
pub(crate) fn joined(row: &Found) -> Option<String> {
    let is_alone = matches!(row.fragment.key.subject, Subject::Unjoined(_));
    let identity = identity(row.fragment.anchor(), &row.fragment.key);
    (!is_alone).then(|| format!("{} {identity}", row.placement.millis()))
}

/// Reads what [`joined`] wrote.
pub(crate) fn read_joined(
    line: &str,
) -> Option<(Timestamp, (gridtrail_model::Anchor, gridtrail_model::TrailKey))> {
    let (millis, identity) = line.split_once(' ')?;
    Some((Timestamp::from_millis(millis.parse().ok()?)?, crate::identity::read(identity)?))
}
