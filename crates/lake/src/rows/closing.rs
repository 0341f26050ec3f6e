//! What closes rows: claims that a row is no meter read.
//!
//! A meter read is open to all Users (H8.16(c)) as long as nothing says that it is something else. Fragments of one key may lie anywhere, so
//! those that say so must be found, whatever they lie under: under the Device that their id names they are found as all rows of it are.
//! Few lie elsewhere, and of nearly all of those the id names the DCC; so each run lists which Devices the ids of such rows name, and a
//! look-up asks for them only the runs that list one of its own.

use crate::limits::CLOSING_TARGETS;
use crate::rows::decode::Stored;
use crate::rows::packed;
use crate::rows::schema::column;
use arrow::array::{Array, RecordBatch};
use gridtrail_model::{DeviceId, Fragment, ServiceReferenceVariant};
use gridtrail_runs::RunsError;
use std::collections::BTreeSet;

/// The columns that tell a row's key, and whether it may close others, in the order of rows.
pub(crate) const CLOSING_COLUMNS: &[usize] =
    &[column::DEVICE, column::RECEIVED, column::USER, column::VARIANT, column::SHAPE, column::TAIL];

/// The variants that are open, as they are written: nearly all that are looked at need not be parsed.
const OPEN: [&[u8]; 4] = [b"4.8.1", b"4.8.2", b"4.8.3", b"4.17"];

/// Whether a fragment closes its row.
pub(crate) fn closes(fragment: &Fragment) -> bool {
    !fragment.key.is_alert() && fragment.variant.iter().any(|variant| !variant.is_meter_read())
}

/// Whether a row may close others, by what is quickly read of it as it is stored: one that has claims which are not shown may have any.
pub(crate) fn may_close(variant: Option<&[u8]>, shape: &[u8]) -> bool {
    let (is_alert, is_disputed) = packed::is_alert_and_disputed(shape);
    let is_closed = |text: &[u8]| {
        let variant = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
        variant.is_none_or(|variant: ServiceReferenceVariant| !variant.is_meter_read())
    };
    !is_alert && (is_disputed || variant.is_some_and(|text| !OPEN.contains(&text) && is_closed(text)))
}

/// The Devices that ids name of rows that may close others and lie under something else.
#[derive(Debug, Default)]
pub(crate) struct ClosingTargets {
    targets: BTreeSet<DeviceId>,
}

impl ClosingTargets {
    /// Those of some fragments.
    pub(crate) fn of<'a>(fragments: impl Iterator<Item = &'a Fragment>) -> Self {
        let mut found = Self::default();
        for fragment in fragments.filter(|fragment| packed::foreign_counter(fragment).is_some()) {
            let may_close = closes(fragment) || (!fragment.key.is_alert() && packed::is_disputed(fragment));
            if may_close {
                found.targets.insert(packed::searched_by(&fragment.key).0);
            }
        }
        found
    }

    /// Adds those of a batch that has all columns.
    pub(crate) fn add(&mut self, batch: &RecordBatch, path: &str) -> Result<(), RunsError> {
        let foreign = batch.columns().get(column::FOREIGN_COUNTER);
        let foreign = foreign.ok_or(RunsError::Internal("a batch of fragments lacks its counters"))?;
        for row in (0..batch.num_rows()).filter(|row| foreign.is_valid(*row)) {
            self.add_row(&Stored::of(batch, row, path)?)?;
        }
        Ok(())
    }

    /// Adds that of a row that lies under another Device than its id names.
    pub(crate) fn add_row(&mut self, row: &Stored<'_>) -> Result<(), RunsError> {
        if may_close(row.variant, row.shape) {
            self.targets.insert(packed::searched_by(&row.key()?).0);
        }
        Ok(())
    }

    /// As a run lists them: `None` where there are too many.
    pub(crate) fn listed(&self) -> Option<Vec<String>> {
        (self.targets.len() <= CLOSING_TARGETS)
            .then(|| self.targets.iter().map(ToString::to_string).collect())
    }

    /// All of them, ascending.
    pub(crate) fn into_vec(self) -> Vec<DeviceId> {
        self.targets.into_iter().collect()
    }
}
