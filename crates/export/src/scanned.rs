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
use gridtrail_lake::{Found, Month, ScanPart, ScanQuery, Snapshot, TouchedRows, View};
use gridtrail_model::{Anchor, Subject, Timestamp, TrailKey};
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

/// Parts of a scan that are read at the same time.
const AT_ONCE: usize = 2;

/// Scans for one table of a copy.
pub(crate) struct Scanned<'a> {
    pub(crate) copy: &'a Copy,
    pub(crate) view: View,
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

/// A row that was sought, and the times that its fragments claim.
pub(crate) struct Seen {
    pub(crate) anchor: Anchor,
    pub(crate) key: TrailKey,
    pub(crate) times: Vec<Timestamp>,
}

/// One part of a scan, being put into files.
struct Part {
    table: CopiedTable,
    view: View,
    who: Access,
    waiting: Arc<TouchedRows>,
    sought: Arc<TouchedRows>,
    /// Where files go as they are done.
    files: mpsc::Sender<Encoded>,
    read: Read,
}

/// What was read of a part, beside files that are done.
#[derive(Default)]
struct Read {
    /// By month, and whether they wait.
    open: BTreeMap<(String, bool), Open>,
    rows: u64,
    seen: Vec<Seen>,
}

impl Scanned<'_> {
    /// Has a commit add all rows that are filed under a month, or all there are. Gives those that were sought.
    pub(crate) async fn write(
        &self,
        month: Option<Month>,
        plan: &mut Plan,
    ) -> Result<Vec<Seen>, ExportError> {
        let (snapshot, rows) = self.of;
        let query = ScanQuery {
            from: month.map(Month::first_instant),
            to: month.map(|month| month.plus(1).first_instant().plus_millis(-1)),
            ..ScanQuery::all(self.view)
        };
        // A power of two, so that a lake which grows has the same parts for long.
        let parts =
            u32::try_from(rows / PART_ROWS).unwrap_or(PARTS_MAX).clamp(1, PARTS_MAX).next_power_of_two();
        let parts = NonZeroU32::new(parts).unwrap_or(NonZeroU32::MIN);
        let (files, mut done) = mpsc::channel(1);
        let turns = Arc::new(Semaphore::new(AT_ONCE));
        let mut reading = JoinSet::new();
        for part in snapshot.scan(self.who, query, parts).await? {
            reading.spawn(self.part(files.clone()).read(part, Arc::clone(&turns)));
        }
        drop(files);
        while let Some(file) = done.recv().await {
            plan.add(&self.copy.table, file).await?;
        }
        let (mut seen, mut waiting) = (Vec::new(), BTreeMap::<String, Open>::new());
        while let Some(read) = reading.join_next().await {
            let part = read.map_err(|_| ExportError::Internal("a scan panicked"))??;
            for ((month, _), open) in part.open {
                waiting.entry(month).or_default().absorb(open);
            }
            plan.rows += part.rows;
            seen.extend(part.seen);
        }
        // Of all parts together: as a rule they are few.
        for (month, mut open) in waiting {
            open.joined.sort();
            for file in encode(self.copy.kind, &month, &open.batches, Some(&open.joined))? {
                plan.add(&self.copy.table, file).await?;
            }
        }
        Ok(seen)
    }

    fn part(&self, files: mpsc::Sender<Encoded>) -> Part {
        Part {
            table: self.copy.kind,
            view: self.view,
            who: self.who.clone(),
            waiting: Arc::clone(&self.waiting),
            sought: Arc::clone(&self.sought),
            files,
            read: Read::default(),
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
    /// Reads the part to its end, when it is its turn. What waits is left open. Nothing holds the way of its files then: they end with the last part.
    async fn read(mut self, part: ScanPart, turns: Arc<Semaphore>) -> Result<Read, ExportError> {
        let _turn = turns.acquire().await;
        let mut rows = part.rows();
        while let Some(found) = rows.next().await? {
            self.take(found).await?;
        }
        self.settle(None).await?;
        Ok(self.read)
    }

    async fn take(&mut self, found: Vec<Found>) -> Result<(), ExportError> {
        self.read.rows += found.len() as u64;
        let mut by_month = BTreeMap::<(String, bool), Vec<Found>>::new();
        for row in found {
            if has(&self.sought, &row) {
                let Found { fragment, .. } = &row;
                let times = fragment.received.iter().copied().collect();
                self.read.seen.push(Seen { anchor: fragment.anchor(), key: fragment.key, times });
            }
            let waits = is_waiting(&self.waiting, &row);
            by_month.entry((row.placement.month(), waits)).or_default().push(row);
        }
        let newest = by_month.keys().map(|(month, _)| month.clone()).max();
        for ((month, waits), rows) in by_month {
            let batch = columns::batch((&self.who, self.view), &rows)?;
            let open = self.read.open.entry((month.clone(), waits)).or_default();
            open.rows += batch.num_rows();
            open.batches.push(batch);
            if waits {
                open.joined.extend(rows.iter().filter_map(joined));
            } else if open.rows >= FILE_ROWS {
                let full = std::mem::take(open);
                self.write(&month, &full).await?;
            }
        }
        // Months come one after the other, but for what is carried over a month's end.
        let before =
            newest.and_then(|month| month.parse::<Month>().ok()).map(|month| month.minus(1).to_string());
        match before {
            Some(before) => self.settle(Some(&before)).await,
            None => Ok(()),
        }
    }

    /// Writes what is settled of the months before another, or of all.
    async fn settle(&mut self, before: Option<&str>) -> Result<(), ExportError> {
        let is_done = |month: &str| before.is_none_or(|before| month < before);
        let done: Vec<_> =
            self.read.open.extract_if(.., |(month, waits), _| !*waits && is_done(month)).collect();
        for ((month, _), open) in done {
            self.write(&month, &open).await?;
        }
        Ok(())
    }

    async fn write(&self, month: &str, open: &Open) -> Result<(), ExportError> {
        for file in encode(self.table, month, &open.batches, None)? {
            // Whoever wanted it is gone where nobody takes it.
            self.files.send(file).await.map_err(|_| ExportError::Internal("a scan was given up"))?;
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
pub(crate) fn read_joined(line: &str) -> Option<(Timestamp, (Anchor, TrailKey))> {
    let (millis, identity) = line.split_once(' ')?;
    Some((Timestamp::from_millis(millis.parse().ok()?)?, crate::identity::read(identity)?))
}
