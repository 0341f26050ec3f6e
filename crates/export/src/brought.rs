//! Bringing a copy up to a newer version of its lake.

use crate::changed::Changed;
use crate::copy::{Copy, Plan, Purpose, RIGHTS, WAITING};
use crate::error::ExportError;
use crate::limits::CHANGED_MOST;
use crate::scanned::Scanned;
use crate::tables::MadeOf;
use gridtrail_access::Access;
use gridtrail_lake::{Lake, RowChanges, Snapshot, SnapshotVersion, View, WaitingRows};
use std::sync::Arc;
use xxhash_rust::xxh64::xxh64;

/// What bringing a copy up to a version came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Copied {
    /// The version of the copy's own log.
    pub version: u64,
    /// Whether there was anything to do.
    pub changed: bool,
    /// Whether all rows were scanned, and not only those that changed.
    pub whole: bool,
    /// Rows that came, or came to say something else.
    pub rows: u64,
    /// Rows in the files that were written: those, and what lay in one file with them.
    pub rows_written: u64,
    /// Bytes of those files.
    pub bytes_written: u64,
    /// Files that were written.
    pub files_written: u64,
    /// Files that were taken away.
    pub files_taken_away: u64,
}

impl Copy {
    /// Brings the table up to a snapshot, in one commit, for an access: rows of other User IDs than before are rows that changed. A table of the
    /// inventory is then as the inventory is at that moment by the lake's clock.
    ///
    /// It may be dropped or killed at any moment: the table is then at the version before, or at the new one.
    ///
    /// Cost: what changed, look-ups and the files that it lies in; everything where that cannot be told. Errors: `Another`, `Overtaken`; as those
    /// of a look-up.
    pub async fn bring_up_to(
        &mut self,
        lake: &Lake,
        (who, purpose): (&Access, &Purpose),
        snapshot: &Arc<Snapshot>,
    ) -> Result<Copied, ExportError> {
        self.table.refresh().await?;
        self.table.check_whole()?;
        self.check_purpose(lake, purpose)?;
        match self.kind.made_of() {
            MadeOf::Trails(view) => self.trails_up_to(view, lake, (who, purpose), snapshot).await,
            MadeOf::Devices(table) => self.devices_up_to(table, lake, (who, purpose), snapshot).await,
        }
    }

    async fn trails_up_to(
        &mut self,
        view: View,
        lake: &Lake,
        (who, purpose): (&Access, &Purpose),
        snapshot: &Arc<Snapshot>,
    ) -> Result<Copied, ExportError> {
        let rights = number(who.user_ids().digest());
        let same_rights = self.table.position(RIGHTS) == Some(rights);
        let since = self.is_of();
        if same_rights && since.as_ref() == Some(snapshot.version()) {
            return Ok(Copied { version: self.version(), ..Copied::default() });
        }
        let told = same_rights && !self.kind.has_rows_of_others(who);
        let changes = match &since {
            Some(since) if told => lake.row_changes(who, (since, snapshot), CHANGED_MOST).await?,
            _ => None,
        };
        let waiting = snapshot.rows_that_wait(who).await?;
        let waits = number_of(&waiting);
        let whole = changes.is_none();
        let rows = lake.counts().fragments;
        let plan = match changes {
            None => self.anew(view, who, (snapshot, rows), waiting).await?,
            Some(changes) => {
                let same = self.table.position(WAITING) == Some(waits);
                self.changed(view, who, (snapshot, rows), changes, (waiting, same)).await?
            }
        };
        let positions = vec![(RIGHTS, rights), (WAITING, waits)];
        self.put(lake, (plan, whole), (snapshot.version(), purpose), positions).await
    }

    /// Commits what a plan says, and tells what it came to.
    pub(crate) async fn put(
        &mut self,
        lake: &Lake,
        (plan, whole): (Plan, bool),
        of: (&SnapshotVersion, &Purpose),
        positions: Vec<(&'static str, i64)>,
    ) -> Result<Copied, ExportError> {
        let mut copied = Copied {
            changed: true,
            whole,
            rows: plan.rows,
            rows_written: plan.add.iter().map(|file| file.rows).sum(),
            bytes_written: plan.add.iter().map(|file| file.written.size).sum(),
            files_written: plan.add.len() as u64,
            files_taken_away: plan.remove.len() as u64,
            version: 0,
        };
        self.commit(lake, plan, of, positions).await?;
        copied.version = self.version();
        Ok(copied)
    }

    /// Everything, scanned.
    async fn anew(
        &self,
        view: View,
        who: &Access,
        of: (&Arc<Snapshot>, u64),
        waiting: WaitingRows,
    ) -> Result<Plan, ExportError> {
        let mut plan = Plan::default();
        self.files()?.iter().for_each(|file| plan.take_away(file));
        let scan =
            Scanned { copy: self, view, who, of, waiting: Arc::new(waiting.joined), sought: Arc::default() };
        scan.write(None, &mut plan).await?;
        Ok(plan)
    }

    /// What changed.
    async fn changed(
        &mut self,
        view: View,
        who: &Access,
        of: (&Arc<Snapshot>, u64),
        changes: RowChanges,
        waiting: (WaitingRows, bool),
    ) -> Result<Plan, ExportError> {
        let mut plan = Plan::default();
        Changed::of(self, changes, waiting).await?.write((self, view), who, of, &mut plan).await?;
        Ok(plan)
    }
}

/// A digest as a position: positions are numbers from nought on.
fn number(digest: &[u8; 32]) -> i64 {
    i64::from_be_bytes(std::array::from_fn(|at| digest[at])) & i64::MAX
}

/// A number that stands for what waits.
fn number_of(waiting: &WaitingRows) -> i64 {
    let all: String = waiting.fragments.iter().map(|fragment| format!("{fragment:?}\n")).collect();
    xxh64(all.as_bytes(), 0).cast_signed() & i64::MAX
}
