//! Which rows of a month stay that retention writes anew.

use crate::rows::decode::{Stored, recorded_ms};
use crate::rows::run::{RetainedMark, RunFile};
use crate::tables::hold::ActiveHold;
use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use gridtrail_model::Fragment;
use gridtrail_runs::RunsError;

/// The rows of a month that stay.
#[derive(Debug)]
pub(crate) struct Keep {
    pub(crate) floor_ms: i64,
    /// The number of changes to holds.
    pub(crate) changes: i64,
    pub(crate) holds: Vec<ActiveHold>,
}

/// Rows that stay, of some.
pub(crate) struct KeptRows {
    pub(crate) rows: RecordBatch,
    pub(crate) held: u64,
    pub(crate) mark: RetainedMark,
}

impl Keep {
    fn holds(&self, fragment: &Fragment) -> bool {
        self.holds.iter().any(|hold| hold.holds(fragment))
    }

    /// The rows of a batch that stay. Each is whole: merged from all of its fragments in the month.
    pub(crate) fn select(&self, batch: &RecordBatch) -> Result<KeptRows, RunsError> {
        let failed = || RunsError::Internal("rows that retention keeps could not be told");
        const NAME: &str = "a month that is written anew";
        let recorded = recorded_ms(batch, NAME)?;
        let mut mark = RetainedMark { holds: self.changes, until_ms: i64::MAX };
        let (mut keep, mut held) = (Vec::with_capacity(recorded.len()), 0);
        for (row, recorded) in recorded.into_iter().enumerate() {
            // Few rows are as old as this and stay, so decoding them is no matter; where there is no hold, none is decoded.
            let is_held = !self.holds.is_empty() && self.holds(&Stored::of(batch, row, NAME)?.fragment()?);
            let young = recorded >= self.floor_ms;
            held += u64::from(is_held && !young);
            if young && !is_held {
                mark.until_ms = mark.until_ms.min(recorded);
            }
            keep.push(young || is_held);
        }
        let rows = filter_record_batch(batch, &BooleanArray::from(keep)).map_err(|_| failed())?;
        Ok(KeptRows { rows, held, mark })
    }

    /// Whether anything can go from a run.
    pub(crate) fn may_shorten(&self, run: &RunFile) -> bool {
        match run.summary.retained {
            Some(mark) if mark.holds == self.changes => mark.until_ms < self.floor_ms,
            _ => run.summary.min_recorded_ms.is_none_or(|recorded| recorded < self.floor_ms),
        }
    }
}
