//! Tables of the inventory: what a scan gives at an instant, by Device.
//!
//! Each file holds the Devices of a range of Device IDs, and no other does: what changes of a Device costs the file that it lies in. A file that
//! grows too large becomes several.
//!
//! A row shows more than its Device: where it is, by the Devices around it. So what changed is what rows came of, came about of requests, or took
//! effect as time passed (`Lake::inventory_changes`), and all Devices that may be shown by any of that (`InventoryScan::devices_shown_by`). Those are
//! scanned, and rows that come out as they were are left.

mod range;

use crate::brought::Copied;
use crate::columns;
use crate::copy::{Copy, Plan, Purpose};
use crate::error::ExportError;
use crate::limits::{INVENTORY_ROWS_MOST, RANGE_ROWS};
use gridtrail_access::Access;
use gridtrail_lake::{InventorySpan, Lake, Snapshot};
use gridtrail_model::{DeviceId, Named, Timestamp};
use gridtrail_search::{InventoryRules, InventoryScan};
use gridtrail_sql::InventoryTable;
use range::Range;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The position that says of which instant a table is, in milliseconds.
const AT: &str = "at";
/// The position that says when next anything takes effect that is on record, in milliseconds.
const NEXT: &str = "next";
/// The position that says which kinds of rows a table has, where it is not the first that it ever had.
const SHOWS: &str = "shows";

/// Which kinds of rows a table has: a copy that has others is scanned anew. The history has firmware versions since 2.
const fn shown_in(table: InventoryTable) -> i64 {
    match table {
        InventoryTable::Devices => 1,
        InventoryTable::History => 2,
    }
}

/// What a table of the inventory is brought up to.
struct UpTo<'a> {
    table: InventoryTable,
    who: &'a Access,
    snapshot: &'a Arc<Snapshot>,
    at: Timestamp,
}

impl UpTo<'_> {
    fn rules(&self) -> InventoryRules {
        InventoryRules { at: self.at, every_type_two: false }
    }

    /// The Devices whose rows may be others.
    async fn shown_by(&self, about: &BTreeSet<Named>) -> Result<BTreeSet<DeviceId>, ExportError> {
        Ok(InventoryScan::devices_shown_by(self.snapshot, self.who, about).await?)
    }
}

impl Copy {
    /// Whether something that is on record has taken effect since the instant that it is of.
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.table.position(NEXT).is_some_and(|next| next <= now.millis())
    }

    pub(crate) async fn devices_up_to(
        &mut self,
        table: InventoryTable,
        lake: &Lake,
        (who, purpose): (&Access, &Purpose),
        snapshot: &Arc<Snapshot>,
    ) -> Result<Copied, ExportError> {
        let time = |position: &str| self.table.position(position).and_then(Timestamp::from_millis);
        let (is_of, after, now) = (self.is_of(), time(AT), lake.clock().now());
        // It never goes back, whatever becomes of the clock.
        let at = after.map_or(now, |after| after.max(now));
        let shows = shown_in(table);
        let same = self.table.position(SHOWS).unwrap_or(1) == shows;
        let is_new = is_of.as_ref() == Some(snapshot.version()) && after.is_some();
        if same && is_new && !self.is_due(at) {
            return Ok(Copied { version: self.version(), ..Copied::default() });
        }
        let up_to = UpTo { table, who, snapshot, at };
        let changes = match (&is_of, after) {
            (Some(since), Some(after)) if same => {
                let next = time(NEXT).filter(|next| *next < Timestamp::MAX);
                let span = InventorySpan { after, next, until: at };
                lake.inventory_changes(who, (since, snapshot), &span, INVENTORY_ROWS_MOST).await?
            }
            _ => None,
        };
        let (mut plan, whole) = (Plan::default(), changes.is_none());
        let next = match changes {
            None => {
                self.every_device(&up_to, &mut plan).await?;
                snapshot.next_of_inventory(who, at).await?
            }
            Some(changes) => {
                let devices = up_to.shown_by(&changes.about).await?;
                self.some_devices(&up_to, devices, &mut plan).await?;
                changes.next
            }
        };
        let next = next.unwrap_or(Timestamp::MAX);
        let positions = vec![(AT, at.millis().max(0)), (NEXT, next.millis().max(0)), (SHOWS, shows)];
        self.put(lake, (plan, whole), (snapshot.version(), purpose), positions).await
    }

    /// Has a commit put a scan of all Devices in place of what is there.
    async fn every_device(&self, up_to: &UpTo<'_>, plan: &mut Plan) -> Result<(), ExportError> {
        self.ranges()?.iter().for_each(|range| plan.take_away(range));
        let (snapshot, who) = (Arc::clone(up_to.snapshot), up_to.who.clone());
        let mut scan = InventoryScan::new(snapshot, who, up_to.rules()).await?;
        let (mut rows, mut batches) = (0, Vec::new());
        while let Some(devices) = scan.next().await? {
            let batch = columns::of_devices(up_to.table, &devices)?;
            // A Device's rows lie in one file.
            if rows > 0 && rows + batch.num_rows() > RANGE_ROWS {
                plan.rows += rows as u64;
                self.write_ranges(&std::mem::take(&mut batches), plan).await?;
                rows = 0;
            }
            rows += batch.num_rows();
            batches.push(batch);
        }
        plan.rows += rows as u64;
        self.write_ranges(&batches, plan).await
    }

    /// Has a commit put a scan of some Devices in place of what is there of them.
    async fn some_devices(
        &self,
        up_to: &UpTo<'_>,
        devices: BTreeSet<DeviceId>,
        plan: &mut Plan,
    ) -> Result<(), ExportError> {
        let ranges = self.ranges()?;
        let mut by_range = BTreeMap::<usize, BTreeSet<DeviceId>>::new();
        for device in devices {
            let after = ranges.partition_point(|range| range.summary.first <= device.to_string());
            by_range.entry(after.saturating_sub(1)).or_default().insert(device);
        }
        for (number, devices) in by_range {
            let (snapshot, who) = (Arc::clone(up_to.snapshot), up_to.who.clone());
            let mut scan = InventoryScan::of_devices(snapshot, who, up_to.rules(), devices.clone());
            let mut batches = Vec::new();
            while let Some(found) = scan.next().await? {
                batches.push(columns::of_devices(up_to.table, &found)?);
            }
            let there = match ranges.get(number) {
                Some(range) => range::rows_of(range, &self.table).await?,
                None => Vec::new(),
            };
            let devices = devices.iter().map(DeviceId::to_string).collect();
            let schema = self.kind.definition().schema;
            let Some(put) = range::put(schema, (&there, &batches), &devices)? else { continue };
            if let Some(range) = ranges.get(number) {
                plan.take_away(range);
            }
            plan.rows += put.changed;
            self.write_ranges(&[put.rows], plan).await?;
        }
        Ok(())
    }

    /// The files of a table of the inventory, ascending.
    fn ranges(&self) -> Result<Vec<Range>, ExportError> {
        range::all(self.table.files())
    }

    async fn write_ranges(
        &self,
        rows: &[arrow::array::RecordBatch],
        plan: &mut Plan,
    ) -> Result<(), ExportError> {
        for file in range::encode(self.kind, rows)? {
            if !plan.keeps(file.written, None) {
                plan.add.push(file.upload(&self.table).await?);
            }
        }
        Ok(())
    }
}
